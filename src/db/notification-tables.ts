/** The tables of notifications, as tables.ts has all others: what is said there holds here. */
import { sql } from 'drizzle-orm';
import {
	index,
	integer,
	primaryKey,
	sqliteTable,
	text,
	uniqueIndex,
} from 'drizzle-orm/sqlite-core';
import type { NotificationId, SubscriptionId, TenantNo, UserId } from '../core/ids.ts';

const tenantNo = () => integer().$type<TenantNo>().notNull();
const userId = () => text().$type<UserId>().notNull();

/** What its event refers to. Kept longer than events are. */
export const notifications = sqliteTable(
	'notifications',
	{
		tenant: tenantNo(),
		/** Of its event. */
		cursor: integer().notNull(),
		/** The event's data, as JSON. */
		data: text().notNull(),
		created_at: integer().notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenant, table.cursor] })],
);

/** The streams that a notification is in: of users, a room, a topic, or the tenant. */
export const notificationTargets = sqliteTable(
	'notification_targets',
	{
		tenant: tenantNo(),
		stream: text().notNull(),
		cursor: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.stream, table.cursor] }),
		index('notification_targets_by_cursor').on(table.tenant, table.cursor),
	],
);

/** What a user was notified of by name and has not confirmed. A confirmed one has no row. */
export const deliveries = sqliteTable(
	'deliveries',
	{
		tenant: tenantNo(),
		user_id: userId(),
		cursor: integer().notNull(),
		attempts: integer().notNull(),
		last_attempt_at: integer(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.user_id, table.cursor] }),
		index('deliveries_by_cursor').on(table.tenant, table.cursor),
	],
);

/** Deliveries whose event was pruned before they were confirmed. */
export const deadLetters = sqliteTable(
	'dead_letters',
	{
		tenant: tenantNo(),
		cursor: integer().notNull(),
		user_id: userId(),
		notification_id: text().$type<NotificationId>().notNull(),
		topic: text().notNull(),
		attempts: integer().notNull(),
		last_attempt_at: integer(),
		failed_at: integer().notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenant, table.cursor, table.user_id] })],
);

/** A subscription outlives its end (`until_cursor`) where it held something: who was away must still learn of it. */
export const subscriptions = sqliteTable(
	'subscriptions',
	{
		tenant: tenantNo(),
		user_id: userId(),
		topic: text().notNull(),
		/** It holds what has this cursor or a later one, */
		from_cursor: integer().notNull(),
		/** and one before this; null while it lasts. */
		until_cursor: integer(),
		subscription_id: text().$type<SubscriptionId>().notNull(),
		created_at: integer().notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.tenant, table.user_id, table.topic, table.from_cursor] }),
		uniqueIndex('subscriptions_lasting')
			.on(table.tenant, table.user_id, table.topic)
			.where(sql`until_cursor IS NULL`),
		index('subscriptions_ended')
			.on(table.tenant, table.until_cursor)
			.where(sql`until_cursor IS NOT NULL`),
	],
);
