/**
 * What limits the messages of a month: a tenant's own quota, and that of its plan, on which all tenants of
 * the plan draw together. Exact: asked by a change before it stores a message, counted after the change has
 * succeeded, and both in the writer's order.
 *
 * A plan has used what its present tenants have used. So the pool's count is a sum of rows, made once and
 * then carried along in memory: a message costs no statement.
 *
 * Called by: the writer, batch by batch. Lives as long as the writer, and holds the state at the end of the
 * batch so far; whatever becomes of a batch but a commit, `forget` throws all of it away.
 *
 * Must never: keep a number that a change made otherwise. Who changes a quota, or which tenants are on a
 * plan, says so by an effect, and what hangs on it is read anew.
 */
import { LRUCache } from 'lru-cache';
import { dayOf, firstDayOf, lastDayOf, monthOf } from '../core/calendar.ts';
import type { Effect } from '../core/effect.ts';
import type { PlanId, PlanNo, TenantId, TenantNo } from '../core/ids.ts';
import type { Quotas, SpentQuota } from '../core/quota.ts';
import type { QuotaRows } from './quota-rows.ts';

/** What all tenants of a plan draw on. */
interface Pool {
	plan: PlanNo;
	/** Null where it is not limited; then nothing is counted. */
	limit: number | null;
	/** To be read anew. */
	isStale: boolean;
	/** Used by month. More than one only around its end, and where the clock was set. */
	used: Map<number, number>;
}

/** What a tenant may use. */
export interface Allowance {
	own: number | null;
	pool: Pool | null;
	isStale: boolean;
}

/** As one batch sees them. */
export interface BatchQuotas {
	allowanceOf(tenant: TenantNo, tenant_id: TenantId): Allowance;
	/** The quota that one message more at a moment would be over. `own`: what the tenant has of that month. */
	spentAt(allowance: Allowance, ms: number, own: () => number): SpentQuota | undefined;
	count(allowance: Allowance, ms: number, messages: number): void;
}

export interface MessageQuotas {
	/** `settle` writes what the batch has counted so far, so that sums of rows have it. */
	ofBatch(rows: QuotaRows, settle: () => void): BatchQuotas;
	/** Takes the effects of a change that has succeeded. */
	note(effects: readonly Effect[]): void;
	/** The batch came to nothing. */
	forget(): void;
}

/** Tenants whose allowance is known; each is about a tenth of a kibibyte. */
const ALLOWANCES_MAX = 20_000;
const POOLS_MAX = 10_000;
/** Months of a pool: this one, the one before, and those of a clock that was set. */
const MONTHS_MAX = 4;

const messagesOf = (quotas: string | null | undefined): number | null =>
	quotas === null || quotas === undefined
		? null
		: ((JSON.parse(quotas) as Quotas).messages_per_month ?? null);

export function createMessageQuotas(): MessageQuotas {
	const allowances = new LRUCache<TenantId, Allowance>({ max: ALLOWANCES_MAX });
	const pools = new Map<PlanId, Pool>();

	function forget(): void {
		allowances.clear();
		pools.clear();
	}

	function poolOf(plan: PlanNo, plan_id: PlanId): Pool {
		let pool = pools.get(plan_id);
		if (pool === undefined) {
			pool = { plan, limit: null, isStale: true, used: new Map() };
			pools.set(plan_id, pool);
		}
		return pool;
	}

	function ofBatch(rows: QuotaRows, settle: () => void): BatchQuotas {
		// Not in the middle of a batch: a pool that is held by somebody must be the only one of its plan.
		if (pools.size > POOLS_MAX) forget();

		function read(tenant: TenantNo): Allowance {
			const { quotas = null, plan = null, plan_id = null } = rows.find(tenant) ?? {};
			const pool = plan === null || plan_id === null ? null : poolOf(plan, plan_id);
			return { own: messagesOf(quotas), pool, isStale: false };
		}

		/** What a pool has used of a month; undefined where it is not limited. */
		function usedOf(pool: Pool, month: number): number | undefined {
			if (pool.isStale) {
				pool.limit = messagesOf(rows.findPlan(pool.plan));
				pool.used.clear();
				pool.isStale = false;
			}
			if (pool.limit === null) return undefined;
			const known = pool.used.get(month);
			if (known !== undefined) return known;
			settle();
			const days = { from: firstDayOf(month), through: lastDayOf(month) };
			const used = rows.sumMessages(pool.plan, days);
			const [oldest] = pool.used.keys();
			if (pool.used.size >= MONTHS_MAX && oldest !== undefined) pool.used.delete(oldest);
			pool.used.set(month, used);
			return used;
		}

		return {
			allowanceOf(tenant, tenant_id) {
				const known = allowances.get(tenant_id);
				if (known?.isStale === false) return known;
				const allowance = read(tenant);
				allowances.set(tenant_id, allowance);
				return allowance;
			},
			spentAt({ own, pool }, ms, usedOwn) {
				if (own !== null && usedOwn() >= own) return { scope: 'tenant', limit: own };
				if (pool === null) return undefined;
				const used = usedOf(pool, monthOf(dayOf(ms)));
				if (used === undefined || pool.limit === null || used < pool.limit) return undefined;
				return { scope: 'plan', limit: pool.limit };
			},
			count({ pool }, ms, messages) {
				// What is not known yet will be summed up with this in it.
				if (pool === null || pool.isStale || pool.limit === null) return;
				const month = monthOf(dayOf(ms));
				const used = pool.used.get(month);
				if (used !== undefined) pool.used.set(month, used + messages);
			},
		};
	}

	return {
		ofBatch,
		note(effects) {
			for (const effect of effects) {
				if (effect.name === 'tenant.changed') {
					const allowance = allowances.get(effect.tenant_id);
					if (allowance !== undefined) allowance.isStale = true;
				} else if (effect.name === 'plan.changed') {
					const pool = pools.get(effect.plan_id);
					if (pool !== undefined) pool.isStale = true;
				}
			}
		},
		forget,
	};
}
