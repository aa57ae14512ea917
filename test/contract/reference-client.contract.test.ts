/** The client of examples/, as an author of one would use it, against the binary. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
	type ClientOptions,
	createClient,
	type Frame,
	type Message,
} from '../../examples/client.ts';
import { startProxy } from '../crash/chaos-proxy.ts';
import { createRandomness } from '../crash/randomness.ts';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { freePort } from '../helpers/ports.ts';
import { randomSecret, type Server, startServer } from '../helpers/server.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import type { MessagesPage } from '../helpers/wire.ts';

const SOURCE = resolve(import.meta.dir, '..', '..', 'examples', 'client.ts');
const LINES_MAX = 150;
const ROOM_MAX = 5;
const used = useServer({
	RESUME_ROOM_MAX: String(ROOM_MAX),
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '2',
});

/** What a client was told, as text, in its order. */
interface Watched {
	client: ReturnType<typeof createClient>;
	log: string[];
	frames: Frame[];
	/** The state that it was in last, with a close code where there is one. */
	state: string;
	live(): Promise<unknown>;
}

const watched: Watched[] = [];
afterEach(() => {
	for (const { client } of watched.splice(0)) client.close();
});

function watch(url: string, own: Pick<ClientOptions, 'credentials'> & Partial<ClientOptions>) {
	const log: string[] = [];
	const frames: Frame[] = [];
	const client = createClient({
		url: `${url.replace('http', 'ws')}/ws`,
		onMessage: ({ seq, content }) => log.push(`${seq} ${content}`),
		// Of positions there may be any number.
		onEvent: ({ type }) => type === 'positions' || log.push(type),
		onGap: ({ after_seq, last_seq }) => log.push(`gap ${after_seq} ${last_seq}`),
		onResync: (reason) => log.push(`resync ${reason}`),
		onState(state, code) {
			it.state = code === undefined ? state : `${state} ${code}`;
		},
		onFrame: (frame) => frames.push(frame),
		backoffMs: { first: 10, max: 100 },
		...own,
	});
	const live = () => eventually(() => it.state === 'live', undefined, 'a client that is live');
	const it: Watched = { client, log, frames, state: '', live };
	watched.push(it);
	return it;
}

const keyOf = ({ api_key }: TestTenant, user: string) => ({
	credentials: async () => ({ headers: { 'X-API-Key': api_key, 'X-User-Id': user } }),
});

const has = ({ log }: Watched, line: string) =>
	eventually(() => log.includes(line), undefined, line);

/** The contents of a room as they are stored. */
async function storedIn(tenant: TestTenant, room_id: string): Promise<string[]> {
	const answer = await tenant.as('alice').get<MessagesPage>(`/rooms/${room_id}/messages`);
	return bodyOf(answer, 200).messages.map(({ seq, content }) => `${seq} ${content}`);
}

test(`the client is shorter than ${LINES_MAX} lines and imports nothing`, () => {
	const text = readFileSync(SOURCE, 'utf8');

	expect(text.split('\n').length - 1).toBeLessThan(LINES_MAX);
	expect(text).not.toMatch(/\bimport\b|\brequire\(|process\.|Bun\./);
});

describe('the reference client', () => {
	test('comes back after a break and has everything, once and in order', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const proxy = await startProxy(createRandomness(1));
		proxy.aim(used.server.url);
		const bob = watch(`http://${proxy.host}`, keyOf(tenant, 'bob'));
		await bob.live();
		await sendMessage(tenant, 'alice', room_id, 'before');
		await has(bob, '1 before');

		proxy.aim('http://127.0.0.1:1');
		while (bob.state === 'live') {
			proxy.cut();
			await sendMessage(tenant, 'alice', room_id, 'between');
		}
		await sendMessage(tenant, 'alice', room_id, 'missed');
		proxy.aim(used.server.url);
		await bob.live();
		await sendMessage(tenant, 'alice', room_id, 'after');

		const stored = await storedIn(tenant, room_id);
		await has(bob, String(stored.at(-1)));
		expect(bob.log).toEqual(['resync start', ...stored]);
		expect(bob.frames.findLast(({ type }) => type === 'connected')?.resumed).toBe(true);
		bob.client.close();
		await proxy.close();
	});

	test('stores each message once, in order, over breaks, and refuses by the server’s word', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const random = createRandomness(2);
		const proxy = await startProxy(random);
		proxy.aim(used.server.url);
		const bob = watch(`http://${proxy.host}`, keyOf(tenant, 'bob'));

		// More than the frame limit lets through, and each connection is cut at one of its first bytes.
		const sent: Message[] = [];
		for (let n = 0; n < 12; n++) {
			await bob.live();
			const sending = bob.client.send(room_id, `${n}`);
			if (n % 2 === 0) proxy.cut();
			sent.push(await sending);
		}
		await expect(bob.client.send(room_id, '')).rejects.toThrow();

		const stored = await storedIn(tenant, room_id);
		expect(stored).toEqual(sent.map(({ seq, content }) => `${seq} ${content}`));
		expect(stored).toHaveLength(12);
		await has(bob, String(stored.at(-1)));
		expect(bob.log.slice(1)).toEqual(stored);
		bob.client.close();
		await proxy.close();
	}, 20_000);

	test('repeats what is refused for now until it is stored', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const bob = watch(used.server.url, keyOf(tenant, 'bob'));
		await bob.live();

		const sent = await Promise.all(
			Array.from({ length: 9 }, (_, n) => bob.client.send(room_id, `${n}`)),
		);

		expect(bob.frames.some(({ code }) => code === 'RATE_LIMIT_EXCEEDED')).toBe(true);
		const stored = await storedIn(tenant, room_id);
		expect(new Set(stored).size).toBe(9);
		expect(sent.map(({ seq, content }) => `${seq} ${content}`).sort()).toEqual(stored.sort());
	}, 20_000);

	test('reads by pages what was too much, and drops what the pages brought already', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const first = watch(used.server.url, keyOf(tenant, 'bob'));
		await first.live();
		const cursor = first.client.cursor() ?? '';
		first.client.close();
		for (let n = 1; n <= ROOM_MAX + 2; n++) await sendMessage(tenant, 'alice', room_id, `${n}`);

		const bob = watch(used.server.url, {
			...keyOf(tenant, 'bob'),
			cursor,
			async onGap({ room_id, after_seq, last_seq }) {
				bob.log.push(`gap ${after_seq} ${last_seq}`);
				// Beyond the gap: the page has it, and then the socket tells it.
				await sendMessage(tenant, 'alice', room_id, 'meanwhile');
				const path = `/rooms/${room_id}/messages?after_seq=${after_seq}`;
				const page = bodyOf(await tenant.as('bob').get<MessagesPage>(path), 200);
				for (const message of page.messages) {
					await bob.client.take({ type: 'message', ...message });
				}
			},
		});
		await bob.live();
		await sendMessage(tenant, 'alice', room_id, 'live');
		await has(bob, `${ROOM_MAX + 4} live`);

		expect(bob.log).toEqual([`gap 0 ${ROOM_MAX + 2}`, ...(await storedIn(tenant, room_id))]);
	});

	test('is told again what a callback failed to take', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		let failures = 2;
		const bob: Watched = watch(used.server.url, {
			...keyOf(tenant, 'bob'),
			async onMessage({ seq, content }) {
				if (content === 'second' && failures-- > 0) throw new Error('not now');
				bob.log.push(`${seq} ${content}`);
			},
		});
		await bob.live();

		for (const content of ['first', 'second', 'third']) {
			await sendMessage(tenant, 'alice', room_id, content);
		}
		await has(bob, '3 third');

		expect(bob.log).toEqual(['resync start', '1 first', '2 second', '3 third']);
	});

	test('does not come back when its key is revoked, and gives up what is unsent', async () => {
		const tenant = await createTenant(used.server);
		let asked = 0;
		const { credentials } = keyOf(tenant, 'bob');
		const bob = watch(used.server.url, {
			credentials() {
				asked++;
				return credentials();
			},
		});
		await bob.live();
		const admin = httpClient(used.server, { master: used.server.masterKey });
		const keys = `/admin/tenants/${tenant.tenant_id}/api-keys`;
		const listed = await admin.get<{ api_keys: { key_id: string }[] }>(keys);
		const { key_id } = bodyOf(listed, 200).api_keys[0] ?? {};
		bodyOf(await admin.delete(`${keys}/${key_id}`), 200);

		await eventually(() => bob.state === 'closed 4501');

		await expect(bob.client.send('room_x', 'late')).rejects.toThrow();
		expect(asked).toBe(1);
	});
});

describe('over restarts of the server, the reference client', () => {
	let folder = '';
	let servers: Server[] = [];
	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), 'chatapi-client-'));
	});
	afterAll(() => rmSync(folder, { recursive: true, force: true }));
	afterEach(async () => {
		for (const server of servers) await server.kill();
		servers = [];
	});
	async function start(port: number, data: string, masterKey: string) {
		const env = { LISTEN_ADDR: `127.0.0.1:${port}`, MASTER_API_KEY: masterKey };
		const server = await startServer({ dataDir: join(folder, data), env });
		servers.push(server);
		return server;
	}

	test('waits as long as the server says that stops, and goes on', async () => {
		const [port, masterKey] = [await freePort(), randomSecret()];
		const server = await start(port, 'stopped', masterKey);
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const bob = watch(server.url, keyOf(tenant, 'bob'));
		await bob.live();
		const lostAt = performance.now();
		await server.stop();
		await eventually(() => bob.state === 'waiting 4001');
		await start(port, 'stopped', masterKey);
		await sendMessage(tenant, 'alice', room_id, 'missed');
		await eventually(() => bob.log.includes('1 missed'), 10_000);

		const told = bob.frames.find(({ type }) => type === 'server.shutdown');
		expect(performance.now() - lostAt).toBeGreaterThanOrEqual(Number(told?.reconnect_after_ms));
		expect(bob.log.filter((line) => line !== 'server.shutdown')).toEqual([
			'resync start',
			'1 missed',
		]);
	}, 20_000);

	test('is told to forget all by a server with another database', async () => {
		const [port, masterKey] = [await freePort(), randomSecret()];
		const server = await start(port, 'old', masterKey);
		let tenant = await createTenant(server);
		const bob = watch(server.url, {
			credentials: () => keyOf(tenant, 'bob').credentials(),
		});
		await bob.live();
		await server.kill();
		await eventually(() => bob.state.startsWith('waiting'));
		const fresh = await start(port, 'fresh', masterKey);
		tenant = await createTenant(fresh);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await has(bob, 'resync unknown');
		await bob.live();
		await sendMessage(tenant, 'alice', room_id, 'anew');
		await has(bob, '1 anew');

		expect(bob.log.filter((line) => line !== 'room.created')).toEqual([
			'resync start',
			'resync unknown',
			'1 anew',
		]);
	}, 20_000);
});
