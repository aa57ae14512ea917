/**
 * Erases tenants: their rows in every table that belongs to tenants, whichever those are, what the audit
 * log says of them, and what memory holds.
 *
 * Called by: the request that asks for it, and the worker. Concurrency: one run a tenant, a slice at a time
 * through the writer, in the tenant's turn, with a rest after each that is a multiple of what it took.
 * How far it came is stored with each slice, so a run that is cut short goes on where it was.
 *
 * Must never: begin before `purge_at`, or with a tenant that may be restored still.
 */
import type { Clock } from '../../../core/clock.ts';
import { toTimestamp } from '../../../core/clock.ts';
import type { TenantId } from '../../../core/ids.ts';
import type { Random } from '../../../core/random.ts';
import type { Outcome, Scope } from '../../../db/change.ts';
import type { Stored } from '../../../db/client.ts';
import type { TenantRows } from '../../../db/tenant-rows.ts';
import type { Writer } from '../../../db/writer.ts';
import { eraseAbout, newAct, type Recorded, record } from '../../audit/service.ts';
import { inheritedFrom } from '../../plans/service.ts';
import type { TenantRow } from '../store.ts';
import type { TenantsRead, TenantsTx } from './rows.ts';

export interface PurgingTx extends TenantsTx {
	tenantRows: Stored<TenantRows>;
}

export interface PurgingDeps {
	writer: Writer<PurgingTx>;
	read: TenantsRead;
	clock: Clock;
	random: Random;
	pause(ms: number): Promise<unknown>;
	/** Whether the server is on its way out: then it goes on at the next start. */
	isDraining(): boolean;
}

/** What was deleted, when, and by whom. */
export interface Receipt {
	tenant_id: TenantId;
	deleted_by: string;
	started_at: string;
	finished_at: string;
	/** By table. */
	rows: Record<string, number>;
}

/** What is stored of a deletion: who wanted it, and how far it came. */
export interface Purge {
	by: Recorded;
	/** Null until it begins. */
	started_at: number | null;
	rows: Record<string, number>;
}

export const newPurge = (by: Recorded, started_at: number | null): Purge => ({
	by: { credential: by.credential, plan: by.plan, request_id: by.request_id },
	started_at,
	rows: {},
});

/** Rows of one change: about two milliseconds of a batch that sends are in too. */
const SLICE_ROWS = 250;
/** A rest is so many times as long as its slice took: the writer is for sends. */
const PAUSE_FACTOR = 3;
/** Tenants that are looked up at once. */
const DUE_MAX = 100;

/** Nothing to do, one slice done, or all of it. */
type Progress = 'none' | 'some' | Receipt;

export function createPurging(deps: PurgingDeps) {
	const { writer, read, clock, random, pause, isDraining } = deps;
	const running = new Map<TenantId, Promise<Receipt | undefined>>();

	/** One slice. */
	function step(scope: Scope): Promise<Progress> {
		const act = newAct('tenants.purge', { clock, random });
		return writer.commit<Progress>(scope, async (tx): Promise<Outcome<Progress>> => {
			const row = await tx.tenants.find(scope.tenant);
			if (row === undefined || !isDue(row, act.at) || row.purge === null) return { value: 'none' };
			const purge: Purge = JSON.parse(row.purge);
			purge.started_at ??= act.at;
			const erased = await eraseSlice(tx, row);
			if (erased === undefined) return finish(tx, row, purge, act);
			purge.rows[erased.table] = (purge.rows[erased.table] ?? 0) + erased.rows;
			await tx.tenants.update({ ...row, status: 'purging', purge: JSON.stringify(purge) });
			return { value: 'some' };
		});
	}

	async function eraseSlice(tx: PurgingTx, { tenant }: TenantRow) {
		const erased = await tx.tenantRows.eraseSome(tenant, SLICE_ROWS);
		if (erased !== undefined) return erased;
		const rows = await eraseAbout(tx, tenant, SLICE_ROWS);
		return rows === 0 ? undefined : { table: 'audit', rows };
	}

	async function finish(
		tx: PurgingTx,
		{ tenant, tenant_id, plan }: TenantRow,
		{ by, started_at, rows }: Purge,
		act: ReturnType<typeof newAct>,
	): Promise<Outcome<Progress>> {
		for (const { table, rows: count } of await tx.tenantRows.eraseItself(tenant)) {
			rows[table] = count;
		}
		const receipt: Receipt = {
			tenant_id,
			deleted_by: by.credential,
			started_at: toTimestamp(started_at ?? act.at),
			finished_at: toTimestamp(act.at),
			rows,
		};
		await record(tx, by, { ...act, plan, target: { tenant_id }, after: receipt });
		const { plan_id } = await inheritedFrom(tx, plan);
		// What it had used of the pool goes with it.
		const pool = plan_id === null ? [] : [{ name: 'plan.changed' as const, plan_id }];
		return { value: receipt, effects: [{ name: 'tenant.purged', tenant_id }, ...pool] };
	}

	async function run(scope: Scope): Promise<Receipt | undefined> {
		while (!isDraining()) {
			const startedAt = clock.monotonic();
			const progress = await step(scope);
			if (progress === 'none') return undefined;
			if (progress !== 'some') return progress;
			await pause((clock.monotonic() - startedAt) * PAUSE_FACTOR);
		}
		return undefined;
	}

	/**
	 * Erases a tenant that is due. Resolves with the receipt; undefined when it is not due, or the server
	 * stops first.
	 *
	 * @throws as the writer; what is erased by then stays so.
	 */
	function erase({ tenant, tenant_id }: Scope): Promise<Receipt | undefined> {
		const known = running.get(tenant_id);
		if (known !== undefined) return known;
		const mine = run({ tenant, tenant_id }).finally(() => running.delete(tenant_id));
		running.set(tenant_id, mine);
		return mine;
	}

	return {
		erase,

		/** Erases all that are due, one after the other. One that fails is in nobody's way. @throws as `erase`. */
		async eraseDue(): Promise<void> {
			const failures: unknown[] = [];
			for (let count = DUE_MAX; count === DUE_MAX && failures.length === 0; ) {
				const due = await read.tenants.listDue(clock.now(), DUE_MAX);
				for (const scope of due) {
					if (isDraining()) return;
					await erase(scope).catch((error) => failures.push(error));
				}
				count = due.length;
			}
			if (failures.length > 0) throw failures[0];
		},
	};
}

/** What has begun goes on, also where the clock is set back: it cannot be restored any more. */
const isDue = ({ status, purge_at }: TenantRow, now: number): boolean =>
	status === 'purging' || (purge_at !== null && purge_at <= now);

export type Purging = ReturnType<typeof createPurging>;
