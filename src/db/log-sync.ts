import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';

/** Makes what was committed durable. */
export interface LogSync {
	/**
	 * Calls `done` when everything that stands in SQLite's log by now is on disk, or with why nobody
	 * knows: perhaps at once, perhaps in a later turn of the event loop. One at a time.
	 */
	sync(done: (error?: unknown) => void): void;
	/** Whether the next sync ends before the call returns. */
	readonly isInline: boolean;
	close(): void;
}

/**
 * A sync that takes less than this is made on the spot: the way to another thread and back costs more. One
 * that takes longer would hold up every socket.
 */
const QUICK_MS = 0.5;
/** So many slow ones of so many are no hiccups any more. */
const SLOW_MAX = 4;
const WINDOW = 16;
/** How many are made on another thread before one is tried on the spot: more each time that was slow. */
const AWAY_MIN = 16;
const AWAY_MAX = 1024;

/**
 * Syncs the write-ahead log of the database at `path`, with `fdatasync` on a descriptor of its own.
 * SQLite holds its locks on the database file, so closing this one releases none.
 *
 * The log is there once the first connection has written or read, and stays until the last one closes.
 *
 * @see docs/adr/0007-syncs-off-the-main-thread.md
 */
export function createLogSync(path: string, clock: Pick<Clock, 'monotonic'>): LogSync {
	let descriptor: number | undefined;
	/** To be made on another thread. How long those take is not seen from here: the loop may be busy. */
	let away = 0;
	let nextAway = AWAY_MIN;
	/** On the spot, since the last decision. */
	let count = 0;
	let slow = 0;
	/** Nothing is known of the disk yet, or it was slow when last tried. */
	let isTrial = true;

	function judge(ms: number): void {
		count++;
		if (ms >= QUICK_MS) slow++;
		if (slow >= (isTrial ? 1 : SLOW_MAX)) {
			away = nextAway;
			nextAway = Math.min(nextAway * 2, AWAY_MAX);
			isTrial = true;
		} else {
			isTrial = false;
			if (count < WINDOW) return;
			nextAway = AWAY_MIN;
		}
		count = 0;
		slow = 0;
	}

	return {
		sync(done) {
			try {
				descriptor ??= openSync(`${path}-wal`, 'r');
				if (away > 0) {
					away--;
					fdatasync(descriptor, (error) => done(error ?? undefined));
					return;
				}
				const startedAt = clock.monotonic();
				fdatasyncSync(descriptor);
				judge(clock.monotonic() - startedAt);
			} catch (error) {
				done(error);
				return;
			}
			done();
		},
		get isInline() {
			return away === 0;
		},
		close() {
			if (descriptor !== undefined) closeSync(descriptor);
			descriptor = undefined;
		},
	};
}

/** Leaves it to the system when the disk has what was committed. */
export const relaxedSync: LogSync = { sync: (done) => done(), isInline: true, close() {} };
