import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createFairQueue } from '../db/fair-queue.ts';

/**
 * Undefined for what may be answered at once. A refusal for too many requests of one that is refused again
 * and again resolves a little later, and says then how long is left to wait.
 */
export type RefusalPace = (error: unknown, who: () => string) => Promise<unknown> | undefined;

const WINDOW_MS = 50;
/** Of one who is refused, in each window. Who heeds its `Retry-After` stays far below. */
const AT_ONCE_MAX = 10;
/** Answered in one turn of the event loop, when a window ends. */
const SLICE = 32;

/**
 * Holds refusals back that come in floods, up to the end of a window: a client that asks again as soon as it is
 * answered would keep the server busy with saying no, at some 25 µs each, and everybody else would wait for
 * it. There is one timer, and none while nobody is refused.
 */
export function createRefusalPace(clock: Pick<Clock, 'monotonic'>): RefusalPace {
	const queue = createFairQueue<string, () => void>();
	/** Refused in this window, by who. */
	const counts = new Map<string, number>();

	/** The end of a window: those who waited in it go, by turns. */
	function close(): void {
		counts.clear();
		letGo(queue.size);
	}

	function letGo(count: number): void {
		for (let gone = 0; gone < Math.min(count, SLICE); gone++) queue.shift()?.();
		if (count > SLICE) setImmediate(letGo, count - SLICE);
	}

	async function later(error: AppError, key: string): Promise<AppError> {
		const since = clock.monotonic();
		await new Promise<void>((resolve) => queue.push(key, resolve));
		const { retry_after_ms, ...details } = error.details;
		if (retry_after_ms === undefined) return error;
		const left = Math.max(1, retry_after_ms - (clock.monotonic() - since));
		return new AppError(error.errorCode, error.message, { ...details, retry_after_ms: left });
	}

	return function pacedRefusal(error, who) {
		if (!(error instanceof AppError) || error.errorCode !== 'RATE_LIMIT_EXCEEDED') return undefined;
		const key = who();
		const count = (counts.get(key) ?? 0) + 1;
		if (counts.size === 0) setTimeout(close, WINDOW_MS);
		counts.set(key, count);
		return count <= AT_ONCE_MAX ? undefined : later(error, key);
	};
}
