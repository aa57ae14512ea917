import type { UserCaller } from '../../../core/caller.ts';
import { encodeCursor } from '../../../core/cursor.ts';
import { roomStream, userStream } from '../../../core/event.ts';
import type { RoomId, TenantNo } from '../../../core/ids.ts';
import { namedStream, TENANT_STREAM } from '../../../realtime/topics.ts';
import { type FollowedRow, listFollowed, type MembersTx } from '../../members/service.ts';
import type { NotificationsTx } from '../../notifications/service.ts';
import { listFollowedTopics, type SubscriptionsTx } from '../../subscriptions/service.ts';
import { type EventsTx, frameOf } from '../service.ts';
import type { Cursors, LogRow, Seqs } from '../store.ts';
import { readLog, readStreams, type StreamPart } from './replay.ts';

/** Messages of a room that are not replayed: to be read by pages instead. */
interface Gap {
	room_id: RoomId;
	/** Of the last message that is left out. */
	last_seq: number;
	/** Of the first one. */
	cursor: number;
}

/** What a user missed of a room in one stay. */
interface Stay {
	followed: FollowedRow;
	part: StreamPart;
	missed: Seqs | undefined;
}

/** What a replay reads. */
export type MissedTx = EventsTx & MembersTx & NotificationsTx & SubscriptionsTx;

export interface MissedOptions {
	/** Missed messages of a room beyond which there is a `room.gap`; 0: however many. */
	roomMax: number;
	/** The longest log that is walked; 0: none is. */
	logEventsMax?: number;
	/** Topics that are followed by name besides, as if for good. */
	topics?: Iterable<string>;
	/** Told of each notification to the user by name, not confirmed yet, as it is sent. */
	onNamed?(cursor: number): void;
}

/** So many that a user has not confirmed are told of; what is beyond is not counted. */
const NAMED_MAX = 1000;

/** Frames of a page. */
const PAGE_ROWS = 64;

/**
 * The log is walked where it holds at most so many events for each stay, foreign ones among them: one of
 * those costs half a microsecond, finding the places in a room that moved twenty.
 */
const LOG_EVENTS_PER_STAY = 32;
/** And never more at once: walking over it holds up everybody. */
const LOG_EVENTS_MAX = 8192;

/**
 * The frames that a user was not sent between two cursors, in the order of their cursors: of its own
 * stream and the tenant's, of every room from each joining to the leaving after it, and of every topic
 * while it was subscribed. Of a room with too many missed messages there is a `room.gap` in their
 * place, one a stay. They come in pages, each read when it is asked for.
 *
 * A gap stands where the first of its messages would: whoever breaks off behind it has been told of it.
 *
 * @throws EventsPruned where a page is asked for so late that some of it is kept no longer.
 */
export async function* missedBy(
	read: MissedTx,
	caller: UserCaller,
	{ epoch, after, through }: Cursors & { epoch: string },
	options: MissedOptions,
): AsyncGenerator<string[], void, void> {
	const cursors = { after, through };
	const { tenant, user_id } = caller;
	const { pages, gaps } = await readMissed(read, caller, cursors, options);
	const pending = await read.notifications.listPending({ tenant, user_id, ...cursors }, NAMED_MAX);
	const named = new Set(pending);
	let gap = gaps.shift();
	for await (const rows of pages) {
		const frames: string[] = [];
		for (const row of rows) {
			for (; gap !== undefined && gap.cursor < row.cursor; gap = gaps.shift()) {
				frames.push(gapFrame(epoch, gap));
			}
			const frame = frameOf(epoch, row);
			if (frame === undefined) continue;
			if (named.size > 0 && named.has(row.cursor)) options.onNamed?.(row.cursor);
			frames.push(frame);
		}
		if (frames.length > 0) yield frames;
	}
	if (gap !== undefined) yield [gap, ...gaps].map((one) => gapFrame(epoch, one));
}

const gapFrame = (epoch: string, { cursor, ...rest }: Gap): string =>
	JSON.stringify({ type: 'room.gap', cursor: encodeCursor(epoch, cursor), ...rest });

/** Whether a user was told of anything between two cursors, on a socket that follows these topics too. */
export async function wasTold(
	read: MissedTx,
	caller: UserCaller,
	cursors: Cursors & { epoch: string },
	topics: Iterable<string>,
): Promise<boolean> {
	const told = missedBy(read, caller, cursors, { roomMax: 0, topics });
	return (await told.next()).done !== true;
}

/** What there is for a user, from wherever it costs less. */
async function readMissed(
	read: MissedTx,
	caller: UserCaller,
	cursors: Cursors,
	{ roomMax, topics = [], logEventsMax = LOG_EVENTS_MAX }: MissedOptions,
): Promise<{ pages: AsyncIterable<LogRow[]>; gaps: Gap[] }> {
	const { tenant } = caller;
	const followed = await listFollowed(read, caller, cursors.after);
	const notified = await notifiedParts(read, caller, cursors, topics);
	const lengthMax = Math.min(logEventsMax, LOG_EVENTS_PER_STAY * (followed.length + 1));
	const isShort = cursors.through - cursors.after <= lengthMax;
	if (isShort && (await isWhole(read.events, tenant, followed, cursors, roomMax))) {
		const parts = [ownPart(caller, cursors), ...followed.map((one) => partOf(one, cursors))];
		const pages = readLog(read.events, tenant, [...parts, ...notified], cursors, PAGE_ROWS);
		return { pages, gaps: [] };
	}
	const { parts, gaps } = await partsOf(read, caller, followed, cursors, roomMax);
	return { pages: readStreams(read.events, tenant, [...parts, ...notified], PAGE_ROWS), gaps };
}

/** Whether the log holds all that is replayed: nothing of it is pruned, and no room has a gap instead. */
async function isWhole(
	events: EventsTx['events'],
	tenant: TenantNo,
	followed: readonly FollowedRow[],
	cursors: Cursors,
	roomMax: number,
): Promise<boolean> {
	const ends = await events.findEnds(tenant);
	if (ends === undefined || ends.pruned_through > cursors.after) return false;
	if (roomMax === 0 || cursors.through - cursors.after <= roomMax) return true;
	const streams = JSON.stringify(followed.map((one) => roomStream(one).key));
	return !(await events.hasMoreMessages(tenant, streams, cursors, roomMax));
}

/** Where a user's notifications are but in its rooms, whose events they are among. */
async function notifiedParts(
	read: SubscriptionsTx,
	caller: UserCaller,
	{ after, through }: Cursors,
	topics: Iterable<string>,
): Promise<StreamPart[]> {
	const followed = (await listFollowedTopics(read, caller, after)).map((one) => ({
		stream: namedStream(one.topic).key,
		after: Math.max(after, one.from_cursor - 1),
		through: one.until_cursor === null ? through : Math.min(through, one.until_cursor - 1),
	}));
	const always = [
		userStream(caller.user_id),
		TENANT_STREAM,
		...Array.from(topics, namedStream),
	].map(({ key }) => ({ stream: key, after, through }));
	return [...always, ...followed].map((part) => ({ ...part, isTarget: true as const }));
}

async function partsOf(
	read: EventsTx & MembersTx,
	caller: UserCaller,
	rooms: readonly FollowedRow[],
	cursors: Cursors,
	roomMax: number,
): Promise<{ parts: StreamPart[]; gaps: Gap[] }> {
	const { tenant } = caller;
	const stays: Stay[] = [];
	/** Messages missed by room, in all stays there. */
	const counts = new Map<RoomId, number>();
	for (const followed of rooms) {
		const stay = await stayOf(read, tenant, followed, cursors);
		stays.push(stay);
		const { room_id } = followed;
		counts.set(room_id, (counts.get(room_id) ?? 0) + countOf(stay));
	}
	const gaps: Gap[] = [];
	for (const { followed, part, missed } of stays) {
		if (missed === undefined) continue;
		const { room, room_id } = followed;
		const { first, last } = missed;
		if (roomMax === 0 || (counts.get(room_id) ?? 0) <= roomMax) {
			part.messages = { room, seq: first };
			continue;
		}
		const [row] = await read.events.readMessages(tenant, room, first, part.through, 1);
		if (row !== undefined) gaps.push({ room_id, last_seq: last, cursor: row.cursor });
	}
	gaps.sort((one, other) => one.cursor - other.cursor);
	return { parts: [ownPart(caller, cursors), ...stays.map(({ part }) => part)], gaps };
}

const ownPart = ({ user_id }: UserCaller, cursors: Cursors): StreamPart => ({
	stream: userStream(user_id).key,
	...cursors,
});

/** A stay in a room, as far as it is between two cursors. */
function partOf(followed: FollowedRow, { after, through }: Cursors): StreamPart {
	const { room_id, joined_cursor, left_cursor } = followed;
	return {
		...{ stream: roomStream(followed).key, room_id },
		// What made it a member is the first that it is told.
		after: Math.max(after, joined_cursor - 1),
		through: Math.min(through, left_cursor ?? through),
	};
}

const countOf = ({ missed }: Stay): number =>
	missed === undefined ? 0 : missed.last - missed.first + 1;

async function stayOf(
	read: EventsTx,
	tenant: TenantNo,
	followed: FollowedRow,
	cursors: Cursors,
): Promise<Stay> {
	const { room } = followed;
	const part = partOf(followed, cursors);
	const missed = await read.events.findSeqsAfter(tenant, room, part.after);
	if (missed === undefined) return { followed, part, missed };
	const beyond = await read.events.findSeqsAfter(tenant, room, part.through);
	const last = beyond === undefined ? missed.last : beyond.first - 1;
	const isEmpty = last < missed.first;
	return { followed, part, missed: isEmpty ? undefined : { first: missed.first, last } };
}
