import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type App, codeOf, ids, openApp } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp({ LIVE_RECEIPTS_MAX: '2' });
});
afterAll(() => app.end());

const groupOf = async (...users: [string, ...string[]]) => {
	const tenant = await app.tenant();
	const [owner, ...members] = users;
	const { room_id } = await app.rooms.create(tenant.as(owner), {
		type: 'group',
		members: ids(...members),
	});
	return { tenant, room_id, owner: tenant.as(owner) };
};

describe('a message', () => {
	test('is in the log as a reference to its row, never as a copy', async () => {
		const { room_id, owner } = await groupOf('ann');

		const { seq } = await app.messages.send(owner, { room_id, content: 'only once on disk' });

		const [event] = app.rows(
			`SELECT e.ref, e.payload FROM events e JOIN rooms r
				ON r.tenant = e.tenant AND e.stream = 'r/' || r.room
			WHERE r.room_id = '${room_id}' AND e.type = 'message.created'`,
		);
		expect(event).toEqual({ ref: seq, payload: null });
	});

	test('has its order from its seq, also when the clock is set back', async () => {
		const { room_id, owner } = await groupOf('ann');
		const first = await app.messages.send(owner, { room_id, content: 'first' });
		app.clock.jump(-3_600_000);
		const second = await app.messages.send(owner, { room_id, content: 'second' });
		app.clock.jump(3_600_000);

		const { messages } = await app.messages.list(owner, { room_id });

		expect(messages.map(({ content }) => content)).toEqual(['first', 'second']);
		expect(second.created_at < first.created_at).toBe(true);
		expect(second.cursor > first.cursor).toBe(true);
	});

	test('of the tenant has client_msg_ids of its own, apart from everybody’s', async () => {
		const { tenant, room_id, owner } = await groupOf('ann');
		const input = { room_id, content: 'x', client_msg_id: 'same' };

		const byUser = await app.messages.send(owner, input);
		const byTenant = await app.messages.send(tenant.itself, input);
		const again = await app.messages.send(tenant.itself, input);

		expect(byTenant.message_id).not.toBe(byUser.message_id);
		expect(again).toEqual({ ...byTenant, duplicate: true });
		expect([byUser.kind, byTenant.kind]).toEqual(['user', 'system']);
		expect([byUser.sender_id, byTenant.sender_id]).toEqual([owner.user_id, null]);
	});

	test('repeated by hundreds at once is stored, counted and told of once', async () => {
		const { tenant, room_id, owner } = await groupOf('ann', 'bob');
		const bob = await tenant.listen('bob');

		const answers = await Promise.all(
			Array.from({ length: 300 }, () =>
				app.messages.send(owner, { room_id, content: 'x', client_msg_id: 'race' }),
			),
		);

		expect(new Set(answers.map(({ message_id }) => message_id)).size).toBe(1);
		expect(answers.filter(({ duplicate }) => duplicate !== true)).toHaveLength(1);
		expect(bob.told).toHaveLength(1);
		expect((await app.rooms.get(tenant.as('bob'), { room_id })).unread_count).toBe(1);
	});

	test('repeated after its sender was removed is refused: outsiders learn nothing', async () => {
		const { tenant, room_id } = await groupOf('ann', 'bob');
		const bob = tenant.as('bob');
		const input = { room_id, content: 'x', client_msg_id: 'id' };
		await app.messages.send(bob, input);
		await app.members.remove(tenant.itself, { room_id, user_id: bob.user_id });

		expect(await codeOf(app.messages.send(bob, input))).toBe('NOT_FOUND');
	});

	test('many at once get seqs without a gap, and cursors that rise with them', async () => {
		const { room_id, owner } = await groupOf('ann');

		const sent = await Promise.all(
			Array.from({ length: 500 }, (_, index) =>
				app.messages.send(owner, { room_id, content: `n${index}` }),
			),
		);

		expect(sent.map(({ seq }) => seq)).toEqual(sent.map((_, index) => index + 1));
		const cursors = sent.map(({ cursor }) => cursor);
		expect(cursors).toEqual(cursors.toSorted());
		expect(new Set(cursors).size).toBe(500);
	});
});

describe('unread', () => {
	test('counts what users wrote since, not what the tenant did', async () => {
		const { tenant, room_id, owner } = await groupOf('ann', 'bob');
		const unread = async () => (await app.rooms.get(tenant.as('bob'), { room_id })).unread_count;
		for (const caller of [owner, tenant.itself, owner, tenant.itself]) {
			await app.messages.send(caller, { room_id, content: 'x' });
		}
		expect(await unread()).toBe(2);

		await app.receipts.read(tenant.as('bob'), { room_id, seq: 2 });
		expect(await unread()).toBe(1);
		await app.receipts.read(tenant.as('bob'), { room_id, seq: 1 });
		expect(await unread()).toBe(1);
		await app.receipts.read(tenant.as('bob'), { room_id, seq: 4711 });
		expect(await unread()).toBe(0);
		await app.messages.send(tenant.itself, { room_id, content: 'x' });
		expect(await unread()).toBe(0);
	});

	test('begins at the head for who joins, and for who comes back', async () => {
		const { tenant, room_id, owner } = await groupOf('ann', 'bob');
		const view = () => app.rooms.get(tenant.as('bob'), { room_id });
		const send = () => app.messages.send(owner, { room_id, content: 'x' });
		await send();
		await app.members.remove(tenant.itself, { room_id, user_id: tenant.as('bob').user_id });
		await send();
		await app.members.add(owner, { room_id, members: ids('bob') });
		expect(await view()).toMatchObject({ unread_count: 0, last_read_seq: 2, last_seq: 2 });

		await send();

		expect(await view()).toMatchObject({ unread_count: 1, last_read_seq: 2, last_seq: 3 });
	});
});

describe('a position', () => {
	test('that is delivered further than read keeps both', async () => {
		const { tenant, room_id, owner } = await groupOf('ann', 'bob');
		const bob = tenant.as('bob');
		for (let count = 0; count < 5; count++) {
			await app.messages.send(owner, { room_id, content: 'x' });
		}

		await app.receipts.ack(bob, { room_id, seq: 4 });
		await app.receipts.read(bob, { room_id, seq: 2 });
		await app.receipts.ack(bob, { room_id, seq: 3 });

		const { members } = await app.members.list(owner, { room_id });
		expect(members.find(({ user_id }) => user_id === bob.user_id)).toMatchObject({
			last_delivered_seq: 4,
			last_read_seq: 2,
		});
	});

	test('is told live to a small room, and in no log; one that does not move is told to nobody', async () => {
		const { tenant, room_id, owner } = await groupOf('ann', 'bob');
		await app.messages.send(owner, { room_id, content: 'x' });
		const ann = await tenant.listen('ann');
		const events = app.rows('SELECT count(*) AS count FROM events');

		await app.receipts.ack(tenant.as('bob'), { room_id, seq: 1 });
		await app.receipts.read(tenant.as('bob'), { room_id, seq: 1 });
		await app.receipts.read(tenant.as('bob'), { room_id, seq: 1 });
		await app.receipts.ack(tenant.as('bob'), { room_id, seq: 9 });

		expect(ann.told).toEqual([
			{ type: 'ack.received', room_id, seq: 1, user_id: 'bob' },
			{ type: 'read.updated', room_id, seq: 1, user_id: 'bob' },
		]);
		expect(app.rows('SELECT count(*) AS count FROM events')).toEqual(events);
	});

	test('in a room above LIVE_RECEIPTS_MAX is told to the user’s own sockets only', async () => {
		const { tenant, room_id, owner } = await groupOf('ann', 'bob', 'cat');
		await app.messages.send(owner, { room_id, content: 'x' });
		const [ann, bob] = [await tenant.listen('ann'), await tenant.listen('bob')];

		await app.receipts.read(tenant.as('bob'), { room_id, seq: 1 });

		expect(ann.told).toEqual([]);
		expect(bob.told).toEqual([{ type: 'read.updated', room_id, seq: 1, user_id: 'bob' }]);
	});
});
