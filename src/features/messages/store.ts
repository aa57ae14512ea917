import type { Database } from 'bun:sqlite';
import type { MessageId, RoomId, RoomNo, TenantNo } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';

export interface MessageRow {
	seq: number;
	cursor: number;
	message_id: MessageId;
	/** Empty for the tenant itself. */
	sender_id: string;
	content: string;
	meta: string | null;
	client_msg_id: string | null;
	created_at: number;
}

/** A message with its room, which may be deleted by now. */
export interface PlacedRow extends MessageRow {
	room_id: RoomId;
	deleted_at: number | null;
}

/** A message to be stored, if its sender may. */
export interface NewMessage {
	tenant: TenantNo;
	room_id: RoomId;
	message_id: MessageId;
	/** Empty for the tenant itself, which needs no membership. */
	sender_id: string;
	content: string;
	meta: string | null;
	client_msg_id: string | null;
	body_hash: Uint8Array | null;
	created_at: number;
	/** Of its message.created event. */
	cursor: number;
	/** There may be none more: only one that is there already is answered. */
	isOverQuota: boolean;
}

/** What became of it. */
export type Appended =
	| { outcome: 'stored'; room: RoomNo; seq: number }
	| { outcome: 'duplicate'; message: MessageRow; isSameBody: boolean }
	/** No such room, or the sender is no member. */
	| { outcome: 'no_access' }
	/** A member of a channel whose role does not send. */
	| { outcome: 'no_role' }
	| { outcome: 'no_quota' };

const COLUMNS = 'seq, cursor, message_id, sender_id, content, meta, client_msg_id, created_at';

const SQL = {
	access: `SELECT r.room, r.type, m.role, h.last_seq, h.last_ordinal FROM rooms r
		JOIN room_heads h ON h.tenant = r.tenant AND h.room = r.room
		LEFT JOIN memberships m ON m.tenant = r.tenant AND m.room = r.room
			AND m.user_id = ?
		WHERE r.tenant = ? AND r.room_id = ? AND r.deleted_at IS NULL`,
	byClientId: `SELECT ${COLUMNS}, body_hash FROM messages
		WHERE tenant = ? AND room = ? AND sender_id = ? AND client_msg_id = ?`,
	moveHead: `UPDATE room_heads SET last_seq = ?, last_ordinal = ?, last_cursor = ?
		WHERE tenant = ? AND room = ?`,
	insert: `INSERT INTO messages (tenant, room, seq, cursor, ordinal, message_id, sender_id, content, meta,
			client_msg_id, body_hash, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	moveSender: `UPDATE positions
		SET delivered_seq = ?, read_seq = ?, read_ordinal = ?, changed_cursor = ?
		WHERE tenant = ? AND room = ? AND user_id = ?`,
	cursorOf: 'SELECT cursor FROM messages WHERE tenant = ? AND room = ? AND seq = ?',
	ascending: `SELECT ${COLUMNS} FROM messages
		WHERE tenant = ? AND room = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?`,
	// INDEXED BY: the primary key would sort all messages of the tenant.
	newest: `SELECT m.seq, m.cursor, m.message_id, m.sender_id, m.content, m.meta, m.client_msg_id,
			m.created_at, r.room_id, r.deleted_at
		FROM messages m INDEXED BY messages_by_cursor
		JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		WHERE m.tenant = ? AND m.cursor < ? ORDER BY m.cursor DESC LIMIT ?`,
	descending: `SELECT ${COLUMNS} FROM messages
		WHERE tenant = ? AND room = ? AND seq > ? AND seq < ? ORDER BY seq DESC LIMIT ?`,
};

/**
 * All SQL of messages. `append` decides and writes in one call, and so touches the head and the
 * position that members own: on another database it would be one statement.
 */
export function createMessagesStore(db: Database) {
	const access = prepare<
		{
			room: RoomNo;
			type: string;
			role: string | null;
			last_seq: number;
			last_ordinal: number;
		},
		[string, number, string]
	>(db, SQL.access);
	const byClientId = prepare<
		MessageRow & { body_hash: Uint8Array },
		[number, number, string, string]
	>(db, SQL.byClientId);
	const moveHead = prepare<null, [number, number, number, number, number]>(db, SQL.moveHead);
	const insert = prepare<
		null,
		[
			number,
			number,
			number,
			number,
			number,
			string,
			string,
			string,
			string | null,
			string | null,
			Uint8Array | null,
			number,
		]
	>(db, SQL.insert);
	const moveSender = prepare<null, [number, number, number, number, number, number, string]>(
		db,
		SQL.moveSender,
	);
	type Range = [number, number, number, number, number];
	const cursorOf = prepare<{ cursor: number }, [number, number, number]>(db, SQL.cursorOf);
	const ascending = prepare<MessageRow, Range>(db, SQL.ascending);
	const descending = prepare<MessageRow, Range>(db, SQL.descending);
	const newest = prepare<PlacedRow, [number, number, number]>(db, SQL.newest);

	return {
		/** Stores a message under the room's next seq, if its sender may and it is not there already. */
		append(message: NewMessage): Appended {
			const { tenant, sender_id, client_msg_id, cursor } = message;
			const isSystem = sender_id === '';
			const found = access.get(sender_id, tenant, message.room_id);
			if (found === null || !(isSystem || found.role !== null)) return { outcome: 'no_access' };
			const { room } = found;
			if (client_msg_id !== null) {
				const first = byClientId.get(tenant, room, sender_id, client_msg_id);
				if (first !== null) {
					const { body_hash, ...row } = first;
					const isSameBody = Buffer.compare(body_hash, message.body_hash ?? new Uint8Array()) === 0;
					return { outcome: 'duplicate', message: row, isSameBody };
				}
			}
			if (found.type === 'channel' && found.role === 'member') return { outcome: 'no_role' };
			if (message.isOverQuota) return { outcome: 'no_quota' };
			const seq = found.last_seq + 1;
			const ordinal = found.last_ordinal + (isSystem ? 0 : 1);
			moveHead.run(seq, ordinal, cursor, tenant, room);
			insert.run(
				tenant,
				room,
				seq,
				cursor,
				ordinal,
				message.message_id,
				sender_id,
				message.content,
				message.meta,
				client_msg_id,
				message.body_hash,
				message.created_at,
			);
			if (!isSystem) moveSender.run(seq, seq, ordinal, cursor, tenant, room, sender_id);
			return { outcome: 'stored', room, seq };
		},

		/**
		 * The seq of the room's last message up to a cursor, of which `last_seq` is at least one; 0 before the
		 * first. Seqs rise with cursors and have no gaps, so it is found by halving.
		 */
		findSeqThrough(tenant: TenantNo, room: RoomNo, cursor: number, last_seq: number): number {
			let [low, high] = [0, last_seq];
			while (low < high) {
				const middle = Math.ceil((low + high) / 2);
				const found = cursorOf.get(tenant, room, middle);
				if (found !== null && found.cursor <= cursor) low = middle;
				else high = middle - 1;
			}
			return low;
		},

		/** Messages with `after < seq < before`, ascending: the first `limit` of them. */
		listFirst: (tenant: TenantNo, room: RoomNo, range: Seqs, limit: number): MessageRow[] =>
			ascending.all(tenant, room, range.after, range.before, limit),
		/** Messages of all rooms, deleted ones too, with a cursor below `before`, newest first. */
		listNewest: (tenant: TenantNo, before: number, limit: number): PlacedRow[] =>
			newest.all(tenant, before, limit),
		/** The last `limit` of them, ascending all the same. */
		listLast: (tenant: TenantNo, room: RoomNo, range: Seqs, limit: number): MessageRow[] =>
			descending.all(tenant, room, range.after, range.before, limit).reverse(),
	};
}

/** An open interval of seqs. */
export interface Seqs {
	after: number;
	before: number;
}

export type MessagesStore = ReturnType<typeof createMessagesStore>;
