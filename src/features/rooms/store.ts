import type { Database } from 'bun:sqlite';
import type { RoomId, RoomNo, TenantNo, UserId } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';

/** A room with what it is to one user; the user's columns are null for who is no member. */
export interface RoomRow {
	room: RoomNo;
	room_id: RoomId;
	type: 'dm' | 'group' | 'channel';
	name: string | null;
	metadata: string | null;
	user_low: UserId | null;
	user_high: UserId | null;
	created_at: number;
	last_seq: number;
	last_ordinal: number;
	last_cursor: number;
	member_count: number;
	read_seq: number | null;
	read_ordinal: number | null;
	joined_cursor: number | null;
}

const SHARED = `r.room, r.room_id, r.type, r.name, r.metadata, r.user_low, r.user_high, r.created_at,
	h.last_seq, h.last_ordinal, h.last_cursor, h.member_count`;
const ROOM = `${SHARED}, p.read_seq, p.read_ordinal, m.joined_cursor`;

const SQL = {
	nextNumber: `UPDATE tenant_heads SET last_room = last_room + 1
		WHERE tenant = ? RETURNING last_room`,
	insert: `INSERT INTO rooms (tenant, room, room_id, type, name, metadata, user_low, user_high, created_at)
		VALUES ($tenant, $room, $room_id, $type, $name, $metadata, $user_low, $user_high, $created_at)`,
	byPair: `SELECT room_id FROM rooms WHERE tenant = $tenant AND user_low = $user_low
			AND user_high = $user_high AND type = 'dm' AND deleted_at IS NULL`,
	find: `SELECT ${ROOM} FROM rooms r
		JOIN room_heads h ON h.tenant = r.tenant AND h.room = r.room
		LEFT JOIN memberships m ON m.tenant = r.tenant AND m.room = r.room
			AND m.user_id = $user_id
		LEFT JOIN positions p ON p.tenant = m.tenant AND p.room = m.room AND p.user_id = m.user_id
		WHERE r.tenant = $tenant AND r.room_id = $room_id AND r.deleted_at IS NULL`,
	// INDEXED BY as in members/store.ts. Limited before the joins: a user may be in 2,000 rooms. Those of
	// deleted rooms are not found: their memberships have ended.
	page: `SELECT ${ROOM} FROM (
			SELECT m.tenant, m.room, m.user_id, m.joined_cursor, h.last_cursor
			FROM memberships m INDEXED BY memberships_by_user
			JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
			WHERE m.tenant = $tenant AND m.user_id = $user_id
				AND h.last_cursor > m.hidden_cursor AND h.last_cursor < $before
			ORDER BY h.last_cursor DESC LIMIT $limit
		) m
		JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
		JOIN positions p ON p.tenant = m.tenant AND p.room = m.room AND p.user_id = m.user_id
		ORDER BY m.last_cursor DESC`,
	numberOf: 'SELECT room FROM rooms WHERE tenant = $tenant AND room_id = $room_id',
	all: `SELECT ${SHARED}, NULL AS read_seq, NULL AS read_ordinal, NULL AS joined_cursor FROM rooms r
		JOIN room_heads h ON h.tenant = r.tenant AND h.room = r.room
		WHERE r.tenant = $tenant AND r.room < $before AND r.deleted_at IS NULL
		ORDER BY r.room DESC LIMIT $limit`,
	update: `UPDATE rooms SET name = $name, metadata = $metadata
		WHERE tenant = $tenant AND room = $room`,
	remove: `UPDATE rooms SET deleted_at = $deleted_at
		WHERE tenant = $tenant AND room = $room`,
};

/** All SQL of rooms. */
export function createRoomsStore(db: Database) {
	const nextNumber = prepare<{ last_room: RoomNo }, [number]>(db, SQL.nextNumber);
	const insert = prepare<null, NewRoom & { room: RoomNo }>(db, SQL.insert);
	const byPair = prepare<
		{ room_id: RoomId },
		{ tenant: TenantNo; user_low: UserId; user_high: UserId }
	>(db, SQL.byPair);
	const find = prepare<RoomRow, { tenant: TenantNo; room_id: RoomId; user_id: string }>(
		db,
		SQL.find,
	);
	const page = prepare<
		RoomRow,
		{ tenant: TenantNo; user_id: UserId; before: number; limit: number }
	>(db, SQL.page);
	const numberOf = prepare<{ room: RoomNo }, { tenant: TenantNo; room_id: string }>(
		db,
		SQL.numberOf,
	);
	const all = prepare<RoomRow, { tenant: TenantNo; before: number; limit: number }>(db, SQL.all);
	const update = prepare<
		null,
		{ tenant: TenantNo; room: RoomNo; name: string | null; metadata: string | null }
	>(db, SQL.update);
	const remove = prepare<null, { tenant: TenantNo; room: RoomNo; deleted_at: number }>(
		db,
		SQL.remove,
	);

	return {
		/** Inserts the room under the tenant's next room number. */
		insert: (row: NewRoom): RoomNo => {
			const { last_room: room } = nextNumber.get(row.tenant) as { last_room: RoomNo };
			insert.run({ ...row, room });
			return room;
		},
		/** The dm of two users, given in code-unit order. */
		findByPair: (tenant: TenantNo, user_low: UserId, user_high: UserId): RoomId | undefined =>
			byPair.get({ tenant, user_low, user_high })?.room_id,
		/** The room, with the user's columns where the user is a member. */
		find: (tenant: TenantNo, room_id: RoomId, user_id: UserId | null): RoomRow | undefined =>
			find.get({ tenant, room_id, user_id: user_id ?? '' }) ?? undefined,
		/** The user's rooms whose latest event is before `before`, most recent first, hidden ones left out. */
		list: (tenant: TenantNo, user_id: UserId, before: number, limit: number): RoomRow[] =>
			page.all({ tenant, user_id, before, limit }),
		/** The number of a room, deleted or not; undefined for one that the tenant does not have. */
		findNumber: (tenant: TenantNo, room_id: string): RoomNo | undefined =>
			numberOf.get({ tenant, room_id })?.room,
		/** The tenant's rooms with a number below `before`, newest first, as they are to nobody in them. */
		listAll: (tenant: TenantNo, before: number, limit: number): RoomRow[] =>
			all.all({ tenant, before, limit }),
		update: (row: {
			tenant: TenantNo;
			room: RoomNo;
			name: string | null;
			metadata: string | null;
		}): void => void update.run(row),
		/** Marks the room as deleted; its rows stay for who was away. */
		remove: (tenant: TenantNo, room: RoomNo, deleted_at: number): void =>
			void remove.run({ tenant, room, deleted_at }),
	};
}

/** A type, not an interface: SQLite's named parameters want an index signature. */
export type NewRoom = {
	tenant: TenantNo;
	room_id: RoomId;
	type: RoomRow['type'];
	name: string | null;
	metadata: string | null;
	user_low: UserId | null;
	user_high: UserId | null;
	created_at: number;
};

export type RoomsStore = ReturnType<typeof createRoomsStore>;
