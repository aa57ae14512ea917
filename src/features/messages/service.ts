import { untilNextDay } from '../../core/calendar.ts';
import type { TenantCaller, TenantReader } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { decodeCursor, encodeCursor } from '../../core/cursor.ts';
import { AppError } from '../../core/errors.ts';
import { eventOf, roomStream } from '../../core/event.ts';
import type { Ids, RoomId, TenantNo, UserId } from '../../core/ids.ts';
import { fromJsonColumn, toJsonColumn } from '../../core/json.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { NO_CURSOR } from '../../core/page.ts';
import { quotaExceeded, type SpentQuota } from '../../core/quota.ts';
import type { Stored } from '../../db/client.ts';
import type { LogHead } from '../../db/event-log.ts';
import type { Writer } from '../../db/writer.ts';
import { type Access, type MembersTx, requireAccess } from '../members/service.ts';
import {
	type listAllMessages,
	type listMessages,
	messageCreated,
	type sendMessage,
} from './schema.ts';
import type { MessageRow, MessagesStore } from './store.ts';

export interface MessagesTx {
	messages: Stored<MessagesStore>;
}

export interface MessagesDeps {
	writer: Writer<MessagesTx>;
	read: MembersTx & MessagesTx;
	clock: Clock;
	ids: Ids;
	/** The published end of the tenant's event log. */
	headOf(tenant: TenantNo): LogHead;
	/** The quota on storage that is used up, as far as is known by now. */
	storageSpent(caller: TenantCaller): SpentQuota | undefined;
}

/** Slices that one page looks at: messages of deleted rooms are passed over, and may be any number. */
const SLICES_MAX = 10;

/** The use-cases of messages. */
export function createMessages({ writer, read, clock, ids, headOf, storageSpent }: MessagesDeps) {
	/**
	 * Stores a message and publishes it to the room.
	 *
	 * Idempotent per (room, sender, client_msg_id): a retry returns the stored message, changes
	 * nothing and publishes nothing.
	 *
	 * @throws `NOT_FOUND` when the room is unknown or the caller is no member: outsiders must not
	 * learn which.
	 * @throws `AUTHORIZATION_ERROR` for a plain member of a channel.
	 * @throws `CONFLICT` when the client_msg_id was used for another content.
	 * @throws `RATE_LIMIT_EXCEEDED` for one message more than the tenant may store on a UTC day.
	 * @throws `QUOTA_EXCEEDED` for one message more than the tenant, or all tenants of its plan, may store in a
	 * month, or where there is no storage left.
	 */
	async function send(
		caller: TenantCaller,
		input: InputOf<typeof sendMessage>,
	): Promise<OutputOf<typeof sendMessage>> {
		const { room_id, content } = input;
		const meta = toJsonColumn(input.meta);
		const client_msg_id = input.client_msg_id ?? null;
		const row = {
			message_id: ids('msg'),
			sender_id: caller.user_id ?? '',
			content,
			meta,
			client_msg_id,
			created_at: clock.now(),
		};
		const body_hash = client_msg_id === null ? null : hashOf(content, meta);
		const full = storageSpent(caller);
		return writer.commit(caller, async (tx, { epoch, cursor, messages }) => {
			const spentMessages = messages.spentAt(row.created_at);
			const { messagesPerDay } = caller;
			const isDayFull =
				messagesPerDay !== undefined && messages.onDayOf(row.created_at) >= messagesPerDay;
			const spent = spentMessages ?? full;
			const appended = await tx.messages.append({
				...row,
				tenant: caller.tenant,
				room_id,
				body_hash,
				cursor,
				isOverQuota: spent !== undefined || isDayFull,
			});
			switch (appended.outcome) {
				case 'stored': {
					const { room, seq } = appended;
					const data = contentsOf(room_id, row, seq);
					return {
						value: { ...data, cursor: encodeCursor(epoch, cursor) },
						events: [eventOf(messageCreated, roomStream({ room, room_id }), data, { ref: seq })],
						messages: { count: 1, at: row.created_at },
					};
				}
				case 'duplicate':
					if (!appended.isSameBody) {
						throw new AppError('CONFLICT', 'This client_msg_id was used for another message', {
							field: 'client_msg_id',
						});
					}
					return { value: { ...shown(room_id, epoch, appended.message), duplicate: true } };
				case 'no_role':
					throw new AppError('AUTHORIZATION_ERROR', 'Needs the role moderator in this room');
				case 'no_quota':
					if (spent === undefined) throw dayExceeded(row.created_at);
					throw quotaExceeded(
						spentMessages === undefined ? 'storage_bytes' : 'messages_per_month',
						spent,
						{
							at: row.created_at,
							now: row.created_at,
						},
					);
				case 'no_access':
					throw new AppError('NOT_FOUND', 'Room not found');
			}
		});
	}

	/** A page of a room's messages, ascending by seq. @throws `NOT_FOUND` as `send`. */
	async function list(
		caller: TenantReader,
		input: InputOf<typeof listMessages>,
	): Promise<OutputOf<typeof listMessages>> {
		const { room_id, after_seq, before_seq, limit = 50 } = input;
		// First: what is told as the moment of the page must not be later than the page.
		const { epoch, last_cursor } = headOf(caller.tenant);
		const access = await requireAccess(read, caller, room_id);
		const { room } = access;
		const hidden = await hiddenThrough(read, caller, access);
		const range = {
			after: Math.max(after_seq ?? 0, hidden),
			before: before_seq ?? Number.MAX_SAFE_INTEGER,
		};
		const isForward = after_seq !== undefined;
		const rows = isForward
			? await read.messages.listFirst(caller.tenant, room, range, limit + 1)
			: await read.messages.listLast(caller.tenant, room, range, limit + 1);
		const has_more = rows.length > limit;
		if (has_more) isForward ? rows.pop() : rows.shift();
		return {
			messages: rows.map((row) => shown(room_id, epoch, row)),
			has_more,
			as_of: encodeCursor(epoch, last_cursor),
		};
	}

	/**
	 * A page of the messages of all rooms, newest first.
	 *
	 * @throws `VALIDATION_ERROR` for a cursor of another list or another life of the log.
	 */
	async function listAll(
		caller: TenantReader,
		{ limit = 50, cursor }: InputOf<typeof listAllMessages>,
	): Promise<OutputOf<typeof listAllMessages>> {
		const { epoch, last_cursor } = headOf(caller.tenant);
		const as_of = encodeCursor(epoch, last_cursor);
		const messages: ReturnType<typeof shown>[] = [];
		let before = cursor === undefined ? Number.MAX_SAFE_INTEGER : numberOf(cursor, epoch);
		for (let slice = 0; slice < SLICES_MAX; slice++) {
			const rows = await read.messages.listNewest(caller.tenant, before, limit + 1);
			for (const row of rows) {
				if (messages.length === limit) {
					return { messages, next_cursor: encodeCursor(epoch, before), as_of };
				}
				before = row.cursor;
				if (row.deleted_at === null) messages.push(shown(row.room_id, epoch, row));
			}
			if (rows.length <= limit) return { messages, next_cursor: null, as_of };
		}
		return { messages, next_cursor: encodeCursor(epoch, before), as_of };
	}

	return { send, list, listAll };
}

export type Messages = ReturnType<typeof createMessages>;

/** The day's messages are used up: until midnight, UTC. */
const dayExceeded = (at: number): AppError =>
	new AppError(
		'RATE_LIMIT_EXCEEDED',
		'Rate limit exceeded: the bucket "messages_per_day" of this tenant is empty until midnight UTC',
		{ retry_after_ms: untilNextDay(at) },
	);

/** The number of the message where a list goes on. @throws `VALIDATION_ERROR` for no cursor of this log. */
function numberOf(cursor: string, epoch: string): number {
	const place = decodeCursor(cursor);
	if (place?.epoch === epoch) return place.number;
	throw new AppError('VALIDATION_ERROR', NO_CURSOR, { field: 'cursor' });
}

/** The last seq that the caller may not read, for it joined later; 0 where there is none. */
async function hiddenThrough(
	{ messages }: MessagesTx,
	caller: TenantReader,
	{ room, joined_cursor, last_seq }: Access,
): Promise<number> {
	const isOpen = caller.settings.history === 'all' || joined_cursor === null;
	return isOpen ? 0 : messages.findSeqThrough(caller.tenant, room, joined_cursor, last_seq);
}

/** The 16 bytes by which a retry is told from another message under the same client_msg_id. */
function hashOf(content: string, meta: string | null): Uint8Array {
	const hasher = new Bun.CryptoHasher('sha256').update(content);
	// NUL is in no content, so no content runs into a meta.
	return hasher
		.update(`\0${meta ?? ''}`)
		.digest()
		.subarray(0, 16);
}

/** A stored message as clients see it. Exported for rooms, which show their last one. */
export const shown = (room_id: RoomId, epoch: string, row: MessageRow) => ({
	...contentsOf(room_id, row, row.seq),
	cursor: encodeCursor(epoch, row.cursor),
});

/** A message but for its cursor, which an event has of its own. Exported for events, which are read back. */
export const contentsOf = (
	room_id: RoomId,
	row: Omit<MessageRow, 'seq' | 'cursor'>,
	seq: number,
) => ({
	message_id: row.message_id,
	room_id,
	seq,
	kind: row.sender_id === '' ? ('system' as const) : ('user' as const),
	sender_id: row.sender_id === '' ? null : (row.sender_id as UserId),
	content: row.content,
	meta: fromJsonColumn(row.meta),
	client_msg_id: row.client_msg_id,
	created_at: toTimestamp(row.created_at),
});
