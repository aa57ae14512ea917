/**
 * Fills the database file of a stopped server: what its API would have stored, row for row, at a
 * few microseconds a message. The tables are those that the server's own first start has made.
 */
import { Database } from 'bun:sqlite';
import { createApiKey, parseApiKey } from '../../../src/core/api-key.ts';
import { systemRandom } from '../../../src/core/random.ts';
import { CONTENT, type Seat } from '../client/load.ts';

/** Rooms that are alike. */
export interface RoomKind {
	readonly count: number;
	readonly members: number;
	readonly messages: number;
	/** The first member of all these rooms; otherwise each room has members of its own. */
	readonly shared?: string;
}

export interface Stock {
	readonly tenants: number;
	/** In each tenant. */
	readonly rooms: readonly RoomKind[];
	/** Whether the messages have a client_msg_id, and so stand in its index. */
	readonly isOnce?: boolean;
}

/** The integers 1..$count, as the table `n(i)`. */
const UP_TO = `WITH RECURSIVE n(i) AS (SELECT 1 WHERE $count > 0 UNION ALL SELECT i + 1 FROM n
	WHERE i < $count)`;
const MEMBER = `CASE i WHEN 1 THEN $first ELSE printf('user-%08d-%05d', $room, i) END`;

/** One event for the room itself, at `$cursor`, and one for each message after it. */
const SQL = {
	tenant: `INSERT INTO tenants (tenant, tenant_id, name, status, created_at, updated_at)
		VALUES ($tenant, $tenant_id, 'growth', 'active', $at, $at)`,
	tenantHead: `INSERT INTO tenant_heads (tenant, epoch, last_cursor, last_room)
		VALUES ($tenant, '0gr00', $last_cursor, $last_room)`,
	key: `INSERT INTO api_keys (tenant, key_id, name, prefix, hash, permissions, created_at)
		VALUES ($tenant, $key_id, 'growth', $prefix, $hash, '["full_access"]', $at)`,
	room: `INSERT INTO rooms (tenant, room, room_id, type, created_at)
		VALUES ($tenant, $room, $room_id, 'group', $at)`,
	head: `INSERT INTO room_heads (tenant, room, last_seq, last_ordinal, last_cursor, member_count)
		VALUES ($tenant, $room, $count, $count, $cursor + $count, $members)`,
	created: `INSERT INTO events (tenant, cursor, stream, type, ref, payload, created_at)
		VALUES ($tenant, $cursor, 'r/' || $room, 'room.created', NULL, '{}', $at)`,
	memberships: `${UP_TO} INSERT INTO memberships
			(tenant, room, user_id, role, joined_at, joined_cursor, hidden_cursor)
		SELECT $tenant, $room, ${MEMBER}, iif(i = 1, 'owner', 'member'), $at, $cursor, 0 FROM n`,
	positions: `${UP_TO} INSERT INTO positions
			(tenant, room, user_id, delivered_seq, read_seq, read_ordinal)
		SELECT $tenant, $room, ${MEMBER}, 0, 0, 0 FROM n`,
	messages: `${UP_TO} INSERT INTO messages (tenant, room, seq, cursor, ordinal, message_id,
			sender_id, content, meta, client_msg_id, body_hash, created_at)
		SELECT $tenant, $room, i, $cursor + i, i, printf('msg_%026d', $number + i), $first, $content,
			NULL, iif($isOnce, lower(hex(randomblob(8))), NULL), iif($isOnce, randomblob(16), NULL),
			$at + i
		FROM n`,
	events: `${UP_TO} INSERT INTO events (tenant, cursor, stream, type, ref, payload, created_at)
		SELECT $tenant, $cursor + i, 'r/' || $room, 'message.created', i, NULL, $at + i FROM n`,
};

/** 2026-01-01; messages follow by the millisecond. */
const AT = 1_767_225_600_000;
/** Digits are letters of the ids' alphabet too. */
const ID_DIGITS = 26;
const numbered = (kind: string, number: number): string =>
	`${kind}_${number.toString().padStart(ID_DIGITS, '0')}`;

/** Stores it, and gives the first member of every room, in the order of tenants and rooms. */
export function fill(path: string, stock: Stock): Seat[] {
	// Strict: the parameters' names come without their $.
	const db = new Database(path, { readwrite: true, strict: true });
	try {
		// The file is of no use to anybody before it is complete.
		db.run('PRAGMA journal_mode = OFF');
		db.run('PRAGMA synchronous = OFF');
		db.run('PRAGMA cache_size = -131072');
		const seats = db.transaction(() => stored(db, stock)).immediate();
		db.run('PRAGMA journal_mode = WAL');
		return seats;
	} finally {
		db.close(true);
	}
}

function stored(db: Database, stock: Stock): Seat[] {
	const statements = new Map(
		(Object.keys(SQL) as (keyof typeof SQL)[]).map((name) => [name, db.prepare(SQL[name])]),
	);
	const run: Run = (name, values) => void statements.get(name)?.run(values);
	const { last } = db
		.query<{ last: number }, []>('SELECT coalesce(max(tenant), 0) AS last FROM tenants')
		.get() ?? { last: 0 };
	const seats: Seat[] = [];
	let number = 0;
	for (let index = 1; index <= stock.tenants; index++) {
		const tenant = last + index;
		run('tenant', { tenant, tenant_id: numbered('tenant', tenant), at: AT });
		const api_key = createApiKey(systemRandom.bytes);
		const parts = parseApiKey(api_key);
		if (parts === undefined) throw new Error('a new key is well-formed');
		run('key', { tenant, key_id: numbered('key', tenant), ...parts, at: AT });
		let cursor = 0;
		let room = 0;
		for (const kind of stock.rooms) {
			for (let copy = 0; copy < kind.count; copy++) {
				room++;
				const first = kind.shared ?? `user-${room.toString().padStart(8, '0')}-00001`;
				const room_id = numbered('room', tenant * 1e8 + room);
				storeRoom(run, { tenant, room, room_id, first, cursor: cursor + 1, number, kind, stock });
				seats.push({ api_key, user_id: first, room_id, stored: kind.messages });
				cursor += 1 + kind.messages;
				number += kind.messages;
			}
		}
		run('tenantHead', { tenant, last_cursor: cursor, last_room: room });
	}
	// An unfinished statement would keep the file open beyond close().
	for (const statement of statements.values()) statement.finalize();
	return seats;
}

type Run = (name: keyof typeof SQL, values: Record<string, string | number | Uint8Array>) => void;

interface NewRoom {
	readonly tenant: number;
	readonly room: number;
	readonly room_id: string;
	readonly first: string;
	/** Of the event of its making. */
	readonly cursor: number;
	/** Of the last message before it, in the whole file. */
	readonly number: number;
	readonly kind: RoomKind;
	readonly stock: Stock;
}

function storeRoom(run: Run, { kind, stock, number, room_id, first, ...where }: NewRoom): void {
	const { tenant, room, cursor } = where;
	const at = AT;
	const { members, messages: count } = kind;
	run('room', { tenant, room, room_id, at });
	run('head', { tenant, room, cursor, count, members });
	run('created', { tenant, room, cursor, at });
	run('memberships', { tenant, room, first, cursor, at, count: members });
	run('positions', { tenant, room, first, count: members });
	const isOnce = stock.isOnce === true ? 1 : 0;
	run('messages', { tenant, room, cursor, number, first, content: CONTENT, isOnce, at, count });
	run('events', { tenant, room, cursor, at, count });
}

/** How many messages the rooms of a file count, and how many there are. */
export function messagesIn(path: string): { counted: number; stored: number } {
	const db = new Database(path, { readonly: true });
	try {
		return (
			db
				.query<{ counted: number; stored: number }, []>(
					`SELECT (SELECT sum(last_seq) FROM room_heads) AS counted,
						(SELECT count(*) FROM messages) AS stored`,
				)
				.get() ?? { counted: 0, stored: 0 }
		);
	} finally {
		db.close();
	}
}

export const messagesOf = ({ tenants, rooms }: Stock): number =>
	tenants * rooms.reduce((sum, { count, messages }) => sum + count * messages, 0);
