import type { Database } from 'bun:sqlite';
import { and, desc, eq, gt, lt, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/bun-sqlite';
import type { PlanId, PlanNo, TenantId } from '../../core/ids.ts';
import { managementKeys, plans, tenants } from '../../db/tables.ts';

export type PlanRow = typeof plans.$inferSelect;
export type ManagementKeyRow = typeof managementKeys.$inferSelect;

/** All SQL of plans and their management credentials. */
export const createPlansStore = (db: Database) => {
	const orm = drizzle({ client: db });
	return { ...preparePlans(orm), ...prepareTenants(orm), ...prepareKeys(orm) };
};

export type PlansStore = ReturnType<typeof createPlansStore>;

type Orm = ReturnType<typeof drizzle<Record<string, never>, Database>>;
const p = sql.placeholder;

function preparePlans(orm: Orm) {
	const insert = orm
		.insert(plans)
		.values({
			plan_id: p('plan_id'),
			name: p('name'),
			quotas: p('quotas'),
			features: p('features'),
			settings: p('settings'),
			version: p('version'),
			created_at: p('created_at'),
			updated_at: p('updated_at'),
		})
		.prepare();
	const update = orm
		.update(plans)
		.set({
			name: sql`${p('name')}`,
			quotas: sql`${p('quotas')}`,
			features: sql`${p('features')}`,
			settings: sql`${p('settings')}`,
			version: sql`${p('version')}`,
			updated_at: sql`${p('updated_at')}`,
		})
		.where(eq(plans.plan, p('plan')))
		.prepare();
	const remove = orm
		.delete(plans)
		.where(eq(plans.plan, p('plan')))
		.prepare();
	const byId = orm
		.select()
		.from(plans)
		.where(eq(plans.plan_id, p('plan_id')))
		.limit(1)
		.prepare();
	const byNumber = orm
		.select()
		.from(plans)
		.where(eq(plans.plan, p('plan')))
		.limit(1)
		.prepare();
	const page = orm
		.select()
		.from(plans)
		.where(lt(plans.plan, p('before')))
		.orderBy(desc(plans.plan))
		.limit(p('limit'))
		.prepare();
	return {
		insert: (row: Omit<PlanRow, 'plan'>): void => void insert.run(row),
		update: (row: PlanRow): void => void update.run(row),
		remove: (plan: PlanNo): void => void remove.run({ plan }),
		findById: (plan_id: PlanId): PlanRow | undefined => byId.get({ plan_id }),
		find: (plan: PlanNo): PlanRow | undefined => byNumber.get({ plan }),
		/** Plans made before the one with this number, newest first. */
		list: (before: number, limit: number): PlanRow[] => page.all({ before, limit }),
	};
}

/** Who is on a plan. */
function prepareTenants(orm: Orm) {
	const anyTenant = orm
		.select({ tenant: tenants.tenant })
		.from(tenants)
		.where(eq(tenants.plan, p('plan')))
		.limit(1)
		.prepare();

	const allTenants = orm
		.select({ tenant_id: tenants.tenant_id })
		.from(tenants)
		.where(eq(tenants.plan, p('plan')))
		.prepare();

	return {
		/** All who are on it: who inherits. */
		listTenants: (plan: PlanNo): { tenant_id: TenantId }[] => allTenants.all({ plan }),
		hasTenant: (plan: PlanNo): boolean => anyTenant.get({ plan }) !== undefined,
	};
}

function prepareKeys(orm: Orm) {
	const insertKey = orm
		.insert(managementKeys)
		.values({ key: p('key'), plan: p('plan'), hash: p('hash'), created_at: p('created_at') })
		.prepare();
	const byKey = orm
		.select()
		.from(managementKeys)
		.where(eq(managementKeys.key, p('key')))
		.limit(1)
		.prepare();
	const keyPage = orm
		.select()
		.from(managementKeys)
		.where(and(eq(managementKeys.plan, p('plan')), gt(managementKeys.key, p('after'))))
		.orderBy(managementKeys.key)
		.limit(p('limit'))
		.prepare();
	const removeKey = orm
		.delete(managementKeys)
		.where(and(eq(managementKeys.plan, p('plan')), eq(managementKeys.key, p('key'))))
		.returning({ key: managementKeys.key })
		.prepare();
	const removeKeys = orm
		.delete(managementKeys)
		.where(eq(managementKeys.plan, p('plan')))
		.prepare();

	return {
		insertKey: (row: ManagementKeyRow): void => void insertKey.run(row),
		findKey: (key: string): ManagementKeyRow | undefined => byKey.get({ key }),
		/** Those of a plan after this one, in the order of their names. */
		listKeys: (plan: PlanNo, after: string, limit: number): ManagementKeyRow[] =>
			keyPage.all({ plan, after, limit }),
		/** False when the plan has no such key. */
		removeKey: (plan: PlanNo, key: string): boolean => removeKey.all({ plan, key }).length > 0,
		removeKeys: (plan: PlanNo): void => void removeKeys.run({ plan }),
	};
}
