import { dayOf } from '../../core/calendar.ts';
import type { OperatorCaller, OwnCaller } from '../../core/caller.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { PlanNo, TenantId } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Scope } from '../../db/change.ts';
import type { RecordRead } from '../audit/service/reading.ts';
import type { getUsage, inspectUsage } from './schema.ts';
import {
	type Explanation,
	explainMessages,
	explainPeak,
	explainStorage,
	explainUsers,
} from './service/explaining.ts';
import { everyDay, figuresOf, type Period, periodOf, readDays } from './service/figures.ts';
import type { Flushing, UsageTx } from './service/flushing.ts';
import { createPooledUsage, type PooledDeps } from './service/pooled.ts';
import type { Storage } from './service/storage.ts';
import type { UsageDayRow } from './store.ts';

export interface UsageDeps extends Pick<PooledDeps, 'planOf' | 'tenantsOn' | 'pause'> {
	read: UsageTx;
	clock: Clock;
	flushing: Flushing;
	storage: Storage;
	/** @throws `NOT_FOUND`, for who is confined to other tenants too. */
	tenantOf(caller: OperatorCaller, tenant_id: TenantId): Promise<Scope & { plan: PlanNo | null }>;
	recordRead: RecordRead;
}

type Query = InputOf<typeof getUsage>;

/** Behind these figures stand users and rooms of the tenant. */
const NAMING: ReadonlySet<Query['explain']> = new Set(['active_users', 'messages_sent']);

/** The use-cases of usage. */
export function createUsage(deps: UsageDeps) {
	const { read, clock, flushing, storage, tenantOf, recordRead } = deps;

	/** Writes what was counted and not written yet; without it the figures are some seconds old. */
	async function settle(scope: Scope): Promise<void> {
		try {
			await flushing.settle(scope);
		} catch (error) {
			// A full disk or queue is no reason to show nothing.
			if (!(error instanceof AppError)) throw error;
		}
	}

	async function storageIn({ tenant }: Scope, { from, through }: Period): Promise<number> {
		const today = dayOf(clock.now());
		if (from > today) return 0;
		if (through >= today) return (await storage.weightOf(tenant)).bytes;
		return (await read.usage.findStorage(tenant, through)) ?? 0;
	}

	async function listDays(
		{ tenant }: Scope,
		period: Period,
		rows: readonly UsageDayRow[],
		bytes: number,
	) {
		const before = (await read.usage.findStorage(tenant, period.from - 1)) ?? 0;
		return everyDay(period, rows, { today: dayOf(clock.now()), storage: bytes, before });
	}

	async function explain(
		scope: Scope,
		period: Period,
		rows: readonly UsageDayRow[],
		bytes: number,
		input: Query,
	): Promise<{ explained?: Explanation }> {
		const { explain: field, limit = 50, cursor: after = '' } = input;
		const page = { limit, after };
		const behind = async (): Promise<Omit<Explanation, 'field'>> => {
			switch (field) {
				case 'active_users':
					return explainUsers(read, scope.tenant, period, page);
				case 'messages_sent':
					return explainMessages(read, scope.tenant, period, page);
				case 'peak_connections':
					return explainPeak(rows);
				case 'storage_bytes':
					return explainStorage(await storage.weightOf(scope.tenant));
				default:
					return { items: await listDays(scope, period, rows, bytes), next_cursor: null };
			}
		};
		return field === undefined ? {} : { explained: { field, ...(await behind()) } };
	}

	async function usageOf(scope: Scope, input: Query): Promise<OutputOf<typeof getUsage>> {
		const period = periodOf(input.period, clock.now());
		await settle(scope);
		const storage_bytes = await storageIn(scope, period);
		const rows = await readDays(read, scope.tenant, period);
		return {
			tenant_id: scope.tenant_id,
			period: period.period,
			...figuresOf(rows, period.from === period.through),
			storage_bytes,
			...(await explain(scope, period, rows, storage_bytes, input)),
		};
	}

	return {
		/**
		 * What the caller's tenant used in a period.
		 *
		 * @throws `VALIDATION_ERROR` for a user, and for a day there never is.
		 */
		get: async (caller: OwnCaller, input: Query): Promise<OutputOf<typeof getUsage>> => {
			return usageOf(caller, input);
		},

		/**
		 * What a tenant used. What names its users or rooms is recorded, figures are not.
		 *
		 * @throws `NOT_FOUND` for an unknown tenant; `VALIDATION_ERROR` as `get`.
		 */
		inspect: async (
			caller: OperatorCaller,
			{ tenant_id, ...query }: InputOf<typeof inspectUsage>,
		): Promise<OutputOf<typeof inspectUsage>> => {
			const scope = await tenantOf(caller, tenant_id);
			const usage = await usageOf(scope, query);
			if (NAMING.has(query.explain)) await recordRead(caller, 'usage.inspect', scope, query);
			return usage;
		},

		inspectPlan: createPooledUsage(deps),
	};
}

export type Usage = ReturnType<typeof createUsage>;
