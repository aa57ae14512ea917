import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type App, codeOf, ids, openApp } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp({ MAX_ROOM_MEMBERS: '3', MAX_ROOMS_PER_USER: '4' });
});
afterAll(() => app.end());

const numbersOf = (tenant: { tenant_id: string }) =>
	app
		.rows<{ room: number }>(
			`SELECT room FROM rooms JOIN tenants USING (tenant)
			WHERE tenant_id = '${tenant.tenant_id}' ORDER BY room`,
		)
		.map(({ room }) => room);

const eventsOf = (tenant: { tenant_id: string }) =>
	app
		.rows<{ type: string }>(
			`SELECT type FROM events JOIN tenants USING (tenant)
			WHERE tenant_id = '${tenant.tenant_id}' ORDER BY cursor`,
		)
		.map(({ type }) => type);

describe('a dm', () => {
	test('asked for by many at once is one room, made once and told of once', async () => {
		const tenant = await app.tenant();
		const ann = await tenant.listen('ann');

		const answers = await Promise.all(
			Array.from({ length: 20 }, (_, index) =>
				app.rooms.create(tenant.as(index % 2 === 0 ? 'ann' : 'bob'), {
					type: 'dm',
					members: index % 3 === 0 ? ids('ann', 'bob') : ids('bob', 'ann'),
				}),
			),
		);

		expect(new Set(answers.map(({ room_id }) => room_id)).size).toBe(1);
		expect(answers.filter(({ duplicate }) => duplicate !== true)).toHaveLength(1);
		expect(numbersOf(tenant)).toEqual([1]);
		expect(eventsOf(tenant)).toEqual(['room.created']);
		expect(ann.told.map(({ type }) => type)).toEqual(['room.created']);
	});

	test('of (a:b, c) is another one than that of (a, b:c), and shows another key', async () => {
		const tenant = await app.tenant();
		const keys: (string | null)[] = [];
		for (const pair of [
			['a:b', 'c'],
			['a', 'b:c'],
		]) {
			const input = { type: 'dm' as const, members: ids(...pair) };
			keys.push((await app.rooms.create(tenant.itself, input)).unique_key);
		}

		expect(new Set(keys).size).toBe(2);
		expect(numbersOf(tenant)).toEqual([1, 2]);
	});

	test('may be made anew after it was deleted, as another room', async () => {
		const tenant = await app.tenant();
		const input = { type: 'dm' as const, members: ids('ann', 'bob') };
		const first = await app.rooms.create(tenant.itself, input);
		await app.rooms.remove(tenant.itself, first);

		const second = await app.rooms.create(tenant.itself, input);

		expect(second.room_id).not.toBe(first.room_id);
		expect(second.duplicate).toBeUndefined();
		expect(numbersOf(tenant)).toEqual([1, 2]);
	});

	test('that was hidden comes back with the next message, and what was unread with it', async () => {
		const tenant = await app.tenant();
		const [ann, bob] = [tenant.as('ann'), tenant.as('bob')];
		const { room_id } = await app.rooms.create(ann, { type: 'dm', members: ids('ann', 'bob') });
		await app.messages.send(bob, { room_id, content: 'one' });
		await app.members.remove(ann, { room_id, user_id: ann.user_id });
		expect((await app.rooms.list(ann, {})).rooms).toEqual([]);
		expect((await app.rooms.list(bob, {})).rooms).toHaveLength(1);

		await app.messages.send(bob, { room_id, content: 'two' });

		expect((await app.rooms.list(ann, {})).rooms).toMatchObject([{ room_id, unread_count: 2 }]);
	});
});

describe('a room number', () => {
	test('is never used again, not even after a room is deleted', async () => {
		const tenant = await app.tenant();
		for (let count = 0; count < 3; count++) {
			const room = await app.rooms.create(tenant.as('ann'), { type: 'group' });
			await app.rooms.remove(tenant.as('ann'), room);
		}
		await app.rooms.create(tenant.as('ann'), { type: 'group' });

		expect(numbersOf(tenant)).toEqual([1, 2, 3, 4]);
	});

	test('counts within its tenant', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];
		await app.rooms.create(one.itself, { type: 'group' });
		await app.rooms.create(two.itself, { type: 'group' });
		await app.rooms.create(one.itself, { type: 'group' });

		expect([numbersOf(one), numbersOf(two)]).toEqual([[1, 2], [1]]);
	});
});

describe('a deleted room', () => {
	test('is there for nobody, keeps its rows for who was away, and counts no members', async () => {
		const tenant = await app.tenant();
		const ann = tenant.as('ann');
		const room = await app.rooms.create(ann, { type: 'group', members: ids('bob') });
		await app.messages.send(ann, { room_id: room.room_id, content: 'kept' });
		const bob = await tenant.listen('bob');

		await app.rooms.remove(ann, room);

		for (const caller of [ann, tenant.as('bob'), tenant.itself]) {
			expect(await codeOf(app.rooms.get(caller, room))).toBe('NOT_FOUND');
			expect(await codeOf(app.messages.list(caller, room))).toBe('NOT_FOUND');
			expect(await codeOf(app.rooms.remove(caller, room))).toBe('NOT_FOUND');
		}
		expect(bob.told.at(-1)).toMatchObject({ type: 'room.deleted', room_id: room.room_id });
		expect([...bob.topics]).toEqual([]);
		const found = app.rows(
			`SELECT h.member_count, r.deleted_at IS NOT NULL AS deleted,
				(SELECT count(*) FROM messages m WHERE m.tenant = r.tenant AND m.room = r.room) AS messages,
				(SELECT count(*) FROM memberships m WHERE m.tenant = r.tenant AND m.room = r.room) AS members,
				(SELECT count(*) FROM ended_memberships m WHERE m.tenant = r.tenant AND m.room = r.room
					AND m.left_cursor = h.last_cursor) AS ended
			FROM rooms r JOIN room_heads h USING (tenant, room) WHERE room_id = '${room.room_id}'`,
		);
		expect(found).toEqual([{ member_count: 0, deleted: 1, messages: 1, members: 0, ended: 2 }]);
	});

	test('is what the last one who leaves leaves behind: with two events, in one change', async () => {
		const tenant = await app.tenant();
		const ann = tenant.as('ann');
		const room = await app.rooms.create(ann, { type: 'group' });

		await app.members.remove(ann, { ...room, user_id: ann.user_id });

		expect(eventsOf(tenant)).toEqual(['room.created', 'member.removed', 'room.deleted']);
		expect(
			app.rows(
				`SELECT h.member_count, h.last_cursor FROM rooms JOIN room_heads h USING (tenant, room)
				WHERE room_id = '${room.room_id}'`,
			),
		).toEqual([{ member_count: 0, last_cursor: 3 }]);
	});
});

describe('a limit', () => {
	test('of members refuses the whole request: nobody joins, nobody is told, nothing is counted', async () => {
		const tenant = await app.tenant();
		const ann = tenant.as('ann');
		const { room_id } = await app.rooms.create(ann, { type: 'group', members: ids('bob') });
		const cat = await tenant.listen('cat');
		const before = app.rows('SELECT * FROM memberships');

		const refused = app.members.add(ann, { room_id, members: ids('cat', 'dan') });

		expect(await codeOf(refused)).toBe('CONFLICT');
		expect(app.rows('SELECT * FROM memberships')).toEqual(before);
		expect((await app.rooms.get(ann, { room_id })).member_count).toBe(2);
		expect([...cat.topics]).toEqual([]);
		expect(cat.told).toEqual([]);
		expect((await app.members.add(ann, { room_id, members: ids('cat') })).added).toBe(1);
	});

	test('of members counts who is a member already once', async () => {
		const tenant = await app.tenant();
		const ann = tenant.as('ann');
		const { room_id } = await app.rooms.create(ann, { type: 'group', members: ids('bob', 'cat') });

		const again = app.members.add(ann, { room_id, members: ids('ann', 'bob', 'cat', 'bob') });

		expect(await codeOf(again)).toBe('done');
	});

	test('of rooms per user refuses the room that is one too many, and leaves no trace of it', async () => {
		const tenant = await app.tenant();
		for (let count = 0; count < 4; count++) {
			await app.rooms.create(tenant.itself, { type: 'group', members: ids('ann') });
		}
		const events = eventsOf(tenant);

		for (const input of [
			{ type: 'group' as const, members: ids('bob', 'ann') },
			{ type: 'dm' as const, members: ids('bob', 'ann') },
		]) {
			expect(await codeOf(app.rooms.create(tenant.as('bob'), input))).toBe('CONFLICT');
		}

		expect(numbersOf(tenant)).toEqual([1, 2, 3, 4]);
		expect(eventsOf(tenant)).toEqual(events);
		expect((await app.rooms.list(tenant.as('bob'), {})).rooms).toEqual([]);
	});

	test('of rooms per user has room again after one is left', async () => {
		const tenant = await app.tenant();
		const rooms = [];
		for (let count = 0; count < 4; count++) {
			rooms.push(await app.rooms.create(tenant.as('ann'), { type: 'group' }));
		}
		await app.members.remove(tenant.as('ann'), {
			room_id: rooms[0]?.room_id ?? ('' as never),
			user_id: tenant.as('ann').user_id,
		});

		expect(await codeOf(app.rooms.create(tenant.as('ann'), { type: 'group' }))).toBe('done');
	});
});
