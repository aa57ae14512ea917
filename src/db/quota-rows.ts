import type { Database } from 'bun:sqlite';
import type { Days } from '../core/calendar.ts';
import type { PlanId, PlanNo, TenantNo } from '../core/ids.ts';
import { prepare } from './statement.ts';

/** What says how much a tenant may use, as JSON or nothing. */
export interface QuotaRow {
	quotas: string | null;
	plan: PlanNo | null;
	plan_id: PlanId | null;
}

/**
 * What the writer reads of quotas. The messages of a month are those of `tenant_heads`, if the last one was
 * of that month; else the days in `usage_days`, all of which are over.
 */
export function createQuotaRows(db: Database) {
	const ofTenant = prepare<QuotaRow, [number]>(
		db,
		`SELECT t.quotas, t.plan, p.plan_id FROM tenants t LEFT JOIN plans p ON p.plan = t.plan
			WHERE t.tenant = ?`,
	);
	const ofPlan = prepare<{ quotas: string }, [number]>(
		db,
		'SELECT quotas FROM plans WHERE plan = ?',
	);
	const pooled = prepare<{ sum: number }, [number, number, number, number, number]>(
		db,
		`SELECT coalesce(sum(CASE WHEN h.message_day >= ? AND h.message_day <= ? THEN h.month_messages
				ELSE (SELECT coalesce(sum(d.messages_sent), 0) FROM usage_days d
					WHERE d.tenant = t.tenant AND d.day >= ? AND d.day <= ?) END), 0) AS sum
			FROM tenants t JOIN tenant_heads h ON h.tenant = t.tenant WHERE t.plan = ?`,
	);
	return {
		find: (tenant: TenantNo): QuotaRow | undefined => ofTenant.get(tenant) ?? undefined,
		findPlan: (plan: PlanNo): string | undefined => ofPlan.get(plan)?.quotas,
		/** The messages of a month of all tenants that are on a plan now. */
		sumMessages: (plan: PlanNo, { from, through }: Days): number =>
			pooled.get(from, through, from, through, plan)?.sum ?? 0,
	};
}

export type QuotaRows = ReturnType<typeof createQuotaRows>;
