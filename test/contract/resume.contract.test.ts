/** What a resume needs a server of its own for: restarts, other settings, and clients that hardly read. */
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { randomSecret, startServer } from '../helpers/server.ts';
import { openSocket, type Socket, typesOf } from '../helpers/socket.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import { OPCODE, openRawSocket, type RawSocket } from './bad-input/raw-socket.ts';

const resumed = (tenant: TestTenant, user: string, cursor: unknown) =>
	tenant.socket(user, { query: `cursor=${cursor}` });

/** Sends so many messages, at most 50 at once. They are stored in some order, without a gap. */
async function sendMany(tenant: TestTenant, room_id: string, count: number, content: string) {
	for (let sent = 0; sent < count; sent += 50) {
		const batch = Array.from({ length: Math.min(50, count - sent) });
		await Promise.all(batch.map(() => sendMessage(tenant, 'alice', room_id, content)));
	}
}

const missed = (count: number) => Array.from({ length: count }, () => 'message');

const seqsFrom = (first: number, count: number) =>
	Array.from({ length: count }, (_, index) => first + index);

describe('a restart', () => {
	test('goes on after a restart of the server', async () => {
		const folder = mkdtempSync(join(tmpdir(), 'chatapi-resume-'));
		const masterKey = randomSecret();
		const start = () => startServer({ dataDir: folder, env: { MASTER_API_KEY: masterKey } });
		let server = await start();
		try {
			const tenant = await createTenant(server);
			const { room_id } = await createGroup(tenant, 'alice', ['bob']);
			const first = await tenant.socket('bob');
			await sendMessage(tenant, 'alice', room_id, 'before');
			await server.kill();
			server = await start();
			const { api_key: key } = tenant;
			const alice = httpClient(server, { key, user: 'alice' });
			bodyOf(await alice.post(`/rooms/${room_id}/messages`, { content: 'after' }), 201);

			const query = `cursor=${first.connected.cursor}`;
			const bob = await openSocket(server, { key, user: 'bob', query });
			await bob.next('replay.done');
			const frames = bob.all('message');

			expect(frames).toMatchObject([{ content: 'before' }, { content: 'after' }]);
			await bob.close();
		} finally {
			await server.stop();
			rmSync(folder, { recursive: true, force: true });
		}
	});
});

describe('RESUME_ROOM_MAX=0', () => {
	const used = useServer({ RESUME_ROOM_MAX: '0', DEFAULT_RATE_LIMIT: '0' });

	test('brings any number of messages, and never a room.gap', async () => {
		const { tenant, room_id, cursor } = await stageFor(used.server);
		const count = 1_050; // more than the default lets through
		await sendMany(tenant, room_id, count, 'missed');

		const bob = await resumed(tenant, 'bob', cursor);
		const done = await bob.next('replay.done', 15_000);

		expect(done.count).toBe(count);
		expect(bob.all('message').map(({ seq }) => seq)).toEqual(seqsFrom(1, count));
		expect(bob.all('room.gap')).toEqual([]);
		await bob.close();
	});

	test('a replay far above 1 MiB waits for a client that reads slowly: all of it, once, in order', async () => {
		const { tenant, room_id, cursor } = await stageFor(used.server);
		const [count, content] = [400, 'x'.repeat(16 * 1024)];
		await sendMany(tenant, room_id, count, content);
		const headers = { 'X-API-Key': tenant.api_key, 'X-User-Id': 'bob' };
		const slow = await openRawSocket(used.server, headers, `/ws?cursor=${cursor}`);
		slow.halt();

		// Whoever comes later is through with it: the slow one holds up nobody, and was sent what fits.
		const other = await resumed(tenant, 'bob', cursor);
		expect((await other.next('replay.done', 15_000)).count).toBe(count);
		await sendMessage(tenant, 'alice', room_id, 'meanwhile');
		const past = await readSlowly(slow, ({ type }) => type === 'replay.done');
		await sendMessage(tenant, 'alice', room_id, 'live');
		const live = await readSlowly(slow, ({ type }) => type === 'message');

		expect(slow.closeCode()).toBeUndefined();
		// It had waited: what was sent meanwhile is a part of the past.
		expect(past.map(({ type }) => type)).toEqual([...missed(count + 1), 'replay.done']);
		expect(past.slice(0, -1).map(({ seq }) => seq)).toEqual(seqsFrom(1, count + 1));
		expect(past.slice(0, count).every((told) => told.content === content)).toBe(true);
		expect(past.at(-2)?.content).toBe('meanwhile');
		expect(live).toMatchObject([{ seq: count + 2, content: 'live' }]);
		slow.destroy();
		await other.close();
	});
});

describe('RESUME_ROOM_MAX=1', () => {
	const used = useServer({ RESUME_ROOM_MAX: '1' });

	for (const [count, told] of [
		[0, []],
		[1, ['message']],
		[2, ['room.gap']],
		[3, ['room.gap']],
	] as const) {
		test(`tells ${count} missed messages as ${told.join() || 'nothing'}`, async () => {
			const { tenant, room_id, cursor } = await stageFor(used.server);
			await sendMany(tenant, room_id, count, 'missed');

			const bob = await resumed(tenant, 'bob', cursor);
			await bob.next('replay.done');

			const types = typesOf(bob).filter((type) => type !== 'positions');
			expect(types).toEqual(['connected', ...told, 'replay.done']);
			for (const gap of bob.all('room.gap'))
				expect(gap).toMatchObject({ room_id, last_seq: count });
			await bob.close();
		});
	}
});

describe('a cursor', () => {
	const used = useServer({ EVENT_RETENTION: '1s' });

	test('whose events are kept no longer is answered with resync, reason expired, on a live socket', async () => {
		const { tenant, room_id, cursor } = await stageFor(used.server);
		await sendMessage(tenant, 'alice', room_id, 'forgotten');

		const bob = await eventually(() => unlessResumed(tenant, cursor), 20_000, 'its events to go');

		expect(await bob.next('resync')).toEqual({ type: 'resync', reason: 'expired' });
		expect(bob.connected.resumed).toBe(false);
		expect(String(bob.connected.cursor) > cursor).toBe(true);
		await sendMessage(tenant, 'alice', room_id, 'live');
		expect(await bob.next('message')).toMatchObject({ content: 'live', seq: 2 });
		expect(bob.all('message')).toHaveLength(1);
		// What is gone stays to be read: events go, messages do not.
		const page = await tenant.as('bob').get(`/rooms/${room_id}/messages`);
		expect(page.body).toMatchObject({ messages: [{ content: 'forgotten' }, { content: 'live' }] });
		await bob.close();
	});

	test('of another server is answered with resync, reason unknown', async () => {
		const { tenant, room_id } = await stageFor(used.server);
		const other = await startServer();
		const { cursor } = await stageFor(other);

		const bob = await resumed(tenant, 'bob', cursor);

		expect(bob.connected.resumed).toBe(false);
		expect(await bob.next('resync')).toEqual({ type: 'resync', reason: 'unknown' });
		await sendMessage(tenant, 'alice', room_id, 'live');
		expect(await bob.next('message')).toMatchObject({ content: 'live' });
		await bob.close();
		expect(await other.stop()).toBe(0);
	});

	/** A socket from there on, once it cannot be gone on from. */
	async function unlessResumed(tenant: TestTenant, cursor: string): Promise<Socket | undefined> {
		const bob = await resumed(tenant, 'bob', cursor);
		if (bob.connected.resumed === false) return bob;
		await bob.close();
		return undefined;
	}
});

/** A room of alice and bob, and where bob left off in it. */
async function stageFor(server: TestTenant['server']) {
	const tenant = await createTenant(server);
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	const first = await tenant.socket('bob');
	await first.close();
	return { tenant, room_id, cursor: String(first.connected.cursor) };
}

type Told = { type: string; seq: number; content: string };

/** Takes one frame, then stops reading again, and so on up to the one that is `last`. */
async function readSlowly(socket: RawSocket, last: (frame: Told) => boolean): Promise<Told[]> {
	const frames: Told[] = [];
	for (;;) {
		socket.flow();
		const frame = await socket.next(({ opcode }) => opcode === OPCODE.text);
		socket.halt();
		if (frame === undefined) throw new Error(`Closed after ${frames.length} frames`);
		const told: Told = JSON.parse(frame.payload.toString());
		if (told.type !== 'positions') frames.push(told);
		if (last(told)) return frames;
	}
}
