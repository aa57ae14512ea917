/**
 * The only way to write. Gathers the changes that are waiting, runs them one after the other in
 * one transaction, syncs once, and only then lets the world know: change by change its effects,
 * its publications, its answer.
 *
 * Called by: every use-case that writes. Concurrency: one batch at a time; a batch runs within one
 * turn of the event loop, so nothing else sees its middle, and the loop goes on while it is synced.
 * Lifecycle: `close` once, after `drain`.
 *
 * Tenants take turns, a batch is bounded in changes and milliseconds, and so is the queue.
 *
 * Must never: answer before the sync that covers the answer, refusals included (what they saw
 * may be another change of the batch), or let a read see it before; run two transactions at once; retry
 * a failed COMMIT or sync, for nobody knows what the disk holds then.
 *
 * @see docs/adr/0003-one-writer-with-group-commit.md
 * @see docs/adr/0007-syncs-off-the-main-thread.md
 */
import type { Database } from 'bun:sqlite';
import type { Clock } from '../core/clock.ts';
import type { Effect } from '../core/effect.ts';
import { AppError, assert } from '../core/errors.ts';
import type { Generations } from '../core/generations.ts';
import type { TenantNo } from '../core/ids.ts';
import type { Change, Publication, Scope } from './change.ts';
import { codeOf, createChangeRunner, type Ran } from './change-runner.ts';
import type { DiskGuard } from './disk-guard.ts';
import { createFairQueue } from './fair-queue.ts';
import { createFolding } from './folding.ts';
import type { LogFolder } from './log-folder.ts';
import { createLogHeads } from './log-heads.ts';
import type { LogSync } from './log-sync.ts';
import { createMessageQuotas } from './message-quotas.ts';
import type { Reader } from './read-connection.ts';
import { createRevocations } from './revocations.ts';
import { connect, type Folded, type WriteConnection } from './write-connection.ts';

export interface WriterOptions<Tx> {
	open(): Database;
	/** The features' stores, bound to the connection that writes. */
	bind(db: Database): Tx;
	/** What clients are shown is read here. */
	reader: Pick<Reader, 'hold' | 'release'>;
	logSync: LogSync;
	folder: LogFolder;
	clock: Clock;
	generations: Generations;
	/** Applies one change's effects. Must not throw and must not wait. */
	apply(effects: readonly Effect[], moment: 'before' | 'after'): void;
	/** Publishes one frame. Must not throw and must not wait. */
	publish(publication: Publication): void;
	/** A COMMIT or sync failed, or the file is damaged: what is on disk is unknown, the process must end. */
	onFatal(error: unknown): void;
	/** A change that waited for something else than its stores, or threw what is no AppError. */
	onDefect(error: unknown): void;
	/** Asked before a change is queued, and told of a full disk in the place of `onDefect`. */
	disk?: Pick<DiskGuard, 'hasRoom' | 'onFull'>;
	queueMax: number;
}

export interface Writer<Tx> {
	/**
	 * Resolves after the change is on disk, with its value.
	 *
	 * @throws whatever the change throws; `AUTHENTICATION_ERROR` when its credential was revoked
	 * while it waited, be it by a change right before it; `UNAVAILABLE` when the queue is full or the writer closed;
	 * `INSUFFICIENT_STORAGE` when the disk is full.
	 */
	commit<Value>(scope: Scope, change: Change<Tx, Value>): Promise<Value>;
	/** Resolves when nothing is waiting. */
	drain(): Promise<void>;
	/** Folds the write-ahead log into the file, as far as that goes without waiting. */
	foldLog(): Folded;
	close(): void;
	/** Since the start, for `/metrics`. */
	readonly counters: { commits: number; changes: number; queued: number };
	/** False once a COMMIT or sync failed or the writer is closed. */
	readonly isWritable: boolean;
}

interface Entry<Tx> {
	scope: Scope;
	change: Change<Tx, unknown>;
	resolve(value: unknown): void;
	reject(error: unknown): void;
}

interface Batch<Tx> {
	connection: WriteConnection<Tx>;
	entries: Entry<Tx>[];
	settled: Ran[];
	isCommitted: boolean;
}

const BATCH_CHANGES_MAX = 1024;
/** Longer, and sockets of other tenants would feel it; a thousand sends need about a third. */
const BATCH_MS_MAX = 25;
const IS_FATAL = /^SQLITE_(CORRUPT|NOTADB)/;

const noRoom = () =>
	new AppError('INSUFFICIENT_STORAGE', 'The disk is full: nothing is written until there is room');

export function createWriter<Tx>(options: WriterOptions<Tx>): Writer<Tx> {
	const { clock, disk, queueMax } = options;
	const queue = createFairQueue<TenantNo, Entry<Tx>>();
	const counters = { commits: 0, changes: 0, queued: 0 };
	const runChange = createChangeRunner<Tx>(options);
	const quotas = createMessageQuotas();
	let connection = connect(options);
	let batch: Batch<Tx> | undefined;
	let isScheduled = false;
	let state: 'open' | 'closed' | 'failed' = 'open';
	let recentMsPerChange = 0.05;
	let idleWaiters: (() => void)[] = [];
	const folding = createFolding({
		folder: options.folder,
		logPages: () => connection.logPages(),
		isBatchRunning: () => batch !== undefined,
		onEnd: goOn,
		onDefect: options.onDefect,
	});
	const isIdle = () => queue.size === 0 && batch === undefined && folding.state === 'idle';

	function commit<Value>(scope: Scope, change: Change<Tx, Value>): Promise<Value> {
		if (state !== 'open') {
			return Promise.reject(new AppError('UNAVAILABLE', 'The server is shutting down'));
		}
		if (disk?.hasRoom === false) return Promise.reject(noRoom());
		if (queue.size >= queueMax) {
			return Promise.reject(
				new AppError('UNAVAILABLE', 'Too many writes are waiting', {
					retry_after_ms: Math.max(1, queue.size * recentMsPerChange),
				}),
			);
		}
		return new Promise<Value>((resolve, reject) => {
			queue.push(scope.tenant, {
				scope,
				change,
				resolve: resolve as (value: unknown) => void,
				reject,
			});
			schedule();
		});
	}

	/** At the end of the event loop's turn: a microtask would find a batch of one. */
	function schedule(): void {
		counters.queued = queue.size;
		if (isScheduled || batch !== undefined || folding.state === 'held' || queue.size === 0) return;
		isScheduled = true;
		setImmediate(() => {
			isScheduled = false;
			if (folding.state !== 'held') void runBatch();
		});
	}

	async function runBatch(): Promise<void> {
		const startedAt = clock.monotonic();
		const mine: Batch<Tx> = { connection, entries: [], settled: [], isCommitted: false };
		batch = mine;
		// Runs once the microtasks are drained. Whatever is still pending then waits for something else.
		const watchdog = setImmediate(() => abandonStuck(mine));
		try {
			connection.begin.run();
			const heads = createLogHeads(connection.log, connection.quotas, quotas);
			const state = { heads, quotas, revocations: createRevocations() };
			while (mine.entries.length < BATCH_CHANGES_MAX) {
				const entry = queue.shift();
				if (entry === undefined) break;
				mine.entries.push(entry);
				const settled = await runChange(entry.scope, entry.change, mine.connection, state);
				if (batch !== mine) return; // abandoned while the change was stuck
				mine.settled.push(settled);
				if (clock.monotonic() - startedAt > BATCH_MS_MAX) break;
			}
			state.heads.store();
			if (!options.logSync.isInline) options.reader.hold();
		} catch (error) {
			if (batch === mine) finish(mine, () => failBatch(mine, error));
			return;
		} finally {
			clearImmediate(watchdog);
		}
		try {
			connection.commit.run();
		} catch (error) {
			return finish(mine, () => failCommit(mine, error));
		}
		mine.isCommitted = true;
		options.logSync.sync((error) => {
			if (error !== undefined) return finish(mine, () => failCommit(mine, error));
			counters.commits++;
			counters.changes += mine.entries.length;
			recentMsPerChange = (clock.monotonic() - startedAt) / mine.entries.length;
			options.reader.release();
			finish(mine, () => announce(mine));
		});
	}

	function finish(mine: Batch<Tx>, conclude: () => void): void {
		assert(batch === mine, 'one batch at a time');
		conclude();
		leaveBatch();
	}

	function leaveBatch(): void {
		batch = undefined;
		if (state === 'open') folding.onBatchEnd();
		goOn();
	}

	function goOn(): void {
		schedule();
		if (!isIdle()) return;
		for (const wake of idleWaiters) wake();
		idleWaiters = [];
	}

	/** The batch is on disk: everybody may know. In commit order, without a pause. */
	function announce(mine: Batch<Tx>): void {
		for (const [index, entry] of mine.entries.entries()) {
			const settled = mine.settled[index];
			assert(settled !== undefined, 'every change of a committed batch is settled');
			if ('error' in settled) {
				entry.reject(settled.error);
				continue;
			}
			const { effects = [], value } = settled.outcome;
			options.apply(effects, 'before');
			for (const publication of settled.publications) options.publish(publication);
			options.apply(effects, 'after');
			entry.resolve(value);
		}
	}

	/** The transaction is gone before its COMMIT: nothing of it is on disk, all of it may be retried. */
	function failBatch(mine: Batch<Tx>, error: unknown): void {
		quotas.forget();
		if (connection.db.inTransaction) connection.db.run('ROLLBACK');
		// A transaction that cannot even begin must still use up what waits for it.
		const first = mine.entries.length === 0 ? queue.shift() : undefined;
		if (first !== undefined) mine.entries.push(first);
		const code = codeOf(error);
		const failure = code.startsWith('SQLITE_FULL')
			? noRoom()
			: new AppError('UNAVAILABLE', 'The database refused the write', { retry_after_ms: 1000 });
		for (const entry of mine.entries) entry.reject(failure);
		if (disk !== undefined && code.startsWith('SQLITE_FULL')) {
			disk.onFull();
			// The room that was just made is not theirs.
			refuseWaiting(failure);
		} else options.onDefect(error);
		if (IS_FATAL.test(code)) fail(error);
	}

	/**
	 * A failed COMMIT or fsync leaves the outcome unknown: say so, and end. Except for a full disk: then the
	 * commit record was not written, and a transaction that can be rolled back is one that never was.
	 */
	function failCommit(mine: Batch<Tx>, error: unknown): void {
		if (codeOf(error) === 'SQLITE_FULL') {
			options.reader.release();
			failBatch(mine, error);
			return;
		}
		for (const entry of mine.entries) {
			entry.reject(new AppError('UNAVAILABLE', 'The write may or may not have been stored'));
		}
		fail(error);
	}

	function fail(error: unknown): void {
		state = 'failed';
		refuseWaiting(new AppError('UNAVAILABLE', 'The database cannot be written'));
		options.onFatal(error);
	}

	function refuseWaiting(error: AppError): void {
		for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) entry.reject(error);
	}

	/**
	 * The change that waits for a timer or the network is a defect. It cannot be stopped, but its
	 * `tx` can: the connection goes, and with it everything the batch did. The others run again.
	 */
	function abandonStuck(mine: Batch<Tx>): void {
		if (batch !== mine) return;
		const stuck = mine.entries.pop();
		assert(stuck !== undefined, 'only a change can hold a batch up');
		connection.db.run('ROLLBACK');
		quotas.forget();
		// Closing ends the statements of `db.query` only: drizzle's, of `db.prepare`, live on.
		connection.db.run('PRAGMA query_only = 1');
		connection.db.close();
		connection = connect(options);
		const defect = new Error('Broken invariant: a change waits for nothing but its transaction');
		options.onDefect(defect);
		stuck.reject(defect);
		for (const entry of mine.entries.reverse()) queue.unshift(entry.scope.tenant, entry);
		leaveBatch();
	}

	return {
		commit,
		drain: () =>
			isIdle() ? Promise.resolve() : new Promise((resolve) => idleWaiters.push(resolve)),
		// What is committed and not synced must stay out of sight.
		foldLog: () =>
			state === 'open' && batch?.isCommitted !== true ? connection.foldLog() : 'part',
		close() {
			state = 'closed';
			options.logSync.close();
			// Leaves one file behind, whole by itself. A reader in between makes it a smaller favour.
			connection.foldLog();
			connection.db.close();
		},
		counters,
		get isWritable() {
			return state === 'open';
		},
	};
}
