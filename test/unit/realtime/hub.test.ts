import { afterEach, describe, expect, test } from 'bun:test';
import { connect, type Socket as TcpSocket } from 'node:net';
import type { Server } from 'bun';
import type { TenantCaller } from '../../../src/core/caller.ts';
import { roomStream, userStream } from '../../../src/core/event.ts';
import type {
	ConnectionId,
	KeyId,
	RoomId,
	RoomNo,
	TenantId,
	TenantNo,
	UserId,
} from '../../../src/core/ids.ts';
import { DEFAULT_SETTINGS } from '../../../src/core/tenant-settings.ts';
import { CLOSE } from '../../../src/realtime/close-codes.ts';
import { createConnections } from '../../../src/realtime/connections.ts';
import { BACKLOG_BYTES_MAX, createHub } from '../../../src/realtime/hub.ts';
import { BACKENDS, TENANT_STREAM, topicOf } from '../../../src/realtime/topics.ts';
import type { Socket } from '../../../src/ws/socket.ts';
import { eventually, within } from '../../helpers/wait.ts';
import { newSocket } from '../ws/new-socket.ts';

const tenant = 'tenant_1' as TenantId;
const alice = 'alice' as UserId;
const bob = 'bob' as UserId;
/** In the place of a user's name: the tenant itself. */
const BACKEND = '-' as UserId;
const room_id = 'room_1' as RoomId;
const room = roomStream({ room: 1 as RoomNo, room_id });

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** As the gateway does. */
function greet(socket: Socket, frame: string): void {
	socket.send(frame);
	socket.goLive(0);
}

/** A hub over Bun's own topics and sockets, as the server has it, and nothing around it. */
function setUp({ isGreeting = true, backlogTotalMax = 2 ** 30 } = {}) {
	const connections = createConnections();
	const hub = createHub(connections, { backlogTotalMax });
	const closed = new Map<Socket, number>();
	let made = 0;
	const server: Server<Socket> = Bun.serve<Socket>({
		hostname: '127.0.0.1',
		port: 0,
		fetch(request, self) {
			const [, tenant_id, user_id, key_id] = new URL(request.url).pathname.split('/');
			const caller: TenantCaller = {
				kind: 'tenant',
				tenant: 1 as TenantNo,
				tenant_id: tenant_id as TenantId,
				key_id: key_id as KeyId,
				user_id: user_id === BACKEND ? null : (user_id as UserId),
				isBound: false,
				expires_at: null,
				permissions: new Set(),
				settings: DEFAULT_SETTINGS,
				features: {},
				rate: null,
				stamp: {
					tenant_id: `${tenant_id}`,
					tenant: 0,
					key_id: `${key_id}`,
					key: 0,
					user_id: user_id === BACKEND ? null : `${user_id}`,
					user: 0,
				},
			};
			const id = `conn_${made++}` as ConnectionId;
			const data = newSocket(id, caller);
			return self.upgrade(request, { data }) ? undefined : new Response(null, { status: 400 });
		},
		websocket: {
			backpressureLimit: 1024 * 1024,
			closeOnBackpressureLimit: true,
			open(ws) {
				ws.data.attach(ws);
				connections.add(ws.data);
				if (isGreeting) greet(ws.data, 'connected');
			},
			message() {},
			close(ws, code) {
				closed.set(ws.data, code);
				connections.remove(ws.data);
				ws.data.detach();
			},
		},
	});
	hub.attach(server);
	cleanUps.push(() => server.stop(true));

	/** A client, and its socket on the server's side. */
	async function join(user_id: UserId, tenant_id = tenant, key_id = 'key_1') {
		const known = new Set(connections.all());
		const client = new WebSocket(`ws://127.0.0.1:${server.port}/${tenant_id}/${user_id}/${key_id}`);
		cleanUps.push(() => client.close());
		const frames: string[] = [];
		client.addEventListener('message', ({ data }) => {
			if (data !== 'connected') frames.push(String(data));
		});
		const socket = await eventually(() => [...connections.all()].find((one) => !known.has(one)));
		return { client, frames, socket: socket as Socket };
	}

	return { hub, connections, server, closed, join };
}

describe('the hub', () => {
	test('sends a frame to the subscribers of its stream, in order, and to nobody else', async () => {
		const { hub, join } = setUp();
		const [member, outsider] = [await join(alice), await join(bob)];
		const foreigner = await join(alice, 'tenant_2' as TenantId);
		member.socket.subscribe(topicOf(tenant, room));
		foreigner.socket.subscribe(topicOf('tenant_2' as TenantId, room));

		for (let index = 1; index <= 100; index++) hub.publish(tenant, room, `${index}`);
		hub.publish(tenant, userStream(bob), 'end');
		hub.publish('tenant_2' as TenantId, room, 'end');

		await eventually(() => member.frames.length >= 100 && outsider.frames.length >= 1);
		await eventually(() => foreigner.frames.length >= 1);
		expect(member.frames).toEqual(Array.from({ length: 100 }, (_, index) => `${index + 1}`));
		expect(outsider.frames).toEqual(['end']);
		expect(foreigner.frames).toEqual(['end']);
		expect(hub.counters).toEqual({ deliveries: 102, drops: 0, slow_consumers: 0 });
	});

	test('sends an event to the tenant’s backends once, and to nobody where there are none', async () => {
		const { hub, connections, join } = setUp();
		const other = 'tenant_2' as TenantId;
		const [one, two] = [await join(BACKEND), await join(BACKEND)];
		const [foreign, user] = [await join(BACKEND, other), await join(alice)];
		for (const { socket } of [one, two]) socket.subscribe(topicOf(tenant, BACKENDS));
		foreign.socket.subscribe(topicOf(other, BACKENDS));
		user.socket.subscribe(topicOf(tenant, room));

		for (let index = 1; index <= 50; index++) {
			hub.publish(tenant, room, `${index}`);
			hub.tellBackends(tenant, `${index}`);
			hub.tellBackends('tenant_3' as TenantId, 'nobody');
		}
		hub.publish(tenant, userStream(alice), 'end');
		hub.tellBackends(other, 'end');

		await eventually(() => user.frames.at(-1) === 'end' && foreign.frames.at(-1) === 'end');
		await eventually(() => one.frames.length >= 50 && two.frames.length >= 50);
		const all = Array.from({ length: 50 }, (_, index) => `${index + 1}`);
		expect([one.frames, two.frames]).toEqual([all, all]);
		expect(foreign.frames).toEqual(['end']);
		expect(user.frames).toEqual([...all, 'end']);
		expect(connections.countOfUser(tenant, null)).toBe(2);
		expect(connections.countOfUser('tenant_3' as TenantId, null)).toBe(0);
	});

	test('sends what is for everybody to each socket of a user once, in its place among the others', async () => {
		const { hub, join } = setUp();
		const [phone, laptop, other] = [await join(alice), await join(alice), await join(bob)];
		const [backend, foreign] = [await join(BACKEND), await join(bob, 'tenant_2' as TenantId)];
		for (const { socket } of [phone, backend]) socket.subscribe(topicOf(tenant, room));
		const reached: UserId[] = [];
		const note = (user_id: UserId) => void reached.push(user_id);

		hub.publish(tenant, room, '1');
		hub.publish(tenant, TENANT_STREAM, '2');
		hub.publish(tenant, room, '3');
		const streams = [TENANT_STREAM, userStream(alice), userStream('nobody' as UserId)];
		hub.publishOnce(tenant, streams, '4', note);
		hub.publish(tenant, room, '5');
		const clients = [phone, laptop, other, backend, foreign];
		for (const { socket } of clients) socket.send('end');

		await eventually(() => clients.every(({ frames }) => frames.at(-1) === 'end'));
		expect(phone.frames).toEqual(['1', '2', '3', '4', '5', 'end']);
		expect([laptop.frames, other.frames]).toEqual([
			['2', '4', 'end'],
			['2', '4', 'end'],
		]);
		expect(backend.frames).toEqual(['1', '3', '5', 'end']);
		expect(foreign.frames).toEqual(['end']);
		expect(reached).toEqual([alice]);
	});

	test('publishes nothing before there is a server to publish on', () => {
		const hub = createHub(createConnections());

		hub.publish(tenant, room, 'a');

		expect(hub.counters.deliveries).toBe(0);
	});

	test('subscribes all sockets of who joined, in that very tick, and unsubscribes who left', async () => {
		const { hub, join } = setUp();
		const [phone, laptop, other] = [await join(alice), await join(alice), await join(bob)];

		hub.apply({ name: 'member.joined', tenant_id: tenant, room_id, user_id: alice });
		hub.publish(tenant, room, 'one');
		hub.apply({ name: 'member.left', tenant_id: tenant, room_id, user_id: alice });
		hub.publish(tenant, room, 'two');
		hub.apply({ name: 'member.joined', tenant_id: tenant, room_id, user_id: bob });
		hub.publish(tenant, room, 'three');

		await eventually(() => other.frames.length > 0);
		await eventually(() => phone.frames.length > 0 && laptop.frames.length > 0);
		expect([phone.frames, laptop.frames, other.frames]).toEqual([['one'], ['one'], ['three']]);
	});

	test('tells a closed room nothing more', async () => {
		const { hub, join } = setUp();
		const member = await join(alice);
		hub.apply({ name: 'member.joined', tenant_id: tenant, room_id, user_id: alice });

		hub.apply({ name: 'room.closed', tenant_id: tenant, room_id });
		hub.publish(tenant, room, 'late');
		hub.publish(tenant, userStream(alice), 'end');

		await eventually(() => member.frames.includes('end'));
		expect(member.frames).toEqual(['end']);
	});

	test("sends a user's frames to all of the user's sockets, and to nobody else's", async () => {
		const { hub, join } = setUp();
		const [phone, laptop, other] = [await join(alice), await join(alice), await join(bob)];
		const namesake = await join(alice, 'tenant_2' as TenantId);
		const lookalike = roomStream({ room: 2 as RoomNo, room_id: 'alice' as RoomId });

		hub.publish(tenant, userStream(alice), 'for alice');
		hub.publish(tenant, lookalike, 'for a room called alice');
		hub.publish(tenant, userStream('nobody' as UserId), 'for nobody');
		for (const { socket } of [phone, laptop, other, namesake]) socket.send('end');

		const clients = [phone, laptop, other, namesake];
		await eventually(() => clients.every(({ frames }) => frames.at(-1) === 'end'));
		expect(phone.frames).toEqual(['for alice', 'end']);
		expect(laptop.frames).toEqual(['for alice', 'end']);
		expect([other.frames, namesake.frames]).toEqual([['end'], ['end']]);
		expect(hub.counters).toEqual({ deliveries: 2, drops: 0, slow_consumers: 0 });
	});

	test("keeps the order of a room's frames, a user's and replies, whichever way each goes", async () => {
		const { hub, join } = setUp();
		const { socket, frames } = await join(alice);
		const sent: string[] = [];
		const next = () => {
			sent.push(`${sent.length}`);
			return sent.at(-1) ?? '';
		};
		hub.apply({ name: 'member.joined', tenant_id: tenant, room_id, user_id: alice });

		for (let turn = 0; turn < 20; turn++) {
			for (let index = 0; index < 10; index++) {
				hub.publish(tenant, room, next());
				hub.publish(tenant, userStream(alice), next());
				hub.publish(tenant, userStream(alice), next());
				hub.publish(tenant, room, next());
			}
			// Replies leave together, after all that was published before the end of the turn.
			for (let index = 0; index < 3; index++) socket.sendSoon(next());
			if (turn % 2 === 0) await Promise.resolve();
			else await new Promise((resolve) => setImmediate(resolve));
		}

		await eventually(() => frames.length >= sent.length);
		expect(frames).toEqual(sent);
	});

	test('tells a socket nothing before its first frame, and nothing once it is closed', async () => {
		const { hub, closed, join } = setUp({ isGreeting: false });
		const { socket, frames } = await join(alice);

		hub.apply({ name: 'member.joined', tenant_id: tenant, room_id, user_id: alice });
		hub.publish(tenant, room, 'early');
		hub.publish(tenant, userStream(alice), 'early');
		greet(socket, 'hello');
		hub.publish(tenant, userStream(alice), 'told');
		socket.end('server_shutdown');
		hub.publish(tenant, userStream(alice), 'late');
		greet(socket, 'again');
		hub.publish(tenant, userStream(alice), 'late');

		await eventually(() => closed.has(socket));
		await eventually(() => frames.length >= 2);
		expect(frames).toEqual(['hello', 'told']);
		expect(hub.counters).toEqual({ deliveries: 1, drops: 0, slow_consumers: 0 });
	});

	test('closes the sockets of a revoked key, and no others', async () => {
		const { hub, closed, connections, join } = setUp();
		const revoked = await join(alice, tenant, 'key_1');
		const kept = await join(alice, tenant, 'key_2');

		hub.apply({ name: 'key.revoked', tenant_id: tenant, key_id: 'key_1' as KeyId });

		await eventually(() => closed.has(revoked.socket));
		expect(closed.get(revoked.socket)).toBe(CLOSE.credential_revoked);
		expect([...connections.all()]).toEqual([kept.socket]);
	});

	for (const [howMany, backlogTotalMax, from, to] of [
		['few', 2 ** 30, 200, 320],
		['too many', 1, 64, 140],
	] as const) {
		test(`gives a laggard among ${howMany} at least ${from} KiB, and not ${to}`, async () => {
			const { hub, server, closed, connections } = setUp({ backlogTotalMax });
			const stuck = await joinWithoutReading(server);
			const laggard = await eventually(() => [...connections.ofUser(tenant, alice)][0]);
			hub.apply({ name: 'member.joined', tenant_id: tenant, room_id, user_id: alice });

			let waiting = 0;
			for (let sent = 1; !closed.has(laggard as Socket) && sent < 5_000; sent++) {
				hub.publish(tenant, room, 'x'.repeat(8 * 1024));
				waiting = Math.max(waiting, laggard.bufferedBytes());
				await new Promise((resolve) => setImmediate(resolve));
			}

			stuck.destroy();
			expect(closed.get(laggard as Socket)).toBe(CLOSE.slow_consumer);
			expect(waiting / 1024).toBeWithin(from, to);
		});
	}

	test('closes what is more than the limit behind, and not what is just as much', async () => {
		const { hub, connections, join } = setUp();
		const [kept, closed] = [await join(alice), await join(bob)];
		kept.socket.bufferedBytes = () => BACKLOG_BYTES_MAX;
		closed.socket.bufferedBytes = () => BACKLOG_BYTES_MAX + 1;
		hub.attach({ subscriberCount: () => 2, publish: () => -1 });

		hub.publish(tenant, room, 'lags');

		await eventually(() => connections.size === 1);
		expect([...connections.all()]).toEqual([kept.socket]);
		expect(kept.socket.isOpen).toBe(true);
		expect(hub.counters).toMatchObject({ slow_consumers: 1, drops: 0 });
	});

	for (const [whose, streamOf] of Object.entries({
		'a room': () => [room],
		'a user': () => [userStream(alice), userStream(bob)],
	})) {
		test(`closes a reader of ${whose} that does not keep up with 4002, and skips nothing for the others`, async () => {
			const { hub, server, closed, connections, join } = setUp();
			const reader = await join(bob);
			const stuck = await joinWithoutReading(server);
			const laggard = await eventually(() => [...connections.ofUser(tenant, alice)][0]);
			for (const user_id of [alice, bob]) {
				hub.apply({ name: 'member.joined', tenant_id: tenant, room_id, user_id });
			}

			const text = 'x'.repeat(64 * 1024);
			let sent = 0;
			while (!closed.has(laggard as Socket) && sent < 2000) {
				sent++;
				for (const stream of streamOf()) hub.publish(tenant, stream, `${sent}:${text}`);
				await new Promise((resolve) => setImmediate(resolve));
			}

			stuck.destroy();
			expect(closed.get(laggard as Socket)).toBe(CLOSE.slow_consumer);
			expect(hub.counters).toMatchObject({ slow_consumers: 1, drops: 0 });
			await eventually(() => reader.frames.length === sent);
			expect(reader.frames.map((frame) => Number.parseInt(frame, 10))).toEqual(
				Array.from({ length: sent }, (_, index) => index + 1),
			);
		});
	}
});

/** Upgrades by hand as alice, and then never reads. */
async function joinWithoutReading(server: Server<Socket>): Promise<TcpSocket> {
	const tcp = connect({ host: '127.0.0.1', port: Number(server.port) });
	cleanUps.push(() => tcp.destroy());
	tcp.on('error', () => {});
	await within(new Promise((resolve) => tcp.once('connect', resolve)), 'a connection');
	tcp.write(
		`GET /${tenant}/${alice}/key_1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n` +
			'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
			'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
	);
	tcp.pause();
	return tcp;
}
