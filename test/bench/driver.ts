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

export async function openDriver(job: Job): Promise<Driver> {
	let next = Promise.withResolvers<Answer>();
	const child = Bun.spawn([process.execPath, join(import.meta.dir, 'client', 'main.ts')], {
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
