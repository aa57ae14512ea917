import type { Database } from 'bun:sqlite';
import type { MessageId, RoomId, RoomNo, TenantId, TenantNo, UserId } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';

/** A tenant's log: its epoch, its end, and what of its beginning is gone. */
export interface LogEnds {
	epoch: string;
	/** The number of the last event; 0 before the first. */
	last_cursor: number;
	/** Of the last event that was pruned; 0 before the first. */
	pruned_through: number;
}

/** An event as it is read back. The message it refers to is in the columns from `message_id` on. */
export interface LogRow {
	cursor: number;
	type: string;
	/** Its data as JSON; null for a reference. */
	payload: string | null;
	/** Null for what is no reference, and where the message is gone. */
	message_id: MessageId | null;
	room_id: RoomId;
	seq: number;
	sender_id: string;
	content: string;
	meta: string | null;
	client_msg_id: string | null;
	created_at: number;
}

/** One that was found in the log, with the stream it is of: that names the room. */
export type StreamRow = Omit<LogRow, 'room_id'> & { stream: string };

/** Cursors above `after`, up to and with `through`. */
export type Cursors = { after: number; through: number };

/** An event as pruning sees it. */
export interface OldRow {
	cursor: number;
	stream: string;
	type: string;
	created_at: number;
	/** Who was removed, for a member.removed. */
	user_id: UserId | null;
}

const OWN = 'm.message_id, m.seq, m.sender_id, m.content, m.meta, m.client_msg_id, m.created_at';
const MESSAGE = `r.room_id, ${OWN}`;
const NO_MESSAGE = `NULL AS message_id, '' AS room_id, 0 AS seq, '' AS sender_id, '' AS content,
	NULL AS meta, NULL AS client_msg_id, 0 AS created_at`;

/** The data of an event `e`: its own, or that of the notification it refers to. */
const PAYLOAD = `CASE e.type
	WHEN 'notification.created' THEN (SELECT n.data FROM notifications n
		WHERE n.tenant = e.tenant AND n.cursor = e.cursor)
	ELSE e.payload END AS payload`;

const SQL = {
	ends: 'SELECT epoch, last_cursor, pruned_through FROM tenant_heads WHERE tenant = $tenant',
	createdAt: 'SELECT created_at FROM events WHERE tenant = $tenant AND cursor = $cursor',
	// The stream of a room is r/ and its number: see roomStream.
	ofTenant: `SELECT e.cursor, e.type, ${PAYLOAD}, ${MESSAGE} FROM events e
		LEFT JOIN messages m ON m.tenant = e.tenant
			AND m.room = CAST(substr(e.stream, 3) AS INTEGER) AND m.seq = e.ref
		LEFT JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		WHERE e.tenant = $tenant AND e.cursor > $after AND e.cursor <= $through
		ORDER BY e.cursor LIMIT $limit`,
	ofStream: `SELECT e.cursor, e.type, ${PAYLOAD}, ${NO_MESSAGE}
		FROM events e INDEXED BY events_by_stream
		WHERE e.tenant = $tenant AND e.stream = $stream AND e.type <> 'message.created'
			AND e.cursor > $after AND e.cursor <= $through
		ORDER BY e.cursor LIMIT $limit`,
	ofStreams: `SELECT e.cursor, e.stream, e.type, ${PAYLOAD}, ${OWN} FROM events e
		LEFT JOIN messages m ON m.tenant = e.tenant
			AND m.room = CAST(substr(e.stream, 3) AS INTEGER) AND m.seq = e.ref
		WHERE e.tenant = $tenant AND e.cursor > $after AND e.cursor <= $through
			AND e.stream IN (SELECT value FROM json_each($streams))
		ORDER BY e.cursor LIMIT $limit`,
	manyOfOne: `SELECT 1 FROM events
		WHERE tenant = $tenant AND cursor > $after AND cursor <= $through
			AND type = 'message.created' AND stream IN (SELECT value FROM json_each($streams))
		GROUP BY stream HAVING count(*) > $max LIMIT 1`,
	ofTarget: `SELECT n.cursor, 'notification.created' AS type, n.data AS payload, ${NO_MESSAGE}
		FROM notification_targets t
		JOIN notifications n ON n.tenant = t.tenant AND n.cursor = t.cursor
		WHERE t.tenant = $tenant AND t.stream = $stream
			AND t.cursor > $after AND t.cursor <= $through
		ORDER BY t.cursor LIMIT $limit`,
	tail: `SELECT max(seq) AS last, min(seq) AS low, min(CASE WHEN cursor > ? THEN seq END) AS first
		FROM (SELECT seq, cursor FROM messages WHERE tenant = ? AND room = ? ORDER BY seq DESC LIMIT 16)`,
	cursorAt: 'SELECT cursor FROM messages WHERE tenant = ? AND room = ? AND seq = ?',
	ofRoom: `SELECT m.cursor, 'message.created' AS type, NULL AS payload, ${MESSAGE} FROM messages m
		JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		WHERE m.tenant = $tenant AND m.room = $room AND m.seq >= $seq AND m.cursor <= $through
		ORDER BY m.seq LIMIT $limit`,
	// No LIMIT on what is due: this is asked again and again, and looks at so many tenants each time.
	due: `SELECT t.tenant, t.tenant_id FROM tenants t
		JOIN tenant_heads h ON h.tenant = t.tenant
		JOIN events e ON e.tenant = h.tenant AND e.cursor = h.pruned_through + 1
		WHERE t.tenant > $after AND t.tenant <= $through AND e.created_at < $before`,
	lastTenant: 'SELECT max(tenant) AS tenant FROM tenants',
	old: `SELECT cursor, stream, type, created_at,
			CASE type WHEN 'member.removed' THEN payload ->> 'user_id' END AS user_id
		FROM events WHERE tenant = $tenant AND cursor > $after ORDER BY cursor LIMIT $limit`,
	prune: 'DELETE FROM events WHERE tenant = $tenant AND cursor <= $through',
	movePruned: 'UPDATE tenant_heads SET pruned_through = $through WHERE tenant = $tenant',
	ended: `DELETE FROM ended_memberships
		WHERE tenant = $tenant AND user_id = $user_id AND left_cursor = $cursor`,
	someMessages: `DELETE FROM messages WHERE tenant = $tenant AND room = $room AND seq < $limit +
		(SELECT min(seq) FROM messages WHERE tenant = $tenant AND room = $room)`,
	somePositions: `DELETE FROM positions WHERE tenant = $tenant AND room = $room AND user_id <=
		(SELECT max(user_id) FROM (SELECT user_id FROM positions
			WHERE tenant = $tenant AND room = $room ORDER BY user_id LIMIT $limit))`,
	someEnded: `DELETE FROM ended_memberships WHERE tenant = $tenant AND room = $room AND user_id <=
		(SELECT max(user_id) FROM (SELECT user_id FROM ended_memberships
			WHERE tenant = $tenant AND room = $room ORDER BY user_id LIMIT $limit))`,
	roomHead: 'DELETE FROM room_heads WHERE tenant = $tenant AND room = $room',
	room: 'DELETE FROM rooms WHERE tenant = $tenant AND room = $room AND deleted_at IS NOT NULL',
};

type OfTenant = { tenant: TenantNo };
type OfRoom = OfTenant & { room: RoomNo };

/**
 * All SQL that reads the event log back, and that takes what has become too old. With an event goes
 * what was kept for its sake, so the latter reaches into the tables of members, messages and rooms.
 */
export function createEventsStore(db: Database) {
	return { ...createReads(db), ...createRemovals(db) };
}

export type EventsStore = ReturnType<typeof createEventsStore>;

function createReads(db: Database) {
	const ends = prepare<LogEnds, OfTenant>(db, SQL.ends);
	const createdAt = prepare<{ created_at: number }, OfTenant & { cursor: number }>(
		db,
		SQL.createdAt,
	);
	const ofTenant = prepare<LogRow, OfTenant & Cursors & { limit: number }>(db, SQL.ofTenant);
	const ofStream = prepare<LogRow, OfTenant & Cursors & { stream: string; limit: number }>(
		db,
		SQL.ofStream,
	);
	const ofStreams = prepare<StreamRow, OfTenant & Cursors & { streams: string; limit: number }>(
		db,
		SQL.ofStreams,
	);
	const manyOfOne = prepare<{ 1: 1 }, OfTenant & Cursors & { streams: string; max: number }>(
		db,
		SQL.manyOfOne,
	);
	const ofTarget = prepare<LogRow, OfTenant & Cursors & { stream: string; limit: number }>(
		db,
		SQL.ofTarget,
	);
	const tail = prepare<
		{ last: number | null; low: number | null; first: number | null },
		[number, number, number]
	>(db, SQL.tail);
	const cursorAt = prepare<{ cursor: number }, [number, number, number]>(db, SQL.cursorAt);
	const ofRoom = prepare<LogRow, OfRoom & { seq: number; through: number; limit: number }>(
		db,
		SQL.ofRoom,
	);
	return {
		/** Undefined for a tenant that is not. */
		findEnds: (tenant: TenantNo): LogEnds | undefined => ends.get({ tenant }) ?? undefined,

		/** When an event happened; undefined for one that is pruned, or is not. */
		findCreatedAt: (tenant: TenantNo, cursor: number): number | undefined =>
			createdAt.get({ tenant, cursor })?.created_at,

		/** The tenant's events in their order, messages and all: the first `limit` of them. */
		readTenant: (tenant: TenantNo, cursors: Cursors, limit: number): LogRow[] =>
			ofTenant.all({ tenant, ...cursors, limit }),

		/** Those of one stream, without messages. */
		readStream: (tenant: TenantNo, stream: string, cursors: Cursors, limit: number): LogRow[] =>
			ofStream.all({ tenant, stream, ...cursors, limit }),

		/** Those of several streams, a list of names as JSON, messages and all: the log is walked for them. */
		readStreams: (
			tenant: TenantNo,
			streams: string,
			cursors: Cursors,
			limit: number,
		): StreamRow[] => ofStreams.all({ tenant, streams, ...cursors, limit }),

		/** Whether one of these streams has more than `max` messages there. */
		hasMoreMessages: (tenant: TenantNo, streams: string, cursors: Cursors, max: number): boolean =>
			manyOfOne.get({ tenant, streams, ...cursors, max }) !== null,

		/** The notifications of one stream, as their events. */
		readTarget: (tenant: TenantNo, stream: string, cursors: Cursors, limit: number): LogRow[] =>
			ofTarget.all({ tenant, stream, ...cursors, limit }),

		/** A room's messages from `seq` on, as their events: the first `limit` of them. */
		readMessages: (
			tenant: TenantNo,
			room: RoomNo,
			seq: number,
			through: number,
			limit: number,
		): LogRow[] => ofRoom.all({ tenant, room, seq, through, limit }),

		/** The room's first and last seq above a cursor; undefined when there is none. */
		findSeqsAfter(tenant: TenantNo, room: RoomNo, cursor: number): Seqs | undefined {
			const { last, low, first: inTail } = tail.get(cursor, tenant, room) ?? {};
			if (last == null || inTail == null) return undefined;
			if (inTail !== low) return { first: inTail, last };
			// Seqs and cursors rise together: in growing steps back from there, then halving.
			const isAfter = (seq: number) => (cursorAt.get(tenant, room, seq)?.cursor ?? 0) > cursor;
			let first = low;
			let step = 16;
			while (first - step >= 1 && isAfter(first - step)) {
				first -= step;
				step *= 2;
			}
			let before = Math.max(0, first - step);
			while (first - before > 1) {
				const middle = (first + before) >> 1;
				if (isAfter(middle)) first = middle;
				else before = middle;
			}
			return { first, last };
		},
	};
}

/** The first and the last of a run of messages. */
export interface Seqs {
	first: number;
	last: number;
}

function createRemovals(db: Database) {
	type Slice = OfRoom & { limit: number };
	const due = prepare<
		{ tenant: TenantNo; tenant_id: TenantId },
		{ after: number; through: number; before: number }
	>(db, SQL.due);
	const lastTenant = prepare<{ tenant: number | null }, []>(db, SQL.lastTenant);
	const old = prepare<OldRow, OfTenant & { after: number; limit: number }>(db, SQL.old);
	const prune = prepare<null, OfTenant & { through: number }>(db, SQL.prune);
	const movePruned = prepare<null, OfTenant & { through: number }>(db, SQL.movePruned);
	const ended = prepare<null, OfTenant & { user_id: UserId; cursor: number }>(db, SQL.ended);
	const slices = [SQL.someMessages, SQL.somePositions, SQL.someEnded].map((sql) =>
		prepare<null, Slice>(db, sql),
	);
	const roomHead = prepare<null, OfRoom>(db, SQL.roomHead);
	const room = prepare<null, OfRoom>(db, SQL.room);
	return {
		/** Tenants with a number above `after`, up to `through`, whose first event is from before a time. */
		listDue: (tenants: { after: number; through: number }, before: number) =>
			due.all({ ...tenants, before }),

		/** The highest number of a tenant; 0 while there is none. */
		findLastTenant: (): number => lastTenant.get()?.tenant ?? 0,

		/** The first events of the log after one. */
		listOld: (tenant: TenantNo, after: number, limit: number): OldRow[] =>
			old.all({ tenant, after, limit }),

		/** Removes the events up to one, for good. */
		removeThrough(tenant: TenantNo, through: number): void {
			prune.run({ tenant, through });
			movePruned.run({ tenant, through });
		},

		/** Forgets the stay that ended with the event at a cursor, and no other. */
		removeEnded: (row: OfTenant & { user_id: UserId; cursor: number }): void => void ended.run(row),

		/** Removes some of what a deleted room has left, and the room with the last of it: then true. */
		removeRoom({ limit, ...row }: Slice): boolean {
			if (slices.some((slice) => slice.run({ ...row, limit }).changes > 0)) return false;
			roomHead.run(row);
			room.run(row);
			return true;
		},
	};
}
