/** The tables of usage; exported by tables.ts with all others. @see docs/adr/0014-usage.md */
import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import type { TenantNo, UserId } from '../core/ids.ts';

/**
 * What a tenant used on a UTC day, counted from 1970. Messages of the day that `tenant_heads` counts are
 * there, not here: they are counted in the commit that stores them.
 */
export const usageDays = sqliteTable(
	'usage_days',
	{
		tenant: integer().$type<TenantNo>().notNull(),
		day: integer().notNull(),
		messages_sent: integer().notNull().default(0),
		messages_delivered: integer().notNull().default(0),
		api_requests: integer().notNull().default(0),
		/** Users of the day, and those of them whose first day of the month it was. */
		active_users: integer().notNull().default(0),
		new_users: integer().notNull().default(0),
		peak_connections: integer().notNull().default(0),
		peak_at: integer().notNull().default(0),
		connection_ms: integer().notNull().default(0),
		/** As it was measured last on that day; NULL where it was not. */
		storage_bytes: integer(),
	},
	(table) => [primaryKey({ columns: [table.tenant, table.day] })],
);

/** The highest warning that a tenant was given of a quota in a month. */
export const quotaWarnings = sqliteTable(
	'quota_warnings',
	{
		tenant: integer().$type<TenantNo>().notNull(),
		month: integer().notNull(),
		quota: text().notNull(),
		/** Whose: `tenant` or `plan`. */
		scope: text().notNull(),
		percent: integer().notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenant, table.month, table.quota, table.scope] })],
);

/** Who acted in a UTC month: year * 12 + month, from 0. */
export const usageUsers = sqliteTable(
	'usage_users',
	{
		tenant: integer().$type<TenantNo>().notNull(),
		month: integer().notNull(),
		user_id: text().$type<UserId>().notNull(),
		/** A bit for each day of the month, from the lowest. */
		days: integer().notNull(),
	},
	(table) => [primaryKey({ columns: [table.tenant, table.month, table.user_id] })],
);
