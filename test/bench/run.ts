/**
 * The benchmark: the compiled binary against bare Bun of the same durability, in turn, in one run.
 *
 * Prints one table of ratios on stdout and progress on stderr, and writes one JSON file. Exit code 1
 * when a correctness check failed (or the run itself did), never for being slow.
 *
 * @see docs/performance.md
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { compare, type Result, type Timing } from './compare.ts';
import { crowdOf } from './crowd.ts';
import { fairnessOf } from './fairness.ts';
import { churnOf, footprintsOf } from './footprint.ts';
import { growth } from './growth.ts';
import { machineAt } from './machine.ts';
import { type Report, tableOf } from './report.ts';
import { resumeOf } from './resume.ts';
import { FAULT_NAMES, isFault, sabotaged } from './sabotage.ts';
import { SCENARIOS, type Size } from './scenarios.ts';
import type { Section } from './section.ts';
import { bareBun, binary, killServers, REFERENCE, type Target } from './servers.ts';

const ROOT = resolve(import.meta.dir, '..', '..');
const FOOTPRINT = 'footprint';
const CHURN = 'churn';
const CROWD = 'crowd';
const RESUME = 'resume';
const FAIRNESS = 'fairness';
const SECTIONS = [FOOTPRINT, CHURN, CROWD, RESUME, FAIRNESS];

const HELP = `bun run bench [options]

  --seconds N      seconds measured per round (default 2.5)
  --rounds N       rounds per scenario, each server in turn (default 3)
  --only NAME      only scenarios whose name contains NAME (repeatable)
  --quick          short rounds and a small history: about 6 minutes in all
  --json FILE      where the JSON goes (default bench-results/<time>.json)
  --binary FILE    the server to measure (default ./chatapi)
  --work FOLDER    where the databases lie, on a real disk (default bench-results/)
  --control        measure bare Bun against itself: shows the noise of this machine
  --sabotage FAULT measure a faulty copy of bare Bun (${FAULT_NAMES.join(', ')}):
                   the checks must find it and the exit code must be 1
  --growth ...     the growth benchmark instead, with its own options: --growth --help
  --help           this text

Scenarios: ${[...SCENARIOS.map(({ name }) => name), ...SECTIONS].join(' ')}
`;

const FULL = {
	seconds: 2.5,
	rounds: 3,
	warmup_ms: 500,
	stored_messages: 100_000,
	starts: 7,
	weighings: 2,
	churns: 12,
};
const QUICK = {
	seconds: 0.6,
	rounds: 2,
	warmup_ms: 250,
	stored_messages: 10_000,
	starts: 3,
	weighings: 1,
	churns: 2,
};
const IDLE_SOCKETS = 5_000;
const CHURN_SOCKETS = 5_000;
const CROWD_SOCKETS = 10_000;

const OPTIONS = {
	seconds: { type: 'string' },
	rounds: { type: 'string' },
	only: { type: 'string', multiple: true },
	quick: { type: 'boolean', default: false },
	json: { type: 'string' },
	binary: { type: 'string', default: join(ROOT, 'chatapi') },
	work: { type: 'string', default: join(ROOT, 'bench-results') },
	control: { type: 'boolean', default: false },
	sabotage: { type: 'string' },
	help: { type: 'boolean', default: false },
} as const;

function readOptions() {
	try {
		return parseArgs({ options: OPTIONS }).values;
	} catch (error) {
		console.error(`bench: ${error instanceof Error ? error.message : error}\n\n${HELP}`);
		process.exit(2);
	}
}

const args = process.argv.slice(2);
if (args.includes('--growth')) {
	const exitCode = await growth(args.filter((arg) => arg !== '--growth')).catch(
		(error: unknown) => {
			console.error(`growth: ${error instanceof Error ? error.message : error}`);
			return 1;
		},
	);
	process.exit(exitCode);
}

const options = readOptions();
const progress = (line: string): void => console.error(`bench: ${line}`);
const isWanted = (name: string): boolean =>
	options.only === undefined || options.only.some((part) => name.includes(part));

function positive(text: string | undefined, otherwise: number, name: string): number {
	const value = text === undefined ? otherwise : Number(text);
	if (!(value > 0 && value <= 600)) throw new Error(`--${name} wants a number from 0 to 600`);
	return value;
}

async function bench(workDir: string): Promise<Report> {
	const preset = options.quick ? QUICK : FULL;
	const timing: Timing & { size: Size } = {
		rounds: Math.ceil(positive(options.rounds, preset.rounds, 'rounds')),
		warmup_ms: preset.warmup_ms,
		measure_ms: positive(options.seconds, preset.seconds, 'seconds') * 1_000,
		size: { stored_messages: preset.stored_messages },
	};
	if (![...SCENARIOS.map(({ name }) => name), ...SECTIONS].some(isWanted)) {
		throw new Error('no scenario has a name like that; see --help');
	}
	const machine = machineAt(workDir);
	progress(
		`${machine.cores} cores, ${machine.file_system}, fdatasync ${machine.sync_ms.toFixed(2)} ms`,
	);
	const targets = { chatapi: measured(workDir), reference: bareBun('reference', workDir) };
	const results = SCENARIOS.some(({ name }) => isWanted(name))
		? await measure(targets, timing)
		: [];
	const { starts, weighings } = preset;
	const plan = { starts, weighings, sockets: IDLE_SOCKETS };
	const footprint = isWanted(FOOTPRINT) ? await footprintsOf(targets, plan, progress) : null;
	const churns = { times: preset.churns, sockets: CHURN_SOCKETS };
	const churn = isWanted(CHURN) ? await churnOf(targets, churns, progress) : null;
	const elsewhere = () => measured(join(workDir, 'elsewhere'));
	const sections = await sectionsOf({ ...targets, elsewhere }, timing);
	return { began_at, machine, results, footprint, churn, sections };
}

async function sectionsOf(
	targets: { chatapi: Target; reference: Target; elsewhere(): Target },
	{ rounds, measure_ms }: Timing,
): Promise<Section[]> {
	const sections: Section[] = [];
	const crowd = { sockets: CROWD_SOCKETS, rounds };
	if (isWanted(CROWD)) sections.push(await crowdOf(targets, crowd, progress));
	if (isWanted(RESUME)) sections.push(await resumeOf(targets.chatapi, rounds, progress));
	const blocks = { rounds, measure_ms };
	if (isWanted(FAIRNESS)) {
		const { chatapi } = targets;
		const both = { chatapi, elsewhere: targets.elsewhere() };
		sections.push(await fairnessOf(both, blocks, progress));
	}
	return sections;
}

function measured(workDir: string): Target {
	if (options.control) return bareBun('control', workDir);
	if (options.sabotage !== undefined) {
		if (!isFault(options.sabotage)) throw new Error(`--sabotage: ${FAULT_NAMES.join(' ')}`);
		return bareBun('faulty', workDir, sabotaged(REFERENCE, options.sabotage, workDir));
	}
	const executable = resolve(options.binary);
	if (!existsSync(executable)) throw new Error(`no binary at ${executable}: npm run build`);
	return binary(executable, workDir);
}

/** Both servers stay up for all scenarios: an idle one costs nothing, and both are equally warm. */
async function measure(
	targets: { chatapi: Target; reference: Target },
	timing: Timing & { size: Size },
): Promise<Result[]> {
	const servers = {
		chatapi: await targets.chatapi.start(),
		reference: await targets.reference.start(),
	};
	const results: Result[] = [];
	for (const scenario of SCENARIOS.filter(({ name }) => isWanted(name))) {
		const result = await compare(scenario, servers, timing, progress);
		for (const reason of result.wrong) progress(`${scenario.name}: WRONG: ${reason}`);
		results.push(result);
	}
	await servers.chatapi.stop();
	await servers.reference.stop();
	return results;
}

function write(report: Report): void {
	const file = options.json ?? join(ROOT, 'bench-results', `${began_at.replaceAll(':', '-')}.json`);
	mkdirSync(dirname(resolve(file)), { recursive: true });
	writeFileSync(file, `${JSON.stringify(report, null, '\t')}\n`);
	progress(`written to ${file}`);
}

if (options.help) {
	console.log(HELP);
	process.exit(0);
}

const began_at = new Date().toISOString();
const begun = performance.now();
mkdirSync(options.work, { recursive: true });
const workDir = mkdtempSync(join(resolve(options.work), 'work-'));
const cleanUp = (): void => {
	killServers();
	rmSync(workDir, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
	process.on(signal, () => {
		cleanUp();
		process.exit(1);
	});
}

try {
	const report = await bench(workDir);
	console.log(tableOf(report));
	write(report);
	progress(`${((performance.now() - begun) / 1_000).toFixed(0)} s in all`);
	process.exitCode = report.results.some(({ wrong }) => wrong.length > 0) ? 1 : 0;
} catch (error) {
	progress(error instanceof Error ? error.message : String(error));
	process.exitCode = 1;
} finally {
	cleanUp();
}
