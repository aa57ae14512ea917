/**
 * The growth benchmark: the same traffic on databases of growing size, which should cost the same.
 *
 * Prints one table on stdout and progress on stderr, and writes one JSON file and one picture per
 * curve. Exit code 1 when something was wrong, never for a curve that is not flat.
 *
 * @see docs/performance.md
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createHistory } from '../crash/history.ts';
import { violationsOf } from '../crash/invariants.ts';
import { shown } from './compare.ts';
import { CURVES, type Curve, sampleOf, sizesOf } from './growth/curves.ts';
import { type Grown, type GrowthTiming, grow, type Line } from './growth/measure.ts';
import { pictureOf } from './growth/picture.ts';
import { fill } from './growth/stock.ts';
import { machineAt } from './machine.ts';
import { binary, killServers } from './servers.ts';

const ROOT = resolve(import.meta.dir, '..', '..');

const HELP = `bun run bench --growth [options]

  --full           also the largest sizes: 10 million messages, 3 GB of disk
  --seconds N      seconds measured per round (default 0.8)
  --rounds N       rounds per question and size (default 5)
  --only NAME      only curves whose name contains NAME (repeatable)
  --json FILE      where the JSON goes (default bench-results/growth-<time>.json)
  --pictures DIR   where the pictures go (default beside the JSON)
  --binary FILE    the server to measure (default ./chatapi)
  --work FOLDER    where the databases lie, on a real disk (default bench-results/)
  --help           this text

Curves: ${CURVES.map(({ name }) => name).join(' ')}
`;

const OPTIONS = {
	full: { type: 'boolean', default: false },
	seconds: { type: 'string', default: '0.8' },
	rounds: { type: 'string', default: '5' },
	only: { type: 'string', multiple: true },
	json: { type: 'string' },
	pictures: { type: 'string' },
	binary: { type: 'string', default: join(ROOT, 'chatapi') },
	work: { type: 'string', default: join(ROOT, 'bench-results') },
	help: { type: 'boolean', default: false },
} as const;

const WARMUP_MS = 300;
const STARTS = 5;
/** Flat enough. */
const SLOPE_GOAL = 1.2;

const progress = (line: string): void => console.error(`growth: ${line}`);

function bounded(text: string, name: string): number {
	const value = Number(text);
	if (!(value > 0 && value <= 600)) throw new Error(`--${name} wants a number from 0 to 600`);
	return value;
}

/** Fills a small file as the large ones are filled and holds it against what the crash tests demand. */
async function requireSoundStock(curve: Curve, executable: string, workDir: string): Promise<void> {
	const folder = join(workDir, `${curve.name}-sample`);
	mkdirSync(folder, { recursive: true });
	const target = binary(executable, folder);
	await (await target.start()).stop();
	fill(target.database, sampleOf(curve));
	const found = violationsOf(target.database, createHistory(), { isSettled: false }).filter(
		// Nobody sent any of them: they were stored by `fill`.
		(violation) => !violation.startsWith('a message that nobody sent'),
	);
	rmSync(folder, { recursive: true });
	if (found.length > 0) throw new Error(`${curve.name}: made badly: ${found.join('; ')}`);
}

const HEADER = [
	'grows',
	'from → to',
	'asked',
	'CPU µs per op',
	'CPU ratio (range)',
	'rate ratio',
	'flat',
];

function rowOf({ title, sizes }: Grown, line: Line): string[] {
	const { median, min, max } = line.cpu_slope;
	const verdict = line.is_proportional ? 'in proportion' : median <= SLOPE_GOAL ? 'yes' : 'NO';
	return [
		title,
		sizes.map((size) => size.toLocaleString('en-US')).join(' → '),
		line.title,
		line.points.map(({ cpu_us }) => shown(cpu_us.median)).join(' → '),
		`${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`,
		line.rate_slope.median.toFixed(2),
		line.problems.length > 0 ? `VOID: ${line.problems.join('; ')}` : verdict,
	];
}

function startRowOf({ title, sizes, file_mib, start_ms }: Grown): string[] {
	const medians = start_ms.map(({ median }) => median);
	const [small = Number.NaN] = medians;
	return [
		title,
		sizes.map((size) => size.toLocaleString('en-US')).join(' → '),
		`start, file of ${file_mib.map(shown).join(' → ')} MiB`,
		`${medians.map(shown).join(' → ')} ms`,
		((medians.at(-1) ?? Number.NaN) / small).toFixed(2),
		'–',
		'–',
	];
}

function tableOf(curves: readonly Grown[]): string {
	const rows = [
		HEADER,
		HEADER.map(() => '---'),
		...curves.flatMap((grown) => [
			...grown.lines.map((line) => rowOf(grown, line)),
			startRowOf(grown),
		]),
	];
	return rows.map((row) => `| ${row.join(' | ')} |`).join('\n');
}

async function measure(options: ReturnType<typeof optionsOf>, workDir: string): Promise<Grown[]> {
	const executable = resolve(options.binary);
	if (!existsSync(executable)) throw new Error(`no binary at ${executable}: npm run build`);
	const timing: GrowthTiming = {
		rounds: Math.ceil(bounded(options.rounds, 'rounds')),
		warmup_ms: WARMUP_MS,
		measure_ms: bounded(options.seconds, 'seconds') * 1_000,
		starts: STARTS,
	};
	const wanted = CURVES.filter(
		({ name }) => options.only === undefined || options.only.some((part) => name.includes(part)),
	);
	if (wanted.length === 0) throw new Error('no curve has a name like that; see --help');
	const grown: Grown[] = [];
	for (const curve of wanted) {
		await requireSoundStock(curve, executable, workDir);
		const sizes = sizesOf(curve, options.full);
		const result = await grow(curve, sizes, { executable, workDir, timing }, progress);
		for (const problem of result.problems) progress(`${curve.name}: WRONG: ${problem}`);
		grown.push(result);
	}
	return grown;
}

const optionsOf = (args: readonly string[]) =>
	parseArgs({ options: OPTIONS, args: [...args] }).values;

/** Runs the benchmark and gives its exit code. */
export async function growth(args: readonly string[]): Promise<number> {
	const options = optionsOf(args);
	if (options.help) {
		console.log(HELP);
		return 0;
	}
	const began_at = new Date().toISOString();
	const begun = performance.now();
	mkdirSync(options.work, { recursive: true });
	const workDir = mkdtempSync(join(resolve(options.work), 'growth-'));
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
		const machine = machineAt(workDir);
		const curves = await measure(options, workDir);
		console.log(tableOf(curves));
		const name = `growth-${began_at.replaceAll(':', '-')}.json`;
		const file = resolve(options.json ?? join(ROOT, 'bench-results', name));
		const pictures = resolve(options.pictures ?? dirname(file));
		for (const folder of [dirname(file), pictures]) mkdirSync(folder, { recursive: true });
		writeFileSync(file, `${JSON.stringify({ began_at, machine, curves }, null, '\t')}\n`);
		for (const grown of curves.filter(({ lines }) => lines.length > 0)) {
			writeFileSync(join(pictures, `growth-${grown.name}.svg`), pictureOf(grown));
		}
		progress(`written to ${file}; ${((performance.now() - begun) / 1_000).toFixed(0)} s in all`);
		const isWrong = ({ problems, lines }: Grown) =>
			problems.length > 0 || lines.some((line) => line.problems.length > 0);
		return curves.some(isWrong) ? 1 : 0;
	} finally {
		cleanUp();
	}
}

if (import.meta.main) {
	process.exitCode = await growth(process.argv.slice(2)).catch((error: unknown) => {
		progress(error instanceof Error ? error.message : String(error));
		return 1;
	});
}
