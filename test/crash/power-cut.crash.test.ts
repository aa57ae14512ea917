/**
 * Power cuts under load: what was answered is there, once, as it was answered, after the file
 * system's own recovery and ours. A server that does not wait for its disk must fail the same checks.
 *
 * Long: `CUTS=200 bun test --timeout 3600000 ./test/crash/power-cut.crash.test.ts`. `SEED=…` makes a
 * run the same again as far as timing lets it. Takes root and loop devices.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY, randomSecret } from '../helpers/server.ts';
import { createHistory, type History } from './history.ts';
import { violationsOf } from './invariants.ts';
import { type Ground, prepare, startLoad } from './load.ts';
import { createDisk, type Disk, whyNoDisk } from './power-cut-disk.ts';
import { type Moment, markMoment } from './power-cut-moment.ts';
import { createRandomness, type Randomness, seedOfRun } from './randomness.ts';
import { settle } from './settle.ts';
import { report, startVictim, type Victim, type VictimOptions } from './victim.ts';

const CUTS = Number(process.env.CUTS ?? 8);
const CONTROL_CUTS_MAX = 8;
/** A new disk now and then: the checks read all that is on it after every cut. */
const CUTS_PER_DISK = 10;
const CUT_AFTER_MS = { from: 50, to: 600 } as const;
/** For how long a server may go on without its disk. */
const AFTERLIFE_MS_MAX = 50;
const ANSWERS_PER_CUT_MIN = 20;

const whyNot = await whyNoDisk();
const why = whyNot === undefined ? '' : ` (skipped: ${whyNot})`;

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-cuts-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Run {
	random: Randomness;
	durability: 'full' | 'relaxed';
	cuts: number;
	answers: number;
	/** Sends that were begun and not answered. */
	unanswered: number;
	/** What the checks found first. */
	violations: string[];
	slowestStartMs: number;
}

/** One disk, what clients were told of it, and how to start a server on it. */
interface Life {
	disk: Disk;
	history: History;
	grounds: Ground[];
	victim: VictimOptions & { masterKey: string };
}

/** Cuts the power so many times, on one disk after the other, until the checks find something. */
async function cutRepeatedly(
	durability: Run['durability'],
	cutsMax: number,
	seed: number,
): Promise<Run> {
	const run: Run = {
		random: createRandomness(seed),
		durability,
		cuts: 0,
		answers: 0,
		unanswered: 0,
		violations: [],
		slowestStartMs: 0,
	};
	while (run.cuts < cutsMax && run.violations.length === 0) {
		const disk = createDisk();
		try {
			await liveOn(disk, run, Math.min(cutsMax, run.cuts + CUTS_PER_DISK));
		} finally {
			await disk.remove();
		}
		if (run.cuts < cutsMax) report(`${run.cuts} cuts, ${run.answers} answered sends`);
	}
	return run;
}

async function liveOn(disk: Disk, run: Run, cutsMax: number): Promise<void> {
	const masterKey = randomSecret();
	const victim = {
		// It goes with this process, however that ends: what still runs would hold the disk.
		command: ['setpriv', '--pdeathsig', 'KILL', BINARY],
		cwd: folder,
		dataDir: join(disk.path, 'data'),
		masterKey,
		env: { DURABILITY: run.durability },
	} as const;
	const life: Life = { disk, history: createHistory(), grounds: [], victim };
	const first = await startVictim(victim);
	for (let count = 0; count < 2; count++) {
		life.grounds.push(await prepare(first.url, masterKey, life.history));
	}
	expect(await first.stop()).toBe(0);

	while (run.cuts < cutsMax && run.violations.length === 0) {
		const server = await startVictim(victim);
		run.slowestStartMs = Math.max(run.slowestStartMs, server.startMs);
		await cutUnderLoad(server, life, run);
		await disk.remount();
		run.cuts++;
		run.violations = violationsAfterCut(life);
	}
	run.unanswered += life.history.cut;
	if (run.violations.length > 0) return;
	const last = await startVictim(victim);
	await settle(last.url, life.grounds, life.history);
	expect(await last.stop()).toBe(0);
	const path = join(victim.dataDir, 'chatapi.db');
	run.violations = violationsOf(path, life.history, { isSettled: true });
}

/** Lets clients send, cuts the power in the midst of it, and waits until server and clients are gone. */
async function cutUnderLoad(server: Victim, life: Life, run: Run): Promise<void> {
	const { random } = run;
	const { history } = life;
	const afterMs = random.between(CUT_AFTER_MS.from, CUT_AFTER_MS.to);
	const afterlifeMs = random.chance(0.5) ? 0 : random.between(1, AFTERLIFE_MS_MAX);
	let moment: Moment | undefined;
	const cut = async () => {
		// A moment of the load, not something to wait for.
		await Bun.sleep(afterMs);
		moment = markMoment(history);
		life.disk.cut();
		// A server that goes on without its disk must not answer what it is sent from here on.
		if (afterlifeMs > 0) await Bun.sleep(afterlifeMs);
		await server.kill();
	};
	let done: Promise<void> | undefined;
	const load = startLoad({
		url: server.url,
		grounds: life.grounds,
		history,
		random,
		onAnswer: () => {
			run.answers++;
			done ??= cut();
		},
	});
	await load.ended;
	if (done === undefined) throw new Error('The server ended before its first answer');
	await done;
	moment?.rewind();
}

/** Checks a copy of what the cut left: a look at the original would be a first recovery. */
function violationsAfterCut({ history, victim }: Life): string[] {
	const copies = mkdtempSync(join(folder, 'copy-'));
	try {
		for (const name of ['chatapi.db', 'chatapi.db-wal']) {
			const path = join(victim.dataDir, name);
			if (existsSync(path)) copyFileSync(path, join(copies, name));
		}
		return violationsOf(join(copies, 'chatapi.db'), history, { isSettled: false });
	} finally {
		rmSync(copies, { recursive: true });
	}
}

test.skipIf(whyNot !== undefined)(
	`power cuts under load lose nothing that was answered${why}`,
	async () => {
		const seed = seedOfRun();
		report(`CUTS=${CUTS} SEED=${seed}`);
		const startedAt = performance.now();

		const run = await cutRepeatedly('full', CUTS, seed);

		const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
		report(
			`${run.cuts} power cuts, ${run.answers} answered sends, ${run.unanswered} cut off, ` +
				`${run.violations.length} violations, ` +
				`slowest start ${run.slowestStartMs.toFixed(0)} ms, ${seconds} s`,
		);
		expect(run.violations).toEqual([]);
		expect(run.cuts).toBe(CUTS);
		expect(run.answers).toBeGreaterThan(CUTS * ANSWERS_PER_CUT_MIN);
		// Cuts that never cut an answer off would show nothing.
		expect(run.unanswered).toBeGreaterThan(CUTS);
	},
	Math.max(110_000, CUTS * 8_000),
);

test.skipIf(whyNot !== undefined)(
	`power cuts under load make a server that does not wait for its disk lose what it answered${why}`,
	async () => {
		const run = await cutRepeatedly('relaxed', CONTROL_CUTS_MAX, seedOfRun());

		const lost = run.violations.filter((one) => one.startsWith('lost after it was answered'));
		report(`DURABILITY=relaxed lost ${lost.length} answered sends by cut ${run.cuts}`);
		expect(lost.length).toBeGreaterThan(0);
	},
	110_000,
);
