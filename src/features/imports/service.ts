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
import { AppError, assert } from '../../core/errors.ts';
import type { PlanId, TenantId, TenantNo } from '../../core/ids.ts';
import type { Random } from '../../core/random.ts';
import type { Scope } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { TenantFile } from '../../db/tenant-file.ts';
import type { HalfDone, TenantRows } from '../../db/tenant-rows.ts';
import type { Writer } from '../../db/writer.ts';
import { type Act, type AuditTx, newAct, type Recorded, record } from '../audit/service.ts';
import type { PresenceTx } from '../presence/service/last-seen.ts';
import type { Receive, Received } from '../tenants/service/receiving.ts';

export interface ImportsTx extends AuditTx, PresenceTx {
	tenantRows: Stored<TenantRows>;
}

export interface ImportsDeps {
	writer: Writer<ImportsTx>;
	read: Pick<ImportsTx, 'tenantRows'>;
	clock: Clock;
	random: Pick<Random, 'bytes'>;
	receive: Receive;
	/** Lets others have the writer, and the event loop. */
	pause(ms: number): Promise<void>;
	/** Whether the server is on its way out: what is half done is then left to the next start. */
	isDraining(): boolean;
}

export interface ImportOptions {
	/** Whoever asked for it, as the audit log names them. */
	by: Recorded;
	/** What the file is, for the log. */
	source: { file: string; sha256: string };
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
	/** Its SMTP password has to be set anew. */
	hasUnreadablePassword: boolean;
}

/** A file, with the tenant as it is to be stored. */
interface Incoming extends Received {
	file: TenantFile;
}

/** Rows that one change removes, or settles. */
const CHANGED_ROWS_MAX = 500;

/** Changes of no tenant: they have no log. */
const NO_TENANT: Scope = { tenant: 0 as TenantNo, tenant_id: '' as TenantId };

/** The use-cases of bringing a whole tenant in. */
export function createImports(deps: ImportsDeps) {
	const { writer, read, clock, random, receive, pause, isDraining } = deps;
	let running: string | undefined;

	/** One change, and then as long a rest for everybody else. */
	async function change<Value>(
		scope: Scope,
		run: (tx: ImportsTx) => Promise<Value>,
		effects: readonly Effect[] = [],
	) {
		const startedAt = clock.monotonic();
		const value = await writer.commit(scope, async (tx) => ({
			value: await refusing(() => run(tx)),
			effects,
		}));
		await pause(clock.monotonic() - startedAt);
		return value;
	}

	/** Whoever was online at the source is offline here, and was seen when the source last said so. */
	async function settle(scope: Scope): Promise<void> {
		for (let isSettled = false; !isSettled; ) {
			const settled = await change(scope, async (tx) =>
				tx.presences.settle(scope.tenant, CHANGED_ROWS_MAX),
			);
			isSettled = settled < CHANGED_ROWS_MAX;
		}
	}

	async function store(
		{ file, row, hasUnreadablePassword }: Incoming,
		scope: Scope,
		options: ImportOptions,
	): Promise<Imported> {
		let rows = 0;
		for (const slice of file.slices()) {
			if (options.isCancelled()) throw new AppError('UNAVAILABLE', 'The import was given up');
			await change(scope, async (tx) => tx.tenantRows.insert(slice, scope.tenant));
			rows += slice.rows.length;
			options.onRows(rows);
		}
		await settle(scope);
		await change(scope, async (tx) => {
			if (!(await tx.tenantRows.sharesKey(scope.tenant))) return;
			throw new AppError(
				'CONFLICT',
				'The file does not fit in here: it has a key of another tenant',
			);
		});
		const epoch = options.isNewEpoch ? createEpoch(random.bytes(4)) : file.head.epoch;
		const { plan } = row;
		// What memory knows of it is from before it was purged here, in an earlier life.
		const changed: Effect = { name: 'tenant.changed', tenant_id: scope.tenant_id };
		// What it has used is drawn from the pool that it comes into.
		const joined: Effect[] =
			typeof plan === 'string' ? [{ name: 'plan.changed', plan_id: plan as PlanId }] : [];
		const act = newAct('tenants.import', { clock, random });
		const head = { ...file.head, epoch: epoch ?? null };
		const dropped = await change(
			scope,
			async (tx) => {
				const left_out = await tx.tenantRows.finish(scope.tenant, row, head);
				const told = {
					rows,
					sha256: options.source.sha256,
					new_epoch: options.isNewEpoch,
					left_out,
				};
				await recordImport(tx, options, { ...act, after: told }, file.tenant_id);
				return left_out;
			},
			[changed, ...joined],
		);
		return { tenant_id: file.tenant_id, rows, dropped, hasUnreadablePassword };
	}

	async function remove({ tenant, tenant_id }: HalfDone): Promise<void> {
		for (let isGone = false; !isGone; ) {
			if (isDraining()) throw new AppError('UNAVAILABLE', 'The server is shutting down');
			isGone = await change({ tenant, tenant_id }, async (tx) =>
				tx.tenantRows.removeSome(tenant, CHANGED_ROWS_MAX),
			);
		}
	}

	async function begin({ file, row }: Incoming): Promise<Scope> {
		const tenant_id = file.tenant_id as TenantId;
		for (const half of await read.tenantRows.listHalfDone()) {
			if (half.tenant_id === tenant_id) await remove(half);
		}
		const tenant = await change(NO_TENANT, async ({ tenantRows }) => {
			if (await tenantRows.isThere(tenant_id)) {
				throw new AppError('CONFLICT', `The tenant ${tenant_id} is here already`);
			}
			return tenantRows.begin(row);
		});
		return { tenant, tenant_id };
	}

	return {
		/**
		 * Stores a tenant with its ids, cursors and seqs as they are, and then lets everybody see it. What it
		 * throws has left nothing behind, or what the next start removes.
		 *
		 * @throws `CONFLICT` when a tenant of this id, or one of its keys, is here already, another import
		 * is running, or no server wrote this tenant; whatever a write may throw.
		 */
		async import(file: TenantFile, options: ImportOptions): Promise<Imported> {
			if (running !== undefined) {
				throw new AppError('CONFLICT', `An import is running: of ${running}`);
			}
			running = file.tenant_id;
			try {
				const incoming = { file, ...(await receive(file.tenant)) };
				const scope = await begin(incoming);
				try {
					return await store(incoming, scope, options);
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

/** In the change that lets everybody see the tenant: there is no entry of one that never was seen. */
async function recordImport(
	tx: ImportsTx,
	{ by, source }: ImportOptions,
	act: Pick<Act, 'action' | 'at' | 'nonce' | 'after'>,
	tenant_id: string,
): Promise<void> {
	const scope = await tx.audit.findScope(tenant_id);
	assert(scope !== undefined, 'the tenant was just stored');
	await record(tx, by, { ...act, ...scope, target: { tenant_id, file: source.file } });
}

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
