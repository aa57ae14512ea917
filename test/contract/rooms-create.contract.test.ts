import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { createTenant, sendMessage } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { MembersPage, Room, RoomsPage } from '../helpers/wire.ts';

const used = useServer();

describe('a dm', () => {
	test('is one room per pair, whoever asks and in whatever order', async () => {
		const tenant = await createTenant(used.server);
		const first = await tenant.as('alice').post<Room>('/rooms', dm('alice', 'bob'));
		const second = await tenant.as('bob').post<Room>('/rooms', dm('bob', 'alice'));
		const third = await tenant.as().post<Room>('/rooms', dm('alice', 'bob'));

		expect(bodyOf(first, 201)).toMatchObject({
			type: 'dm',
			unique_key: 'dm:alice:bob',
			member_count: 2,
			last_seq: 0,
		});
		expect(bodyOf(first, 201).duplicate).not.toBe(true);
		for (const again of [second, third]) {
			expect(bodyOf(again, 200)).toMatchObject({
				room_id: first.body.room_id,
				unique_key: 'dm:alice:bob',
				duplicate: true,
			});
		}
		const { rooms } = bodyOf(await tenant.as('alice').get<RoomsPage>('/rooms'), 200);
		expect(rooms).toHaveLength(1);
	});

	test('is made once by twenty requests at the same time', async () => {
		const tenant = await createTenant(used.server);
		const users = ['alice', 'bob', undefined];
		const answers = await Promise.all(
			Array.from({ length: 20 }, (_, index) =>
				tenant
					.as(users[index % users.length])
					.post<Room>('/rooms', index % 2 === 0 ? dm('alice', 'bob') : dm('bob', 'alice')),
			),
		);

		expect(answers.map(({ status }) => status).sort()).toEqual([...Array(19).fill(200), 201]);
		expect(new Set(answers.map(({ body }) => body.room_id)).size).toBe(1);
		const { rooms } = bodyOf(await tenant.as('bob').get<RoomsPage>('/rooms'), 200);
		expect(rooms).toHaveLength(1);
	});

	test('keeps pairs apart whose ids would run together, and escapes them in unique_key', async () => {
		const tenant = await createTenant(used.server);
		const left = bodyOf(await tenant.as().post<Room>('/rooms', dm('a:b', 'c')), 201);
		const right = bodyOf(await tenant.as().post<Room>('/rooms', dm('a', 'b:c')), 201);

		expect(left.room_id).not.toBe(right.room_id);
		expect(left.unique_key).toBe('dm:a%3Ab:c');
		expect(right.unique_key).toBe('dm:a:b%3Ac');
	});

	test('has two plain members, and nobody for an owner', async () => {
		const tenant = await createTenant(used.server);
		const room = bodyOf(await tenant.as('alice').post<Room>('/rooms', dm('alice', 'bob')), 201);

		const list = await tenant.as('bob').get<MembersPage>(`/rooms/${room.room_id}/members`);

		const roles = bodyOf(list, 200).members.map(({ user_id, role }) => [user_id, role]);
		expect(roles.sort()).toEqual([
			['alice', 'member'],
			['bob', 'member'],
		]);
	});

	test('may be opened for two others by a backend, who is not let in and not told their state', async () => {
		const tenant = await createTenant(used.server);
		const opened = bodyOf(
			await tenant.as('testuser').post<Room>('/rooms', dm('alice', 'bob')),
			201,
		);

		expect(opened).not.toHaveProperty('unread_count');
		expect(opened).not.toHaveProperty('last_read_seq');
		await sendMessage(tenant, 'alice', opened.room_id);
		expect((await tenant.as('testuser').get(`/rooms/${opened.room_id}`)).status).toBe(404);
		expect(
			(await tenant.as('testuser').post(`/rooms/${opened.room_id}/messages`, { content: 'x' }))
				.status,
		).toBe(404);
		const { rooms } = bodyOf(await tenant.as('testuser').get<RoomsPage>('/rooms'), 200);
		expect(rooms).toEqual([]);
	});

	for (const [claim, members] of [
		['nobody', []],
		['one member', ['alice']],
		['three members', ['alice', 'bob', 'carol']],
		['the same member twice', ['alice', 'alice']],
	] as const) {
		test(`of ${claim} is refused, and not made`, async () => {
			const tenant = await createTenant(used.server);
			const answer = await tenant.as().post('/rooms', { type: 'dm', members });

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'members' });
		});
	}
});

describe('a group or channel', () => {
	for (const type of ['group', 'channel'] as const) {
		test(`a ${type} belongs to the user who made it; the others are members`, async () => {
			const tenant = await createTenant(used.server);
			const room = bodyOf(
				await tenant.as('alice').post<Room>('/rooms', {
					type,
					name: 'Plans',
					members: ['bob', 'carol'],
					metadata: { colour: 'red' },
				}),
				201,
			);
			const list = await tenant.as('bob').get<MembersPage>(`/rooms/${room.room_id}/members`);

			expect(room).toMatchObject({
				type,
				name: 'Plans',
				metadata: { colour: 'red' },
				unique_key: null,
				last_seq: 0,
				member_count: 3,
			});
			expect(room.room_id).toMatch(/^room_[0-9a-z]{26}$/);
			expect(new Map(bodyOf(list, 200).members.map((each) => [each.user_id, each.role]))).toEqual(
				new Map([
					['alice', 'owner'],
					['bob', 'member'],
					['carol', 'member'],
				]),
			);
		});
	}

	test('is a new room each time, also with the same name and members', async () => {
		const tenant = await createTenant(used.server);
		const body = { type: 'group', name: 'Same', members: ['bob'] };
		const first = bodyOf(await tenant.as('alice').post<Room>('/rooms', body), 201);
		const second = bodyOf(await tenant.as('alice').post<Room>('/rooms', body), 201);

		expect(first.room_id).not.toBe(second.room_id);
	});

	test('that names its maker as a member too has the maker once, as owner', async () => {
		const tenant = await createTenant(used.server);
		const room = bodyOf(
			await tenant.as('alice').post<Room>('/rooms', { type: 'group', members: ['alice', 'bob'] }),
			201,
		);
		const list = await tenant.as('alice').get<MembersPage>(`/rooms/${room.room_id}/members`);

		expect(room.member_count).toBe(2);
		expect(
			bodyOf(list, 200)
				.members.map(({ role }) => role)
				.sort(),
		).toEqual(['member', 'owner']);
	});

	test('that the tenant makes has no owner, and is managed by the tenant', async () => {
		const tenant = await createTenant(used.server);
		const room = bodyOf(
			await tenant.as().post<Room>('/rooms', { type: 'group', members: ['bob'] }),
			201,
		);
		const list = await tenant.as().get<MembersPage>(`/rooms/${room.room_id}/members`);
		const byMember = await tenant.as('bob').patch(`/rooms/${room.room_id}`, { name: 'Mine' });
		const byTenant = await tenant.as().patch<Room>(`/rooms/${room.room_id}`, { name: 'Ours' });

		expect(bodyOf(list, 200).members.map(({ role }) => role)).toEqual(['member']);
		expect(byMember.status).toBe(403);
		expect(bodyOf(byTenant, 200).name).toBe('Ours');
	});

	test('keeps metadata that is no object as it came', async () => {
		const tenant = await createTenant(used.server);
		for (const metadata of ['a string', 7, true, ['list'], { __proto__x: { deep: [null] } }]) {
			const answer = await tenant.as('alice').post<Room>('/rooms', { type: 'group', metadata });
			expect(bodyOf(answer, 201).metadata).toEqual(metadata);
		}
	});
});

describe('what POST /rooms refuses', () => {
	test('names the types there are', async () => {
		const tenant = await createTenant(used.server);
		for (const type of ['direct', 'DM', '', 7, null]) {
			const answer = await tenant.as('alice').post('/rooms', { type, members: ['a', 'b'] });

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({
				code: 'VALIDATION_ERROR',
				message: 'Invalid room type. Must be one of: dm, group, channel',
				field: 'type',
				retryable: false,
			});
		}
	});

	for (const [claim, body, field] of [
		['no type', { members: ['a', 'b'] }, 'type'],
		['members that are no list', { type: 'group', members: 'bob' }, 'members'],
		['a member that is no user id', { type: 'group', members: ['bob', 'no blanks'] }, '/members/1'],
		['an empty user id', { type: 'group', members: [''] }, '/members/0'],
		['a user id of 129 characters', { type: 'group', members: ['x'.repeat(129)] }, '/members/0'],
		['an unknown field', { type: 'group', member: ['bob'] }, 'member'],
		['a field that only the server writes', { type: 'group', last_seq: 7 }, 'last_seq'],
		['a name of 129 characters', { type: 'group', name: 'x'.repeat(129) }, 'name'],
		['an empty name', { type: 'group', name: '' }, 'name'],
	] as const) {
		test(`names the field: ${claim}`, async () => {
			const tenant = await createTenant(used.server);
			const answer = await tenant.as('alice').post('/rooms', body);

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
			const { rooms } = bodyOf(await tenant.as('alice').get<RoomsPage>('/rooms'), 200);
			expect(rooms).toEqual([]);
		});
	}

	test('takes a name of 128 characters beyond the first plane, and user ids at their edge', async () => {
		const tenant = await createTenant(used.server);
		const name = '😀'.repeat(128);
		const id = 'AZaz09._:@|-'.padEnd(128, 'x');
		const answer = await tenant
			.as('alice')
			.post<Room>('/rooms', { type: 'group', name, members: [id] });

		expect(bodyOf(answer, 201)).toMatchObject({ name, member_count: 2 });
	});

	test('user ids differ by case', async () => {
		const tenant = await createTenant(used.server);
		const answer = await tenant.as().post<Room>('/rooms', dm('Alice', 'alice'));

		expect(bodyOf(answer, 201).member_count).toBe(2);
	});
});

const dm = (...members: string[]) => ({ type: 'dm', members });
