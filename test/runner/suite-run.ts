/** Runs the test files of a suite, each in a `bun test` of its own, and counts what came of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.ts';
import { inLanes } from './lanes.ts';
import { readReport, type Tally, tally } from './report.ts';

/** The files of a suite in the order in which they begin. */
export interface Schedule {
	/** Several at once. */
	sideBySide: readonly string[];
	/** After them, one at a time. */
	alone: readonly string[];
}

export interface SuiteRun {
	schedule: Schedule;
	/** How many files run at once. */
	lanes: number;
	/** Of the whole suite. */
	deadlineMs: number;
	/** The folder that the paths of the files begin in. */
	root: string;
	/** An empty folder for what `bun test` reports. */
	reports: string;
	isCi: boolean;
	allowedSkips: readonly { name: string; why: string }[];
	print: (text: string) => void;
}

export interface SuiteResult extends Tally {
	/** The files that took longest, the longest first. */
	slowest: readonly { file: string; seconds: number }[];
}

/** Of one test. It ends what hangs; a slow machine must not meet it. */
const TEST_TIMEOUT_MS = 120_000;

const SLOWEST_COUNT = 5;

/** The files in their order: `first` where they are listed, the rest by name; `alone` apart. */
export function scheduleOf(
	files: readonly string[],
	{ first = [], alone }: { first?: readonly string[]; alone: readonly string[] | 'all' },
): Schedule {
	const rank = (file: string) => (first.includes(file) ? first.indexOf(file) : first.length);
	const ordered = [...files].sort().sort((left, right) => rank(left) - rank(right));
	const isAlone = (file: string) => alone === 'all' || alone.includes(file);
	return {
		sideBySide: ordered.filter((file) => !isAlone(file)),
		alone: ordered.filter(isAlone),
	};
}

/**
 * Runs them all, whatever fails. Prints the name of each file as it begins, and all that it wrote
 * when it ends and something in it failed. What the deadline left no time for has failed.
 */
export async function runSuite(suite: SuiteRun): Promise<SuiteResult> {
	const { schedule, lanes } = suite;
	const startedAt = performance.now();
	const leftMs = () => suite.deadlineMs - (performance.now() - startedAt);
	const runOne = (file: string) => runFile(suite, file, leftMs());
	const results = [
		...(await inLanes(schedule.sideBySide, lanes, runOne)),
		...(await inLanes(schedule.alone, 1, runOne)),
	];
	const slowest = results
		.map(({ file, seconds }) => ({ file, seconds }))
		.sort((left, right) => right.seconds - left.seconds)
		.slice(0, SLOWEST_COUNT);
	return {
		passed: results.reduce((sum, { passed }) => sum + passed, 0),
		failed: results.flatMap(({ failed }) => failed),
		skipped: results.flatMap(({ skipped }) => skipped),
		problems:
			results.length === 0
				? ['there is no test to run']
				: results.flatMap(({ problems }) => problems),
		slowest,
	};
}

async function runFile(
	{ root, reports, isCi, allowedSkips, print }: SuiteRun,
	file: string,
	deadlineMs: number,
): Promise<Tally & { file: string; seconds: number }> {
	const nothing = { passed: 0, failed: [], skipped: [], file, seconds: 0 };
	if (deadlineMs <= 0) return { ...nothing, problems: [`${file}: no time was left to run it`] };
	print(`   ${file}`);
	const startedAt = performance.now();
	const report = join(reports, `${file.replaceAll('/', '-')}.xml`);
	// Bun reads no timeout from bunfig.toml.
	const limits = ['--timeout', String(TEST_TIMEOUT_MS)];
	const reporter = ['--reporter=junit', `--reporter-outfile=${report}`];
	const { exitCode, isLate, output } = await run(
		[process.execPath, 'test', ...limits, ...reporter, `./${file}`],
		{ cwd: root, deadlineMs },
	);
	const seconds = (performance.now() - startedAt) / 1000;
	const outcomes = readReport(readIfThere(report));
	const counted = tally({ files: [file], exitCode, outcomes, isCi, allowedSkips });
	const problems = isLate
		? [`${file}: ended after ${Math.round(seconds)} s, for the time of its step was over`]
		: counted.problems;
	if (counted.failed.length + problems.length > 0) print(`\n${output.trimEnd()}\n`);
	return { ...counted, problems, file, seconds };
}

/** The report, which is missing when the runner was killed. */
function readIfThere(path: string): string {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return '';
	}
}
