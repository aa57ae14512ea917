import type { Database } from 'bun:sqlite';
import { and, desc, eq, isNotNull, lt, lte, or, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/bun-sqlite';
import type { PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
import { type TenantStatus, tenantHeads, tenants } from '../../db/tables.ts';
import { IMPORTING } from '../../db/tenant-export.ts';

export type TenantRow = typeof tenants.$inferSelect;
export type { TenantStatus } from '../../db/tables.ts';

/** Which tenants a page is of. */
export interface TenantsFilter {
	before: number;
	limit: number;
	/** Null for tenants of any plan, and of none. */
	plan: PlanNo | null;
	status: TenantStatus | null;
	/** Part of a name or domain, or a whole tenant_id. */
	q: string | null;
}

/** All SQL of tenants. */
export const createTenantsStore = (db: Database) => {
	const orm = drizzle({ client: db });
	return { ...prepareWrites(orm), ...prepareReads(orm) };
};

type Orm = ReturnType<typeof drizzle<Record<string, never>, Database>>;
const p = sql.placeholder;

function prepareWrites(orm: Orm) {
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
			settings: p('settings'),
			webhook_url: p('webhook_url'),
			suspended_at: p('suspended_at'),
			purge_at: p('purge_at'),
			purge: p('purge'),
			smtp: p('smtp'),
			smtp_secret: p('smtp_secret'),
			quotas: p('quotas'),
		})
		.returning({ tenant: tenants.tenant })
		.prepare();
	const insertHead = orm
		.insert(tenantHeads)
		.values({ tenant: p('tenant'), epoch: p('epoch'), last_cursor: 0, last_room: 0 })
		.prepare();
	const update = orm
		.update(tenants)
		.set({
			name: sql`${p('name')}`,
			domain: sql`${p('domain')}`,
			status: sql`${p('status')}`,
			metadata: sql`${p('metadata')}`,
			rate_limit: sql`${p('rate_limit')}`,
			allowed_origins: sql`${p('allowed_origins')}`,
			updated_at: sql`${p('updated_at')}`,
			plan: sql`${p('plan')}`,
			version: sql`${p('version')}`,
			settings: sql`${p('settings')}`,
			webhook_url: sql`${p('webhook_url')}`,
			suspended_at: sql`${p('suspended_at')}`,
			purge_at: sql`${p('purge_at')}`,
			purge: sql`${p('purge')}`,
			smtp: sql`${p('smtp')}`,
			smtp_secret: sql`${p('smtp_secret')}`,
			quotas: sql`${p('quotas')}`,
		})
		.where(eq(tenants.tenant, p('tenant')))
		.prepare();
	return {
		/** Inserts the tenant and the head of its event log. */
		insert: (row: Omit<TenantRow, 'tenant'>, epoch: string): TenantNo => {
			const [inserted] = insert.all(row);
			const tenant = inserted?.tenant as TenantNo;
			insertHead.run({ tenant, epoch });
			return tenant;
		},
		/** Every column but the number, the id and the day of its making. */
		update: (row: TenantRow): void => void update.run(row),
	};
}

function prepareReads(orm: Orm) {
	// An import that is under way, or was cut short, is nobody's to see.
	const isWhole = sql`${tenants.status} <> ${sql.raw(`'${IMPORTING}'`)}`;
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
	const due = orm
		.select({ tenant: tenants.tenant, tenant_id: tenants.tenant_id })
		.from(tenants)
		.where(
			and(
				isWhole,
				isNotNull(tenants.purge_at),
				or(lte(tenants.purge_at, p('now')), eq(tenants.status, 'purging')),
			),
		)
		.orderBy(tenants.purge_at)
		.limit(p('limit'))
		.prepare();
	const fits = and(
		isWhole,
		lt(tenants.tenant, p('before')),
		sql`(${p('status')} IS NULL OR ${tenants.status} = ${p('status')})`,
		sql`(${p('like')} IS NULL OR ${tenants.name} LIKE ${p('like')} ESCAPE '!'
			OR ${tenants.domain} LIKE ${p('like')} ESCAPE '!' OR ${tenants.tenant_id} = ${p('q')})`,
	);
	const page = orm
		.select()
		.from(tenants)
		.where(fits)
		.orderBy(desc(tenants.tenant))
		.limit(p('limit'))
		.prepare();
	const pageOfPlan = orm
		.select()
		.from(tenants)
		.where(and(eq(tenants.plan, p('plan')), fits))
		.orderBy(desc(tenants.tenant))
		.limit(p('limit'))
		.prepare();

	return {
		/** Some of those that may be erased by now, or are being erased. */
		listDue: (now: number, limit: number): Pick<TenantRow, 'tenant' | 'tenant_id'>[] =>
			due.all({ now, limit }),
		findById: (tenant_id: TenantId): TenantRow | undefined => byId.get({ tenant_id }),
		find: (tenant: TenantNo): TenantRow | undefined => byNumber.get({ tenant }),
		/** Those that fit, made before the one with this number, newest first. */
		list({ before, limit, plan, status, q }: TenantsFilter): TenantRow[] {
			const like = q === null ? null : `%${q.replaceAll(/[!%_]/g, '!$&')}%`;
			const given = { before, limit, status, q, like };
			return plan === null ? page.all(given) : pageOfPlan.all({ ...given, plan });
		},
	};
}

export type TenantsStore = ReturnType<typeof createTenantsStore>;
