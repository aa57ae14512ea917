import type { OperatorCaller } from '../../../core/caller.ts';
import type { Clock } from '../../../core/clock.ts';
import type { Effect } from '../../../core/effect.ts';
import { AppError } from '../../../core/errors.ts';
import type { PlanId, PlanNo } from '../../../core/ids.ts';
import { fromJsonColumn, toJsonColumn } from '../../../core/json.ts';
import { mergePatch } from '../../../core/merge-patch.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { requireVersion } from '../../../core/precondition.ts';
import type { Random } from '../../../core/random.ts';
import { type Bounds, requireMetadataSize } from '../../../core/validation.ts';
import type { Vault } from '../../../core/vault.ts';
import { controlPlane } from '../../../db/change.ts';
import type { Writer } from '../../../db/writer.ts';
import { newAct, record } from '../../audit/service.ts';
import { changedOf } from '../../keys/service.ts';
import { requirePlan } from '../../plans/service.ts';
import type { updateTenant } from '../schema.ts';
import type { TenantRow } from '../store.ts';
import { rateOf } from './rate.ts';
import { ownSettings, requireKeptRow, shownOf, type TenantsTx, toObjectColumn } from './rows.ts';
import { smtpAfter } from './smtp.ts';

export interface UpdatingDeps {
	writer: Writer<TenantsTx>;
	clock: Clock;
	random: Random;
	bounds: Bounds;
	vault: Vault;
	/** Requests per second of a tenant without a limit of its own; 0: none. */
	defaultRateLimit: number;
}

type Patch = Omit<InputOf<typeof updateTenant>, 'tenant_id'>;

/** The use-case that changes a tenant. */
export function createUpdating(deps: UpdatingDeps) {
	const { writer, clock, random, bounds, defaultRateLimit, vault } = deps;

	/** The row as the patch makes it. Where it cannot be so, it says what of the patch is to blame. */
	function patched(before: TenantRow, patch: Patch): TenantRow {
		const { name, domain, metadata, rate_limit, allowed_origins, webhook_url } = patch;
		const row = { ...before };
		if (name !== undefined) row.name = name;
		if (domain !== undefined) row.domain = domain;
		if (webhook_url !== undefined) row.webhook_url = webhook_url;
		if (allowed_origins !== undefined) row.allowed_origins = toJsonColumn(allowed_origins);
		if (metadata !== undefined) {
			const merged = mergePatch(fromJsonColumn(before.metadata), metadata);
			if (merged !== null) requireMetadataSize(merged, 'metadata', bounds);
			row.metadata = toJsonColumn(merged);
		}
		if (rate_limit !== undefined) {
			const merged = mergePatch(fromJsonColumn(before.rate_limit), rate_limit) as null | object;
			rateOf(merged, defaultRateLimit);
			row.rate_limit = merged === null ? null : toObjectColumn(merged);
		}
		if (patch.quotas !== undefined) {
			const quotas = mergePatch(fromJsonColumn(before.quotas) ?? {}, patch.quotas ?? null);
			row.quotas = quotas === null ? null : toObjectColumn(quotas as object);
		}
		if (patch.smtp !== undefined) Object.assign(row, smtpAfter(before, patch.smtp, vault));
		if (patch.settings !== undefined) row.settings = mergedSettings(before, patch.settings);
		return row;
	}

	/** @throws `AUTHORIZATION_ERROR` for another plan than its own, by whom a plan confines. */
	async function movedTo(
		tx: TenantsTx,
		caller: OperatorCaller,
		row: TenantRow,
		plan_id: PlanId | null | undefined,
	): Promise<PlanNo | null> {
		if (plan_id === undefined) return row.plan;
		if (caller.plan !== null) {
			const own = await tx.plans.find(caller.plan);
			if (own?.plan_id === plan_id) return row.plan;
			throw new AppError(
				'AUTHORIZATION_ERROR',
				'Only the master key moves a tenant to another plan',
				{
					field: 'plan_id',
				},
			);
		}
		return plan_id === null ? null : (await requirePlan(tx, caller, plan_id)).plan;
	}

	/**
	 * Merges a patch into a tenant. Takes effect on the next request, and on open sockets. One that leaves
	 * everything as it is, such as a repeated one, changes nothing: the version stays, and there is no entry.
	 *
	 * @throws `NOT_FOUND` for an unknown tenant or plan; `PRECONDITION_FAILED` when it is no longer the version
	 * that was named; `AUTHORIZATION_ERROR` for moving it to another plan without the master key.
	 */
	return async function update(
		caller: OperatorCaller,
		{ tenant_id, ...patch }: InputOf<typeof updateTenant>,
	): Promise<OutputOf<typeof updateTenant>> {
		const act = newAct('tenants.update', { clock, random });
		return writer.commit(controlPlane(caller), async (tx) => {
			const before = await requireKeptRow(tx, caller, tenant_id);
			requireVersion(caller, before.version);
			const plan = await movedTo(tx, caller, before, patch.plan_id);
			const changedRow = { ...patched(before, patch), plan };
			if (Bun.deepEquals(changedRow, before)) return { value: await shownOf(tx, before, vault) };
			const row = { ...changedRow, version: before.version + 1, updated_at: act.at };
			await tx.tenants.update(row);
			const value = await shownOf(tx, row, vault);
			const changed = { before: await shownOf(tx, before, vault), after: value };
			const { tenant } = row;
			const isMove = plan !== before.plan;
			// A move tells of both plans, and of a past that is not the new one's: it is filed under neither.
			const filed = { tenant, plan: isMove ? null : plan };
			await record(tx, caller, { ...act, ...filed, target: { tenant_id }, ...changed });
			// What it has used this month goes with it, from the one pool into the other.
			const pools = isMove ? [changed.before.plan_id, value.plan_id] : [];
			const moved = pools.filter((plan_id) => plan_id !== null).map(poolChanged);
			return { value, effects: [changedOf(tenant_id), ...moved] };
		});
	};
}

const poolChanged = (plan_id: PlanId): Effect => ({ name: 'plan.changed', plan_id });

/** The column of the settings that a tenant sets itself, as a merge patch makes it; null takes all back. */
export const mergedSettings = (before: TenantRow, patch: Patch['settings']): string | null =>
	patch === null ? null : toObjectColumn(mergePatch(ownSettings(before), patch) as object);
