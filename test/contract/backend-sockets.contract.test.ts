/**
 * Sockets of the tenant itself: every stored event once, in the order of cursors, exactly as `GET /events`
 * has it; and nothing of anybody else.
 */
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backendOf, logOf, storedOf } from '../helpers/backends.ts';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { randomSecret, type Server, startServer } from '../helpers/server.ts';
import { openSocket, typesOf } from '../helpers/socket.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import type { Room } from '../helpers/wire.ts';

const OPEN = { DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' };
const used = useServer(OPEN);

const numberOf = (cursor: unknown) => Number.parseInt(String(cursor).slice(5), 32);

/** Every event there is, and beside them what is told live only. */
async function everything(tenant: TestTenant): Promise<void> {
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	const alice = tenant.as('alice');
	const socket = await tenant.socket('alice');
	await socket.request({
		type: 'send_message',
		room_id,
		content: '"quoted" \\ 🎉',
		meta: { a: 1 },
	});
	await socket.request({ type: 'typing.start', room_id });
	await sendMessage(tenant, undefined, room_id, 'from the tenant');
	bodyOf(await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 2 }), 200);
	bodyOf(await alice.post(`/rooms/${room_id}/members`, { members: ['carol', 'dan'] }), 201);
	bodyOf(await alice.put(`/rooms/${room_id}/members/carol`, { role: 'admin' }), 200);
	bodyOf(await alice.patch(`/rooms/${room_id}`, { name: 'Renamed' }), 200);
	bodyOf(await alice.delete(`/rooms/${room_id}/members/dan`), 200);
	bodyOf(await alice.delete(`/rooms/${room_id}`), 200);
	bodyOf(await tenant.as().post<Room>('/rooms', { type: 'dm', members: ['alice', 'a:b'] }), 201);
	await socket.close();
}

describe('a backend socket', () => {
	test('is told of every event as GET /events has it, once and in order, and of nothing that is not stored', async () => {
		const tenant = await createTenant(used.server);
		const backend = await backendOf(tenant, used.server);

		await everything(tenant);
		await backend.settle();

		expect(backend.connected).toMatchObject({ user_id: null, unread_count: 0, resumed: false });
		const log = await logOf(tenant, backend.connected.cursor);
		const told = storedOf(backend);
		expect(told.map((frame) => JSON.stringify(frame))).toEqual(
			log.map((frame) => JSON.stringify(frame)),
		);
		expect([...new Set(told.map(({ type }) => type))].sort()).toEqual([
			'member.added',
			'member.removed',
			'member.updated',
			'message',
			'room.created',
			'room.deleted',
			'room.updated',
		]);
		const others = backend.frames.filter(({ cursor }) => cursor === undefined);
		expect(others.map(({ type }) => type)).toEqual(['pong']);
		await backend.close();
	});

	test('is as good as another one, beside sockets of users, and foreign ones see nothing', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const [one, two] = [await backendOf(tenant, used.server), await backendOf(tenant, used.server)];
		const foreign = await backendOf(other, used.server);
		const bob = await tenant.socket('bob');

		await everything(tenant);
		for (const socket of [one, two, foreign, bob]) await socket.settle();

		expect(storedOf(one)).toHaveLength(9);
		expect(storedOf(two)).toEqual(storedOf(one));
		expect(typesOf(foreign)).toEqual(['connected', 'pong']);
		// The dm of others, and what came after bob's room was gone.
		expect(storedOf(bob).length).toBeLessThan(storedOf(one).length);
		for (const socket of [one, two, foreign, bob]) await socket.close();
	});

	test('of eight senders at once misses no cursor, opened before, meanwhile or resumed', async () => {
		const tenant = await createTenant(used.server);
		const rooms = await Promise.all(
			Array.from({ length: 4 }, (_, n) => createGroup(tenant, `u${n}`, [`u${n + 4}`])),
		);
		const first = await backendOf(tenant, used.server);
		const from = first.connected.cursor;
		const PER_SENDER = 150;
		let sent = 0;

		const sending = Array.from({ length: 8 }, async (_, n) => {
			const { room_id = '' } = rooms[n % 4] ?? {};
			const socket = n % 2 === 0 ? await tenant.socket(`u${n}`) : undefined;
			for (let count = 0; count < PER_SENDER; count++, sent++) {
				const content = `${n}/${count}`;
				if (socket === undefined) await sendMessage(tenant, `u${n}`, room_id, content);
				else await socket.request({ type: 'send_message', room_id, content });
			}
			await socket?.close();
		});
		const third = 8 * PER_SENDER * 0.3;
		await eventually(() => sent > third, 20_000, 'the first messages');
		const second = await backendOf(tenant, used.server, from);
		const late = await backendOf(tenant, used.server);
		await Promise.all(sending);
		for (const socket of [first, second, late]) await socket.settle();

		const log = await logOf(tenant, from);
		expect(log).toHaveLength(8 * PER_SENDER);
		for (const socket of [first, second]) {
			const told = storedOf(socket);
			expect(told).toEqual(log);
			told.forEach(({ cursor }, index) => {
				expect(numberOf(cursor)).toBe(numberOf(from) + 1 + index);
			});
		}
		expect(second.all('replay.done')).toHaveLength(1);
		expect(storedOf(late)).toEqual(await logOf(tenant, late.connected.cursor));
		for (const socket of [first, second, late]) await socket.close();
	}, 60_000);

	test('goes on from its cursor with the resume frame too, and is refused once it was told of an event', async () => {
		const tenant = await createTenant(used.server);
		await createGroup(tenant, 'alice');
		const { cursor } = await closed(tenant);
		const { room_id } = await createGroup(tenant, 'bob');
		await sendMessage(tenant, 'bob', room_id, 'missed');

		const backend = await backendOf(tenant, used.server);
		expect(await backend.request({ type: 'resume', cursor })).toMatchObject({ type: 'reply' });
		await sendMessage(tenant, 'bob', room_id, 'live');
		await backend.settle();
		const again = await backend.request({ type: 'resume', cursor });

		expect(storedOf(backend)).toEqual(await logOf(tenant, cursor));
		expect(storedOf(backend).map(({ type }) => type)).toEqual([
			'room.created',
			'message',
			'message',
		]);
		expect(again).toMatchObject({ type: 'error', code: 'CONFLICT' });
		await backend.close();
	});

	/** Where a backend left off. */
	async function closed(tenant: TestTenant): Promise<{ cursor: string }> {
		const backend = await backendOf(tenant, used.server);
		await backend.close();
		return { cursor: String(backend.connected.cursor) };
	}

	test('is told resync where its cursor is of another log, of the future, or of another life', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		await createGroup(other, 'alice');
		const { cursor: foreign } = await closed(other);
		const { cursor: own } = await closed(tenant);

		for (const cursor of [foreign, `${own.slice(0, 15)}9`, `vvvvv${own.slice(5)}`]) {
			const backend = await backendOf(tenant, used.server, cursor);
			expect(await backend.next('resync')).toMatchObject({ reason: 'unknown' });
			expect(backend.connected).toMatchObject({ resumed: false });
			await createGroup(tenant, 'alice');
			await backend.next('room.created');
			await backend.close();
		}
	});
});

test('a backend comes back over a crash with everything, once', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-backend-'));
	const env = { ...OPEN, MASTER_API_KEY: randomSecret() };
	let server = await startServer({ dataDir, env });
	const { tenant_id, api_key } = await createTenant(server);
	const at = (now: Server): TestTenant => ({
		...{ server: now, tenant_id, api_key },
		as: (user) => httpClient(now, user === undefined ? { key: api_key } : { key: api_key, user }),
		socket: (user) => openSocket(now, { key: api_key, user }),
	});
	const { room_id } = await createGroup(at(server), 'alice', ['bob']);
	const first = await backendOf({ api_key }, server);
	const from = first.connected.cursor;
	for (let n = 0; n < 20; n++) await sendMessage(at(server), 'alice', room_id, `before ${n}`);
	await first.settle();
	const last = storedOf(first).at(-1)?.cursor;
	for (let n = 0; n < 200; n++) await sendMessage(at(server), 'alice', room_id, `unseen ${n}`);
	await server.kill();

	server = await startServer({ dataDir, env });
	await sendMessage(at(server), 'alice', room_id, 'after');
	const second = await backendOf({ api_key }, server, last);
	const { count } = await second.next<{ count: number }>('replay.done');
	await sendMessage(at(server), 'alice', room_id, 'live');
	await second.settle();

	const seen = [...storedOf(first).filter(({ cursor }) => `${cursor}` <= `${last}`)];
	expect(second.connected).toMatchObject({ resumed: true, cursor: String(last) });
	expect(count).toBe(201);
	expect([...seen, ...storedOf(second)]).toEqual(await logOf(at(server), from));
	await second.close();
	expect(await server.stop()).toBe(0);
	rmSync(dataDir, { recursive: true, force: true });
}, 30_000);

test('events that are kept no longer are told by resync: expired', async () => {
	const server = await startServer({ env: { ...OPEN, EVENT_RETENTION: '1s' } });
	const tenant = await createTenant(server);
	const backend = await backendOf(tenant, server);
	const { cursor } = backend.connected;
	await backend.close();
	await createGroup(tenant, 'alice');
	const isGone = async () => (await logOf(tenant)).length === 0;
	await eventually(isGone, 10_000, 'the events to go');

	const again = await backendOf(tenant, server, cursor);

	expect(await again.next('resync')).toMatchObject({ reason: 'expired' });
	await again.close();
	expect(await server.stop()).toBe(0);
});
