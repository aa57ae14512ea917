import type { UserCaller } from '../../../core/caller.ts';
import { encodeCursor } from '../../../core/cursor.ts';
import { roomStream, userStream } from '../../../core/event.ts';
import type { RoomId } from '../../../core/ids.ts';
import { listFollowed, type MembersTx } from '../../members/service.ts';
import { type EventsTx, frameOf } from '../service.ts';
import type { Cursors } from '../store.ts';
import { readStreams, type StreamPart } from './replay.ts';

/** A room with more missed messages than are replayed: to be read by pages instead. */
interface Gap {
	room_id: RoomId;
	/** Of the last message that is left out. */
	last_seq: number;
	cursor: number;
}

/** Rows read at once. Frames leave one by one, as fast as they are taken. */
const PAGE_ROWS = 64;

/**
 * The frames that a user was not sent between two cursors, in the order of their cursors: of its own
 * stream, and of every room from its joining to its leaving. Of a room with more than `roomMax` missed
 * messages there is a `room.gap` in their place; 0: however many.
 */
export async function* missedBy(
	read: EventsTx & MembersTx,
	caller: UserCaller,
	{ epoch, after, through }: Cursors & { epoch: string },
	roomMax: number,
): AsyncGenerator<string, void, void> {
	const { parts, gaps } = await partsOf(read, caller, { after, through }, roomMax);
	let gap = gaps.shift();
	for await (const rows of readStreams(read.events, caller.tenant, parts, PAGE_ROWS)) {
		for (const row of rows) {
			for (; gap !== undefined && gap.cursor < row.cursor; gap = gaps.shift()) {
				yield gapFrame(epoch, gap);
			}
			const frame = frameOf(epoch, row);
			if (frame !== undefined) yield frame;
		}
	}
	for (; gap !== undefined; gap = gaps.shift()) yield gapFrame(epoch, gap);
}

const gapFrame = (epoch: string, { cursor, ...rest }: Gap): string =>
	JSON.stringify({ type: 'room.gap', cursor: encodeCursor(epoch, cursor), ...rest });

async function partsOf(
	read: EventsTx & MembersTx,
	caller: UserCaller,
	{ after, through }: Cursors,
	roomMax: number,
): Promise<{ parts: StreamPart[]; gaps: Gap[] }> {
	const { tenant, user_id } = caller;
	const parts: StreamPart[] = [{ stream: userStream(user_id).key, after, through }];
	const gaps: Gap[] = [];
	for (const followed of await listFollowed(read, caller, after)) {
		const { room, room_id, joined_cursor, left_cursor } = followed;
		const part: StreamPart = {
			stream: roomStream(followed).key,
			// What made it a member is the first that it is told.
			after: Math.max(after, joined_cursor - 1),
			through: Math.min(through, left_cursor ?? through),
		};
		parts.push(part);
		const missed = await read.events.findSeqsAfter(tenant, room, part.after);
		if (missed === undefined) continue;
		const beyond = await read.events.findSeqsAfter(tenant, room, part.through);
		const last = beyond === undefined ? missed.last : beyond.first - 1;
		const count = last - missed.first + 1;
		if (count <= 0) continue;
		if (roomMax === 0 || count <= roomMax) {
			part.messages = { room, seq: missed.first };
			continue;
		}
		const [row] = await read.events.readMessages(tenant, room, last, part.through, 1);
		if (row !== undefined) gaps.push({ room_id, last_seq: last, cursor: row.cursor });
	}
	gaps.sort((one, other) => one.cursor - other.cursor);
	return { parts, gaps };
}
