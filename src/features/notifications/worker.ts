import { AppError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Attempts } from './service/attempts.ts';

const FLUSH_MS = 1000;

/** Writes, second by second, how often notifications were sent. One write at a time. */
export function createAttemptsWriter({ flush }: Pick<Attempts, 'flush'>, log: Log) {
	let timer: ReturnType<typeof setInterval> | undefined;
	let isFlushing = false;

	async function run(): Promise<void> {
		if (isFlushing) return;
		isFlushing = true;
		try {
			await flush();
		} catch (error) {
			// The writer is full or closed, the disk is full, or a tenant is gone: counts are no promise.
			const isExpected = error instanceof AppError;
			if (!isExpected) log.error({ err: error }, 'Counting attempts failed');
		} finally {
			isFlushing = false;
		}
	}

	return {
		start(): void {
			timer = setInterval(() => void run(), FLUSH_MS);
		},
		/** Writes what is left. */
		stop(): void {
			clearInterval(timer);
			void run();
		},
	};
}
