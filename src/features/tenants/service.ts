import type { Static } from '@sinclair/typebox';
import type { OperatorCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { createEpoch } from '../../core/cursor.ts';
import { AppError } from '../../core/errors.ts';
import type { Ids, PlanId, PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
import { fromJsonColumn, toJsonColumn } from '../../core/json.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { numberBefore, pageOf } from '../../core/page.ts';
import type { Random } from '../../core/random.ts';
import type { BucketRate } from '../../core/token-bucket.ts';
import { controlPlane, type Scope } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { Writer } from '../../db/writer.ts';
import { newAct, record } from '../audit/service.ts';
import { insertKey, type KeysTx, newKey } from '../keys/service.ts';
import { type PlansTx, planIdOf, requirePlan } from '../plans/service.ts';
import type { createTenant, getTenant, listTenants, RateLimitField } from './schema.ts';
import type { TenantRow, TenantsStore } from './store.ts';

export interface TenantsTx extends KeysTx, PlansTx {
	tenants: Stored<TenantsStore>;
}

/** A tenant in the hands of an operator. */
export interface TenantScope extends Scope {
	plan: PlanNo | null;
}

/** What every request of a tenant needs to know of it. */
export interface TenantProfile extends Scope {
	/** Null when the limit is switched off. */
	rate: BucketRate | null;
	/** Null for those of the server. */
	allowed_origins: readonly string[] | null;
}

export interface TenantsDeps {
	writer: Writer<TenantsTx>;
	read: Pick<TenantsTx, 'tenants' | 'plans'>;
	clock: Clock;
	ids: Ids;
	random: Random;
	/** Requests per second of a tenant without a limit of its own; 0: none. */
	defaultRateLimit: number;
}

/** The use-cases of tenants. */
export function createTenants(deps: TenantsDeps) {
	const { writer, read, clock, ids, random, defaultRateLimit } = deps;

	/** The tenant, as far as it exists for the caller. @throws `NOT_FOUND`. */
	async function getRow({ plan }: OperatorCaller, tenant_id: TenantId): Promise<TenantRow> {
		const row = await read.tenants.findById(tenant_id);
		if (row !== undefined && (plan === null || plan === row.plan)) return row;
		throw new AppError('NOT_FOUND', 'Tenant not found');
	}

	const shownWithPlan = async (row: TenantRow) => shown(row, await planIdOf(read, row.plan));

	return {
		/**
		 * Creates a tenant with a first API key of every permission.
		 *
		 * @throws `VALIDATION_ERROR` for a rate limit that says both or neither of its units.
		 * @throws `NOT_FOUND` for an unknown plan.
		 */
		create: async (
			caller: OperatorCaller,
			input: InputOf<typeof createTenant>,
		): Promise<OutputOf<typeof createTenant>> => {
			rateOf(input.rate_limit ?? null, defaultRateLimit);
			const act = newAct('tenants.create', { clock, random });
			const now = act.at;
			const epoch = createEpoch(random.bytes(4));
			const key = newKey(
				{ name: 'default', permissions: ['full_access'], expires_at: null },
				{ ids, random, now },
			);
			const unplanned: Omit<TenantRow, 'tenant' | 'plan'> = {
				tenant_id: ids('tenant'),
				name: input.name,
				domain: input.domain ?? null,
				status: 'active',
				metadata: toJsonColumn(input.metadata),
				rate_limit: toJsonColumn(input.rate_limit),
				allowed_origins: toJsonColumn(input.allowed_origins),
				created_at: now,
				updated_at: now,
				version: 1,
			};
			return writer.commit(controlPlane(caller), async (tx) => {
				const { plan_id } = input;
				const plan =
					plan_id === undefined || plan_id === null
						? caller.plan
						: (await requirePlan(tx, caller, plan_id)).plan;
				const row = { ...unplanned, plan };
				const tenant = await tx.tenants.insert(row, epoch);
				await insertKey(tx, tenant, key);
				const value = shown(row, await planIdOf(tx, plan));
				const target = { tenant_id: row.tenant_id };
				await record(tx, caller, { ...act, tenant, plan, target, after: value });
				return { value: { ...value, api_key: key.api_key } };
			});
		},

		/**
		 * A page of the tenants that exist for the caller, newest first.
		 *
		 * @throws `VALIDATION_ERROR` for a foreign cursor.
		 */
		list: async (
			caller: OperatorCaller,
			input: InputOf<typeof listTenants>,
		): Promise<OutputOf<typeof listTenants>> => {
			const limit = input.limit ?? 50;
			const before = numberBefore(input.cursor);
			const rows = await (caller.plan === null
				? read.tenants.list(before, limit + 1)
				: read.tenants.listOfPlan(caller.plan, before, limit + 1));
			const { items, next_cursor } = pageOf(rows, limit, ({ tenant }) => String(tenant));
			return { tenants: await Promise.all(items.map(shownWithPlan)), next_cursor };
		},

		/** @throws `NOT_FOUND` for an unknown tenant. */
		get: async (
			caller: OperatorCaller,
			{ tenant_id }: InputOf<typeof getTenant>,
		): Promise<OutputOf<typeof getTenant>> => shownWithPlan(await getRow(caller, tenant_id)),

		/**
		 * The tenant that an operator names: to write in its scope, and to record what was done.
		 *
		 * @throws `NOT_FOUND` for one that does not exist for the caller.
		 */
		scopeOf: async (caller: OperatorCaller, tenant_id: TenantId): Promise<TenantScope> => {
			const { tenant, plan } = await getRow(caller, tenant_id);
			return { tenant, tenant_id, plan, ...(caller.once && { once: caller.once }) };
		},

		/** What authentication needs to know of a tenant; undefined when there is none of the number. */
		profileOf: async (tenant: TenantNo): Promise<TenantProfile | undefined> => {
			const row = await read.tenants.find(tenant);
			if (row === undefined) return undefined;
			return {
				tenant,
				tenant_id: row.tenant_id,
				rate: rateOf(fromJsonColumn(row.rate_limit), defaultRateLimit),
				allowed_origins: fromJsonColumn(row.allowed_origins),
			};
		},
	};
}

export type Tenants = ReturnType<typeof createTenants>;

/** The bucket that a `rate_limit` describes; null for no limit. */
function rateOf(
	limit: Static<typeof RateLimitField> | null,
	defaultPerSecond: number,
): BucketRate | null {
	if (limit === null) {
		return defaultPerSecond === 0
			? null
			: { per_second: defaultPerSecond, burst: defaultPerSecond * 2 };
	}
	const { requests_per_second, requests_per_minute, burst } = limit;
	if (requests_per_second !== undefined && requests_per_minute === undefined) {
		return { per_second: requests_per_second, burst: burst ?? requests_per_second * 2 };
	}
	if (requests_per_minute !== undefined && requests_per_second === undefined) {
		return { per_second: requests_per_minute / 60, burst: burst ?? requests_per_minute };
	}
	throw new AppError(
		'VALIDATION_ERROR',
		'Must have either requests_per_second or requests_per_minute',
		{ field: 'rate_limit' },
	);
}

const shown = (row: Omit<TenantRow, 'tenant'>, plan_id: PlanId | null) => ({
	tenant_id: row.tenant_id,
	id: row.tenant_id,
	name: row.name,
	domain: row.domain,
	status: row.status,
	plan_id,
	rate_limit: fromJsonColumn(row.rate_limit),
	allowed_origins: fromJsonColumn(row.allowed_origins),
	metadata: fromJsonColumn(row.metadata),
	version: row.version,
	created_at: toTimestamp(row.created_at),
	updated_at: toTimestamp(row.updated_at),
});
