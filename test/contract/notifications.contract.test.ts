import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { openSocket, type Socket } from '../helpers/socket.ts';
import {
	createGroup,
	createKey,
	createTenant,
	createToken,
	operator,
	sendMessage,
	type TestTenant,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { EventsPage, Frame } from '../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });

interface Notification extends Frame {
	cursor: string;
	notification_id: string;
	topic: string;
	payload: unknown;
	created_at: string;
}
interface NotificationsPage {
	notifications: Omit<Notification, 'type'>[];
	next_cursor: string | null;
	as_of: string;
}

const notify = (
	tenant: TestTenant,
	targets: object,
	{ user, ...rest }: { user?: string; topic?: string; payload?: unknown } = {},
) => tenant.as(user).post('/notify', { topic: 'orders', payload: 'x', targets, ...rest });

/** Notifies with this payload; it must be accepted. */
const told = async (tenant: TestTenant, targets: object, payload: unknown, topic = 'orders') =>
	bodyOf(
		await tenant.as().post<{ notification_id: string; created_at: string }>('/notify', {
			...{ topic, payload, targets },
		}),
		202,
	);

const subscribe = async (tenant: TestTenant, user: string, topic = 'orders') =>
	bodyOf(
		await tenant
			.as(user)
			.post<{ subscription_id: string; duplicate?: boolean }>('/subscriptions', { topic }),
		200,
		201,
	);

const payloadsOf = (frames: readonly Frame[]) =>
	frames.filter(({ type }) => type === 'notification').map(({ payload }) => payload);

/** What the sockets heard, each once everything sent to it is here. */
async function heardBy(...sockets: Socket[]): Promise<unknown[][]> {
	await Promise.all(sockets.map((socket) => socket.settle()));
	return sockets.map(({ frames }) => payloadsOf(frames));
}

const resumed = (tenant: TestTenant, user: string, cursor: unknown) =>
	openSocket(tenant.server, { key: tenant.api_key, user, query: `cursor=${cursor}` });

/** What a user is replayed who was away since a cursor. */
async function replayed(tenant: TestTenant, user: string, cursor: unknown): Promise<unknown[]> {
	const socket = await resumed(tenant, user, cursor);
	await socket.next('replay.done');
	await socket.close();
	return payloadsOf(socket.frames);
}

const listed = async (tenant: TestTenant, user: string, query = '') =>
	bodyOf(await tenant.as(user).get<NotificationsPage>(`/notifications${query}`), 200);

const closeAll = (...sockets: Socket[]) => Promise.all(sockets.map((socket) => socket.close()));

describe('a notification', () => {
	test('is told as a frame to the sockets concerned, and to nobody else', async () => {
		const tenant = await createTenant(used.server);
		const other = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await subscribe(tenant, 'carol');
		const sockets = [
			await tenant.socket('alice'),
			await tenant.socket('bob'),
			await tenant.socket('carol'),
			await tenant.socket('dave'),
			await other.socket('alice'),
		] as const;
		await sockets[3].request({ type: 'subscribe', topic: 'news' });

		const made = await told(tenant, { user_ids: ['alice'] }, 'user');
		await told(tenant, { room_id }, 'room');
		await told(tenant, { topic_subscribers: true }, 'topic');
		await told(tenant, { topic_subscribers: true }, 'named', 'news');
		await told(tenant, { all: true }, 'all');

		expect(await heardBy(...sockets)).toEqual([
			['user', 'room', 'all'],
			['room', 'all'],
			['topic', 'all'],
			['named', 'all'],
			[],
		]);
		const [frame] = sockets[0].all<Notification>('notification');
		expect(frame).toEqual({
			type: 'notification',
			cursor: frame?.cursor ?? '',
			...made,
			topic: 'orders',
			payload: 'user',
		});
		await closeAll(...sockets);
	});

	test('with several targets is one event, and is told once to whoever is in more than one', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol']);
		await subscribe(tenant, 'alice');
		await subscribe(tenant, 'dave');
		const users = ['alice', 'alice', 'bob', 'carol', 'dave', 'eve', 'mallory'];
		const sockets = await Promise.all(users.map((user) => tenant.socket(user)));
		await sockets[0]?.request({ type: 'subscribe', topic: 'orders' });
		await sockets[3]?.request({ type: 'subscribe', topic: 'orders' });
		const from = sockets[0]?.connected.cursor;

		const user_ids = ['alice', 'eve', 'eve', 'dave'];
		await told(tenant, { user_ids, room_id, topic_subscribers: true }, 'union');
		await told(tenant, { user_ids, room_id, topic_subscribers: true, all: true }, 'everybody');

		const both = ['union', 'everybody'];
		expect(await heardBy(...sockets)).toEqual([both, both, both, both, both, both, ['everybody']]);
		for (const user of ['alice', 'bob', 'dave', 'eve']) {
			expect(await replayed(tenant, user, from)).toEqual(both);
			const { notifications } = await listed(tenant, user);
			expect(notifications.map(({ payload }) => payload)).toEqual(['everybody', 'union']);
		}
		expect(await replayed(tenant, 'mallory', from)).toEqual(['everybody']);
		const { events } = bodyOf(await tenant.as().get<EventsPage>(`/events?after=${from}`), 200);
		expect(payloadsOf(events)).toEqual(both);
		await closeAll(...sockets);
	});

	test('is replayed to the byte as it was told live, among all else, once and in order', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await subscribe(tenant, 'bob');
		const witness = await tenant.socket('bob');

		await told(tenant, { user_ids: ['bob'] }, { '10': 1, a: ['ü', null, 1e21], z: '"' });
		await sendMessage(tenant, 'alice', room_id, 'between');
		await told(tenant, { room_id }, null);
		await told(tenant, { topic_subscribers: true }, false);
		await told(tenant, { all: true }, [[]]);
		await told(tenant, { user_ids: ['alice'] }, 'not for bob');
		await witness.settle();
		const bob = await resumed(tenant, 'bob', witness.connected.cursor);
		const done = await bob.next('replay.done');

		const heard = witness.frames.filter(({ cursor, type }) => cursor && type !== 'connected');
		const again = bob.frames.filter(({ cursor, type }) => cursor && !/connected|done/.test(type));
		expect(again.map((frame) => JSON.stringify(frame))).toEqual(
			heard.map((frame) => JSON.stringify(frame)),
		);
		expect(done).toMatchObject({ count: 5, cursor: expect.any(String) });
		await closeAll(witness, bob);
	});

	test('to a room is for its members at that moment: not for who left before, nor for who came after', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol']);
		const first = await tenant.socket('eve');
		const path = `/rooms/${room_id}/members`;
		bodyOf(await tenant.as('alice').delete(`${path}/carol`), 200);
		await told(tenant, { room_id }, 'one');
		bodyOf(await tenant.as('alice').delete(`${path}/bob`), 200);
		bodyOf(await tenant.as('alice').post(path, { members: ['dave'] }), 201);
		await told(tenant, { room_id }, 'two');

		const from = first.connected.cursor;
		expect(await replayed(tenant, 'bob', from)).toEqual(['one']);
		expect(await replayed(tenant, 'carol', from)).toEqual([]);
		expect(await replayed(tenant, 'dave', from)).toEqual(['two']);
		expect((await listed(tenant, 'bob')).notifications).toMatchObject([{ payload: 'one' }]);
		expect((await listed(tenant, 'carol')).notifications).toEqual([]);
		expect((await listed(tenant, 'dave')).notifications).toMatchObject([{ payload: 'two' }]);
		await first.close();
	});

	test('makes a backend that waits for events go on', async () => {
		const tenant = await createTenant(used.server);
		const page = bodyOf(await tenant.as().get<EventsPage>('/events'), 200);
		const waiting = tenant.as().get<EventsPage>(`/events?after=${page.as_of}&wait=10`);
		await told(tenant, { user_ids: ['nobody-yet'] }, 'hello');
		expect(bodyOf(await waiting, 200).events).toMatchObject([
			{ type: 'notification', payload: 'hello', topic: 'orders' },
		]);
	});
});

describe('who notifies whom', () => {
	test('a user may notify users, topics and its own rooms, not everybody, nor a channel that it only reads', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const channel = await createGroup(tenant, 'alice', ['bob'], { type: 'channel' });
		const status = async (user: string | undefined, targets: object) =>
			(await notify(tenant, targets, user === undefined ? {} : { user })).status;

		expect(await status('bob', { user_ids: ['eve'] })).toBe(202);
		expect(await status('bob', { topic_subscribers: true })).toBe(202);
		expect(await status('bob', { room_id })).toBe(202);
		expect(await status('eve', { room_id })).toBe(404);
		expect(await status('bob', { room_id: channel.room_id })).toBe(403);
		expect(await status('alice', { room_id: channel.room_id })).toBe(202);
		expect(await status(undefined, { room_id: channel.room_id })).toBe(202);
		expect(await status('alice', { all: true })).toBe(403);
		expect(await status('eve', { room_id, user_ids: ['eve'] })).toBe(404);
		expect((await listed(tenant, 'eve')).notifications).toHaveLength(1);
	});

	test('a key needs notifications:send, and a user’s token never has it', async () => {
		const tenant = await createTenant(used.server);
		const { api_key } = await createKey(tenant, ['send']);
		const body = { topic: 'orders', payload: 1, targets: { user_ids: ['bob'] } };
		expect((await tenant.as().post('/notify', body, { 'X-API-Key': api_key })).status).toBe(202);
		const token = await createToken(tenant, 'bob');
		const refused = await withToken(used.server, token).post('/notify', body);
		expect(errorOf(refused)).toMatchObject({ code: 'AUTHORIZATION_ERROR' });
	});
});

describe('a request that does not fit', () => {
	const refusals: readonly [
		what: string,
		body: Record<string, unknown>,
		status: number,
		field: string,
	][] = [
		['no target', { targets: {} }, 400, 'targets'],
		[
			'targets that are all off',
			{ targets: { all: false, topic_subscribers: false } },
			400,
			'targets',
		],
		['no targets at all', {}, 400, 'targets'],
		[
			'1,001 users',
			{ targets: { user_ids: Array.from({ length: 1001 }, (_, n) => `u${n}`) } },
			400,
			'/targets/user_ids',
		],
		['no user', { targets: { user_ids: [] } }, 400, '/targets/user_ids'],
		['a user id that is none', { targets: { user_ids: ['a/b'] } }, 400, '/targets/user_ids/0'],
		['an unknown target', { targets: { everyone: true } }, 400, '/targets/everyone'],
		['a target of another type', { targets: { all: 'true' } }, 400, '/targets/all'],
		['a topic of other characters', { topic: 'a/b', targets: { all: true } }, 400, 'topic'],
		['a topic of 129', { topic: 't'.repeat(129), targets: { all: true } }, 400, 'topic'],
		['no payload', { payload: undefined, targets: { all: true } }, 400, 'payload'],
		['a huge payload', { payload: 'x'.repeat(8192), targets: { all: true } }, 413, 'payload'],
		['a room that is not', { targets: { room_id: 'room_0' } }, 404, ''],
	];
	test.each(refusals)('is refused: %s', async (_, fields, status, field) => {
		const tenant = await createTenant(used.server);
		const body = { topic: 'orders', payload: 'x', ...fields };
		const answer = await tenant.as().call('POST', '/notify', { body });
		expect(answer.status).toBe(status);
		expect(errorOf(answer).field ?? '').toBe(field);
		const { events } = bodyOf(await tenant.as().get<EventsPage>('/events'), 200);
		expect(events).toEqual([]);
	});

	test('of a foreign room is answered as one of a missing room, and reaches nobody', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const { room_id } = await createGroup(other, 'alice');
		const alice = await other.socket('alice');
		const headers = { 'X-Request-Id': 'same' };
		const ask = (id: string) =>
			tenant.as().post('/notify', { topic: 't', payload: 1, targets: { room_id: id } }, headers);
		expect((await ask(room_id)).text).toBe((await ask(`room_${'0'.repeat(26)}`)).text);
		expect(await heardBy(alice)).toEqual([[]]);
		await alice.close();
	});

	test('at the edge of every bound is taken: 1,000 users, 8 KiB, 128 characters', async () => {
		const tenant = await createTenant(used.server);
		const user_ids = Array.from({ length: 1000 }, (_, n) => `u${n}`.padEnd(128, '-'));
		const payload = 'x'.repeat(8190);
		const last = await tenant.socket(user_ids[999] ?? '');
		await told(tenant, { user_ids }, payload, 't'.repeat(128));
		expect(await heardBy(last)).toEqual([[payload]]);
		await last.close();
	});
});

describe('GET /notifications', () => {
	test('pages through all of a user’s, newest first, each once', async () => {
		const tenant = await createTenant(used.server);
		const rooms = await Promise.all(
			Array.from({ length: 4 }, () => createGroup(tenant, 'alice', ['bob'])),
		);
		await subscribe(tenant, 'bob');
		const expected: number[] = [];
		for (let n = 0; n < 30; n++) {
			const { room_id } = rooms[n % 4] as { room_id: string };
			const targets = [
				{ room_id },
				{ user_ids: ['bob'], room_id },
				{ topic_subscribers: true, user_ids: ['bob'] },
				{ all: true },
				{ user_ids: ['alice'] },
			][n % 5] as object;
			await told(tenant, targets, n);
			if (n % 5 !== 4) expected.unshift(n);
		}
		for (const limit of [1, 7, 24, 100]) {
			const seen: unknown[] = [];
			for (let cursor: string | null = ''; cursor !== null; ) {
				const page: NotificationsPage = await listed(
					tenant,
					'bob',
					`?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`,
				);
				expect(page.notifications.length).toBeWithin(1, limit + 1);
				seen.push(...page.notifications.map(({ payload }) => payload));
				cursor = page.next_cursor;
			}
			expect(seen).toEqual(expected);
		}
		const bad = await tenant.as('bob').get('/notifications?cursor=x');
		expect(errorOf(bad)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'cursor' });
		const socket = await tenant.socket('bob');
		const reply = await socket.request<{ data: NotificationsPage }>({
			...{ type: 'notifications.list', limit: 2 },
		});
		expect(reply.data).toEqual(await listed(tenant, 'bob', '?limit=2'));
		await socket.close();
	});
});

describe('dead letters', () => {
	test('are the tenant’s and the operator’s, in the shape of the contract', async () => {
		const tenant = await createTenant(used.server);
		const empty = { failed_messages: [], failed_notifications: [], next_cursor: null };
		expect(bodyOf(await tenant.as().get('/dead-letters'), 200)).toEqual(empty);
		const path = `/admin/dead-letters?tenant_id=${tenant.tenant_id}&limit=10`;
		expect(bodyOf(await operator(used.server).get(path), 200)).toEqual(empty);
		const without = await operator(used.server).get('/admin/dead-letters');
		expect(errorOf(without)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'tenant_id' });
		const bad = await tenant.as().get('/dead-letters?cursor=9');
		expect(errorOf(bad)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'cursor' });
	});
});
