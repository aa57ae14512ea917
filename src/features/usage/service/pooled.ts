import type { OperatorCaller } from '../../../core/caller.ts';
import type { Clock } from '../../../core/clock.ts';
import type { PlanId, PlanNo, TenantId, TenantNo } from '../../../core/ids.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { numberBefore, pageOf } from '../../../core/page.ts';
import type { inspectPlanUsage } from '../schema.ts';
import { figuresOf, type Period, periodOf, readDays } from './figures.ts';
import type { UsageTx } from './flushing.ts';

/** A tenant on a plan. */
export interface PlanTenant {
	tenant: TenantNo;
	tenant_id: TenantId;
}

export interface PooledDeps {
	read: UsageTx;
	clock: Pick<Clock, 'now'>;
	/** @throws `NOT_FOUND` for a plan that does not exist for the caller. */
	planOf(caller: OperatorCaller, plan_id: PlanId): Promise<PlanNo>;
	/** Tenants on a plan with numbers below `before`, the highest first. */
	tenantsOn(plan: PlanNo, before: number, limit: number): Promise<readonly PlanTenant[]>;
	/** Lets others go on. */
	pause(): Promise<void>;
}

type Part = OutputOf<typeof inspectPlanUsage>['tenants'][number];

/** Read in one turn of the event loop: a tenant is two look-ups. */
const TENANTS_A_TURN = 25;

const NOTHING: Omit<Part, 'tenant_id'> = { ...figuresOf([], false), storage_bytes: 0 };

/** What the tenants of a plan used, together and each. */
export function createPooledUsage({ read, clock, planOf, tenantsOn, pause }: PooledDeps) {
	async function partOf({ tenant, tenant_id }: PlanTenant, period: Period): Promise<Part> {
		const rows = await readDays(read, tenant, period);
		const storage_bytes = (await read.usage.findStorage(tenant, period.through)) ?? 0;
		return { tenant_id, ...figuresOf(rows, period.from === period.through), storage_bytes };
	}

	async function totalOf(plan: PlanNo, period: Period): Promise<Omit<Part, 'tenant_id'>> {
		const total = { ...NOTHING };
		for (let before = Number.MAX_SAFE_INTEGER; ; ) {
			const page = await tenantsOn(plan, before, TENANTS_A_TURN);
			for (const each of page) addTo(total, await partOf(each, period));
			if (page.length < TENANTS_A_TURN) return total;
			before = page.at(-1)?.tenant ?? 0;
			await pause();
		}
	}

	/**
	 * What the tenants that are on a plan now used in a period, as far as it is written.
	 *
	 * @throws `NOT_FOUND` for an unknown plan; `VALIDATION_ERROR` for a day there never is, or a foreign cursor.
	 */
	return async function inspectPlan(
		caller: OperatorCaller,
		input: InputOf<typeof inspectPlanUsage>,
	): Promise<OutputOf<typeof inspectPlanUsage>> {
		const period = periodOf(input.period, clock.now());
		const { plan_id, limit = 50 } = input;
		const plan = await planOf(caller, plan_id);
		const listed = await tenantsOn(plan, numberBefore(input.cursor), limit + 1);
		const { items, next_cursor } = pageOf(listed, limit, ({ tenant }) => String(tenant));
		const tenants: Part[] = [];
		for (const each of items) tenants.push(await partOf(each, period));
		const total = await totalOf(plan, period);
		return { plan_id, period: period.period, ...total, tenants, next_cursor };
	};
}

/** Peaks are added up too: so many sockets at most were open at one moment, which therefore has no time. */
function addTo(total: Omit<Part, 'tenant_id'>, part: Part): void {
	for (const [name, value] of Object.entries(part)) {
		const field = name as keyof typeof total;
		if (typeof value === 'number') (total[field] as number) += value;
	}
}
