/**
 * Goal 5: a crowd of idle sockets fits into little memory. A server that keeps something for each of
 * them must fail the same check. How fast they come is the benchmark's to compare: `--only crowd`.
 *
 * One address of the loopback has 28,000 ports, so one is enough. `IDLE_SOCKETS=…` makes another crowd.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SocketSeat } from '../bench/client/load.ts';
import { type Driver, openDriver } from '../bench/driver.ts';
import { memoryOf } from '../bench/usage.ts';
import { KEEPS_MUCH_PER_SOCKET, sabotaged } from '../crash/sabotage.ts';
import { report, startVictim, type VictimOptions } from '../crash/victim.ts';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY, randomSecret } from '../helpers/server.ts';
import { eventually } from '../helpers/wait.ts';
import type { Room, Tenant } from '../helpers/wire.ts';

const SOCKETS = Number(process.env.IDLE_SOCKETS ?? 10_000);
const RSS_MIB_MAX = (256 * SOCKETS) / 10_000;
/** The most that a tenant may have by default. */
const PER_TENANT = 5_000;
const PER_ROOM = 1_000;
const SETTLE_MS = 40_000;
const CONTROL_SETTLE_MS = 3_000;
const FILES_BESIDE = 500;

/** What this process may raise its limit of descriptors to, and hand down. */
const filesMax = (): number => {
	const [, hard] =
		/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
	return Number(hard ?? Number.POSITIVE_INFINITY);
};
const hasFiles = filesMax() >= SOCKETS + FILES_BESIDE;
const title = `a crowd of ${SOCKETS} idle sockets${hasFiles ? '' : ` (skipped: ${filesMax()} files at most)`}`;

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-idle-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Crowd {
	connected: number;
	perSecond: number;
	/** MiB. */
	before: number;
	peak: number;
	settled: number;
}

/** Opens the crowd, and gives it time to settle below the limit. */
async function gather(
	{ command, cwd }: Pick<VictimOptions, 'command' | 'cwd'>,
	settleMs: number,
): Promise<Crowd> {
	const masterKey = randomSecret();
	const server = await startVictim({
		command: [
			'/bin/sh',
			'-c',
			`ulimit -n ${SOCKETS + FILES_BESIDE} && exec "$@"`,
			'sh',
			...command,
		],
		cwd,
		dataDir: mkdtempSync(join(folder, 'data-')),
		masterKey,
	});
	const drivers: Driver[] = [];
	const rssMib = () => memoryOf(server.pid).rss_kb / 1_024;
	try {
		const crowd: Crowd = { connected: 0, perSecond: 0, before: rssMib(), peak: 0, settled: 0 };
		let ms = 0;
		while (crowd.connected < SOCKETS) {
			const count = Math.min(PER_TENANT, SOCKETS - crowd.connected);
			const { api_key, sockets } = await seatsOf(server.url, masterKey, count);
			const endpoint = { port: Number(new URL(server.url).port), server_pid: server.pid, api_key };
			const begin = performance.now();
			drivers.push(await openDriver({ kind: 'idle', endpoint, sockets }));
			ms += performance.now() - begin;
			crowd.connected += count;
		}
		crowd.perSecond = (SOCKETS * 1_000) / ms;
		crowd.peak = rssMib();
		const open = await httpClient(server, { master: masterKey }).get('/metrics');
		expect(Number(/^chatapi_connections (\d+)/m.exec(open.text)?.[1])).toBe(SOCKETS);
		const isSettled = () => {
			crowd.settled = rssMib();
			crowd.peak = Math.max(crowd.peak, crowd.settled);
			return crowd.settled <= RSS_MIB_MAX;
		};
		await eventually(isSettled, settleMs).catch(() => {});
		return crowd;
	} finally {
		for (const driver of drivers) await driver.close();
		await server.kill();
	}
}

/** A tenant with so many users, each in a room. */
async function seatsOf(url: string, master: string, count: number) {
	const admin = httpClient({ url }, { master });
	const tenant = bodyOf(await admin.post<Tenant>('/admin/tenants', { name: 'Acme' }), 201);
	const { api_key = '' } = tenant;
	const client = httpClient({ url }, { key: api_key });
	const sockets: SocketSeat[] = [];
	while (sockets.length < count) {
		const members = Array.from(
			{ length: Math.min(PER_ROOM, count - sockets.length) },
			(_, index) => `user${sockets.length + index}`,
		);
		const { room_id } = bodyOf(await client.post<Room>('/rooms', { type: 'group', members }), 201);
		sockets.push(...members.map((user_id) => ({ room_id, user_id, path: '/ws' })));
	}
	return { api_key, sockets };
}

const summaryOf = ({ perSecond, before, peak, settled }: Crowd): string =>
	`${SOCKETS} sockets at ${perSecond.toFixed(0)}/s, memory ${before.toFixed(0)} MiB before, ` +
	`${peak.toFixed(0)} at most, ${settled.toFixed(0)} in the end`;

describe.skipIf(!hasFiles)(title, () => {
	test('fits into its memory', async () => {
		const crowd = await gather({ command: [BINARY], cwd: folder }, SETTLE_MS);

		report(summaryOf(crowd));
		expect(crowd.settled).toBeLessThanOrEqual(RSS_MIB_MAX);
	}, 120_000);

	test('does not when the server keeps much for each', async () => {
		const crowd = await gather(sabotaged(folder, KEEPS_MUCH_PER_SOCKET), CONTROL_SETTLE_MS);

		report(`the control: ${summaryOf(crowd)}`);
		expect(crowd.settled).toBeGreaterThan(RSS_MIB_MAX);
	}, 120_000);
});
