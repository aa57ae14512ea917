/**
 * Power cuts worked out: a server's writes and syncs are recorded, and its files rebuilt as a cut at
 * any record might have left them, with torn and reordered sectors that a real file system seldom
 * shows. Takes no root. A server that does not wait for its disk must fail the same checks.
 *
 * Long: `REPLAYS=2000 bun test --timeout 3600000 ./test/crash/power-cut-replay.crash.test.ts`.
 */
import { afterAll, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY, randomSecret } from '../helpers/server.ts';
import { createHistory } from './history.ts';
import { violationsOf } from './invariants.ts';
import { type Ground, prepare, startLoad } from './load.ts';
import { compileShim, createReplay, readTrace, type TraceRecord } from './power-cut-trace.ts';
import { createWitness, type Witness } from './power-cut-witness.ts';
import { createRandomness, type Randomness, seedOfRun } from './randomness.ts';
import { report, startVictim } from './victim.ts';

const REPLAYS = Number(process.env.REPLAYS ?? 60);
const REPLAYS_PER_RUN = 60;
/** Enough that the log is folded into the database in between. */
const ANSWERS = 2000;
const CONTROL_REPLAYS_MAX = 60;

const folder = mkdtempSync(join(realpathSync(tmpdir()), 'chatapi-replay-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const shim = compileShim(folder) ?? '';
const why = shim === '' ? ' (skipped: no C compiler for Linux)' : '';

interface Recording {
	records: TraceRecord[];
	database: Uint8Array;
	witness: Witness;
}

/** Runs a server under load and records what it writes. */
async function record(durability: 'full' | 'relaxed', random: Randomness): Promise<Recording> {
	const own = mkdtempSync(join(folder, 'run-'));
	const dataDir = join(own, 'data');
	const path = join(dataDir, 'chatapi.db');
	const trace = join(own, 'trace');
	const masterKey = randomSecret();
	const victim = { command: [BINARY], cwd: folder, dataDir, masterKey } as const;
	const history = createHistory();
	const first = await startVictim(victim);
	const grounds: Ground[] = [];
	for (let count = 0; count < 2; count++) {
		grounds.push(await prepare(first.url, masterKey, history));
	}
	expect(await first.stop()).toBe(0);
	expect(existsSync(`${path}-wal`)).toBe(false);
	const database = new Uint8Array(readFileSync(path));

	const env = { DURABILITY: durability, LD_PRELOAD: shim, TRACED_DATABASE: path, TRACE: trace };
	const server = await startVictim({ ...victim, env });
	const witness = createWitness(history, () => statSync(trace).size);
	let answers = 0;
	let tellEnough = () => {};
	const enough = new Promise<void>((resolve) => {
		tellEnough = resolve;
	});
	const onAnswer: Witness['onAnswer'] = (send) => {
		witness.onAnswer(send);
		if (++answers === ANSWERS) tellEnough();
	};
	const load = startLoad({ url: server.url, grounds, history, random, onAnswer });
	await Promise.race([enough, load.ended]);
	await load.finish();
	await server.kill();
	const records = readTrace(trace);
	// A trace that left anything out would show files that never were.
	const whole = createReplay(records, { database, log: new Uint8Array() });
	whole.advance(records.length);
	expect(readFileSync(path).equals(whole.current('database'))).toBe(true);
	expect(readFileSync(`${path}-wal`).equals(whole.current('log'))).toBe(true);
	return { records, database, witness };
}

interface Found {
	replays: number;
	/** Writes that no sync had covered, over all cuts. */
	unsynced: number;
	violations: string[];
}

/** Cuts a recording at so many places, in their order, until the checks find something. */
function cutAnywhere(
	{ records, database, witness }: Recording,
	count: number,
	random: Randomness,
): Found {
	const places = Array.from({ length: count }, () => random.between(1, records.length));
	const replay = createReplay(records, { database, log: new Uint8Array() });
	const found: Found = { replays: 0, unsynced: 0, violations: [] };
	for (const place of places.sort((a, b) => a - b)) {
		replay.advance(place);
		const left = mkdtempSync(join(folder, 'left-'));
		try {
			const { unsynced, how } = replay.leaveIn(left, random);
			const history = witness.historyAt(records[place - 1]?.end ?? 0);
			const violations = violationsOf(join(left, 'chatapi.db'), history, { isSettled: false });
			found.replays++;
			found.unsynced += unsynced;
			found.violations = violations.map((violation) => `${violation} (record ${place}, ${how})`);
		} finally {
			rmSync(left, { recursive: true });
		}
		if (found.violations.length > 0) break;
	}
	return found;
}

test.skipIf(shim === '')(
	`a cut at any write loses nothing that was answered, whatever the disk keeps${why}`,
	async () => {
		const seed = seedOfRun();
		report(`REPLAYS=${REPLAYS} SEED=${seed}`);
		const random = createRandomness(seed);
		for (let replays = 0; replays < REPLAYS; replays += REPLAYS_PER_RUN) {
			const recording = await record('full', random);
			const { records } = recording;
			const count = Math.min(REPLAYS_PER_RUN, REPLAYS - replays);

			const found = cutAnywhere(recording, count, random);

			const syncs = records.filter(({ kind }) => kind === 'sync').length;
			report(
				`${replays + found.replays} cuts of ${records.length} records with ${syncs} syncs, ` +
					`${found.unsynced} writes unsynced, ${found.violations.length} violations`,
			);
			expect(found.violations).toEqual([]);
			expect(found.replays).toBe(count);
			expect(found.unsynced).toBeGreaterThan(count);
			// Cuts within a checkpoint are among them.
			expect(records.some(({ kind, file }) => kind === 'write' && file === 'database')).toBe(true);
		}
	},
	Math.max(110_000, REPLAYS * 500),
);

test.skipIf(shim === '')(
	`a cut at any write makes a server that does not wait for its disk lose what it answered${why}`,
	async () => {
		const random = createRandomness(seedOfRun());
		const recording = await record('relaxed', random);

		const found = cutAnywhere(recording, CONTROL_REPLAYS_MAX, random);

		const lost = found.violations.filter((one) => one.startsWith('lost after it was answered'));
		report(`DURABILITY=relaxed lost ${lost.length} answered sends by cut ${found.replays}`);
		expect(lost.length).toBeGreaterThan(0);
	},
	60_000,
);
