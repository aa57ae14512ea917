/** The tables of the control plane: the operator's own. Exported by tables.ts with all others. */
import { sql } from 'drizzle-orm';
import { blob, index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import type { PlanId, PlanNo, TenantId, TenantNo } from '../core/ids.ts';

/** What tenants share: quotas that they draw on together, features and settings that they inherit. */
export const plans = sqliteTable('plans', {
	plan: integer().$type<PlanNo>().primaryKey({ autoIncrement: true }),
	plan_id: text().$type<PlanId>().notNull().unique(),
	name: text().notNull(),
	quotas: text().notNull(),
	features: text().notNull(),
	settings: text().notNull(),
	version: integer().notNull(),
	created_at: integer().notNull(),
	updated_at: integer().notNull(),
});

/** Live management credentials only: revoked ones have no row. */
export const managementKeys = sqliteTable(
	'management_keys',
	{
		/** `mk_` and the public part: what is sent as `key`. */
		key: text().primaryKey(),
		plan: integer()
			.$type<PlanNo>()
			.notNull()
			.references(() => plans.plan),
		/** Of the secret. */
		hash: blob({ mode: 'buffer' }).notNull(),
		created_at: integer().notNull(),
	},
	(table) => [index('management_keys_by_plan').on(table.plan, table.key)],
);

/**
 * What the operator did, in order. Triggers keep it append-only: of an entry, what it says of a purged
 * tenant may be erased, once, and nothing else.
 */
export const audit = sqliteTable(
	'audit',
	{
		entry: integer().primaryKey({ autoIncrement: true }),
		created_at: integer().notNull(),
		/** Who: `master`, or the key of management credentials. */
		credential: text().notNull(),
		/** What: the operation. */
		action: text().notNull(),
		request_id: text().notNull(),
		plan: integer().$type<PlanNo>(),
		/** About which tenant; null with the details. */
		tenant: integer().$type<TenantNo>(),
		/** JSON: target, before, after, and a nonce; null once it was erased. */
		details: text(),
		details_hash: blob({ mode: 'buffer' }).notNull(),
		/** Of the entry before and all of this one but the details, whose own hash stands for them. */
		hash: blob({ mode: 'buffer' }).notNull(),
	},
	(table) => [
		index('audit_by_action').on(table.action, table.entry),
		index('audit_by_tenant').on(table.tenant, table.entry).where(sql`tenant IS NOT NULL`),
		index('audit_by_plan').on(table.plan, table.entry).where(sql`plan IS NOT NULL`),
	],
);

/** `deleting`: until its `purge_at` it may be restored. `purging`: some of it is gone already. */
export type TenantStatus = 'active' | 'suspended' | 'deleting' | 'purging';

export const tenants = sqliteTable(
	'tenants',
	{
		// AUTOINCREMENT: the number of a purged tenant never comes back.
		tenant: integer().$type<TenantNo>().primaryKey({ autoIncrement: true }),
		tenant_id: text().$type<TenantId>().notNull().unique(),
		name: text().notNull(),
		domain: text(),
		status: text().$type<TenantStatus>().notNull(),
		/** JSON, as are all columns called metadata or meta. */
		metadata: text(),
		rate_limit: text(),
		allowed_origins: text(),
		created_at: integer().notNull(),
		updated_at: integer().notNull(),
		plan: integer()
			.$type<PlanNo>()
			.references(() => plans.plan),
		version: integer().notNull().default(1),
		/** JSON: those that the tenant sets itself. */
		settings: text(),
		webhook_url: text(),
		/** Of a tenant that is suspended, also while it is being deleted. */
		suspended_at: integer(),
		/** When a deleted tenant may be erased. */
		purge_at: integer(),
		/** JSON, but for the password. */
		smtp: text(),
		/** The password, encrypted under SECRETS_KEY. */
		smtp_secret: blob({ mode: 'buffer' }),
		/** JSON: limits inside the pool of its plan, if it is on one. */
		quotas: text(),
		/** JSON: who deleted it, and what of it is erased so far. */
		purge: text(),
	},
	(table) => [
		index('tenants_due').on(table.purge_at).where(sql`purge_at IS NOT NULL`),
		index('tenants_by_plan').on(table.plan, table.tenant).where(sql`plan IS NOT NULL`),
		index('tenants_by_name').on(table.name, table.tenant),
	],
);
