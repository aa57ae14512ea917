/**
 * The tables, as drizzle knows them; those of notifications are in notification-tables.ts. The
 * migrations in drizzle/ are what really makes them: there they are STRICT and, where the key leads
 * with the tenant, WITHOUT ROWID, so that a tenant's rows lie together. `test/unit/db/tables.test.ts`
 * holds the two against each other.
 *
 * `tenant` and `room` are internal numbers, `…_id` is what stands on the wire.
 * @see docs/adr/0002-ids-in-the-database.md
 */
import { sql } from 'drizzle-orm';
import {
	blob,
	index,
	integer,
	primaryKey,
	sqliteTable,
	text,
	uniqueIndex,
} from 'drizzle-orm/sqlite-core';
import type { KeyId, MessageId, RoomId, RoomNo, TenantNo, UserId } from '../core/ids.ts';

import { tenants } from './operator-tables.ts';

export { audit, managementKeys, plans, type TenantStatus, tenants } from './operator-tables.ts';
export { quotaWarnings, usageDays, usageUsers } from './usage-tables.ts';

const tenantNo = () => integer().$type<TenantNo>().notNull();
const roomNo = () => integer().$type<RoomNo>().notNull();
const userId = () => text().$type<UserId>().notNull();

/** Answers to requests with an `Idempotency-Key`, for a day. `tenant` 0: the control plane. */
export const storedAnswers = sqliteTable(
	'stored_answers',
	{
		tenant: integer().$type<TenantNo>().notNull(),
		key_hash: blob({ mode: 'buffer' }).notNull(),
		request_hash: blob({ mode: 'buffer' }).notNull(),
		/** Encrypted under the key, of which only the hash is here. */
		answer: blob({ mode: 'buffer' }).notNull(),
		created_at: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.key_hash] }),
		index('stored_answers_by_age').on(table.tenant, table.created_at),
	],
);

/** One row a tenant, written once per batch: the heads of its log and of its room numbers. */
export const tenantHeads = sqliteTable('tenant_heads', {
	tenant: integer()
		.$type<TenantNo>()
		.primaryKey()
		.references(() => tenants.tenant),
	epoch: text().notNull(),
	last_cursor: integer().notNull(),
	last_room: integer().notNull(),
	/** Events up to here are gone: a cursor below it cannot be resumed from. */
	pruned_through: integer().notNull().default(0),
	/** The UTC day, counted from 1970, of the message that was stored last. */
	message_day: integer().notNull().default(0),
	/** Messages stored on that day so far, and in its month. Earlier days are in usage_days. */
	day_messages: integer().notNull().default(0),
	month_messages: integer().notNull().default(0),
});

export const apiKeys = sqliteTable(
	'api_keys',
	{
		tenant: tenantNo().references(() => tenants.tenant),
		key_id: text().$type<KeyId>().notNull(),
		name: text().notNull(),
		/** `sk_` and the public part: how authentication finds the tenant, hence without one in front. */
		prefix: text().notNull().unique(),
		hash: blob({ mode: 'buffer' }).notNull(),
		/** What was granted, as it was written: JSON list of permissions and presets. */
		permissions: text().notNull(),
		created_at: integer().notNull(),
		expires_at: integer(),
		revoked_at: integer(),
		/** To the minute, and written in the background. */
		last_used_at: integer(),
		/** The secret before the last rotation, good until `old_until`. */
		old_prefix: text(),
		old_hash: blob({ mode: 'buffer' }),
		old_until: integer(),
		/** Rises with each change, but for its last use. */
		version: integer().notNull().default(1),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.key_id] }),
		uniqueIndex('api_keys_by_old_prefix').on(table.old_prefix).where(sql`old_prefix IS NOT NULL`),
		// A tenant has few live keys, and may have made and revoked any number.
		index('api_keys_live').on(table.tenant, table.key_id).where(sql`revoked_at IS NULL`),
	],
);

export const rooms = sqliteTable(
	'rooms',
	{
		tenant: tenantNo().references(() => tenants.tenant),
		room: roomNo(),
		room_id: text().$type<RoomId>().notNull(),
		type: text().$type<'dm' | 'group' | 'channel'>().notNull(),
		name: text(),
		metadata: text(),
		/** The two of a dm in code-unit order; null otherwise. */
		user_low: text().$type<UserId>(),
		user_high: text().$type<UserId>(),
		created_at: integer().notNull(),
		deleted_at: integer(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.room] }),
		uniqueIndex('rooms_by_id').on(table.tenant, table.room_id),
		uniqueIndex('rooms_by_pair')
			.on(table.tenant, table.user_low, table.user_high)
			.where(sql`type = 'dm' AND deleted_at IS NULL`),
	],
);

/** What changes with every message. `last_cursor` is the room's latest event of any kind. */
export const roomHeads = sqliteTable(
	'room_heads',
	{
		tenant: tenantNo(),
		room: roomNo(),
		last_seq: integer().notNull(),
		/** Counts the messages that count for unread. */
		last_ordinal: integer().notNull(),
		last_cursor: integer().notNull(),
		member_count: integer().notNull(),
		/** Of the latest event before a position was last acked or read here. */
		positions_cursor: integer().notNull().default(0),
	},
	(table) => [primaryKey({ columns: [table.tenant, table.room] })],
);

/** Who is in a room now. */
export const memberships = sqliteTable(
	'memberships',
	{
		tenant: tenantNo(),
		room: roomNo(),
		user_id: userId(),
		role: text().$type<'owner' | 'admin' | 'moderator' | 'member'>().notNull(),
		joined_at: integer().notNull(),
		joined_cursor: integer().notNull(),
		/** A dm is hidden from this user's list while the room's last_cursor is not above it. */
		hidden_cursor: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.room, table.user_id] }),
		index('memberships_by_user').on(table.tenant, table.user_id, table.room),
	],
);

/**
 * Who was in a room, from its joining to its leaving, one row each time: who was away must still learn
 * of it. Kept as long as the event that tells of the end.
 */
export const endedMemberships = sqliteTable(
	'ended_memberships',
	{
		tenant: tenantNo(),
		user_id: userId(),
		left_cursor: integer().notNull(),
		room: roomNo(),
		joined_cursor: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.user_id, table.left_cursor, table.room] }),
		index('ended_memberships_by_room').on(table.tenant, table.room, table.user_id),
	],
);

export const positions = sqliteTable(
	'positions',
	{
		tenant: tenantNo(),
		room: roomNo(),
		user_id: userId(),
		delivered_seq: integer().notNull(),
		read_seq: integer().notNull(),
		/** `ordinal` of the message at read_seq: unread is the room's last_ordinal minus this. */
		read_ordinal: integer().notNull(),
		/** Of the latest event when it last changed, its own message or joining included. */
		changed_cursor: integer().notNull().default(0),
	},
	(table) => [primaryKey({ columns: [table.tenant, table.room, table.user_id] })],
);

export const messages = sqliteTable(
	'messages',
	{
		tenant: tenantNo(),
		room: roomNo(),
		seq: integer().notNull(),
		cursor: integer().notNull(),
		ordinal: integer().notNull(),
		message_id: text().$type<MessageId>().notNull(),
		/** Empty for a message of the tenant itself: NULLs would be distinct in the unique index. */
		sender_id: text().notNull(),
		content: text().notNull(),
		meta: text(),
		client_msg_id: text(),
		/** Of content and meta as first sent; set with client_msg_id. Decides CONFLICT. */
		body_hash: blob({ mode: 'buffer' }),
		created_at: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.room, table.seq] }),
		// Of all rooms together, newest first.
		index('messages_by_cursor').on(table.tenant, table.cursor),
		uniqueIndex('messages_by_client_msg_id')
			.on(table.tenant, table.room, table.sender_id, table.client_msg_id)
			.where(sql`client_msg_id IS NOT NULL`),
	],
);

/** The event log. A message.created event refers to its message (`ref` is the seq), copying nothing. */
export const events = sqliteTable(
	'events',
	{
		tenant: tenantNo(),
		cursor: integer().notNull(),
		stream: text().notNull(),
		type: text().notNull(),
		ref: integer(),
		payload: text(),
		created_at: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.cursor] }),
		index('events_by_stream')
			.on(table.tenant, table.stream, table.cursor)
			.where(sql`type <> 'message.created'`),
	],
);

/** What the tenant has told of a user. A user needs no row to be a member or to act. */
export const users = sqliteTable(
	'users',
	{
		tenant: tenantNo().references(() => tenants.tenant),
		user_id: userId(),
		name: text(),
		avatar_url: text(),
		metadata: text(),
		created_at: integer().notNull(),
		updated_at: integer().notNull(),
		/** From then on nobody acts as this user. */
		deactivated_at: integer(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.user_id] }),
		index('users_deactivated')
			.on(table.tenant, table.user_id)
			.where(sql`deactivated_at IS NOT NULL`),
	],
);

/** When users were last seen. A user who never opened a socket has no row. */
export const presences = sqliteTable(
	'presences',
	{
		tenant: tenantNo(),
		user_id: userId(),
		last_seen_at: integer().notNull(),
		/** 1: had a socket when this was written; after a kill, seen at `alive_at` of its tenant. */
		is_online: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.user_id] }),
		index('presences_online').on(table.tenant, table.user_id).where(sql`is_online = 1`),
	],
);

/** When the server last wrote down that it runs, for tenants with somebody online. */
export const presenceHeads = sqliteTable('presence_heads', {
	tenant: integer().$type<TenantNo>().primaryKey(),
	alive_at: integer().notNull(),
});

/** Live tokens only: a revoked one has no row. */
export const userTokens = sqliteTable(
	'user_tokens',
	{
		tenant: tenantNo().references(() => tenants.tenant),
		/** `ut_` and the public part: how authentication finds the tenant. */
		prefix: text().notNull().unique(),
		user_id: userId(),
		/** The key that made it, with which it ends. */
		key_id: text().$type<KeyId>().notNull(),
		hash: blob({ mode: 'buffer' }).notNull(),
		created_at: integer().notNull(),
		expires_at: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.prefix] }),
		index('user_tokens_by_user').on(table.tenant, table.user_id, table.expires_at),
		index('user_tokens_by_end').on(table.tenant, table.expires_at),
	],
);
