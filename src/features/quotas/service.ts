/**
 * Enforces what is counted in memory first: active users, connections, requests, storage. What is used is
 * looked at each time that usage was written, every few seconds, for the tenants that were at work; a
 * request only looks up what came of it. Messages are the writer's to refuse: see db/message-quotas.ts.
 *
 * Called by: both faces and the gateway for what they let through; the usage worker after each write.
 * Concurrency: `review` runs one at a time and gives way between tenants; the checks never wait.
 *
 * Must never: count. Everything here is read from what usage has written.
 */
import {
	type Days,
	dayOf,
	firstDayOf,
	lastDayOf,
	monthOf,
	monthText,
} from '../../core/calendar.ts';
import type { TenantCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { eventOf, type Stream } from '../../core/event.ts';
import type { PlanNo, TenantId, TenantNo, UserId } from '../../core/ids.ts';
import type { Operation } from '../../core/operation.ts';
import {
	QUOTAS,
	type QuotaName,
	type QuotaScope,
	type Quotas,
	quotaExceeded,
	resetOf,
	type SpentQuota,
} from '../../core/quota.ts';
import type { Stored } from '../../db/client.ts';
import type { Writer } from '../../db/writer.ts';
import { quotaWarning } from './schema.ts';
import type { QuotasStore, UsedRow } from './store.ts';

export interface QuotasTx {
	quotas: Stored<QuotasStore>;
}

export interface QuotasDeps {
	writer: Writer<QuotasTx>;
	read: QuotasTx;
	clock: Clock;
	/** Sockets of a tenant that are open now. */
	connectionsOf(tenant_id: TenantId): number;
	/** Bytes that a tenant has stored. */
	weightOf(tenant: TenantNo): Promise<{ bytes: number }>;
	/** Whether a user acted just now, and it is not written yet. */
	isNoted(tenant: TenantNo, user_id: UserId): boolean;
	/** Lets others go on. */
	pause(): Promise<void>;
}

type Used = Record<QuotaName, number>;

/** What all tenants of a plan have used, as of the last review. */
interface Pool {
	limits: Quotas;
	month: number;
	parts: Map<TenantNo, Used & { tenant_id: TenantId }>;
	used: Used;
	/** On the monotonic clock: then its parts are read anew. */
	goodUntil: number;
	/** When its parts were last summed up, on the same clock. */
	summedAt: number;
}

/** A tenant with a quota of its own or of its plan, as of the last review. */
interface Watched {
	tenant_id: TenantId;
	own: Quotas;
	used: Used;
	pool: Pool | null;
	month: number;
	/** The highest warning given, by scope and quota. */
	told: Map<string, number>;
}

/** A stream that no socket follows: backends hear of every event whatever its stream. */
const STREAM: Stream = { key: 'q', topic: 'q' };
const LEVELS = [100, 80] as const;
const PAGE = 200;
/** A sum is good so long at least, and for so many times as long as it took: who came or left shows then. */
const POOL_MS = 3000;
const GOOD_FACTOR = 20;
/** For so long sockets that are opened are added to a sum: with many tenants it takes longer than opening one. */
const SUM_MS = 100;
const POOLS_MAX = 10_000;
/** Tenants that are watched; the longest ago reviewed go first. */
const WATCHED_MAX = 50_000;

const NOTHING: Used = {
	monthly_active_users: 0,
	peak_connections: 0,
	messages_per_month: 0,
	api_requests_per_month: 0,
	storage_bytes: 0,
};

const parse = (text: string | null): Quotas => (text === null ? {} : JSON.parse(text));
const isEmpty = (quotas: Quotas): boolean => Object.keys(quotas).length === 0;

export function createQuotas(deps: QuotasDeps) {
	const { writer, read, clock, connectionsOf } = deps;
	const watched = new Map<TenantNo, Watched>();
	const pools = new Map<PlanNo, Pool>();
	let reviewing: Promise<void> = Promise.resolve();

	const monthNow = () => monthOf(dayOf(clock.now()));
	const daysOf = (month: number): Days => ({ from: firstDayOf(month), through: lastDayOf(month) });

	const usedOf = (row: UsedRow): Used => ({
		monthly_active_users: row.monthly_active_users,
		peak_connections: connectionsOf(row.tenant_id),
		messages_per_month: row.messages_per_month,
		api_requests_per_month: row.api_requests_per_month,
		storage_bytes: row.storage_bytes,
	});

	/** The pool, with the parts of all its tenants: a page at a time. */
	async function poolOf(plan: PlanNo, limits: Quotas, month: number): Promise<Pool> {
		const known = pools.get(plan);
		if (known !== undefined) known.limits = limits;
		const isGood = known?.month === month && clock.monotonic() < known.goodUntil;
		if (known !== undefined && isGood) return known;
		const startedAt = clock.monotonic();
		const parts: Pool['parts'] = new Map();
		for (let after = 0; ; ) {
			const page = await read.quotas.listUsed(plan, daysOf(month), { after, limit: PAGE });
			for (const row of page) {
				const measured = known?.parts.get(row.tenant)?.storage_bytes;
				const used = usedOf(row);
				if (measured !== undefined) used.storage_bytes = measured;
				parts.set(row.tenant, { ...used, tenant_id: row.tenant_id });
			}
			const last = page.at(-1);
			if (last === undefined || page.length < PAGE) break;
			after = last.tenant;
			await deps.pause();
		}
		const pool = known ?? { limits, month, parts, used: NOTHING, goodUntil: 0, summedAt: 0 };
		const now = clock.monotonic();
		const goodUntil = now + Math.max(POOL_MS, (now - startedAt) * GOOD_FACTOR);
		Object.assign(pool, { limits, month, parts, goodUntil });
		sumUp(pool);
		if (pools.size >= POOLS_MAX) pools.clear();
		pools.set(plan, pool);
		return pool;
	}

	function sumUp(pool: Pool): void {
		const used = { ...NOTHING };
		for (const part of pool.parts.values()) {
			for (const quota of QUOTAS) used[quota] += part[quota];
			used.peak_connections += connectionsOf(part.tenant_id) - part.peak_connections;
		}
		pool.used = used;
		pool.summedAt = clock.monotonic();
	}

	async function reviewOne(tenant: TenantNo, touched: Set<Pool>): Promise<void> {
		const row = await read.quotas.findLimits(tenant);
		// Of the pool that it may have left since.
		watched.get(tenant)?.pool?.parts.delete(tenant);
		const [own, pooled] = [parse(row?.own ?? null), parse(row?.pooled ?? null)];
		if (row === undefined || (isEmpty(own) && isEmpty(pooled))) {
			watched.delete(tenant);
			return;
		}
		const month = monthNow();
		const found = await read.quotas.findUsed(tenant, daysOf(month));
		if (found === undefined) return;
		const used = usedOf(found);
		if (own.storage_bytes !== undefined || pooled.storage_bytes !== undefined) {
			used.storage_bytes = (await deps.weightOf(tenant)).bytes;
		}
		const { tenant_id, plan } = row;
		const pool = plan === null || isEmpty(pooled) ? null : await poolOf(plan, pooled, month);
		if (pool !== null) {
			pool.parts.set(tenant, { ...used, tenant_id });
			touched.add(pool);
		}
		const known = watched.get(tenant);
		const told = known?.month === month ? known.told : new Map<string, number>();
		watched.delete(tenant);
		watched.set(tenant, { tenant_id, own, used, pool, month, told });
		const [oldest] = watched.keys();
		if (watched.size > WATCHED_MAX && oldest !== undefined) watched.delete(oldest);
	}

	/** Those that some quota refuses something: they may be refused all, and not be at work again. */
	const refused = (): TenantNo[] =>
		[...watched].filter(([, one]) => QUOTAS.some((quota) => spentOf(one, quota))).map(([no]) => no);

	async function reviewAll(tenants: ReadonlySet<TenantNo>): Promise<void> {
		const touched = new Set<Pool>();
		const all = new Set([...tenants, ...refused()]);
		for (const tenant of all) await reviewOne(tenant, touched);
		for (const pool of touched) sumUp(pool);
		for (const tenant of all) {
			const one = watched.get(tenant);
			if (one !== undefined) await warn(tenant, one);
		}
	}

	/** Tells the tenant of what is used to 80 per cent or more, each level once a month. @throws as the writer. */
	async function warn(tenant: TenantNo, one: Watched): Promise<void> {
		for (const [scope, limits, used] of [
			['tenant', one.own, one.used],
			['plan', one.pool?.limits ?? {}, one.pool?.used ?? NOTHING],
		] as const) {
			for (const quota of QUOTAS) {
				const limit = limits[quota];
				if (limit === undefined) continue;
				const percent = LEVELS.find((level) => used[quota] * 100 >= limit * level);
				const key = `${scope}/${quota}`;
				if (percent === undefined || percent <= (one.told.get(key) ?? 0)) continue;
				await tell(tenant, one, { quota, scope, percent, used: used[quota], limit });
				one.told.set(key, percent);
			}
		}
	}

	async function tell(
		tenant: TenantNo,
		{ tenant_id, month }: Watched,
		told: { quota: QuotaName; scope: QuotaScope; percent: number; used: number; limit: number },
	): Promise<void> {
		const reset = resetOf(told.quota, clock.now());
		const data = {
			...told,
			period: monthText(month),
			resets_at: reset === null ? null : toTimestamp(reset),
		};
		await writer.commit({ tenant, tenant_id }, async (tx) => {
			const isNew = await tx.quotas.noteWarning(tenant, { ...told, month });
			return { value: undefined, events: isNew ? [eventOf(quotaWarning, STREAM, data)] : [] };
		});
	}

	/** The quota that has nothing left; undefined where there is room, or a month has begun since. */
	function spentOf({ own, used, pool, month }: Watched, quota: QuotaName): SpentQuota | undefined {
		const isOver = resetOf(quota, clock.now()) !== null && month !== monthNow();
		if (isOver) return undefined;
		const limit = own[quota];
		if (limit !== undefined && used[quota] >= limit) return { scope: 'tenant', limit };
		const pooled = pool?.limits[quota];
		if (pool === null || pooled === undefined || pool.used[quota] < pooled) return undefined;
		return { scope: 'plan', limit: pooled };
	}

	function require(one: Watched, quota: QuotaName): void {
		const spent = spentOf(one, quota);
		const now = clock.now();
		if (spent !== undefined) throw quotaExceeded(quota, spent, { at: now, now });
	}

	async function requireKnown(tenant: TenantNo, one: Watched, user_id: UserId): Promise<void> {
		if (await read.quotas.hasActed(tenant, monthNow(), user_id)) return;
		require(one, 'monthly_active_users');
	}

	const watchedOf = (tenant: TenantNo): Watched | undefined =>
		watched.size === 0 ? undefined : watched.get(tenant);

	return {
		/** Whether one request more may be made. @throws `QUOTA_EXCEEDED`. */
		requireRequest({ tenant }: TenantCaller, { isAboveQuota }: Operation): void {
			const one = watchedOf(tenant);
			if (one !== undefined && isAboveQuota !== true) require(one, 'api_requests_per_month');
		},

		/** Whether the caller's user may act: one who did so this month always may. Undefined for yes. @throws `QUOTA_EXCEEDED`. */
		requireUser({ tenant, user_id }: TenantCaller): Promise<void> | undefined {
			const one = watchedOf(tenant);
			if (one === undefined || user_id === null) return undefined;
			if (spentOf(one, 'monthly_active_users') === undefined) return undefined;
			return deps.isNoted(tenant, user_id) ? undefined : requireKnown(tenant, one, user_id);
		},

		/** Whether one socket more may be opened; counts it until it is there to be counted. @throws `QUOTA_EXCEEDED`. */
		requireConnection({ tenant, tenant_id }: TenantCaller): void {
			const one = watchedOf(tenant);
			if (one === undefined) return;
			one.used.peak_connections = connectionsOf(tenant_id);
			const pool = one.pool?.limits.peak_connections === undefined ? null : one.pool;
			if (pool !== null && clock.monotonic() - pool.summedAt >= SUM_MS) sumUp(pool);
			require(one, 'peak_connections');
			if (pool !== null) pool.used.peak_connections++;
		},

		/** The quota on storage that a send would be over. */
		storageSpent({ tenant }: Pick<TenantCaller, 'tenant'>): SpentQuota | undefined {
			const one = watchedOf(tenant);
			return one === undefined ? undefined : spentOf(one, 'storage_bytes');
		},

		/** The quotas of a tenant and of its plan, and what is used of them now. */
		async list(tenant: TenantNo) {
			reviewing = reviewing.catch(() => {}).then(() => reviewAll(new Set([tenant])));
			// What it cannot be told of is shown as it was.
			await reviewing.catch(() => {});
			const one = watchedOf(tenant);
			if (one === undefined) return [];
			const pool = one.pool ?? { limits: {}, used: NOTHING };
			return [
				...shownOf('tenant', one.own, one.used, clock.now()),
				...shownOf('plan', pool.limits, pool.used, clock.now()),
			];
		},

		/** Looks at what these tenants have used, and at whoever is refused something. @throws as the writer. */
		review(tenants: ReadonlySet<TenantNo>): Promise<void> {
			reviewing = reviewing.catch(() => {}).then(() => reviewAll(tenants));
			return reviewing;
		},
	};
}

export type TenantQuotas = ReturnType<typeof createQuotas>;

function shownOf(scope: QuotaScope, limits: Quotas, used: Used, now: number) {
	return QUOTAS.flatMap((name) => {
		const limit = limits[name];
		if (limit === undefined) return [];
		const reset = resetOf(name, now);
		const resets_at = reset === null ? null : toTimestamp(reset);
		return [{ name, scope, limit, used: used[name], resets_at }];
	});
}

/** What faces and the gateway ask. */
export type QuotaGate = Pick<TenantQuotas, 'requireRequest' | 'requireUser' | 'requireConnection'>;
