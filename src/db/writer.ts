/**
 * The only way to write. Gathers the changes that are waiting, runs them one after the other in
 * one transaction, fsyncs once, and only then lets the world know: change by change its effects,
 * its publications, its answer.
 *
 * Called by: every use-case that writes. Concurrency: one batch at a time; a batch runs within one
 * turn of the event loop, so nothing else sees its middle. Lifecycle: `close` once, after `drain`.
 *
 * Tenants take turns, a batch is bounded in changes and milliseconds, and so is the queue.
 *
 * Must never: answer before the COMMIT that covers the answer, refusals included (what they saw
 * may be another change of the batch); run two transactions at once; retry a failed COMMIT, for
 * after a failed fsync nobody knows what the disk holds.
 *
 * @see docs/adr/0003-one-writer-with-group-commit.md
 */
import type { Database } from 'bun:sqlite';
import type { Clock } from '../core/clock.ts';
import { encodeCursor } from '../core/cursor.ts';
import type { Effect } from '../core/effect.ts';
import { AppError, assert } from '../core/errors.ts';
import type { LiveFrame, PendingEvent, Stream } from '../core/event.ts';
import type { Generations, Stamp } from '../core/generations.ts';
import type { TenantId, TenantNo } from '../core/ids.ts';
import type { DiskGuard } from './disk-guard.ts';
import type { EventLog } from './event-log.ts';
import { createFairQueue } from './fair-queue.ts';
import { createLogHeads, type LogHeads, type Place } from './log-heads.ts';
import { connect, type Folded, type WriteConnection } from './write-connection.ts';

export type { Place } from './log-heads.ts';

/** Whose change it is. */
export interface Scope {
	tenant: TenantNo;
	tenant_id: TenantId;
	/** Of the caller. Absent for the operator and for our own work. */
	stamp?: Stamp;
}

/** The operator's own changes, and those that make a tenant: they have no log and no events. */
export const CONTROL_PLANE: Scope = { tenant: 0 as TenantNo, tenant_id: '' as TenantId };

export interface Outcome<Value> {
	value: Value;
	events?: readonly PendingEvent[];
	/** Told to who listens now, and to nobody later: these are in no log. */
	live?: readonly LiveFrame[];
	effects?: readonly Effect[];
}

/**
 * What to write, as a function of the stores. It touches nothing but `tx`, waits for nothing but
 * `tx`, and may be run again: ids and times are handed in from outside. What it throws undoes only
 * itself.
 */
export type Change<Tx, Value> = (tx: Tx, place: Place) => Outcome<Value> | Promise<Outcome<Value>>;

/** What subscribers of some streams are sent after a commit. */
export interface Publication {
	tenant_id: TenantId;
	/** The event's type and cursor; null for what the log does not hold. */
	type: string | null;
	cursor: number | null;
	streams: readonly Stream[];
	frame: string;
}

export interface WriterOptions<Tx> {
	open(): Database;
	/** The features' stores, bound to the connection that writes. */
	bind(db: Database): Tx;
	clock: Clock;
	generations: Generations;
	/** Applies one change's effects. Must not throw and must not wait. */
	apply(effects: readonly Effect[], moment: 'before' | 'after'): void;
	/** Publishes one frame. Must not throw and must not wait. */
	publish(publication: Publication): void;
	/** A COMMIT failed, or the file is damaged: what is on disk is unknown, the process must end. */
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
	 * while it waited; `UNAVAILABLE` when the queue is full or the writer closed;
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
	/** False once a COMMIT failed or the writer is closed. */
	readonly isWritable: boolean;
}

interface Entry<Tx> {
	scope: Scope;
	change: Change<Tx, unknown>;
	resolve(value: unknown): void;
	reject(error: unknown): void;
}

type Settled =
	| { outcome: Outcome<unknown>; publications: readonly Publication[] }
	| { error: unknown };

interface Batch<Tx> {
	connection: WriteConnection<Tx>;
	entries: Entry<Tx>[];
	settled: Settled[];
}

const BATCH_CHANGES_MAX = 1024;
/** Longer, and sockets of other tenants would feel it; a thousand sends need about a third. */
const BATCH_MS_MAX = 25;
/** SQLite may have rolled the whole transaction back on these. @see https://sqlite.org/lang_transaction.html */
const ROLLS_BACK = /^SQLITE_(FULL|IOERR|NOMEM|CORRUPT|NOTADB|INTERRUPT)/;
const IS_FATAL = /^SQLITE_(CORRUPT|NOTADB)/;

const noRoom = () =>
	new AppError('INSUFFICIENT_STORAGE', 'The disk is full: nothing is written until there is room');

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '');

export function createWriter<Tx>(options: WriterOptions<Tx>): Writer<Tx> {
	const { clock, generations, disk, queueMax } = options;
	const queue = createFairQueue<TenantNo, Entry<Tx>>();
	const counters = { commits: 0, changes: 0, queued: 0 };
	let connection = connect(options);
	let batch: Batch<Tx> | undefined;
	let isScheduled = false;
	let state: 'open' | 'closed' | 'failed' = 'open';
	let recentMsPerChange = 0.05;
	let idleWaiters: (() => void)[] = [];

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
		if (isScheduled || batch !== undefined || queue.size === 0) return;
		isScheduled = true;
		setImmediate(() => {
			isScheduled = false;
			void runBatch();
		});
	}

	async function runBatch(): Promise<void> {
		const startedAt = clock.monotonic();
		const mine: Batch<Tx> = { connection, entries: [], settled: [] };
		batch = mine;
		// Runs once the microtasks are drained. Whatever is still pending then waits for something else.
		const watchdog = setImmediate(() => abandonStuck(mine));
		try {
			connection.begin.run();
			const heads = createLogHeads(connection.log);
			while (mine.entries.length < BATCH_CHANGES_MAX) {
				const entry = queue.shift();
				if (entry === undefined) break;
				mine.entries.push(entry);
				const settled = await runChange(entry, mine.connection, heads);
				if (batch !== mine) return; // abandoned while the change was stuck
				mine.settled.push(settled);
				if (clock.monotonic() - startedAt > BATCH_MS_MAX) break;
			}
			heads.store();
		} catch (error) {
			if (batch !== mine) return;
			return finish(mine, watchdog, () => failBatch(mine, error));
		}
		try {
			connection.commit.run();
		} catch (error) {
			return finish(mine, watchdog, () => failCommit(mine, error));
		}
		counters.commits++;
		counters.changes += mine.entries.length;
		recentMsPerChange = (clock.monotonic() - startedAt) / mine.entries.length;
		finish(mine, watchdog, () => announce(mine));
	}

	function finish(mine: Batch<Tx>, watchdog: NodeJS.Immediate, conclude: () => void): void {
		clearImmediate(watchdog);
		assert(batch === mine, 'one batch at a time');
		conclude();
		leaveBatch();
	}

	function leaveBatch(): void {
		batch = undefined;
		schedule();
		if (queue.size === 0) {
			for (const wake of idleWaiters) wake();
			idleWaiters = [];
		}
	}

	/**
	 * One change within its savepoint. Throws only when the whole transaction is gone. The connection
	 * is the batch's: an abandoned change that goes on after all must not reach the one in its place.
	 */
	async function runChange(
		{ scope, change }: Entry<Tx>,
		connection: WriteConnection<Tx>,
		heads: LogHeads,
	): Promise<Settled> {
		if (scope.stamp !== undefined && !generations.isCurrent(scope.stamp)) {
			return { error: new AppError('AUTHENTICATION_ERROR', 'Invalid API key') };
		}
		connection.savepoint.run();
		try {
			const place = heads.placeOf(scope.tenant);
			const pending = change(connection.tx, place);
			const outcome = pending instanceof Promise ? await pending : pending;
			const publications = appendEvents(connection.log, scope, place, outcome.events);
			heads.advance(scope.tenant, publications.length);
			connection.release.run();
			for (const { streams, frame } of outcome.live ?? []) {
				publications.push({ tenant_id: scope.tenant_id, type: null, cursor: null, streams, frame });
			}
			return { outcome, publications };
		} catch (error) {
			if (ROLLS_BACK.test(codeOf(error)) || !connection.db.inTransaction) throw error;
			connection.undo.run();
			connection.release.run();
			if (!(error instanceof AppError)) options.onDefect(error);
			return { error };
		}
	}

	function appendEvents(
		log: EventLog,
		{ tenant, tenant_id }: Scope,
		place: Place,
		events: readonly PendingEvent[] = [],
	): Publication[] {
		const created_at = clock.now();
		return events.map((event, index) => {
			const cursor = place.cursor + index;
			const data = JSON.stringify(event.data);
			const isReference = event.ref !== undefined;
			log.append({
				tenant,
				cursor,
				stream: event.stream.key,
				type: event.type,
				ref: event.ref ?? null,
				payload: isReference ? null : data,
				created_at,
			});
			const head = `{"type":"${event.frame}","cursor":"${encodeCursor(place.epoch, cursor)}"`;
			const frame = `${head},${data.slice(1)}`;
			const streams = [event.stream, ...(event.also ?? [])];
			return { tenant_id, type: event.type, cursor, streams, frame };
		});
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
			queue.size === 0 && batch === undefined
				? Promise.resolve()
				: new Promise((resolve) => idleWaiters.push(resolve)),
		foldLog: () => (state === 'open' ? connection.foldLog() : 'part'),
		close() {
			state = 'closed';
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
