import type { Database } from 'bun:sqlite';
import { and, desc, eq, lt, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/bun-sqlite';
import type { PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
import { tenantHeads, tenants } from '../../db/tables.ts';
import { IMPORTING } from '../../db/tenant-export.ts';

export type TenantRow = typeof tenants.$inferSelect;

/** All SQL of tenants. */
export function createTenantsStore(db: Database) {
	const orm = drizzle({ client: db });
	const p = sql.placeholder;
	// An import that is under way, or was cut short, is nobody's to see.
	const isWhole = sql`${tenants.status} <> ${sql.raw(`'${IMPORTING}'`)}`;

	const insert = orm
		.insert(tenants)
		.values({
			tenant_id: p('tenant_id'),
			name: p('name'),
			domain: p('domain'),
			status: p('status'),
			metadata: p('metadata'),
			rate_limit: p('rate_limit'),
			allowed_origins: p('allowed_origins'),
			created_at: p('created_at'),
			updated_at: p('updated_at'),
			plan: p('plan'),
			version: p('version'),
		})
		.returning({ tenant: tenants.tenant })
		.prepare();
	const insertHead = orm
		.insert(tenantHeads)
		.values({ tenant: p('tenant'), epoch: p('epoch'), last_cursor: 0, last_room: 0 })
		.prepare();
	const byId = orm
		.select()
		.from(tenants)
		.where(and(isWhole, eq(tenants.tenant_id, p('tenant_id'))))
		.limit(1)
		.prepare();
	const byNumber = orm
		.select()
		.from(tenants)
		.where(and(isWhole, eq(tenants.tenant, p('tenant'))))
		.limit(1)
		.prepare();
	const page = orm
		.select()
		.from(tenants)
		.where(and(isWhole, lt(tenants.tenant, p('before'))))
		.orderBy(desc(tenants.tenant))
		.limit(p('limit'))
		.prepare();
	const pageOfPlan = orm
		.select()
		.from(tenants)
		.where(and(isWhole, eq(tenants.plan, p('plan')), lt(tenants.tenant, p('before'))))
		.orderBy(desc(tenants.tenant))
		.limit(p('limit'))
		.prepare();

	return {
		/** Inserts the tenant and the head of its event log. */
		insert: (row: Omit<TenantRow, 'tenant'>, epoch: string): TenantNo => {
			const [inserted] = insert.all(row);
			const tenant = inserted?.tenant as TenantNo;
			insertHead.run({ tenant, epoch });
			return tenant;
		},
		findById: (tenant_id: TenantId): TenantRow | undefined => byId.get({ tenant_id }),
		find: (tenant: TenantNo): TenantRow | undefined => byNumber.get({ tenant }),
		/** Tenants made before the one with this number, newest first. */
		list: (before: number, limit: number): TenantRow[] => page.all({ before, limit }),
		/** The same of those on a plan. */
		listOfPlan: (plan: PlanNo, before: number, limit: number): TenantRow[] =>
			pageOfPlan.all({ plan, before, limit }),
	};
}

export type TenantsStore = ReturnType<typeof createTenantsStore>;
