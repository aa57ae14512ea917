/**
 * Brings the file of one tenant into this database, slice by slice through the writer, where sends take
 * turns with it.
 *
 * Called by: the operator's command, through the server's control socket or under the data directory's
 * lock. Concurrency: one import at a time. Until its last change nobody sees the tenant: it has no log head, and
 * a status that every look-up leaves out. What a kill leaves half done the next start removes.
 *
 * Must never: store a row under a number that the file named.
 *
 * @see docs/adr/0015-a-tenant-as-one-file.md
 */
import type { Clock } from '../../core/clock.ts';
import { createEpoch } from '../../core/cursor.ts';
import type { Effect } from '../../core/effect.ts';
import { AppError } from '../../core/errors.ts';
import type { PlanId, TenantId, TenantNo } from '../../core/ids.ts';
import type { Random } from '../../core/random.ts';
import type { Scope } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { TenantFile } from '../../db/tenant-file.ts';
import type { HalfDone, TenantRows } from '../../db/tenant-rows.ts';
import type { Writer } from '../../db/writer.ts';

export interface ImportsTx {
	tenantRows: Stored<TenantRows>;
}

export interface ImportsDeps {
	writer: Writer<ImportsTx>;
	read: ImportsTx;
	clock: Clock;
	random: Pick<Random, 'bytes'>;
	/** Lets others have the writer, and the event loop. */
	pause(ms: number): Promise<void>;
	/** Whether the server is on its way out: what is half done is then left to the next start. */
	isDraining(): boolean;
}

export interface ImportOptions {
	/** A copy of a tenant that lives on elsewhere: its cursors are not of this log. */
	isNewEpoch: boolean;
	/** Told how many rows are stored. */
	onRows(rows: number): void;
	/** Asked between slices: whether to give up. */
	isCancelled(): boolean;
}

export interface Imported {
	tenant_id: string;
	rows: number;
	/** What the tenant referred to and this server does not have, such as its plan. */
	dropped: readonly string[];
}

/** Rows that one change removes. */
const REMOVED_ROWS_MAX = 500;

/** Changes of no tenant: they have no log. */
const NO_TENANT: Scope = { tenant: 0 as TenantNo, tenant_id: '' as TenantId };

/** The use-cases of bringing a whole tenant in. */
export function createImports({ writer, read, clock, random, pause, isDraining }: ImportsDeps) {
	let running: string | undefined;

	/** One change, and then as long a rest for everybody else. */
	async function change<Value>(
		scope: Scope,
		run: (rows: Stored<TenantRows>) => Promise<Value>,
		effects: readonly Effect[] = [],
	) {
		const startedAt = clock.monotonic();
		const value = await writer.commit(scope, async ({ tenantRows }) => ({
			value: await refusing(() => run(tenantRows)),
			effects,
		}));
		await pause(clock.monotonic() - startedAt);
		return value;
	}

	async function store(file: TenantFile, scope: Scope, options: ImportOptions): Promise<Imported> {
		let rows = 0;
		for (const slice of file.slices()) {
			if (options.isCancelled()) throw new AppError('UNAVAILABLE', 'The import was given up');
			await change(scope, async (tx) => tx.insert(slice, scope.tenant));
			rows += slice.rows.length;
			options.onRows(rows);
		}
		const epoch = options.isNewEpoch ? createEpoch(random.bytes(4)) : file.head.epoch;
		const { plan } = file.tenant;
		// What memory knows of it is from before it was purged here, in an earlier life.
		const changed: Effect = { name: 'tenant.changed', tenant_id: scope.tenant_id };
		// What it has used is drawn from the pool that it comes into.
		const joined: Effect[] =
			typeof plan === 'string' ? [{ name: 'plan.changed', plan_id: plan as PlanId }] : [];
		const dropped = await change(
			scope,
			async (tx) => tx.finish(scope.tenant, file.tenant, { ...file.head, epoch: epoch ?? null }),
			[changed, ...joined],
		);
		return { tenant_id: file.tenant_id, rows, dropped };
	}

	async function remove({ tenant, tenant_id }: HalfDone): Promise<void> {
		for (let isGone = false; !isGone; ) {
			if (isDraining()) throw new AppError('UNAVAILABLE', 'The server is shutting down');
			isGone = await change({ tenant, tenant_id }, async (tx) =>
				tx.removeSome(tenant, REMOVED_ROWS_MAX),
			);
		}
	}

	async function begin(file: TenantFile): Promise<Scope> {
		const tenant_id = file.tenant_id as TenantId;
		for (const half of await read.tenantRows.listHalfDone()) {
			if (half.tenant_id === tenant_id) await remove(half);
		}
		const tenant = await change(NO_TENANT, async (tx) => {
			if (await tx.isThere(tenant_id)) {
				throw new AppError('CONFLICT', `The tenant ${tenant_id} is here already`);
			}
			return tx.begin(file.tenant);
		});
		return { tenant, tenant_id };
	}

	return {
		/**
		 * Stores a tenant with its ids, cursors and seqs as they are, and then lets everybody see it. What it
		 * throws has left nothing behind, or what the next start removes.
		 *
		 * @throws `CONFLICT` when a tenant of this id, or one of its keys, is here already, or another import
		 * is running; whatever a write may throw.
		 */
		async import(file: TenantFile, options: ImportOptions): Promise<Imported> {
			if (running !== undefined) {
				throw new AppError('CONFLICT', `An import is running: of ${running}`);
			}
			running = file.tenant_id;
			try {
				const scope = await begin(file);
				try {
					return await store(file, scope, options);
				} catch (error) {
					// Where that fails too, the next start does it.
					await remove(scope).catch(() => {});
					throw error;
				}
			} finally {
				running = undefined;
			}
		},

		/** Removes what imports that were cut short have left. Returns of which tenants. */
		async removeHalfDone(): Promise<string[]> {
			const halves = await read.tenantRows.listHalfDone();
			const left = halves.filter(({ tenant_id }) => tenant_id !== running);
			for (const half of left) await remove(half);
			return left.map(({ tenant_id }) => tenant_id);
		},
	};
}

export type Imports = ReturnType<typeof createImports>;

/** A row that may not be here twice is no defect. */
async function refusing<Value>(run: () => Promise<Value>): Promise<Value> {
	try {
		return await run();
	} catch (error) {
		const code = String((error as { code?: unknown }).code);
		if (!/^SQLITE_CONSTRAINT/.test(code)) throw error;
		throw new AppError('CONFLICT', `The file does not fit in here: ${(error as Error).message}`);
	}
}
