import type { OperatorCaller } from '../../../core/caller.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { numberBefore } from '../../../core/page.ts';
import type { Stored } from '../../../db/client.ts';
import { KEYS_MAX } from '../../keys/schema.ts';
import {
	type exportConfiguration,
	type KeyWanted,
	type PlanWanted,
	TENANT_FIELDS,
	type TenantWanted,
} from '../schema.ts';
import type { ConfigurationStore } from '../store.ts';
import { plainOf } from './differences.ts';
import { allKeys, type ShownKey } from './keys.ts';
import type { Operations } from './pass.ts';
import { isLive, type ShownTenant, writtenSmtp } from './tenants.ts';

export interface ExportingDeps {
	operations: Operations;
	names: Stored<ConfigurationStore>;
}

type Page = OutputOf<typeof exportConfiguration>;

/** Above every cursor of plans: tenants begin there. */
const TENANTS = 'tenants.';

/** The use-case that tells what is there as a document to apply. */
export function createExporting({ operations, names }: ExportingDeps) {
	async function plansAfter(caller: OperatorCaller, after: number, limit: number): Promise<Page> {
		const rows = await names.listPlansAfter(after, limit + 1);
		const plans: PlanWanted[] = [];
		for (const { plan_id } of rows.slice(0, limit)) {
			const plan = await operations.plans.get(caller, { plan_id });
			const isTwin = (await names.listPlansNamed(plan.name)).length > 1;
			const { name, quotas, features, settings } = plan;
			plans.push({
				name,
				...(isTwin && { plan_id }),
				...(stated({ quotas, features, settings }) as Partial<PlanWanted>),
			});
		}
		const last = rows.slice(0, limit).at(-1);
		const next_cursor = rows.length > limit && last !== undefined ? String(last.plan) : TENANTS;
		return { plans, tenants: [], next_cursor };
	}

	async function tenantsAfter(caller: OperatorCaller, after: number, limit: number): Promise<Page> {
		const rows = await names.listTenantsAfter(after, limit + 1);
		const tenants: TenantWanted[] = [];
		for (const { tenant_id } of rows.slice(0, limit)) {
			const tenant = await operations.tenants.get(caller, { tenant_id });
			if (isLive(tenant.status)) tenants.push(await wantedOf(caller, tenant));
		}
		const last = rows.slice(0, limit).at(-1);
		const hasMore = rows.length > limit && last !== undefined;
		return { plans: [], tenants, next_cursor: hasMore ? `${TENANTS}${last.tenant}` : null };
	}

	async function wantedOf(caller: OperatorCaller, tenant: ShownTenant): Promise<TenantWanted> {
		const { tenant_id, name, plan_id } = tenant;
		const isTwin = (await names.listTenantsNamed(name)).length > 1;
		const keys = await allKeys({ operations, caller }, tenant_id);
		return {
			name,
			...(isTwin && { tenant_id }),
			...(plan_id !== null && (await planOf(caller, plan_id))),
			...(stated(configurationOf(tenant)) as Partial<TenantWanted>),
			// More were made before there was a bound. What is left out is not managed, so applying changes nothing.
			...(keys.length <= KEYS_MAX && { keys: keysOf(keys.reverse()) }),
		};
	}

	async function planOf(caller: OperatorCaller, plan_id: NonNullable<ShownTenant['plan_id']>) {
		const { name } = await operations.plans.get(caller, { plan_id });
		return (await names.listPlansNamed(name)).length > 1 ? { plan_id } : { plan: name };
	}

	/** A page of the document. @throws `VALIDATION_ERROR` for a foreign cursor. */
	return async function exportPage(
		caller: OperatorCaller,
		{ cursor = '0', limit = 50 }: InputOf<typeof exportConfiguration>,
	): Promise<Page> {
		if (!cursor.startsWith(TENANTS)) return plansAfter(caller, numberBefore(cursor), limit);
		return tenantsAfter(caller, numberBefore(cursor.slice(TENANTS.length) || '0'), limit);
	};
}

/** What of a tenant is configuration: neither what it is called by, nor what became of it. */
const configurationOf = (tenant: ShownTenant): Record<string, unknown> =>
	Object.fromEntries(
		TENANT_FIELDS.map((field) => [field, field === 'smtp' ? writtenSmtp(tenant) : tenant[field]]),
	);

/** Those that say something. */
const stated = (fields: Record<string, unknown>): Record<string, unknown> =>
	Object.fromEntries(
		Object.entries(fields)
			.map(([name, value]) => [name, plainOf(value)])
			.filter(([, value]) => value !== null),
	);

function keysOf(keys: readonly ShownKey[]): KeyWanted[] {
	const byName = Map.groupBy(keys, ({ name }) => name);
	return keys.map(({ key_id, name, permissions, expires_at }) => ({
		name,
		...((byName.get(name)?.length ?? 0) > 1 && { key_id }),
		permissions,
		...(expires_at !== null && { expires_at }),
	}));
}
