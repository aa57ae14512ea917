import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Seat } from '../client/load.ts';
import type { Round } from '../client/main.ts';
import { type Spread, shown, spreadOf } from '../compare.ts';
import { type Driver, openDriver } from '../driver.ts';
import { binary, type Server, type Target } from '../servers.ts';
import type { Curve, Question } from './curves.ts';
import { fill, messagesIn, messagesOf } from './stock.ts';

/** One question at one size. */
export interface Point {
	readonly size: number;
	readonly cpu_us: Spread;
	readonly rate: Spread;
	readonly p99_ms: Spread;
}

/** One question at all sizes. */
export interface Line {
	readonly question: string;
	readonly title: string;
	readonly is_proportional: boolean;
	readonly points: readonly Point[];
	/** Largest over smallest, paired round by round. */
	readonly cpu_slope: Spread;
	readonly rate_slope: Spread;
	readonly problems: readonly string[];
}

export interface Grown {
	readonly name: string;
	readonly title: string;
	readonly sizes: readonly number[];
	readonly file_mib: readonly number[];
	/** From the spawn to the first 200 on `/health`. */
	readonly start_ms: readonly Spread[];
	readonly lines: readonly Line[];
	readonly problems: readonly string[];
}

export interface GrowthTiming {
	readonly rounds: number;
	readonly warmup_ms: number;
	readonly measure_ms: number;
	readonly starts: number;
}

type Progress = (line: string) => void;

interface Grower {
	readonly size: number;
	readonly target: Target;
	readonly seats: readonly Seat[];
	readonly stored: number;
	readonly file_mib: number;
	readonly start_ms: Spread;
	server: Server;
	answered: number;
}

/** Makes the databases of a curve, asks every question at all of them in turn, and removes them. */
export async function grow(
	curve: Curve,
	sizes: readonly number[],
	{ executable, workDir, timing }: { executable: string; workDir: string; timing: GrowthTiming },
	progress: Progress,
): Promise<Grown> {
	const folder = join(workDir, curve.name);
	const growers: Grower[] = [];
	try {
		for (const size of sizes) {
			const begin = performance.now();
			growers.push(await growerOf(curve, size, { executable, folder, starts: timing.starts }));
			const seconds = ((performance.now() - begin) / 1_000).toFixed(1);
			progress(`${curve.name}: ${size.toLocaleString('en-US')} made in ${seconds} s`);
		}
		const lines: Line[] = [];
		for (const question of curve.questions) {
			lines.push(await lineOf(question, growers, timing, progress));
		}
		const problems: string[] = [];
		for (const grower of growers) problems.push(...(await endOf(grower)));
		return {
			name: curve.name,
			title: curve.title,
			sizes,
			file_mib: growers.map(({ file_mib }) => file_mib),
			start_ms: growers.map(({ start_ms }) => start_ms),
			lines,
			problems,
		};
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

async function growerOf(
	curve: Curve,
	size: number,
	{ executable, folder, starts }: { executable: string; folder: string; starts: number },
): Promise<Grower> {
	const own = join(folder, String(size));
	mkdirSync(own, { recursive: true });
	const target = binary(executable, own);
	// The first start makes the schema, by the server's own migrations.
	let server = await target.start();
	await server.stop();
	const stock = curve.stockOf(size);
	const seats = fill(target.database, stock);
	const file_mib = statSync(target.database).size / 2 ** 20;
	const took: number[] = [];
	server = await target.start();
	while (took.push(server.start_ms) < starts) {
		await server.stop();
		server = await target.start();
	}
	const stored = messagesOf(stock);
	return { size, target, seats, stored, file_mib, start_ms: spreadOf(took), server, answered: 0 };
}

async function lineOf(
	question: Question,
	growers: readonly Grower[],
	timing: GrowthTiming,
	progress: Progress,
): Promise<Line> {
	const drivers: Driver[] = [];
	const rounds: Round[][] = growers.map(() => []);
	try {
		for (const { server, seats } of growers) {
			drivers.push(await openDriver(question.jobOf(server.endpoint, seats)));
		}
		const order = [...growers.keys()];
		for (let round = 0; round < timing.rounds; round++) {
			for (const index of round % 2 === 0 ? order : order.toReversed()) {
				const driver = drivers[index];
				if (driver === undefined) continue;
				rounds[index]?.push(await driver.run(timing.warmup_ms, timing.measure_ms));
			}
		}
	} finally {
		for (const driver of drivers) await driver.close().catch(() => {});
	}
	for (const [index, grower] of growers.entries()) {
		grower.answered += rounds[index]?.at(-1)?.answered.all ?? 0;
	}
	const line = shapeOf(question, growers, rounds);
	const medians = line.points.map(({ cpu_us }) => shown(cpu_us.median));
	progress(`${question.title}: ${medians.join(' → ')} µs per op`);
	return line;
}

const cpuUsOf = (round: Round): number => (round.server_cpu * round.seconds * 1e6) / round.done;
const rateOf = (round: Round): number => round.done / round.seconds;

function shapeOf(
	{ name, title, isProportional }: Question,
	growers: readonly Grower[],
	rounds: readonly Round[][],
): Line {
	const slopeOf = (pick: (round: Round) => number): Spread => {
		const small = (rounds[0] ?? []).map(pick);
		const large = (rounds.at(-1) ?? []).map(pick);
		return spreadOf(large.map((value, round) => value / (small[round] ?? Number.NaN)));
	};
	return {
		question: name,
		title,
		is_proportional: isProportional === true,
		points: growers.map(({ size }, index) => {
			const own = rounds[index] ?? [];
			return {
				size,
				cpu_us: spreadOf(own.map(cpuUsOf)),
				rate: spreadOf(own.map(rateOf)),
				p99_ms: spreadOf(own.map(({ p99_ms }) => p99_ms ?? Number.NaN)),
			};
		}),
		cpu_slope: slopeOf(cpuUsOf),
		rate_slope: slopeOf(rateOf),
		problems: rounds.flatMap((own, index) =>
			(own.at(-1)?.problems ?? []).map((problem) => `${growers[index]?.size}: ${problem}`),
		),
	};
}

/** Stops the server and holds its file against what was answered. */
async function endOf({ size, server, target, stored, answered }: Grower): Promise<string[]> {
	await server.stop();
	const found = messagesIn(target.database);
	const expected = stored + answered;
	return found.counted === expected && found.stored === expected
		? []
		: [
				`${size}: ${expected} messages were stored and answered, ${JSON.stringify(found)} are there`,
			];
}
