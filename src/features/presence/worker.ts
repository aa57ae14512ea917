/**
 * Looks some times a second who stayed away, tells what changed, and writes when users were seen.
 *
 * Called by: the server's start and stop. Concurrency: one change is told at a time and one flush is under
 * way; both work in slices and rest after each, so that connects and sends go before them. Lifecycle:
 * `start` and `stop` once; `stop` ends the telling at once, for a drain must not be told of as if
 * everybody left, and `end` writes the rest when the sockets are gone.
 *
 * Must never: end the process.
 */
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { LastSeen } from './service/last-seen.ts';
import type { Presence } from './service.ts';

export interface PresenceWorkerDeps {
	presence: Pick<Presence, 'sweep' | 'tellNext'>;
	lastSeen: Pick<LastSeen, 'flush' | 'end'>;
	clock: Pick<Clock, 'monotonic'>;
	log: Log;
}

/** How late a change is told where nothing is to do: what comes and goes within it is told of to nobody. */
const LOOK_MS = 250;
const FLUSH_MS = 2000;
/** The longest that a slice holds up the others, but for its last step. */
const SLICE_MS = 1;
/** A rest is so many times as long as its slice took. */
const REST_FACTOR = 3;

export function createPresenceWorker({ presence, lastSeen, clock, log }: PresenceWorkerDeps) {
	let isStopped = false;
	let look: ReturnType<typeof setInterval> | undefined;
	let write: ReturnType<typeof setInterval> | undefined;

	/** Makes the `pace` of one walk. */
	function createPace(): () => Promise<void> {
		let startedAt = clock.monotonic();
		return async function pace() {
			const tookMs = clock.monotonic() - startedAt;
			if (tookMs < SLICE_MS) return;
			await new Promise((resolve) => setTimeout(resolve, tookMs * REST_FACTOR));
			startedAt = clock.monotonic();
		};
	}

	/** Runs `work` unless it is still at it, and logs what it throws, if that is a defect. */
	function once(work: () => Promise<void>): () => void {
		let isRunning = false;
		return function run() {
			if (isRunning) return;
			isRunning = true;
			void work()
				.catch((error) => {
					// The writer is full, or the disk is: the next time will do.
					if (!(error instanceof AppError)) log.error({ err: error }, 'Presence failed');
				})
				.finally(() => {
					isRunning = false;
				});
		};
	}

	async function tell(): Promise<void> {
		const pace = createPace();
		for (let hasMore = true; hasMore && !isStopped; ) {
			presence.sweep();
			hasMore = await presence.tellNext(pace);
		}
	}

	return {
		start(): void {
			look = setInterval(once(tell), LOOK_MS);
			write = setInterval(
				once(() => lastSeen.flush(createPace())),
				FLUSH_MS,
			);
		},
		stop(): void {
			isStopped = true;
			clearInterval(look);
			clearInterval(write);
		},
		/** Writes what is left. */
		end: (): Promise<void> =>
			lastSeen.end().catch((error) => {
				log.warn({ err: error }, 'Not all was written of when users were last seen');
			}),
	};
}
