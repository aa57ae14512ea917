import type { Database } from 'bun:sqlite';
import type { Days } from '../../core/calendar.ts';
import type { PlanNo, TenantId, TenantNo, UserId } from '../../core/ids.ts';
import type { QuotaName, QuotaScope } from '../../core/quota.ts';
import { prepare } from '../../db/statement.ts';

/** What a tenant may use: JSON, or nothing. */
export interface LimitsRow {
	tenant: TenantNo;
	tenant_id: TenantId;
	own: string | null;
	plan: PlanNo | null;
	pooled: string | null;
}

/** What a tenant has used of a month, as far as it is written. */
export interface UsedRow {
	tenant: TenantNo;
	tenant_id: TenantId;
	monthly_active_users: number;
	messages_per_month: number;
	api_requests_per_month: number;
	/** As measured last. */
	storage_bytes: number;
}

/** One warning: told once. */
export interface Warning {
	quota: QuotaName;
	scope: QuotaScope;
	/** The month. */
	month: number;
	percent: number;
}

const IN_MONTH = 'd.tenant = t.tenant AND d.day >= $from AND d.day <= $through';

/** Of each tenant t. The messages are those of the head, where its last one was of that month. */
const USED = `SELECT t.tenant, t.tenant_id,
		(SELECT coalesce(sum(d.new_users), 0) FROM usage_days d WHERE ${IN_MONTH}) AS monthly_active_users,
		(SELECT coalesce(sum(d.api_requests), 0) FROM usage_days d WHERE ${IN_MONTH}) AS api_requests_per_month,
		coalesce((SELECT h.month_messages FROM tenant_heads h
			WHERE h.tenant = t.tenant AND h.message_day >= $from AND h.message_day <= $through),
			(SELECT coalesce(sum(d.messages_sent), 0) FROM usage_days d WHERE ${IN_MONTH})) AS messages_per_month,
		coalesce((SELECT d.storage_bytes FROM usage_days d
			WHERE d.tenant = t.tenant AND d.day <= $through AND d.storage_bytes IS NOT NULL
			ORDER BY d.day DESC LIMIT 1), 0) AS storage_bytes
	FROM tenants t`;

/** All SQL of quotas, but for the writer's own. */
export function createQuotasStore(db: Database) {
	const limits = prepare<LimitsRow, [number]>(
		db,
		`SELECT t.tenant, t.tenant_id, t.quotas AS own, t.plan, p.quotas AS pooled
			FROM tenants t LEFT JOIN plans p ON p.plan = t.plan WHERE t.tenant = ?`,
	);
	const ofTenant = prepare<UsedRow, [Record<string, number>]>(
		db,
		`${USED} WHERE t.tenant = $tenant`,
	);
	const ofPlan = prepare<UsedRow, [Record<string, number>]>(
		db,
		`${USED} WHERE t.plan = $plan AND t.tenant > $after ORDER BY t.tenant LIMIT $limit`,
	);
	const user = prepare<{ days: number }, [number, number, string]>(
		db,
		'SELECT days FROM usage_users WHERE tenant = ? AND month = ? AND user_id = ?',
	);
	const warn = prepare<{ percent: number }, [number, number, string, string, number]>(
		db,
		`INSERT INTO quota_warnings (tenant, month, quota, scope, percent)
			SELECT tenant, ?2, ?3, ?4, ?5 FROM tenants WHERE tenant = ?1
			ON CONFLICT (tenant, month, quota, scope) DO UPDATE SET percent = excluded.percent
				WHERE excluded.percent > percent
			RETURNING percent`,
	);
	return {
		findLimits: (tenant: TenantNo): LimitsRow | undefined => limits.get(tenant) ?? undefined,
		findUsed: (tenant: TenantNo, { from, through }: Days): UsedRow | undefined =>
			ofTenant.get({ tenant, from, through }) ?? undefined,
		/** The tenants of a plan behind one, in the order of their numbers. */
		listUsed: (
			plan: PlanNo,
			{ from, through }: Days,
			{ after, limit }: { after: number; limit: number },
		): UsedRow[] => ofPlan.all({ plan, from, through, after, limit }),
		/** Whether the user has acted in a month, as far as it is written. */
		hasActed: (tenant: TenantNo, month: number, user_id: UserId): boolean =>
			user.get(tenant, month, user_id) !== null,
		/** Notes a warning. False where it, or a higher one, was given before. */
		noteWarning: (tenant: TenantNo, { month, quota, scope, percent }: Warning): boolean =>
			warn.get(tenant, month, quota, scope, percent) !== null,
	};
}

export type QuotasStore = ReturnType<typeof createQuotasStore>;
