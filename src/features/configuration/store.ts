import type { Database } from 'bun:sqlite';
import type { PlanId, PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';
import type { TenantStatus } from '../../db/tables.ts';
import { IMPORTING } from '../../db/tenant-export.ts';

export interface NamedTenant {
	tenant: TenantNo;
	tenant_id: TenantId;
	name: string;
	status: TenantStatus;
}

export interface NamedPlan {
	plan: PlanNo;
	plan_id: PlanId;
	name: string;
}

/** Several of a name are all that has to be known. */
const NAMED_MAX = 2;

/** How configuration finds plans and tenants: by name, and in the order of their making. */
export function createConfigurationStore(db: Database) {
	const isWhole = `status NOT IN ('${IMPORTING}', 'purging')`;
	const tenantsNamed = prepare<NamedTenant, [string]>(
		db,
		`SELECT tenant, tenant_id, name, status FROM tenants
		WHERE name = ? AND ${isWhole} ORDER BY tenant LIMIT ${NAMED_MAX}`,
	);
	const tenantsAfter = prepare<NamedTenant, [number, number]>(
		db,
		`SELECT tenant, tenant_id, name, status FROM tenants
		WHERE tenant > ? AND ${isWhole} ORDER BY tenant LIMIT ?`,
	);
	const plansNamed = prepare<NamedPlan, [string]>(
		db,
		`SELECT plan, plan_id, name FROM plans WHERE name = ? ORDER BY plan LIMIT ${NAMED_MAX}`,
	);
	const plansAfter = prepare<NamedPlan, [number, number]>(
		db,
		'SELECT plan, plan_id, name FROM plans WHERE plan > ? ORDER BY plan LIMIT ?',
	);
	const onPlan = prepare<{ count: number }, [string]>(
		db,
		`SELECT count(*) AS count FROM tenants
		WHERE plan = (SELECT plan FROM plans WHERE plan_id = ?)`,
	);

	return {
		/** The tenants of a name, two at most. What is being erased has none any more. */
		listTenantsNamed: (name: string): NamedTenant[] => tenantsNamed.all(name),
		/** Tenants made after the one with this number, oldest first. */
		listTenantsAfter: (after: number, limit: number): NamedTenant[] =>
			tenantsAfter.all(after, limit),
		/** The plans of a name, two at most. */
		listPlansNamed: (name: string): NamedPlan[] => plansNamed.all(name),
		/** Plans made after the one with this number, oldest first. */
		listPlansAfter: (after: number, limit: number): NamedPlan[] => plansAfter.all(after, limit),
		/** How many tenants are on a plan, whatever became of them. */
		countTenantsOn: (plan_id: PlanId): number => onPlan.get(plan_id)?.count ?? 0,
	};
}

export type ConfigurationStore = ReturnType<typeof createConfigurationStore>;
