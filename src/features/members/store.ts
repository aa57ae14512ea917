import type { Database } from 'bun:sqlite';
import type { RoomId, RoomNo, TenantNo, UserId } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';
import type { Role } from './schema.ts';

/** A room as one user stands to it, or as the tenant does (`role` null). */
export interface Access {
	room: RoomNo;
	room_id: RoomId;
	type: 'dm' | 'group' | 'channel';
	/** Null for who is no member. */
	role: Role | null;
	/** Of the event of its joining; null for who is no member. */
	joined_cursor: number | null;
	last_seq: number;
	last_ordinal: number;
	last_cursor: number;
	member_count: number;
}

export interface MemberRow {
	user_id: UserId;
	role: Role;
	joined_at: number;
	delivered_seq: number;
	read_seq: number;
}

/**
 * A room as a user followed it: from one joining up to and with the leaving or the room's end after it.
 * Those of one room share no cursor.
 */
export interface FollowedRow {
	room: RoomNo;
	room_id: RoomId;
	joined_cursor: number;
	left_cursor: number | null;
}

export interface PositionRow {
	room: RoomNo;
	room_id: RoomId;
	user_id: UserId;
	read_seq: number;
	delivered_seq: number;
	/** Of the latest event when it changed. */
	changed_cursor: number;
}

/** A user's place in one of its rooms. */
export interface UserRoomRow {
	room_id: RoomId;
	unread: number;
}

const MEMBER = `m.user_id, m.role, m.joined_at, p.delivered_seq, p.read_seq
	FROM memberships m
	JOIN positions p ON p.tenant = m.tenant AND p.room = m.room AND p.user_id = m.user_id
	WHERE m.tenant = $tenant AND m.room = $room`;

// INDEXED BY: without statistics the planner guesses ten rows a tenant and walks through all its rooms.
const SQL = {
	access: `SELECT r.room, r.room_id, r.type, m.role, m.joined_cursor, h.last_seq, h.last_ordinal, h.last_cursor, h.member_count
		FROM rooms r
		JOIN room_heads h ON h.tenant = r.tenant AND h.room = r.room
		LEFT JOIN memberships m ON m.tenant = r.tenant AND m.room = r.room
			AND m.user_id = $user_id
		WHERE r.tenant = $tenant AND r.room_id = $room_id AND r.deleted_at IS NULL`,
	find: `SELECT ${MEMBER} AND m.user_id = $user_id`,
	page: `SELECT ${MEMBER} AND m.user_id > $after ORDER BY m.user_id LIMIT $limit`,
	heir: `SELECT user_id, role FROM memberships
		WHERE tenant = $tenant AND room = $room
		ORDER BY CASE role WHEN 'owner' THEN 0 WHEN 'admin' THEN 1 WHEN 'moderator' THEN 2 ELSE 3 END,
			joined_cursor, user_id
		LIMIT 1`,
	countRooms: `SELECT count(*) AS count FROM memberships INDEXED BY memberships_by_user
		WHERE tenant = $tenant AND user_id = $user_id`,
	roomsOf: `SELECT r.room_id, h.last_ordinal - p.read_ordinal AS unread
		FROM memberships m INDEXED BY memberships_by_user
		JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
		JOIN positions p ON p.tenant = m.tenant AND p.room = m.room AND p.user_id = m.user_id
		WHERE m.tenant = $tenant AND m.user_id = $user_id AND r.deleted_at IS NULL`,
	followed: `SELECT m.room, r.room_id, m.joined_cursor, NULL AS left_cursor
		FROM memberships m INDEXED BY memberships_by_user
		JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
		WHERE m.tenant = $tenant AND m.user_id = $user_id AND h.last_cursor > $after
		UNION ALL
		SELECT e.room, r.room_id, e.joined_cursor, e.left_cursor
		FROM ended_memberships e
		JOIN rooms r ON r.tenant = e.tenant AND r.room = e.room
		WHERE e.tenant = $tenant AND e.user_id = $user_id AND e.left_cursor > $after`,
	smallRooms: `SELECT m.room
		FROM memberships m INDEXED BY memberships_by_user
		JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
		WHERE m.tenant = $tenant AND m.user_id = $user_id
			AND h.member_count BETWEEN 2 AND $size_max`,
	fellows: `SELECT user_id FROM memberships
		WHERE tenant = $tenant AND room = $room AND user_id > $after
			AND EXISTS (SELECT 1 FROM memberships WHERE tenant = $tenant AND room = $room
				AND user_id = $user_id)
		ORDER BY user_id LIMIT $limit`,
	shared: `SELECT theirs.room FROM memberships theirs INDEXED BY memberships_by_user
		CROSS JOIN memberships own ON own.tenant = theirs.tenant AND own.room = theirs.room
		WHERE theirs.tenant = $tenant AND theirs.user_id = $other
			AND own.user_id = $user_id
		LIMIT 1`,
	openHead: `INSERT INTO room_heads (tenant, room, last_seq, last_ordinal, last_cursor, member_count)
		VALUES ($tenant, $room, 0, 0, 0, 0)`,
	touchHead: `UPDATE room_heads SET last_cursor = $cursor, member_count = member_count + $joined
		WHERE tenant = $tenant AND room = $room`,
	join: `INSERT INTO memberships
			(tenant, room, user_id, role, joined_at, joined_cursor, hidden_cursor)
		VALUES ($tenant, $room, $user_id, $role, $joined_at, $cursor, 0)
		ON CONFLICT (tenant, room, user_id) DO NOTHING
		RETURNING user_id`,
	startPosition: `INSERT INTO positions
			(tenant, room, user_id, delivered_seq, read_seq, read_ordinal, changed_cursor)
		SELECT tenant, room, $user_id, last_seq, last_seq, last_ordinal, $cursor
		FROM room_heads WHERE tenant = $tenant AND room = $room`,
	noteEnd: `INSERT INTO ended_memberships (tenant, user_id, left_cursor, room, joined_cursor)
		SELECT tenant, user_id, $cursor, room, joined_cursor FROM memberships
		WHERE tenant = $tenant AND room = $room AND user_id = $user_id`,
	noteEnds: `INSERT INTO ended_memberships (tenant, user_id, left_cursor, room, joined_cursor)
		SELECT tenant, user_id, $cursor, room, joined_cursor FROM memberships
		WHERE tenant = $tenant AND room = $room`,
	leave: `DELETE FROM memberships
		WHERE tenant = $tenant AND room = $room AND user_id = $user_id`,
	leaveAll: 'DELETE FROM memberships WHERE tenant = $tenant AND room = $room',
	endPosition: `DELETE FROM positions
		WHERE tenant = $tenant AND room = $room AND user_id = $user_id`,
	setRole: `UPDATE memberships SET role = $role
		WHERE tenant = $tenant AND room = $room AND user_id = $user_id`,
	hide: `UPDATE memberships SET hidden_cursor = $cursor
		WHERE tenant = $tenant AND room = $room AND user_id = $user_id`,
	deliver: `UPDATE positions SET delivered_seq = $seq, changed_cursor = $cursor
		WHERE tenant = $tenant AND room = $room AND user_id = $user_id AND delivered_seq < $seq
		RETURNING delivered_seq AS seq`,
	read: `UPDATE positions SET read_seq = $seq, delivered_seq = max(delivered_seq, $seq),
			changed_cursor = $cursor, read_ordinal = (SELECT ordinal FROM messages
				WHERE tenant = $tenant AND room = $room AND seq = $seq)
		WHERE tenant = $tenant AND room = $room AND user_id = $user_id AND read_seq < $seq
		RETURNING read_seq AS seq`,
	touchPositions: `UPDATE room_heads SET positions_cursor = $cursor
		WHERE tenant = $tenant AND room = $room AND positions_cursor < $cursor`,
	// CROSS JOIN: only the rooms that moved are looked into, in the order that the key has.
	changedPositions: `SELECT m.room, r.room_id, p.user_id, p.read_seq, p.delivered_seq,
			p.changed_cursor
		FROM memberships m INDEXED BY memberships_by_user
		CROSS JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
		CROSS JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		CROSS JOIN positions p ON p.tenant = m.tenant AND p.room = m.room
		WHERE m.tenant = $tenant AND m.user_id = $user_id AND m.room >= $room
			AND (m.room > $room OR p.user_id > $after)
			AND max(h.last_cursor, h.positions_cursor) >= $since
			AND h.member_count <= $size_max AND r.deleted_at IS NULL AND p.changed_cursor >= $since
		ORDER BY m.room, p.user_id LIMIT $limit`,
	ownChangedPositions: `SELECT m.room, r.room_id, p.user_id, p.read_seq, p.delivered_seq,
			p.changed_cursor
		FROM memberships m INDEXED BY memberships_by_user
		CROSS JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
		CROSS JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		CROSS JOIN positions p ON p.tenant = m.tenant AND p.room = m.room AND p.user_id = m.user_id
		WHERE m.tenant = $tenant AND m.user_id = $user_id
			AND max(h.last_cursor, h.positions_cursor) >= $since
			AND h.member_count > $size_max AND r.deleted_at IS NULL AND p.changed_cursor >= $since`,
};

/** All SQL of memberships, positions and room heads: what a room is to its people. */
export function createMembersStore(db: Database) {
	type OfRoom = { tenant: TenantNo; room: RoomNo };
	type OfMember = OfRoom & { user_id: UserId };
	type OfUser = Omit<OfMember, 'room'>;

	const access = prepare<Access, { tenant: TenantNo; room_id: RoomId; user_id: string }>(
		db,
		SQL.access,
	);
	const find = prepare<MemberRow, OfMember>(db, SQL.find);
	const page = prepare<MemberRow, OfRoom & { after: string; limit: number }>(db, SQL.page);
	const heir = prepare<{ user_id: UserId; role: Role }, OfRoom>(db, SQL.heir);
	const countRooms = prepare<{ count: number }, OfUser>(db, SQL.countRooms);
	const roomsOf = prepare<UserRoomRow, OfUser>(db, SQL.roomsOf);
	const followed = prepare<FollowedRow, { tenant: TenantNo; user_id: UserId; after: number }>(
		db,
		SQL.followed,
	);
	const openHead = prepare<null, OfRoom>(db, SQL.openHead);
	const touchHead = prepare<null, OfRoom & { cursor: number; joined: number }>(db, SQL.touchHead);
	const join = prepare<
		{ user_id: UserId },
		OfMember & { role: Role; joined_at: number; cursor: number }
	>(db, SQL.join);
	const startPosition = prepare<null, OfMember & { cursor: number }>(db, SQL.startPosition);
	const noteEnd = prepare<null, OfMember & { cursor: number }>(db, SQL.noteEnd);
	const noteEnds = prepare<null, OfRoom & { cursor: number }>(db, SQL.noteEnds);
	const leave = prepare<null, OfMember>(db, SQL.leave);
	const leaveAll = prepare<null, OfRoom>(db, SQL.leaveAll);
	const endPosition = prepare<null, OfMember>(db, SQL.endPosition);
	const setRole = prepare<null, OfMember & { role: Role }>(db, SQL.setRole);
	const hide = prepare<null, OfMember & { cursor: number }>(db, SQL.hide);

	return {
		/** The room with the caller's role in it; undefined when there is none (any more). */
		findAccess: (tenant: TenantNo, room_id: RoomId, user_id: UserId | null): Access | undefined =>
			access.get({ tenant, room_id, user_id: user_id ?? '' }) ?? undefined,
		find: (tenant: TenantNo, room: RoomNo, user_id: UserId): MemberRow | undefined =>
			find.get({ tenant, room, user_id }) ?? undefined,
		/** Members with a user id above `after`, in the order of user ids. */
		list: (tenant: TenantNo, room: RoomNo, after: string, limit: number): MemberRow[] =>
			page.all({ tenant, room, after, limit }),
		/** Who comes first by role, then by age; undefined for an empty room. */
		findFirst: (tenant: TenantNo, room: RoomNo) => heir.get({ tenant, room }) ?? undefined,
		countRooms: (tenant: TenantNo, user_id: UserId): number =>
			countRooms.get({ tenant, user_id })?.count ?? 0,
		/** Every room of a user, hidden ones too: a socket follows them all. */
		listRooms: (tenant: TenantNo, user_id: UserId): UserRoomRow[] =>
			roomsOf.all({ tenant, user_id }),

		/** Each stay of the user in a room in which something may have happened above a cursor. */
		listFollowed: (tenant: TenantNo, user_id: UserId, after: number): FollowedRow[] =>
			followed.all({ tenant, user_id, after }),

		...createFellows(db),

		insertHead: (tenant: TenantNo, room: RoomNo): void => void openHead.run({ tenant, room }),
		/** Notes the room's latest event, and how many members came (or, negative, went). */
		updateHead: (tenant: TenantNo, room: RoomNo, cursor: number, joined = 0): void =>
			void touchHead.run({ tenant, room, cursor, joined }),
		/** Makes a user a member, with its positions at the head. False for one who is a member. */
		insert: (row: OfMember & { role: Role; joined_at: number; cursor: number }): boolean => {
			if (join.get(row) === null) return false;
			const { tenant, room, user_id, cursor } = row;
			startPosition.run({ tenant, room, user_id, cursor });
			return true;
		},
		/** Ends a membership; from when to when it was is kept for who was away. */
		remove({ cursor, ...member }: OfMember & { cursor: number }): void {
			noteEnd.run({ ...member, cursor });
			leave.run(member);
			endPosition.run(member);
		},
		/** Ends all of them; the positions are left for who removes the room. */
		removeAll({ cursor, ...room }: OfRoom & { cursor: number }): void {
			noteEnds.run({ ...room, cursor });
			leaveAll.run(room);
		},
		updateRole: (row: OfMember & { role: Role }): void => void setRole.run(row),
		/** Hides the room from the user's list until its last_cursor is above `cursor`; 0 shows it. */
		updateHidden: (row: OfMember & { cursor: number }): void => void hide.run(row),
		...createPositions(db),
	};
}

/** Moving positions, and, for a resume, which changed since a cursor, the one itself included. */
function createPositions(db: Database) {
	type Since = { tenant: TenantNo; user_id: UserId; since: number; size_max: number };
	type Page = { room: RoomNo; after: string; limit: number };
	type Move = {
		tenant: TenantNo;
		room: RoomNo;
		user_id: UserId;
		seq: number;
		cursor: number;
	};
	const deliver = prepare<{ seq: number }, Move>(db, SQL.deliver);
	const read = prepare<{ seq: number }, Move>(db, SQL.read);
	const touchPositions = prepare<null, Omit<Move, 'user_id' | 'seq'>>(db, SQL.touchPositions);

	/** The room remembers that one of its positions moved. */
	function hasMoved(move: typeof deliver, row: Move): boolean {
		if (move.get(row) === null) return false;
		const { tenant, room, cursor } = row;
		touchPositions.run({ tenant, room, cursor });
		return true;
	}

	const changed = prepare<PositionRow, Since & Page>(db, SQL.changedPositions);
	const own = prepare<PositionRow, Since>(db, SQL.ownChangedPositions);
	return {
		/**
		 * Moves the delivered position up to `seq`; `cursor` is the last event's before that. False when it was
		 * there already.
		 */
		updateDelivered: (row: Move): boolean => hasMoved(deliver, row),
		/** Moves the read position, and with it the delivered one, up to `seq`, an existing message. */
		updateRead: (row: Move): boolean => hasMoved(read, row),

		/**
		 * Those in the user's rooms of at most `size_max` members, in the order of rooms and user ids: the first
		 * `limit` of them behind a room's `after`.
		 */
		listChangedPositions: (since: Since, page: Page): PositionRow[] =>
			changed.all({ ...since, ...page }),
		/** The user's own in the larger ones. */
		listOwnChangedPositions: (since: Since): PositionRow[] => own.all(since),
	};
}

/** Who is together with whom. */
function createFellows(db: Database) {
	type OfMember = { tenant: TenantNo; room: RoomNo; user_id: UserId };
	const smallRooms = prepare<
		{ room: RoomNo },
		{ tenant: TenantNo; user_id: UserId; size_max: number }
	>(db, SQL.smallRooms);
	const fellows = prepare<{ user_id: UserId }, OfMember & { after: string; limit: number }>(
		db,
		SQL.fellows,
	);
	const shared = prepare<{ room: RoomNo }, { tenant: TenantNo; user_id: UserId; other: UserId }>(
		db,
		SQL.shared,
	);

	return {
		/** The user's rooms of 2 to `sizeMax` members. */
		listSmallRooms: (tenant: TenantNo, user_id: UserId, sizeMax: number): { room: RoomNo }[] =>
			smallRooms.all({ tenant, user_id, size_max: sizeMax }),
		/** Members above `after`, in the order of user ids; nobody where `user_id` is no member. */
		listFellows: (of: OfMember, after: string, limit: number): UserId[] =>
			fellows.all({ ...of, after, limit }).map((row) => row.user_id),
		/** Whether two users are in one room. Looks at the rooms of the other one. */
		isShared: (tenant: TenantNo, user_id: UserId, other: UserId): boolean =>
			shared.get({ tenant, user_id, other }) !== null,
	};
}

export type MembersStore = ReturnType<typeof createMembersStore>;
