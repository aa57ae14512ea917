/** What one reader of one room is told, over all of its sockets: seq after seq, cursors rising. */
import type { Frame, Message } from '../helpers/wire.ts';

export interface Stream {
	readonly lastSeq: number;
	/** To go on from. */
	readonly cursor: string;
	readonly violations: readonly string[];
	take(frame: Frame): void;
}

/** A reader that has all up to `seq`. */
export function createStream(user: string, seq: number): Stream {
	const violations: string[] = [];
	let lastSeq = seq;
	let cursor = '';
	return {
		get lastSeq() {
			return lastSeq;
		},
		get cursor() {
			return cursor;
		},
		violations,
		take(frame) {
			if (frame.type === 'room.gap' || frame.type === 'resync') {
				violations.push(`${user} was told ${frame.type}`);
			}
			if (frame.cursor !== undefined) {
				if (frame.cursor < cursor) violations.push(`${user}: the cursor falls at ${frame.cursor}`);
				cursor = frame.cursor;
			}
			if (frame.type !== 'message') return;
			const { seq } = frame as unknown as Message;
			if (seq !== lastSeq + 1) violations.push(`${user} has a gap: seq ${seq} after ${lastSeq}`);
			lastSeq = seq;
		},
	};
}
