import type { TenantNo } from '../core/ids.ts';
import { createFairQueue } from './fair-queue.ts';

/** Lets requests that read in by tenants' turns, half a millisecond of them in each turn of the event loop. */
export interface ReadTurns {
	/** Undefined when a request may read at once; else resolves when it may. */
	enter(tenant: TenantNo): Promise<void> | undefined;
}

/**
 * Reads run on the thread that does everything else. Longer, and what came meanwhile of other tenants
 * would feel it: a hundred large messages take a millisecond to read and write out. Shorter, and the looks at the
 * sockets in between would cost more than a few in a hundred.
 */
const TURN_MS = 0.5;

/**
 * Concurrency: who must wait is let in behind one request of each other tenant that waits, and the
 * event loop looks at its sockets in between.
 */
export function createReadTurns(monotonic: () => number): ReadTurns {
	const queue = createFairQueue<TenantNo, () => void>();
	/** Of the first read of this turn; undefined while nobody reads. */
	let startedAt: number | undefined;

	const hasTime = (since: number) => monotonic() - since < TURN_MS;

	async function letIn(): Promise<void> {
		const begin = monotonic();
		startedAt = begin;
		while (queue.size > 0 && hasTime(begin)) {
			queue.shift()?.();
			// It reads in the microtasks before this one.
			await undefined;
		}
		if (queue.size > 0) setImmediate(letIn);
		else startedAt = undefined;
	}

	return {
		enter(tenant) {
			if (startedAt === undefined) {
				startedAt = monotonic();
				setImmediate(letIn);
				return undefined;
			}
			if (queue.size === 0 && hasTime(startedAt)) return undefined;
			return new Promise((resolve) => queue.push(tenant, resolve));
		},
	};
}
