import type { OperatorCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Ids, PlanId, PlanNo } from '../../core/ids.ts';
import { mergePatch } from '../../core/merge-patch.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { numberBefore, pageOf } from '../../core/page.ts';
import { requireVersion } from '../../core/precondition.ts';
import type { Random } from '../../core/random.ts';
import type { OwnSettings } from '../../core/tenant-settings.ts';
import { controlPlane } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { Writer } from '../../db/writer.ts';
import { type AuditTx, newAct, record } from '../audit/service.ts';
import type { createPlan, deletePlan, getPlan, listPlans, updatePlan } from './schema.ts';
import type { PlanRow, PlansStore } from './store.ts';

export interface PlansTx extends AuditTx {
	plans: Stored<PlansStore>;
}

export interface PlansDeps {
	writer: Writer<PlansTx>;
	read: { plans: Stored<PlansStore> };
	clock: Clock;
	ids: Ids;
	random: Random;
}

/** The features of a plan, as a record; a named switch is on or off. */
const FEATURES_MAX = 100;

/**
 * The plan of this id, as far as it exists for the caller. For use within a change.
 *
 * @throws `NOT_FOUND` for one that is unknown, or not the caller's.
 */
export async function requirePlan(
	tx: { plans: Pick<Stored<PlansStore>, 'findById'> },
	caller: OperatorCaller,
	plan_id: PlanId,
): Promise<PlanRow> {
	const row = await tx.plans.findById(plan_id);
	if (row !== undefined && (caller.plan === null || caller.plan === row.plan)) return row;
	throw new AppError('NOT_FOUND', 'Plan not found');
}

/** What tenants on a plan inherit; nothing without one. */
export interface Inherited {
	plan_id: PlanId | null;
	settings: OwnSettings;
	features: Record<string, boolean>;
}

export async function inheritedFrom(
	tx: { plans: Pick<Stored<PlansStore>, 'find'> },
	plan: PlanNo | null,
): Promise<Inherited> {
	const row = plan === null ? undefined : await tx.plans.find(plan);
	if (row === undefined) return { plan_id: null, settings: {}, features: {} };
	const { plan_id, settings, features } = row;
	return { plan_id, settings: JSON.parse(settings), features: JSON.parse(features) };
}

/** The use-cases of plans. */
export function createPlans({ writer, read, clock, ids, random }: PlansDeps) {
	return {
		/** Creates a plan. @throws `VALIDATION_ERROR` for too many features. */
		create: async (
			caller: OperatorCaller,
			input: InputOf<typeof createPlan>,
		): Promise<OutputOf<typeof createPlan>> => {
			const act = newAct('plans.create', { clock, random });
			const now = act.at;
			const row: Omit<PlanRow, 'plan'> = {
				plan_id: ids('plan'),
				name: input.name,
				quotas: JSON.stringify(mergePatch({}, input.quotas ?? {})),
				features: JSON.stringify(mergedFeatures('{}', input.features ?? {})),
				settings: JSON.stringify(mergePatch({}, input.settings ?? {})),
				version: 1,
				created_at: now,
				updated_at: now,
			};
			return writer.commit(controlPlane(caller), async (tx) => {
				await tx.plans.insert(row);
				const { plan } = await requirePlan(tx, caller, row.plan_id);
				const value = shown(row);
				await record(tx, caller, { ...act, plan, target: targetOf(row), after: value });
				return { value };
			});
		},

		/** A page of all plans that exist for the caller, newest first. */
		list: async (
			caller: OperatorCaller,
			input: InputOf<typeof listPlans>,
		): Promise<OutputOf<typeof listPlans>> => {
			if (caller.plan !== null) {
				const own = await read.plans.find(caller.plan);
				return { plans: own === undefined ? [] : [shown(own)], next_cursor: null };
			}
			const limit = input.limit ?? 50;
			const rows = await read.plans.list(numberBefore(input.cursor), limit + 1);
			const { items, next_cursor } = pageOf(rows, limit, ({ plan }) => String(plan));
			return { plans: items.map(shown), next_cursor };
		},

		/** @throws `NOT_FOUND`. */
		get: async (
			caller: OperatorCaller,
			{ plan_id }: InputOf<typeof getPlan>,
		): Promise<OutputOf<typeof getPlan>> => shown(await requirePlan(read, caller, plan_id)),

		/**
		 * Merges a patch into a plan. One that leaves it as it is changes nothing, the version neither.
		 *
		 * @throws `NOT_FOUND`; `PRECONDITION_FAILED` when it is no longer the version that was named.
		 */
		update: async (
			caller: OperatorCaller,
			{ plan_id, ...patch }: InputOf<typeof updatePlan>,
		): Promise<OutputOf<typeof updatePlan>> => {
			const act = newAct('plans.update', { clock, random });
			return writer.commit(controlPlane(caller), async (tx) => {
				const before = await requirePlan(tx, caller, plan_id);
				requireVersion(caller, before.version);
				const { plan } = before;
				const changedRow = patched(before, patch);
				if (Bun.deepEquals(changedRow, before)) return { value: shown(before) };
				const row = { ...changedRow, version: before.version + 1, updated_at: act.at };
				await tx.plans.update(row);
				const value = shown(row);
				const changed = { before: shown(before), after: value };
				await record(tx, caller, { ...act, plan, target: targetOf(row), ...changed });
				const isSame = row.settings === before.settings && row.features === before.features;
				const heirs = isSame ? [] : await tx.plans.listTenants(plan);
				return {
					value,
					effects: [
						{ name: 'plan.changed', plan_id },
						...heirs.map(({ tenant_id }) => ({ name: 'tenant.changed' as const, tenant_id })),
					],
				};
			});
		},

		/** @throws `NOT_FOUND`; `CONFLICT` while a tenant is on it. */
		remove: async (
			caller: OperatorCaller,
			{ plan_id }: InputOf<typeof deletePlan>,
		): Promise<OutputOf<typeof deletePlan>> => {
			const act = newAct('plans.delete', { clock, random });
			return writer.commit(controlPlane(caller), async (tx) => {
				const row = await requirePlan(tx, caller, plan_id);
				if (await tx.plans.hasTenant(row.plan)) {
					throw new AppError(
						'CONFLICT',
						'Tenants are on this plan: move them to another one, or purge those that are deleted',
					);
				}
				await tx.plans.removeKeys(row.plan);
				await tx.plans.remove(row.plan);
				await record(tx, caller, { ...act, target: targetOf(row), before: shown(row) });
				return { value: { success: true as const } };
			});
		},
	};

	function patched(
		before: PlanRow,
		{ name, quotas, features, settings }: Omit<InputOf<typeof updatePlan>, 'plan_id'>,
	): PlanRow {
		const merge = (text: string, patch: unknown) =>
			patch === undefined ? JSON.parse(text) : (mergePatch(JSON.parse(text), patch ?? {}) ?? {});
		return {
			...before,
			name: name ?? before.name,
			quotas: JSON.stringify(quotas === null ? {} : merge(before.quotas, quotas)),
			features: JSON.stringify(features === null ? {} : mergedFeatures(before.features, features)),
			settings: JSON.stringify(settings === null ? {} : merge(before.settings, settings)),
		};
	}
}

export type Plans = ReturnType<typeof createPlans>;

function mergedFeatures(before: string, patch: unknown): unknown {
	const merged = mergePatch(JSON.parse(before), patch ?? {}) as Record<string, boolean>;
	if (Object.keys(merged).length > FEATURES_MAX) {
		throw new AppError('VALIDATION_ERROR', `At most ${FEATURES_MAX} features`, {
			field: 'features',
		});
	}
	return merged;
}

const targetOf = ({ plan_id }: Pick<PlanRow, 'plan_id'>) => ({ plan_id });

const shown = (row: Omit<PlanRow, 'plan'>) => ({
	plan_id: row.plan_id,
	name: row.name,
	quotas: JSON.parse(row.quotas),
	features: JSON.parse(row.features),
	settings: JSON.parse(row.settings),
	version: row.version,
	created_at: toTimestamp(row.created_at),
	updated_at: toTimestamp(row.updated_at),
});
