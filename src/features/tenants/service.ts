import type { Static } from '@sinclair/typebox';
import type { OperatorCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { createEpoch } from '../../core/cursor.ts';
import { AppError } from '../../core/errors.ts';
import type { Ids, TenantId, TenantNo } from '../../core/ids.ts';
import { fromJsonColumn, toJsonColumn } from '../../core/json.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { numberBefore, pageOf } from '../../core/page.ts';
import type { Random } from '../../core/random.ts';
import type { BucketRate } from '../../core/token-bucket.ts';
import { CONTROL_PLANE, type Scope } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { Writer } from '../../db/writer.ts';
import { insertKey, type KeysTx, newKey } from '../keys/service.ts';
import type { createTenant, getTenant, listTenants, RateLimitField } from './schema.ts';
import type { TenantRow, TenantsStore } from './store.ts';

export interface TenantsTx extends KeysTx {
	tenants: Stored<TenantsStore>;
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
	read: { tenants: Stored<TenantsStore> };
	clock: Clock;
	ids: Ids;
	random: Random;
	/** Requests per second of a tenant without a limit of its own; 0: none. */
	defaultRateLimit: number;
}

/** The use-cases of tenants. */
export function createTenants(deps: TenantsDeps) {
	const { writer, read, clock, ids, random, defaultRateLimit } = deps;

	async function findById(tenant_id: TenantId): Promise<TenantRow> {
		const row = await read.tenants.findById(tenant_id);
		if (row === undefined) throw new AppError('NOT_FOUND', 'Tenant not found');
		return row;
	}

	return {
		/**
		 * Creates a tenant with a first API key of every permission.
		 *
		 * @throws `VALIDATION_ERROR` for a rate limit that says both or neither of its units.
		 */
		create: async (
			_caller: OperatorCaller,
			input: InputOf<typeof createTenant>,
		): Promise<OutputOf<typeof createTenant>> => {
			rateOf(input.rate_limit ?? null, defaultRateLimit);
			const now = clock.now();
			const epoch = createEpoch(random.bytes(4));
			const key = newKey(
				{ name: 'default', permissions: ['full_access'], expires_at: null },
				{ ids, random, now },
			);
			const row: Omit<TenantRow, 'tenant'> = {
				tenant_id: ids('tenant'),
				name: input.name,
				domain: input.domain ?? null,
				status: 'active',
				metadata: toJsonColumn(input.metadata),
				rate_limit: toJsonColumn(input.rate_limit),
				allowed_origins: toJsonColumn(input.allowed_origins),
				created_at: now,
				updated_at: now,
			};
			return writer.commit(CONTROL_PLANE, async (tx) => {
				const tenant = await tx.tenants.insert(row, epoch);
				await insertKey(tx, tenant, key);
				return { value: { ...shown(row), api_key: key.api_key } };
			});
		},

		/** A page of all tenants, newest first. @throws `VALIDATION_ERROR` for a foreign cursor. */
		list: async (
			_caller: OperatorCaller,
			input: InputOf<typeof listTenants>,
		): Promise<OutputOf<typeof listTenants>> => {
			const limit = input.limit ?? 50;
			const rows = await read.tenants.list(numberBefore(input.cursor), limit + 1);
			const { items, next_cursor } = pageOf(rows, limit, ({ tenant }) => String(tenant));
			return { tenants: items.map(shown), next_cursor };
		},

		/** @throws `NOT_FOUND` for an unknown tenant. */
		get: async (
			_caller: OperatorCaller,
			{ tenant_id }: InputOf<typeof getTenant>,
		): Promise<OutputOf<typeof getTenant>> => shown(await findById(tenant_id)),

		/** The scope to write in for an operator who names a tenant. @throws `NOT_FOUND`. */
		scopeOf: async (tenant_id: TenantId): Promise<Scope> => {
			const { tenant } = await findById(tenant_id);
			return { tenant, tenant_id };
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

const shown = (row: Omit<TenantRow, 'tenant'>) => ({
	tenant_id: row.tenant_id,
	id: row.tenant_id,
	name: row.name,
	domain: row.domain,
	status: row.status,
	rate_limit: fromJsonColumn(row.rate_limit),
	allowed_origins: fromJsonColumn(row.allowed_origins),
	metadata: fromJsonColumn(row.metadata),
	created_at: toTimestamp(row.created_at),
	updated_at: toTimestamp(row.updated_at),
});
