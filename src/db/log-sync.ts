import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';

/** Makes what was committed durable. */
export interface LogSync {
	/**
	 * Calls `done` when everything that stands in SQLite's log by now is on disk, or with why nobody
	 * knows: perhaps at once, perhaps in a later turn of the event loop. One at a time.
	 */
	sync(done: (error?: unknown) => void): void;
	close(): void;
}

/**
 * A sync that takes less than this is made on the spot: another thread costs some 30 µs of CPU time a
 * sync. One that takes longer would hold up every socket.
 */
const INLINE_MS_MAX = 0.5;
/** So many syncs decide on where the next ones are made. */
const WINDOW = 16;
/** Fewer slow ones among them are hiccups. */
const SLOW_MAX = 4;

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
	// Nothing is known of this disk yet.
	let isInline = false;
	let count = 0;
	let slow = 0;
	/**
	 * Of a sync on another thread we learn when the event loop comes to it. So a slow one may have been
	 * quick there, and a single quick one says what the disk can do.
	 */
	function measure(startedAt: number): void {
		count++;
		if (clock.monotonic() - startedAt >= INLINE_MS_MAX) slow++;
		if (isInline ? slow < SLOW_MAX && count < WINDOW : count < WINDOW) return;
		isInline = slow < (isInline ? SLOW_MAX : WINDOW);
		count = 0;
		slow = 0;
	}
	return {
		sync(done) {
			const startedAt = clock.monotonic();
			try {
				descriptor ??= openSync(`${path}-wal`, 'r');
				if (!isInline) {
					fdatasync(descriptor, (error) => {
						measure(startedAt);
						done(error ?? undefined);
					});
					return;
				}
				fdatasyncSync(descriptor);
			} catch (error) {
				done(error);
				return;
			}
			measure(startedAt);
			done();
		},
		close() {
			if (descriptor !== undefined) closeSync(descriptor);
			descriptor = undefined;
		},
	};
}

/** Leaves it to the system when the disk has what was committed. */
export const relaxedSync: LogSync = { sync: (done) => done(), close() {} };
