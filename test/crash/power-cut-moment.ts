/**
 * The moment of a power cut in a history. A machine without power answers nothing, but a server whose
 * file system was shut down goes on for a while and may be told a falsehood: an fsync that is under way
 * when ext4 is shut down may return success though its data is lost (Linux 6.18: a bare loop of write
 * and fsync saw it in 22 of 300 cuts, and never for an fsync that had returned before). So what counts
 * is what clients had been told before the cut.
 */
import type { History } from './history.ts';

export interface Moment {
	/**
	 * Makes unknown what clients were told since. A send that was begun since and was answered all
	 * the same is a violation: nothing of it can have been written.
	 */
	rewind(): void;
}

/** Marks the moment before the power is cut. */
export function markMoment(history: History): Moment {
	const sends = history.sends.length;
	const unknown = history.sends.filter(({ ack }) => ack === undefined);
	const seen = new Set(history.seen.keys());
	const memberships = new Map(history.memberships);
	const rooms = new Set(history.rooms.keys());
	const reads = new Map(history.reads);
	const violations = history.violations.length;
	return {
		rewind() {
			const later = history.violations.splice(violations);
			history.violations.push(...later.filter((complaint) => !REFUSAL.test(complaint)));
			for (const send of unknown) delete send.ack;
			for (const send of history.sends.slice(sends)) {
				if (send.ack === undefined) continue;
				history.violations.push(`answered without a disk: ${JSON.stringify(send)}`);
			}
			for (const id of history.seen.keys()) if (!seen.has(id)) history.seen.delete(id);
			for (const id of history.rooms.keys()) if (!rooms.has(id)) history.rooms.delete(id);
			for (const [key, membership] of history.memberships) {
				if (memberships.get(key) === membership) continue;
				history.memberships.set(key, { ...membership, fate: 'unknown' });
			}
			history.reads = reads;
		},
	};
}

/** What a server may say once its disk is gone, and not a moment before. */
const REFUSAL = /^a (?:send|change) was answered 5\d\d|^a frame was answered .*"type":"error"/;
