import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Subprocess } from 'bun';
import type { Endpoint, SocketSeat } from './client/load.ts';

/** A server under test, running. */
export interface Server {
	readonly name: string;
	readonly endpoint: Endpoint;
	/** From the spawn to the first 200 on `/health`. */
	readonly start_ms: number;
	/** A new room of these members, in the tenant of the endpoint's key or of another; gives its id. */
	createRoom(members: readonly string[], apiKey?: string): Promise<string>;
	/** A new tenant, with a rate limit of its own if one is given; gives its key. */
	createTenant(requestsPerSecond?: number): Promise<string>;
	/** One page of a room's history, as its seqs. */
	seqsAfter(after: number, of: { room_id: string; member: string }): Promise<number[]>;
	seat(roomId: string, userId: string): SocketSeat;
	stop(): Promise<void>;
}

/** A server that can be started again and again on its own data directory. */
export interface Target {
	readonly name: string;
	readonly executable: string;
	/** Its database file, which its first start makes. */
	readonly database: string;
	start(): Promise<Server>;
}

/** The most messages that one page may ask for. */
export const HISTORY_PAGE_MAX = 100;

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 15_000;
const running = new Set<Subprocess>();

/** For the end of the benchmark, however it comes: no server outlives it. */
export function killServers(): void {
	for (const child of running) child.kill('SIGKILL');
}

interface Launch {
	readonly name: string;
	readonly command: readonly string[];
	readonly env: Record<string, string>;
	readonly cwd: string;
}

interface Launched {
	readonly url: string;
	readonly pid: number;
	readonly start_ms: number;
	stop(): Promise<void>;
}

async function launch({ name, command, env, cwd }: Launch): Promise<Launched> {
	const begin = performance.now();
	const child = Bun.spawn([...command], { cwd, env, stdout: 'pipe', stderr: 'pipe' });
	running.add(child);
	const errors = new Response(child.stderr).text();
	const url = await withDeadline(
		listeningUrl(child.stdout),
		START_TIMEOUT_MS,
		`${name} start`,
	).catch(async (error) => {
		child.kill('SIGKILL');
		throw new Error(`${name} does not start: ${error}\n${await errors}`);
	});
	const health = await fetch(new URL('/health', url));
	if (health.status !== 200) throw new Error(`${name}: /health says ${health.status}`);
	const start_ms = performance.now() - begin;
	const stop = async () => {
		child.kill('SIGTERM');
		await withDeadline(child.exited, STOP_TIMEOUT_MS, `${name} stop`);
		running.delete(child);
		if (child.exitCode !== 0) {
			throw new Error(`${name} ended with ${child.exitCode}: ${await errors}`);
		}
	};
	return { url, pid: child.pid, start_ms, stop };
}

/** How much a server may say about its errors before the rest is left out. */
const ERRORS_SHOWN_MAX = 5;

/**
 * Reads the log until it tells the address, and then on and on, so that the pipe never fills. The
 * first errors in it are shown: a benchmark that fails should say why.
 */
async function listeningUrl(stdout: ReadableStream<Uint8Array>): Promise<string> {
	const found = Promise.withResolvers<string>();
	const read = async () => {
		const decoder = new TextDecoder();
		let text = '';
		let errors = 0;
		for await (const chunk of stdout) {
			const lines = (text + decoder.decode(chunk, { stream: true })).split('\n');
			text = lines.pop() ?? '';
			for (const line of lines) {
				if (line.includes('"msg":"Listening"')) found.resolve(JSON.parse(line).url);
				if (/"level":"(error|fatal)"/.test(line) && ++errors <= ERRORS_SHOWN_MAX) {
					console.error(`bench: the server says: ${line}`);
				}
			}
		}
		found.reject(new Error('it ended before it listened'));
	};
	read().catch(found.reject);
	return found.promise;
}

export async function withDeadline<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
	const late = Promise.withResolvers<never>();
	const timer = setTimeout(() => late.reject(new Error(`${what}: nothing after ${ms} ms`)), ms);
	return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

async function request(url: string, init: RequestInit, status: number): Promise<unknown> {
	const response = await fetch(url, init);
	const body = await response.text();
	if (response.status !== status) throw new Error(`${url}: ${response.status} ${body}`);
	return JSON.parse(body);
}

const post = (url: string, headers: Record<string, string>, body: object) =>
	request(
		url,
		{
			method: 'POST',
			headers: { 'content-type': 'application/json', ...headers },
			body: JSON.stringify(body),
		},
		201,
	);

/** What both servers answer alike; only where a socket's room comes from differs. */
function serverOf(
	name: string,
	launched: Launched,
	{
		pathOf,
		createTenant,
		...keys
	}: {
		api_key: string;
		master_key?: string;
		pathOf: (roomId: string) => string;
		createTenant: (requestsPerSecond?: number) => Promise<string>;
	},
): Server {
	const base = launched.url.replace(/\/$/, '');
	return {
		name,
		start_ms: launched.start_ms,
		endpoint: { port: Number(new URL(base).port), server_pid: launched.pid, ...keys },
		createTenant,
		async createRoom(members, apiKey = keys.api_key) {
			const body = { type: 'group', members };
			const room = await post(`${base}/rooms`, { 'x-api-key': apiKey }, body);
			return (room as { room_id: string }).room_id;
		},
		async seqsAfter(after, { room_id, member }) {
			const headers = { 'x-api-key': keys.api_key, 'x-user-id': member };
			const query = `limit=${HISTORY_PAGE_MAX}&after_seq=${after}`;
			const page = await request(`${base}/rooms/${room_id}/messages?${query}`, { headers }, 200);
			return (page as { messages: { seq: number }[] }).messages.map(({ seq }) => seq);
		},
		seat: (room_id, user_id) => ({ room_id, user_id, path: pathOf(room_id) }),
		stop: launched.stop,
	};
}

export const REFERENCE = join(import.meta.dir, 'reference', 'server.ts');

export function bareBun(name: string, workDir: string, script = REFERENCE): Target {
	const cwd = join(workDir, name);
	mkdirSync(cwd, { recursive: true });
	return {
		name,
		executable: process.execPath,
		database: join(cwd, 'reference.db'),
		async start() {
			const env = { DATA_DIR: cwd, NODE_ENV: 'production' };
			const launched = await launch({ name, command: [process.execPath, script], env, cwd });
			return serverOf(name, launched, {
				api_key: 'none',
				pathOf: (roomId) => `/ws?room_id=${roomId}`,
				createTenant: async () => 'none',
			});
		},
	};
}

export function binary(executable: string, workDir: string): Target {
	const name = 'chatapi';
	const cwd = join(workDir, name);
	mkdirSync(cwd, { recursive: true });
	const masterKey = randomBytes(32).toString('hex');
	let apiKey: string | undefined;
	const env = {
		MASTER_API_KEY: masterKey,
		LISTEN_ADDR: '127.0.0.1:0',
		DATA_DIR: join(cwd, 'data'),
		LOG_LEVEL: 'info',
		// Far above what is reached, but not off: the buckets and their headers are part of the work.
		DEFAULT_RATE_LIMIT: '1000000',
		WS_FRAMES_PER_SECOND: '1000000',
		WS_MAX_CONNECTIONS_PER_USER: '0',
		WS_MAX_CONNECTIONS_PER_TENANT: '0',
	};
	return {
		name,
		executable,
		database: join(cwd, 'data', 'chatapi.db'),
		async start() {
			const launched = await launch({ name, command: [executable], env, cwd });
			apiKey ??= await createTenant(launched.url, masterKey);
			return serverOf(name, launched, {
				api_key: apiKey,
				master_key: masterKey,
				pathOf: () => '/ws',
				createTenant: (requestsPerSecond) =>
					createTenant(launched.url, masterKey, requestsPerSecond),
			});
		},
	};
}

async function createTenant(
	url: string,
	masterKey: string,
	requestsPerSecond?: number,
): Promise<string> {
	const tenants = new URL('/admin/tenants', url).href;
	const rate_limit =
		requestsPerSecond === undefined
			? {}
			: { rate_limit: { requests_per_second: requestsPerSecond } };
	const body = { name: 'bench', ...rate_limit };
	const tenant = await post(tenants, { 'x-master-key': masterKey }, body);
	return (tenant as { api_key: string }).api_key;
}
