import type { OperatorCaller } from '../../core/caller.ts';
import { createEpoch } from '../../core/cursor.ts';
import type { FeatureSwitches } from '../../core/features.ts';
import type { Ids, PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
import { fromJsonColumn, toJsonColumn } from '../../core/json.ts';
import { mergePatch } from '../../core/merge-patch.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { numberBefore, pageOf } from '../../core/page.ts';
import type { RateLimit } from '../../core/rate-limit.ts';
import type { TenantHalt } from '../../core/tenant-halt.ts';
import type { TenantSettings } from '../../core/tenant-settings.ts';
import type { BucketRate } from '../../core/token-bucket.ts';
import { controlPlane, type Scope } from '../../db/change.ts';
import { newAct, record } from '../audit/service.ts';
import { insertKey, type NewKey, newKey } from '../keys/service.ts';
import { inheritedFrom, requirePlan } from '../plans/service.ts';
import type { createTenant, getTenant, listTenants } from './schema.ts';
import { createHalting } from './service/halting.ts';
import { rateOf } from './service/rate.ts';
import { createRemoving, type RemovingDeps } from './service/removing.ts';
import {
	requireKeptRow,
	requireTenantRow,
	settingsOf,
	shownOf,
	toObjectColumn,
} from './service/rows.ts';
import { createUpdating, type UpdatingDeps } from './service/updating.ts';
import type { TenantRow, TenantStatus } from './store.ts';

/** A tenant in the hands of an operator. */
export interface TenantScope extends Scope {
	plan: PlanNo | null;
}

/** What every request of a tenant needs to know of it. */
export interface TenantProfile extends Scope {
	/** Null when the limit is switched off. */
	rate: BucketRate | null;
	/** Of a UTC day; absent where they are not limited. */
	messagesPerDay?: number;
	/** Null for those of the server. */
	allowed_origins: readonly string[] | null;
	settings: TenantSettings;
	features: FeatureSwitches;
	/** Why nothing is done for it; null while all is. */
	halt: TenantHalt | null;
}

export interface TenantsDeps extends UpdatingDeps, RemovingDeps {
	ids: Ids;
}

/** The use-cases of tenants. */
export function createTenants(deps: TenantsDeps) {
	const { writer, read, clock, ids, random, defaultRateLimit, vault } = deps;

	async function create(
		caller: OperatorCaller,
		input: InputOf<typeof createTenant>,
		key: NewKey | undefined,
	): Promise<Omit<OutputOf<typeof createTenant>, 'api_key'>> {
		rateOf(input.rate_limit ?? null, defaultRateLimit);
		const act = newAct('tenants.create', { clock, random });
		const epoch = createEpoch(random.bytes(4));
		const unplanned = newRow(input, ids('tenant'), act.at);
		return writer.commit(controlPlane(caller), async (tx) => {
			const { plan_id } = input;
			const plan =
				plan_id === undefined || plan_id === null
					? caller.plan
					: (await requirePlan(tx, caller, plan_id)).plan;
			const row = { ...unplanned, plan };
			const tenant = await tx.tenants.insert(row, epoch);
			if (key !== undefined) await insertKey(tx, tenant, key);
			const value = await shownOf(tx, row, vault);
			const target = { tenant_id: row.tenant_id };
			await record(tx, caller, { ...act, tenant, plan, target, after: value });
			return { value: { ...value, ...(key && { api_key: key.api_key }) } };
		});
	}

	return {
		/**
		 * Creates a tenant with a first API key of every permission.
		 *
		 * @throws `VALIDATION_ERROR` for a rate limit that has both of its units.
		 * @throws `NOT_FOUND` for an unknown plan.
		 */
		create: async (
			caller: OperatorCaller,
			input: InputOf<typeof createTenant>,
		): Promise<OutputOf<typeof createTenant>> => {
			const key = newKey(
				{ name: 'default', permissions: ['full_access'], expires_at: null },
				{ ids, random, now: clock.now() },
			);
			return { ...(await create(caller, input, key)), api_key: key.api_key };
		},

		/** Creates a tenant whose keys are made by whoever asks. @throws as `create`. */
		createWithoutKey: (caller: OperatorCaller, input: InputOf<typeof createTenant>) =>
			create(caller, input, undefined),

		/**
		 * A page of the tenants that fit and exist for the caller, newest first.
		 *
		 * @throws `VALIDATION_ERROR` for a foreign cursor.
		 */
		list: async (
			caller: OperatorCaller,
			{ plan_id, cursor, limit = 50, ...wanted }: InputOf<typeof listTenants>,
		): Promise<OutputOf<typeof listTenants>> => {
			const before = numberBefore(cursor);
			const named = plan_id === undefined ? undefined : await read.plans.findById(plan_id);
			const isNobodys = plan_id !== undefined && named === undefined;
			const isForeign = caller.plan !== null && named !== undefined && named.plan !== caller.plan;
			if (isNobodys || isForeign) return { tenants: [], next_cursor: null };
			const plan = named?.plan ?? caller.plan;
			const { status = null, q = null } = wanted;
			const rows = await read.tenants.list({ before, limit: limit + 1, plan, status, q });
			const { items, next_cursor } = pageOf(rows, limit, ({ tenant }) => String(tenant));
			return {
				tenants: await Promise.all(items.map((row) => shownOf(read, row, vault))),
				next_cursor,
			};
		},

		/** @throws `NOT_FOUND` for an unknown tenant. */
		get: async (
			caller: OperatorCaller,
			{ tenant_id }: InputOf<typeof getTenant>,
		): Promise<OutputOf<typeof getTenant>> =>
			shownOf(read, await requireTenantRow(read, caller, tenant_id), vault),

		update: createUpdating(deps),
		...createHalting(deps),
		...createRemoving(deps),

		/**
		 * The tenant that an operator names: to write in its scope, and to record what was done.
		 *
		 * @throws `NOT_FOUND` for one that does not exist for the caller.
		 */
		scopeOf: async (caller: OperatorCaller, tenant_id: TenantId): Promise<TenantScope> => {
			const { tenant, plan } = await requireKeptRow(read, caller, tenant_id);
			return { tenant, tenant_id, plan, ...(caller.once && { once: caller.once }) };
		},

		/** What authentication needs to know of a tenant; undefined when there is none of the number. */
		profileOf: async (tenant: TenantNo): Promise<TenantProfile | undefined> => {
			const row = await read.tenants.find(tenant);
			if (row === undefined) return undefined;
			const rate_limit: RateLimit | null = fromJsonColumn(row.rate_limit);
			const { messages_per_day } = rate_limit ?? {};
			const inherited = await inheritedFrom(read, row.plan);
			return {
				tenant,
				tenant_id: row.tenant_id,
				rate: rateOf(rate_limit, defaultRateLimit),
				...(messages_per_day === undefined ? {} : { messagesPerDay: messages_per_day }),
				allowed_origins: fromJsonColumn(row.allowed_origins),
				settings: settingsOf(row, inherited),
				features: inherited.features,
				halt: HALTS[row.status],
			};
		},
	};
}

export type Tenants = ReturnType<typeof createTenants>;

/** What a status means for whoever asks with the tenant's credentials. */
const HALTS = {
	active: null,
	suspended: 'suspended',
	deleting: 'deleting',
	purging: 'deleting',
} as const satisfies Record<TenantStatus, TenantHalt | null>;

/** A tenant to be stored, before its plan is known. */
const newRow = (
	input: InputOf<typeof createTenant>,
	tenant_id: TenantId,
	now: number,
): Omit<TenantRow, 'tenant' | 'plan'> => ({
	tenant_id,
	name: input.name,
	domain: input.domain ?? null,
	status: 'active',
	metadata: toJsonColumn(input.metadata),
	rate_limit: toJsonColumn(input.rate_limit),
	quotas: toObjectColumn(mergePatch({}, input.quotas ?? {}) as object),
	allowed_origins: toJsonColumn(input.allowed_origins),
	webhook_url: input.webhook_url ?? null,
	settings: toObjectColumn(mergePatch({}, input.settings ?? {}) as object),
	smtp: null,
	smtp_secret: null,
	created_at: now,
	updated_at: now,
	suspended_at: null,
	purge_at: null,
	purge: null,
	version: 1,
});
