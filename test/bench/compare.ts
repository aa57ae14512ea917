import type { Job } from './client/load.ts';
import type { Round } from './client/main.ts';
import { type Driver, openDriver } from './driver.ts';
import type { Scenario, Size } from './scenarios.ts';
import { HISTORY_PAGE_MAX, type Server } from './servers.ts';

/** Median and range over the rounds. */
export interface Spread {
	readonly median: number;
	readonly min: number;
	readonly max: number;
}

/** One server's side of a scenario. */
export interface Side {
	readonly figure: Spread;
	/** CPU time of the server process per operation; steadier than a rate on a shared machine. */
	readonly cpu_us: Spread;
	readonly p99_ms: Spread | null;
	/** Medians, in cores. */
	readonly server_cpu: number;
	readonly driver_cpu: number;
	/** The share of the load client's CPU time that the system took. */
	readonly driver_system: number;
	readonly others_cpu: number;
	/** Who was busy all the time; `waiting` is for the disk, or for each other. */
	readonly limit: 'server' | 'driver' | 'both' | 'waiting' | 'pace';
	readonly rounds: readonly Round[];
}

export interface Result {
	readonly name: string;
	readonly title: string;
	readonly unit: string;
	readonly is_lower_better: boolean;
	/** chatapi over reference, paired round by round; null for a void figure. */
	readonly ratio: Spread | null;
	readonly cpu_ratio: Spread | null;
	readonly chatapi: Side | null;
	readonly reference: Side | null;
	/** Why nothing here may be believed: a correctness check failed. */
	readonly wrong: readonly string[];
	/**
	 * For which servers the load client was the limit, though everything was correct: then the rates
	 * are no figure. The CPU ratio is, for it counts what the server spent, however often it was asked.
	 */
	readonly void: readonly string[];
}

export interface Timing {
	readonly rounds: number;
	readonly warmup_ms: number;
	readonly measure_ms: number;
}

/** A main thread that was busy for this share of the time had no more to give. */
const SATURATED = 0.9;

export function spreadOf(values: readonly number[]): Spread {
	const sorted = values.toSorted((a, b) => a - b);
	const middle = sorted.length >> 1;
	const upper = sorted[middle] ?? Number.NaN;
	const lower = sorted.length % 2 === 0 ? (sorted[middle - 1] ?? Number.NaN) : upper;
	return {
		median: (lower + upper) / 2,
		min: sorted[0] ?? Number.NaN,
		max: sorted.at(-1) ?? Number.NaN,
	};
}

const ratioOf = (over: readonly number[], under: readonly number[]): Spread =>
	spreadOf(over.map((value, index) => value / (under[index] ?? Number.NaN)));

interface Contender {
	readonly server: Server;
	readonly job: Job;
	readonly driver: Driver;
	readonly rounds: Round[];
	readonly wrong: string[];
}

/** Runs a scenario against both servers in turn, and changes who goes first from round to round. */
export async function compare(
	scenario: Scenario,
	servers: { chatapi: Server; reference: Server },
	timing: Timing & { size: Size },
	progress: (line: string) => void,
): Promise<Result> {
	const contenders: Contender[] = [];
	try {
		for (const server of [servers.chatapi, servers.reference]) {
			progress(`${scenario.name}: preparing ${server.name}`);
			const job = await scenario.prepare(server, timing.size);
			const driver = await openDriver(job);
			contenders.push({ server, job, driver, rounds: [], wrong: [] });
		}
		for (let round = 0; round < timing.rounds; round++) {
			for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
				const measured = await contender.driver.run(timing.warmup_ms, timing.measure_ms);
				contender.rounds.push(measured);
				const figure = shown(scenario.figureOf(measured));
				progress(
					`${scenario.name}: round ${round + 1}/${timing.rounds} ${contender.server.name} ${figure} ${scenario.unit}`,
				);
			}
		}
		for (const contender of contenders) await judge(contender);
		return resultOf(scenario, contenders);
	} catch (error) {
		const wrong = [error instanceof Error ? error.message : String(error)];
		return { ...resultOf(scenario, []), wrong };
	} finally {
		for (const { driver } of contenders) await driver.close().catch(() => {});
	}
}

/** Collects what the load client found wrong, and asks the server whether it stored what it answered. */
async function judge({ server, job, rounds, wrong }: Contender): Promise<void> {
	const last = rounds.at(-1);
	wrong.push(...(last?.problems ?? []).map((problem) => `${server.name}: ${problem}`));
	for (const [room_id, answered] of Object.entries(last?.answered ?? {})) {
		const misplaced = await firstMisplaced(server, answered, {
			room_id,
			member: memberOf(job, room_id),
		});
		if (misplaced === undefined) continue;
		wrong.push(`${server.name}: ${answered} sends answered, history wrong at seq ${misplaced}`);
		break;
	}
	if (rounds.some((round) => round.done === 0))
		wrong.push(`${server.name}: a round without result`);
}

const PAGES_AT_ONCE = 4;

/** Where a room's history is anything but 1..answered, read page by page; undefined when it is that. */
async function firstMisplaced(
	server: Server,
	answered: number,
	of: { room_id: string; member: string },
): Promise<number | undefined> {
	// One message more than were answered is asked for: nothing may stand there.
	for (let start = 0; start <= answered; start += PAGES_AT_ONCE * HISTORY_PAGE_MAX) {
		const pages = Array.from({ length: PAGES_AT_ONCE }, (_, page) =>
			server.seqsAfter(start + page * HISTORY_PAGE_MAX, of),
		);
		const seqs = (await Promise.all(pages)).flat();
		const expected = Math.min(answered - start, PAGES_AT_ONCE * HISTORY_PAGE_MAX);
		const wrong = seqs.findIndex((seq, index) => seq !== start + index + 1 || index >= expected);
		if (wrong !== -1) return start + wrong + 1;
		if (seqs.length < expected) return start + seqs.length + 1;
	}
	return undefined;
}

const memberAmong = (
	seats: readonly { room_id: string; user_id: string }[],
	roomId: string,
): string => seats.find(({ room_id }) => room_id === roomId)?.user_id ?? '';

function memberOf(job: Job, roomId: string): string {
	switch (job.kind) {
		case 'rest_send':
		case 'history':
			return job.users[0] ?? '';
		case 'socket_send':
			return memberAmong(job.senders, roomId);
		case 'fan_out':
			return memberAmong(job.receivers, roomId);
		case 'requests':
			return memberAmong(job.seats, roomId);
		default:
			// No sends, no rooms to look at.
			return '';
	}
}

function resultOf(scenario: Scenario, contenders: readonly Contender[]): Result {
	const [chatapi, reference] = contenders;
	const base = {
		name: scenario.name,
		title: scenario.title,
		unit: scenario.unit,
		is_lower_better: scenario.isLowerBetter,
	};
	if (chatapi === undefined || reference === undefined) {
		const nothing = { ratio: null, cpu_ratio: null, chatapi: null, reference: null };
		return { ...base, ...nothing, wrong: [], void: [] };
	}
	const figures = (contender: Contender) => contender.rounds.map(scenario.figureOf);
	const sides = { chatapi: sideOf(scenario, chatapi), reference: sideOf(scenario, reference) };
	return {
		...base,
		ratio: ratioOf(figures(chatapi), figures(reference)),
		cpu_ratio: ratioOf(chatapi.rounds.map(cpuUsOf), reference.rounds.map(cpuUsOf)),
		...sides,
		wrong: contenders.flatMap(({ wrong }) => wrong),
		void: contenders.flatMap(({ server }, index) =>
			[sides.chatapi, sides.reference][index]?.limit === 'driver' ? [server.name] : [],
		),
	};
}

const cpuUsOf = (round: Round): number => (round.server_cpu * round.seconds * 1e6) / round.done;

function sideOf(scenario: Scenario, { rounds }: Contender): Side {
	const median = (pick: (round: Round) => number) => spreadOf(rounds.map(pick)).median;
	const p99s = rounds.map(({ p99_ms }) => p99_ms).filter((p99) => p99 !== null);
	return {
		figure: spreadOf(rounds.map(scenario.figureOf)),
		cpu_us: spreadOf(rounds.map(cpuUsOf)),
		p99_ms: p99s.length === 0 ? null : spreadOf(p99s),
		server_cpu: median((round) => round.server_cpu),
		driver_cpu: median((round) => round.driver_cpu),
		driver_system: median((round) => round.driver_system),
		others_cpu: median((round) =>
			Math.max(0, round.machine_cpu - round.server_cpu - round.driver_cpu),
		),
		limit: limitOf(
			scenario,
			median((round) => round.server_main),
			median((round) => round.driver_busy),
		),
		rounds,
	};
}

function limitOf(scenario: Scenario, serverMain: number, driverBusy: number): Side['limit'] {
	if (driverBusy >= SATURATED) return serverMain >= SATURATED ? 'both' : 'driver';
	if (serverMain >= SATURATED) return 'server';
	return scenario.isPaced ? 'pace' : 'waiting';
}

/** A figure with as many digits as it deserves. */
export function shown(value: number): string {
	if (Number.isNaN(value)) return '–';
	if (value >= 100) return Math.round(value).toLocaleString('en-US');
	return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
