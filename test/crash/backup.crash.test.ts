/**
 * Backups under load: each verifies, and holds every send that was answered before it began. A plain copy
 * of the file, made at the same moments, must fail both.
 *
 * `BACKUPS=50` makes it the full form, which is held to the goal's 1,000 sends a second; `SEED=…` makes it the same again as far as timing lets it.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'bun:test';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY, randomSecret, runBinary } from '../helpers/server.ts';
import { openSocket } from '../helpers/socket.ts';
import { eventually } from '../helpers/wait.ts';
import type { MessagesPage } from '../helpers/wire.ts';
import { createHistory, type History } from './history.ts';
import { violationsOf } from './invariants.ts';
import { type Ground, type Load, prepare, startLoad } from './load.ts';
import { createRandomness, seedOfRun } from './randomness.ts';
import { report, startVictim } from './victim.ts';

const BACKUPS = Number(process.env.BACKUPS ?? 5);
const SENDS_A_SECOND = 1000;
/** Above the goal, for a repeat of a send is answered and not counted. */
const PACE = SENDS_A_SECOND * 1.15;
/** A stall is made up for, up to so long a one: while a backup begins and ends, commits wait for the disk. */
const BACKLOG_MS = 1000;
/**
 * At 1,000 sends a second so many in flight are enough while an answer takes 60 ms. With four to a socket, it was the
 * answers' delay beside a backup that bounded the load, and not a core: a send costs this process 0.1 ms.
 */
const SENDERS = { http: 6, sockets: 2, inFlight: 12 };
/** Shared cores: less would not be load any more. */
const SENDS_A_SECOND_MIN = BACKUPS >= 50 ? SENDS_A_SECOND : 150;
/** What the log may keep once it began anew: see LOG_BYTES_KEPT. */
const LOG_BYTES_MAX = 24 * 1024 * 1024;
/** Answered before each backup begins. */
const SENDS_BEFORE = 200;
const COMMAND_DEADLINE_MS = 120_000;

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-backup-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lets so many through a second, evenly, and those that are late at once. */
function paceOf(perSecond: number): () => Promise<void> {
	let next = performance.now();
	return async () => {
		next = Math.max(next + 1000 / perSecond, performance.now() - BACKLOG_MS);
		const ms = next - performance.now();
		if (ms > 1) await Bun.sleep(ms);
	};
}

/** What was answered by now: what a backup that begins now must hold. */
function answeredBy(history: History) {
	const acks = new Map(history.sends.map((send) => [send, send.ack]));
	const then = {
		seen: new Map(history.seen),
		reads: new Map(history.reads),
		memberships: new Map(history.memberships),
		rooms: new Map(history.rooms),
	};
	/** To be held against a backup that has ended: what came later is unknown, and may be in it. */
	return (): History => ({
		...history,
		...then,
		sends: history.sends.map((send) => {
			const { ack: _, ...rest } = send;
			const ack = acks.get(send);
			return ack === undefined ? rest : { ...rest, ack };
		}),
		memberships: new Map(
			[...then.memberships].map(([key, { fate, isMember }]) => {
				const now = history.memberships.get(key);
				const isSame = now?.fate === fate && now.isMember === isMember;
				return [key, { fate: isSame ? fate : 'unknown', isMember }];
			}),
		),
	});
}

const answeredSends = (history: History) =>
	history.sends.filter(({ ack }) => ack !== undefined).length;

/** What a backup lacks or has wrong. A copy that is torn may not even be a database. */
function faultsOf(path: string, history: History): string[] {
	try {
		return violationsOf(path, history, { isSettled: false });
	} catch (error) {
		return [`it cannot be read: ${error}`];
	}
}

interface Round {
	seconds: number;
	/** Sends that were answered while the backup was made. */
	sends: number;
	logBytes: number;
	faults: string[];
	/** Of a plain copy of the file made just before: what verify says, and what it lacks. */
	control: { isRefused: boolean; faults: string[] };
}

/** One backup and one plain copy, both held against what was answered before they began. */
async function backUpOnce(
	dataDir: string,
	history: History,
	number: number,
	start: () => Load,
): Promise<Round> {
	const out = join(folder, `backup-${number}`);
	mkdirSync(out);
	try {
		// Not while the checks run: they hold this process up, clients and all.
		const load = start();
		const warm = answeredSends(history) + SENDS_BEFORE;
		await eventually(() => answeredSends(history) >= warm, 30_000, 'the load');
		const copy = join(out, 'copied.db');
		const beforeCopy = answeredBy(history);
		copyFileSync(join(dataDir, 'chatapi.db'), copy);

		const before = answeredBy(history);
		const answeredBefore = answeredSends(history);
		const startedAt = performance.now();
		const file = join(out, 'backup.db');
		const made = await runBinary(
			['backup', '--out', file],
			{ DATA_DIR: dataDir },
			COMMAND_DEADLINE_MS,
		);
		const seconds = (performance.now() - startedAt) / 1000;
		const sends = answeredSends(history) - answeredBefore;
		const logBytes = statSync(join(dataDir, 'chatapi.db-wal')).size;
		await load.finish();
		const copyFaults = faultsOf(copy, beforeCopy());
		expect({ ...made, stderr: '' }).toEqual({ exitCode: 0, stdout: `${file}\n`, stderr: '' });
		const faults = faultsOf(file, before());
		const verified = await runBinary(['verify', file], {}, COMMAND_DEADLINE_MS);
		expect(verified).toMatchObject({ exitCode: 0, stderr: '' });
		expect(readdirSync(out).sort()).toEqual(['backup.db', 'backup.db.manifest.json', 'copied.db']);

		// Beside the manifest of the real one: it is refused for what it holds, not for what it lacks.
		copyFileSync(`${file}.manifest.json`, `${copy}.manifest.json`);
		const refused = await runBinary(['verify', copy], {}, COMMAND_DEADLINE_MS);
		return {
			seconds,
			sends,
			logBytes,
			faults,
			control: { isRefused: refused.exitCode === 1, faults: copyFaults },
		};
	} finally {
		if (number < BACKUPS) rmSync(out, { recursive: true });
	}
}

test(
	`${BACKUPS} backups under load verify and hold what was answered; copies of the file do not`,
	async () => {
		const seed = seedOfRun();
		report(`SEED=${seed}`);
		const dataDir = join(folder, 'data');
		const masterKey = randomSecret();
		// Bob makes a room with each turn of the churn.
		const env = { MAX_ROOMS_PER_USER: '0' };
		const victim = { command: [BINARY] as const, cwd: folder, dataDir, masterKey, env };
		const server = await startVictim(victim);
		onTestFinished(() => server.kill());
		const history = createHistory();
		const grounds: Ground[] = [];
		for (let count = 0; count < 2; count++) {
			grounds.push(await prepare(server.url, masterKey, history));
		}
		const startedAt = performance.now();
		const random = createRandomness(seed);
		const start = () =>
			startLoad({
				...{ url: server.url, grounds, history, random },
				senders: SENDERS,
				pace: paceOf(PACE),
			});

		const rounds: Round[] = [];
		for (let number = 1; number <= BACKUPS; number++) {
			rounds.push(await backUpOnce(dataDir, history, number, start));
			if (rounds.at(-1)?.faults.length !== 0) break;
		}
		const seconds = (performance.now() - startedAt) / 1000;
		const logBytes = Math.max(...rounds.map((round) => round.logBytes));
		const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
		const perSecond =
			sum(rounds.map((round) => round.sends)) / sum(rounds.map((round) => round.seconds));
		const lossy = rounds.filter(({ control }) => control.faults.length > 0).length;
		const refused = rounds.filter(({ control }) => control.isRefused).length;
		report(
			`${rounds.length} backups in ${seconds.toFixed(1)} s, slowest ` +
				`${Math.max(...rounds.map((round) => round.seconds)).toFixed(2)} s, ` +
				`${answeredSends(history)} answered sends (${perSecond.toFixed(0)} a second while they were made), ` +
				`log up to ${(logBytes / 2 ** 20).toFixed(1)} MiB; ` +
				`of as many copies of the file ${lossy} had lost something, ${refused} were refused`,
		);
		expect(history.violations).toEqual([]);
		expect(rounds.flatMap(({ faults }) => faults).slice(0, 5)).toEqual([]);
		expect(rounds).toHaveLength(BACKUPS);
		expect(perSecond).toBeGreaterThanOrEqual(SENDS_A_SECOND_MIN);
		expect(refused).toBe(BACKUPS);
		expect(lossy).toBeGreaterThan(BACKUPS / 2);
		expect(logBytes).toBeLessThan(LOG_BYTES_MAX);
		expect(await server.stop()).toBe(0);

		await expectResync(join(folder, `backup-${BACKUPS}`, 'backup.db'), masterKey, history);
	},
	120_000 + BACKUPS * 15_000,
);

/** Restores a backup into a fresh directory: its messages are there, and cursors of before are told so. */
async function expectResync(file: string, masterKey: string, history: History): Promise<void> {
	const dataDir = join(folder, 'restored');
	const restored = await runBinary(['restore', file], { DATA_DIR: dataDir }, COMMAND_DEADLINE_MS);
	expect(restored).toMatchObject({ exitCode: 0, stderr: '' });
	const server = await startVictim({ command: [BINARY], cwd: folder, dataDir, masterKey });
	const [send] = history.sends.filter(({ ack }) => ack !== undefined);
	const { api_key } = await keyOf(server.url, masterKey, send?.tenant_id ?? '');
	const client = httpClient(server, { key: api_key, user: 'carol' });
	const path = `/rooms/${send?.room_id}/messages?after_seq=${(send?.ack?.seq ?? 1) - 1}&limit=1`;
	const { messages } = bodyOf(await client.get<MessagesPage>(path), 200);
	const query = `cursor=${send?.ack?.cursor}`;
	const socket = await openSocket(server, { key: api_key, user: 'carol', query });

	expect(messages[0]?.message_id).toBe(send?.ack?.message_id ?? '?');
	expect(await socket.next('resync')).toMatchObject({ reason: 'unknown' });
	await socket.close();
	expect(await server.stop()).toBe(0);
}

async function keyOf(url: string, master: string, tenant_id: string) {
	const path = `/admin/tenants/${tenant_id}/api-keys`;
	const body = { name: 'after the restore', permissions: ['full_access'] };
	const answer = await httpClient({ url }, { master }).post<{ api_key: string }>(path, body);
	return bodyOf(answer, 201);
}
