/**
 * docs/protocol.md, "From the server": each row is made to happen, and what is sent has the fields of
 * the row, no other ones, and each looks as that name does everywhere. A row without a scene here fails.
 */
import { describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { startServer } from '../../helpers/server.ts';
import { openSocket, type Socket, typesOf } from '../../helpers/socket.ts';
import { type Cast, isOwn, testWith, useTarget } from '../../helpers/target.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../../helpers/tenants.ts';
import type { Frame, Message, Room, RoomsPage } from '../../helpers/wire.ts';
import { documented, FROM_SERVER } from './document.ts';

/** The default is the server's own where it is another's. */
const ROOM_MAX = isOwn ? 3 : 1000;
const used = useTarget({ RESUME_ROOM_MAX: String(ROOM_MAX) });

/** Bob's socket in a room of alice's with one message, of a tenant that does as it is told. */
interface Scene {
	tenant: TestTenant;
	who: Cast;
	room_id: string;
	bob: Socket;
}

type Happen = (scene: Scene) => Promise<Frame>;

const isText = (value: unknown) => typeof value === 'string' && value !== '';
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;
const isPositive = (value: unknown) => isCount(value) && Number(value) > 0;
const isTime = (value: unknown) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(String(value));
const isOneOf =
	(...values: unknown[]) =>
	(value: unknown) =>
		values.includes(value);
const isId = (kind: string) => (value: unknown) =>
	new RegExp(`^${kind}_[0-9a-z]{26}$`).test(String(value));
const isObject = (value: unknown) =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

const isPositions = (value: unknown) =>
	Array.isArray(value) &&
	value.length > 0 &&
	value.every(
		({ user_id, last_read_seq, last_delivered_seq }) =>
			isText(user_id) && isCount(last_read_seq) && isCount(last_delivered_seq),
	);

/** How a field looks, wherever it stands. */
const LOOKS: Readonly<Record<string, (value: unknown) => boolean>> = {
	quota: isText,
	scope: isOneOf('tenant', 'plan'),
	percent: isOneOf(80, 100),
	used: isCount,
	limit: isCount,
	period: (value) => /^\d{4}-\d\d$/.test(String(value)),
	resets_at: isTime,
	connection_id: isId('conn'),
	room_id: isId('room'),
	message_id: isId('msg'),
	user_id: isText,
	sender_id: (value) => value === null || isText(value),
	cursor: (value) => /^[0-9a-v]{16}$/.test(String(value)),
	resumed: isOneOf(true, false),
	unread_count: isCount,
	heartbeat_ms: isPositive,
	limits: isObject,
	request_id: isText,
	ok: isOneOf(true),
	data: isObject,
	code: (value) => /^[A-Z_]+$/.test(String(value)),
	message: isText,
	field: isText,
	retryable: isOneOf(true, false),
	retry_after_ms: isPositive,
	seq: isPositive,
	last_seq: isPositive,
	kind: isOneOf('user', 'system'),
	content: isText,
	meta: () => true,
	client_msg_id: (value) => value === null || isText(value),
	created_at: isTime,
	joined_at: isTime,
	action: isOneOf('start', 'stop'),
	room: (value) => isObject(value) && isId('room')((value as Room).room_id),
	members: (value) => Array.isArray(value) && value.length > 0,
	role: isOneOf('owner', 'admin', 'moderator', 'member'),
	count: isCount,
	reason: isOneOf('expired', 'unknown'),
	reconnect_after_ms: isCount,
	positions: isPositions,
	status: isOneOf('online', 'offline'),
	last_seen_at: isTime,
	notification_id: isId('notif'),
	topic: isText,
	payload: () => true,
};

const roomOf = ({ tenant, who, room_id }: Scene, user: keyof Cast = 'alice') => ({
	client: tenant.as(who[user]),
	path: `/rooms/${room_id}`,
});

/** Bob's next socket, from where this one was opened. */
const again = ({ tenant, who, bob }: Scene, cursor = bob.connected.cursor) =>
	tenant.socket(who.bob, { query: `cursor=${cursor}` });

/** The first frame of this type on another socket, which is closed then. */
async function firstOf(socket: Socket, type: string): Promise<Frame> {
	const frame = await socket.next(type, 30_000);
	await socket.close();
	return frame;
}

const SCENES: Readonly<Record<string, Happen>> = {
	connected: async ({ bob }) => bob.connected,
	reply: ({ bob }) => bob.request({ type: 'ping' }),
	error: ({ bob, room_id }) => bob.request({ type: 'ack', room_id, seq: 0 }),
	pong({ bob }) {
		bob.send({ type: 'ping' });
		return bob.next('pong');
	},
	async notification({ tenant, who, bob }) {
		const targets = { user_ids: [who.bob] };
		const notice = { topic: 'news', payload: { a: 1 }, targets };
		bodyOf(await tenant.as().post('/notify', notice), 202);
		return bob.next('notification');
	},
	async message(scene) {
		const { client, path } = roomOf(scene);
		const meta = { mood: 'sunny' };
		await client.post(`${path}/messages`, { content: 'Hello', meta, client_msg_id: 'c-4711' });
		return scene.bob.next('message');
	},
	async 'ack.received'(scene) {
		await roomOf(scene, 'bob').client.post('/acks', { room_id: scene.room_id, seq: 1 });
		return scene.bob.next('ack.received');
	},
	async 'read.updated'(scene) {
		const { client, path } = roomOf(scene, 'bob');
		await client.post(`${path}/read`, { seq: 1 });
		return scene.bob.next('read.updated');
	},
	async typing({ tenant, who, room_id, bob }) {
		const alice = await tenant.socket(who.alice);
		await alice.request({ type: 'typing.start', room_id });
		await alice.close();
		return bob.next('typing');
	},
	async 'presence.update'({ tenant, who, bob }) {
		const alice = await tenant.socket(who.alice);
		const online = await bob.next('presence.update');
		expect(online).toEqual({ type: 'presence.update', user_id: who.alice, status: 'online' });
		await alice.close();
		return bob.next('presence.update', 15_000);
	},
	async 'room.created'({ tenant, who, bob }) {
		await createGroup(tenant, who.carol, [who.bob]);
		return bob.next('room.created');
	},
	async 'room.updated'(scene) {
		const { client, path } = roomOf(scene);
		await client.patch(path, { name: 'New' });
		return scene.bob.next('room.updated');
	},
	async 'room.deleted'(scene) {
		const { client, path } = roomOf(scene);
		await client.delete(path);
		return scene.bob.next('room.deleted');
	},
	async 'member.added'(scene) {
		const { client, path } = roomOf(scene);
		await client.post(`${path}/members`, { members: [scene.who.carol] });
		return scene.bob.next('member.added');
	},
	async 'member.updated'(scene) {
		const { client, path } = roomOf(scene);
		await client.put(`${path}/members/${scene.who.bob}`, { role: 'admin' });
		return scene.bob.next('member.updated');
	},
	async 'member.removed'(scene) {
		const { client, path } = roomOf(scene);
		await client.delete(`${path}/members/${scene.who.bob}`);
		return scene.bob.next('member.removed');
	},
	async 'room.gap'(scene) {
		const { tenant, who, room_id } = scene;
		for (let n = 0; n <= ROOM_MAX; n++) await sendMessage(tenant, who.alice, room_id, `${n}`);
		return firstOf(await again(scene), 'room.gap');
	},
	async positions(scene) {
		const { client } = roomOf(scene, 'bob');
		await client.post('/acks', { room_id: scene.room_id, seq: 1 });
		return firstOf(await again(scene), 'positions');
	},
	'replay.done': async (scene) => firstOf(await again(scene), 'replay.done'),
	resync: async (scene) => firstOf(await again(scene, '0'.repeat(16)), 'resync'),
	async 'quota.warning'() {
		const server = await startServer();
		const tenant = await createTenant(server, { quotas: { messages_per_month: 1 } });
		const { room_id } = await createGroup(tenant, 'bob');
		const backend = await openSocket(server, { key: tenant.api_key });
		await sendMessage(tenant, 'bob', room_id);
		const frame = await backend.next('quota.warning', 10_000);
		await backend.close();
		expect(await server.stop()).toBe(0);
		return frame;
	},
	async 'server.shutdown'() {
		const server = await startServer();
		const socket = await (await createTenant(server)).socket('bob');
		server.signal('SIGTERM');
		const frame = await socket.next('server.shutdown');
		expect(await server.exited).toBe(0);
		return frame;
	},
};

/** Those that no client can bring about. */
const OF_THE_OPERATOR = new Set(['quota.warning', 'server.shutdown']);

async function createScene(): Promise<Scene> {
	const { tenant, who } = await used.stage();
	const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
	await sendMessage(tenant, who.alice, room_id, 'first');
	return { tenant, who, room_id, bob: await tenant.socket(who.bob) };
}

test('every frame of the table has a scene here, and every scene a row', () => {
	const types = FROM_SERVER.map(({ type }) => type);

	expect(types.length).toBeGreaterThan(17);
	expect(Object.keys(SCENES).sort()).toEqual(types.sort());
});

/** What is wrong with a frame, as the document has it. */
function problemsOf(frame: Frame): string[] {
	const { fields } = documented(FROM_SERVER, frame.type);
	const missing = [...fields].filter(([name, { isOptional }]) => !isOptional && !(name in frame));
	const named = Object.entries(frame).filter(([name]) => name !== 'type');
	return [
		...missing.map(([name]) => `${name} is missing`),
		...named.filter(([name]) => !fields.has(name)).map(([name]) => `${name} is in no row`),
		...named
			.filter(([name, value]) => LOOKS[name]?.(value) !== true)
			.map(([name, value]) => `${name} does not look so: ${JSON.stringify(value)}`),
	];
}

for (const { type, fields } of FROM_SERVER) {
	const happen = SCENES[type];
	if (happen === undefined) continue; // told by the test above
	const need = OF_THE_OPERATOR.has(type) ? 'own server' : undefined;
	const body = async () => {
		const scene = await createScene();
		const frame = await happen(scene);

		expect(frame.type).toBe(type);
		expect(problemsOf(frame)).toEqual([]);
		// Whatever else came on the way is as its own row says.
		expect(scene.bob.frames.flatMap(problemsOf)).toEqual([]);
		await scene.bob.close();
	};
	const names = [...fields.keys()].join(', ') || 'no field';
	testWith(need, `"${type}" comes as its row says, with ${names}`, body);
}

describe('what the rows say beside', () => {
	test('"connected" counts as unread the sum over all rooms, and no system message', async () => {
		const { tenant, who } = await used.stage();
		for (let count = 1; count <= 3; count++) {
			const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
			for (let n = 0; n < count; n++) await sendMessage(tenant, who.alice, room_id, 'unread');
			await sendMessage(tenant, undefined, room_id, 'from the system');
		}

		const bob = await tenant.socket(who.bob);

		expect(bob.connected.unread_count).toBe(6);
		await bob.close();
	});

	test('"message" is of kind system and of no sender when the tenant itself sent it', async () => {
		const { tenant, who, room_id, bob } = await createScene();
		await sendMessage(tenant, undefined, room_id, 'from the system');

		const { kind, sender_id } = await bob.next<Message>('message');

		expect([kind, sender_id]).toEqual(['system', null]);
		const { client, path } = roomOf({ tenant, who, room_id, bob }, 'bob');
		expect(bodyOf(await client.get<Room>(path), 200).unread_count).toBe(1);
		await bob.close();
	});

	test('"message" goes to all sockets of all members, the sender’s too, and to nobody else', async () => {
		const { tenant, who, room_id, bob } = await createScene();
		const others = await Promise.all(
			[who.bob, who.alice, who.mallory].map((user) => tenant.socket(user)),
		);

		const sent = await sendMessage(tenant, who.alice, room_id, 'for all');
		await Promise.all([bob, ...others].map((socket) => socket.settle()));

		const told = [bob, ...others].map((socket) => socket.all<Message>('message'));
		expect(told.map((messages) => messages.map(({ seq }) => seq))).toEqual([
			...[[sent.seq], [sent.seq], [sent.seq]],
			[],
		]);
		await Promise.all([bob, ...others].map((socket) => socket.close()));
	});

	test('a sender’s positions move to its message without a frame of their own', async () => {
		const { tenant, who, room_id, bob } = await createScene();
		await sendMessage(tenant, who.bob, room_id, 'mine');
		await bob.settle();

		const { client, path } = roomOf({ tenant, who, room_id, bob }, 'bob');
		const room = bodyOf(await client.get<Room>(path), 200);
		expect(room).toMatchObject({ unread_count: 0, last_read_seq: 2 });
		expect(bob.all('read.updated')).toEqual([]);
		expect(bob.all('ack.received')).toEqual([]);
		await bob.close();
	});

	test('leaving a dm hides it until something happens in it, and tells nobody', async () => {
		const { tenant, who } = await used.stage();
		const body = { type: 'dm', members: [who.alice, who.bob] };
		const { room_id } = bodyOf(await tenant.as(who.alice).post<Room>('/rooms', body), 201);
		const bob = await tenant.socket(who.bob);
		const listed = async () => {
			const { rooms } = bodyOf(await tenant.as(who.alice).get<RoomsPage>('/rooms'), 200);
			return rooms.map((room) => room.room_id);
		};

		await tenant.as(who.alice).delete(`/rooms/${room_id}/members/${who.alice}`);
		await bob.settle();

		expect(await listed()).toEqual([]);
		expect(bob.all('member.removed')).toEqual([]);
		await sendMessage(tenant, who.bob, room_id, 'are you there?');
		expect(await listed()).toEqual([room_id]);
		await bob.close();
	});

	test('"error" tells whether a retry helps, and when', async () => {
		const { bob, room_id } = await createScene();
		const refused = await bob.request({ type: 'rooms.get', room_id: `${room_id.slice(0, -3)}000` });
		const { frames_per_second } = bob.connected.limits as { frames_per_second: number };
		if (frames_per_second > 0) {
			for (let n = 0; n < frames_per_second * 5; n++) bob.send({ type: 'ping' });
			expect(problemsOf(await bob.next('error'))).toEqual([]);
			expect(bob.all('error').at(-1)).toMatchObject({
				code: 'RATE_LIMIT_EXCEEDED',
				retryable: true,
			});
		}

		expect(refused).toMatchObject({ code: 'NOT_FOUND', retryable: false });
		await bob.close();
	});
});

testWith('operator', 'nothing that one tenant does is told to another', async () => {
	const [here, there] = [await createScene(), await createScene()];

	await sendMessage(here.tenant, here.who.alice, here.room_id, 'here');
	await Promise.all([here.bob.settle(), there.bob.settle()]);

	expect(here.bob.all('message')).toHaveLength(1);
	expect(typesOf(there.bob)).toEqual(['connected', 'pong']);
	await Promise.all([here.bob.close(), there.bob.close()]);
});
