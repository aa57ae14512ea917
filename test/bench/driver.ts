import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Job } from './client/load.ts';
import type { Answer, Command, Round } from './client/main.ts';
import { withDeadline } from './servers.ts';

const OPEN_TIMEOUT_MS = 60_000;
/** Beyond the round itself: the driver gives late answers 10 s. */
const ROUND_SLACK_MS = 20_000;

/** A load client in its own process, with one load. */
export interface Driver {
	run(warmupMs: number, measureMs: number): Promise<Round>;
	close(): Promise<void>;
}

/** The most processes that one load is spread over. */
const PROCESSES_MAX = 4;

/**
 * Opens a load: in one process, which is enough for every load but connecting. That one is spread
 * over the cores that the server leaves free, one at least: with more processes than cores they
 * would take from the server what they add.
 *
 * @param isNice - it gives way to whatever else wants to run.
 */
export async function openDriver(job: Job, { isNice = false } = {}): Promise<Driver> {
	const jobs = job.kind === 'connects' ? split(job, availableParallelism() - 1) : [job];
	const drivers = await Promise.all(jobs.map((part) => openProcess(part, isNice)));
	return {
		async run(warmupMs, measureMs) {
			const rounds = await Promise.all(drivers.map((driver) => driver.run(warmupMs, measureMs)));
			return joined(rounds);
		},
		async close() {
			await Promise.all(drivers.map((driver) => driver.close()));
		},
	};
}

function split(job: Extract<Job, { kind: 'connects' }>, cores: number): Job[] {
	const count = Math.max(1, Math.min(PROCESSES_MAX, cores, job.sockets.length));
	return Array.from({ length: count }, (_, part) => ({
		...job,
		sockets: job.sockets.filter((_seat, index) => index % count === part),
	}));
}

/** One round of several processes. They began and ended together, so the server's side is any one's. */
function joined(rounds: readonly Round[]): Round {
	const [first] = rounds;
	if (first === undefined) throw new Error('no load client');
	if (rounds.length === 1) return first;
	const sum = (pick: (round: Round) => number) =>
		rounds.reduce((total, round) => total + pick(round), 0);
	const slowest = (pick: (round: Round) => number | null) =>
		rounds.reduce<number | null>((worst, round) => {
			const own = pick(round);
			return own === null || (worst !== null && worst > own) ? worst : own;
		}, null);
	return {
		...first,
		done: sum(({ done }) => done),
		// Of the slowest process: percentiles cannot be added.
		p50_ms: slowest(({ p50_ms }) => p50_ms),
		p99_ms: slowest(({ p99_ms }) => p99_ms),
		driver_cpu: sum(({ driver_cpu }) => driver_cpu),
		driver_busy: sum(({ driver_busy }) => driver_busy) / rounds.length,
		driver_system: sum(({ driver_system }) => driver_system) / rounds.length,
		problems: rounds.flatMap(({ problems }) => problems),
		answered: Object.assign({}, ...rounds.map(({ answered }) => answered)),
	};
}

async function openProcess(job: Job, isNice: boolean): Promise<Driver> {
	let next = Promise.withResolvers<Answer>();
	const command = [process.execPath, join(import.meta.dir, 'client', 'main.ts')];
	const child = Bun.spawn(isNice ? ['nice', '-n', '19', ...command] : command, {
		stdio: ['ignore', 'inherit', 'inherit'],
		ipc: (answer: Answer) => next.resolve(answer),
		onExit: (_child, code) => next.reject(new Error(`the load client ended with ${code}`)),
	});
	next.promise.catch(() => {});

	const ask = async (command: Command, ms: number): Promise<Answer> => {
		next = Promise.withResolvers<Answer>();
		next.promise.catch(() => {});
		child.send(command);
		const answer = await withDeadline(next.promise, ms, 'the load client');
		if (answer.said === 'failed') throw new Error(answer.reason);
		return answer;
	};

	await ask({ do: 'open', job }, OPEN_TIMEOUT_MS);
	return {
		async run(warmup_ms, measure_ms) {
			const ms = warmup_ms + measure_ms + ROUND_SLACK_MS;
			const answer = await ask({ do: 'run', warmup_ms, measure_ms }, ms);
			if (answer.said !== 'round') throw new Error(`the load client said ${answer.said}`);
			return answer.round;
		},
		async close() {
			child.send({ do: 'close' } satisfies Command);
			await withDeadline(child.exited, ROUND_SLACK_MS, 'the end of the load client');
		},
	};
}
