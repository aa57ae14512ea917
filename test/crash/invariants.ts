/**
 * What must be true of a database after any crash, held against what the clients were told. Written
 * in SQL and by hand: nothing of the server's own code is used.
 */
import { Database } from 'bun:sqlite';
import { type History, keyOf, type Send } from './history.ts';

interface StoredMessage {
	tenant_id: string;
	room_id: string;
	seq: number;
	cursor: number;
	message_id: string;
	sender_id: string;
	content: string;
	client_msg_id: string | null;
	created_at: number;
}

export interface CheckOptions {
	/** Whether every send with a client_msg_id was repeated until it was answered. */
	isSettled: boolean;
}

/** Every way in which the database at `path` breaks the promises; empty when it keeps them all. */
export function violationsOf(path: string, history: History, options: CheckOptions): string[] {
	const db = new Database(path, { readwrite: true });
	try {
		const structure = structureViolations(db);
		// Nothing can be asked of a file that is broken.
		if (structure.some((violation) => violation.startsWith('integrity_check'))) return structure;
		return [
			...history.violations,
			...structure,
			...QUERIES.flatMap(({ claim, sql }) =>
				db
					.query<Record<string, unknown>, []>(`${sql} LIMIT 5`)
					.all()
					.map((row) => `${claim}: ${JSON.stringify(row)}`),
			),
			...sendViolations(db, history, options),
			...otherViolations(db, history),
		];
	} finally {
		db.close();
	}
}

function structureViolations(db: Database): string[] {
	const integrity = integrityOf(db);
	if (integrity.length !== 1 || integrity[0] !== 'ok') return [`integrity_check: ${integrity}`];
	const dangling = db.query('PRAGMA foreign_key_check').all();
	return dangling.map((row) => `foreign_key_check: ${JSON.stringify(row)}`);
}

function integrityOf(db: Database): unknown[] {
	try {
		return db.query('PRAGMA integrity_check').values().flat();
	} catch (error) {
		return [error];
	}
}

/** Each finds rows that must not be. */
const QUERIES: readonly { claim: string; sql: string }[] = [
	{
		claim: 'a room’s seqs are not 1..N with last_seq = max(seq) = count',
		sql: `SELECT h.tenant, h.room, h.last_seq, count(m.seq) AS count, min(m.seq) AS low,
				max(m.seq) AS high
			FROM room_heads h LEFT JOIN messages m ON m.tenant = h.tenant AND m.room = h.room
			GROUP BY h.tenant, h.room
			HAVING h.last_seq <> count OR (count > 0 AND (low <> 1 OR high <> count))`,
	},
	{
		claim: 'a room’s last_ordinal is not the number of its messages by users',
		sql: `SELECT h.tenant, h.room, h.last_ordinal, count(m.seq) AS count, max(m.ordinal) AS high
			FROM room_heads h LEFT JOIN messages m
				ON m.tenant = h.tenant AND m.room = h.room AND m.sender_id <> ''
			GROUP BY h.tenant, h.room
			HAVING h.last_ordinal <> count OR (count > 0 AND high <> count)`,
	},
	{
		claim: 'a message has no room',
		sql: `SELECT tenant, room, seq FROM messages WHERE NOT EXISTS (SELECT 1 FROM room_heads h
			WHERE h.tenant = messages.tenant AND h.room = messages.room)`,
	},
	{
		claim: 'a cursor does not rise with seq',
		sql: `SELECT a.tenant, a.room, a.seq, a.cursor, b.cursor AS next FROM messages a
			JOIN messages b ON b.tenant = a.tenant AND b.room = a.room AND b.seq = a.seq + 1
			WHERE b.cursor <= a.cursor`,
	},
	{
		claim: 'a client_msg_id is there twice',
		sql: `SELECT tenant, room, sender_id, client_msg_id, count(*) AS count FROM messages
			WHERE client_msg_id IS NOT NULL GROUP BY 1, 2, 3, 4 HAVING count > 1`,
	},
	{
		claim: 'a message_id is there twice',
		sql: 'SELECT message_id, count(*) AS count FROM messages GROUP BY 1 HAVING count > 1',
	},
	{
		claim: 'a tenant’s last_cursor is not max(cursor) = count of its events',
		sql: `SELECT h.tenant, h.last_cursor, count(e.cursor) AS count, max(e.cursor) AS high
			FROM tenant_heads h LEFT JOIN events e ON e.tenant = h.tenant
			GROUP BY h.tenant HAVING h.last_cursor <> count OR (count > 0 AND high <> count)`,
	},
	{
		claim: 'an event refers to no message of its room and cursor',
		sql: `SELECT e.tenant, e.cursor, e.stream, e.ref FROM events e
			WHERE e.type = 'message.created' AND NOT EXISTS (SELECT 1 FROM messages m
				WHERE m.tenant = e.tenant AND m.room = CAST(substr(e.stream, 3) AS INTEGER)
					AND m.seq = e.ref AND m.cursor = e.cursor)`,
	},
	{
		claim: 'a message has no event',
		sql: `SELECT m.tenant, m.room, m.seq, m.cursor FROM messages m
			WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.tenant = m.tenant AND e.cursor = m.cursor
				AND e.type = 'message.created' AND e.ref = m.seq)`,
	},
	{
		claim: 'a room’s last_cursor is beyond the log, or before its last message',
		sql: `SELECT r.tenant, r.room, r.last_cursor, t.last_cursor AS head FROM room_heads r
			JOIN tenant_heads t ON t.tenant = r.tenant
			WHERE r.last_cursor > t.last_cursor OR r.last_cursor < (SELECT max(m.cursor) FROM messages m
				WHERE m.tenant = r.tenant AND m.room = r.room)`,
	},
	{
		claim: 'a room’s member_count is not the number of its members',
		sql: `SELECT h.tenant, h.room, h.member_count, count(m.user_id) AS count FROM room_heads h
			LEFT JOIN memberships m
				ON m.tenant = h.tenant AND m.room = h.room
			GROUP BY h.tenant, h.room HAVING h.member_count <> count`,
	},
	{
		claim: 'a membership has no position, or one beyond the last message',
		sql: `SELECT m.tenant, m.room, m.user_id, p.read_seq, p.delivered_seq, h.last_seq
			FROM memberships m JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
			LEFT JOIN positions p
				ON p.tenant = m.tenant AND p.room = m.room AND p.user_id = m.user_id
			WHERE p.read_seq IS NULL OR p.read_seq > p.delivered_seq OR p.delivered_seq > h.last_seq
				OR p.read_ordinal > h.last_ordinal`,
	},
	{
		claim: 'stays of one member in one room overlap, or end before they begin',
		sql: `SELECT e.tenant, e.room, e.user_id, e.joined_cursor, e.left_cursor
			FROM ended_memberships e WHERE e.left_cursor <= e.joined_cursor
				OR EXISTS (SELECT 1 FROM ended_memberships o WHERE o.tenant = e.tenant AND o.room = e.room
					AND o.user_id = e.user_id AND o.left_cursor > e.left_cursor
					AND o.joined_cursor <= e.left_cursor)
				OR EXISTS (SELECT 1 FROM memberships m WHERE m.tenant = e.tenant AND m.room = e.room
					AND m.user_id = e.user_id AND m.joined_cursor <= e.left_cursor)`,
	},
	{
		claim: 'a room is not numbered below its tenant’s last_room',
		sql: `SELECT r.tenant, r.room, t.last_room FROM rooms r
			JOIN tenant_heads t ON t.tenant = r.tenant WHERE r.room > t.last_room`,
	},
	...[
		...['rooms', 'room_heads', 'memberships', 'ended_memberships', 'positions', 'messages'],
		...['events', 'api_keys'],
	].map((table) => ({
		claim: `${table} has a row of no tenant`,
		sql: `SELECT tenant FROM ${table} WHERE tenant NOT IN (SELECT tenant FROM tenants)`,
	})),
];

function sendViolations(db: Database, history: History, { isSettled }: CheckOptions): string[] {
	const stored = db
		.query<StoredMessage, []>(
			`SELECT t.tenant_id, r.room_id, m.seq, m.cursor, m.message_id, m.sender_id, m.content,
				m.client_msg_id, m.created_at
			FROM messages m JOIN tenants t ON t.tenant = m.tenant
			JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room`,
		)
		.all();
	const byContent = Map.groupBy(stored, ({ content }) => content);
	const known = new Set(history.sends.map(({ content }) => content));
	const byId = new Map(stored.map((message) => [message.message_id, message]));
	return [
		...history.sends.flatMap((send) =>
			sendViolation(send, byContent.get(send.content) ?? [], isSettled),
		),
		...stored
			.filter(({ content }) => !known.has(content))
			.map((message) => `a message that nobody sent: ${JSON.stringify(message)}`),
		...[...history.seen.values()]
			.filter(({ message_id }) => !byId.has(message_id))
			.map((message) => `lost after a socket was told of it: ${JSON.stringify(message)}`),
	];
}

/** Contents are unique, so a send’s copies are the messages with its content. */
function sendViolation(send: Send, copies: readonly StoredMessage[], isSettled: boolean): string[] {
	const tell = (what: string) => [`${what}: ${JSON.stringify({ send, copies })}`];
	if (copies.length > 1) return tell('stored twice');
	const [copy] = copies;
	if (copy === undefined) {
		if (send.ack !== undefined) return tell('lost after it was answered');
		return isSettled && send.client_msg_id !== null ? tell('never answered') : [];
	}
	const isOwn =
		copy.tenant_id === send.tenant_id &&
		copy.room_id === send.room_id &&
		copy.sender_id === send.sender &&
		copy.client_msg_id === send.client_msg_id;
	if (!isOwn) return tell('stored as something else');
	if (send.ack === undefined) {
		return isSettled && send.client_msg_id !== null ? tell('stored and never answered') : [];
	}
	const { ack } = send;
	const isAsAnswered =
		copy.message_id === ack.message_id &&
		copy.seq === ack.seq &&
		copy.cursor === Number.parseInt(ack.cursor.slice(5), 32) &&
		new Date(copy.created_at).toISOString() === ack.created_at;
	return isAsAnswered ? [] : tell('stored otherwise than answered');
}

function otherViolations(db: Database, history: History): string[] {
	const found: string[] = [];
	const tenants = new Set(db.query('SELECT tenant_id FROM tenants').values().flat());
	for (const tenant_id of history.tenants) {
		if (!tenants.has(tenant_id)) found.push(`a tenant is lost: ${tenant_id}`);
	}
	const rooms = new Set(
		db
			.query('SELECT t.tenant_id, r.room_id FROM rooms r JOIN tenants t ON t.tenant = r.tenant')
			.values()
			.map(([tenant_id, room_id]) => keyOf(String(tenant_id), String(room_id))),
	);
	for (const [room_id, tenant_id] of history.rooms) {
		if (!rooms.has(keyOf(tenant_id, room_id))) found.push(`a room is lost: ${room_id}`);
	}
	const members = new Map(
		db
			.query<{ tenant_id: string; room_id: string; user_id: string; read_seq: number }, []>(
				`SELECT t.tenant_id, r.room_id, m.user_id, p.read_seq
				FROM memberships m JOIN tenants t ON t.tenant = m.tenant
				JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
				JOIN positions p ON p.tenant = m.tenant AND p.room = m.room AND p.user_id = m.user_id`,
			)
			.all()
			.map((row) => [keyOf(row.tenant_id, row.room_id, row.user_id), row]),
	);
	for (const [key, { fate, isMember }] of history.memberships) {
		const isIn = members.has(key);
		if (fate === 'done' && isIn !== isMember) found.push(`a membership is lost or back: ${key}`);
	}
	for (const [key, seq] of history.reads) {
		const read = members.get(key)?.read_seq ?? 0;
		if (read < seq) found.push(`a read position went back: ${key} from ${seq} to ${read}`);
	}
	return found;
}
