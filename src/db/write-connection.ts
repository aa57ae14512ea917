import type { Database } from 'bun:sqlite';
import { createEventLog } from './event-log.ts';
import { createQuotaRows } from './quota-rows.ts';
import { createStoredAnswers } from './stored-answers.ts';

export type WriteConnection<Tx> = ReturnType<typeof connect<Tx>>;

/**
 * The log keeps at most this room when it begins anew. While somebody reads the whole file, for a backup,
 * it cannot begin anew and grows with what is written; twice what it otherwise comes to is kept.
 *
 * @see https://sqlite.org/pragma.html#pragma_journal_size_limit
 */
const LOG_BYTES_KEPT = 16 * 1024 * 1024;

/** The writer's connection, with the stores bound to it and its own statements prepared. */
export function connect<Tx>({ open, bind }: { open(): Database; bind(db: Database): Tx }) {
	const db = open();
	// When, and on which thread, is the writer's to say.
	db.run('PRAGMA wal_autocheckpoint = 0');
	db.run(`PRAGMA journal_size_limit = ${LOG_BYTES_KEPT}`);
	const logSize = db.query<{ log: number }, []>('PRAGMA wal_checkpoint(NOOP)');
	return {
		db,
		tx: bind(db),
		log: createEventLog(db),
		quotas: createQuotaRows(db),
		answers: createStoredAnswers(db),
		begin: db.query('BEGIN IMMEDIATE'),
		commit: db.query('COMMIT'),
		savepoint: db.query('SAVEPOINT change'),
		release: db.query('RELEASE change'),
		undo: db.query('ROLLBACK TO change'),
		/** Of the log, folded or not; 0 when it begins anew with the next commit. */
		logPages: () => Math.max(0, logSize.get()?.log ?? 0),
		foldLog: () => foldLog(db),
	};
}

/** How far the log was folded: all of it, as far as others let us, or until the disk was full. */
export type Folded = 'whole' | 'part' | 'full';

/**
 * Folds the write-ahead log into the database file as far as readers allow, and gives its room back
 * where that is all of it. Waits for nobody: a backup that reads would hold the process up for the
 * connection's `busy_timeout`. Does nothing within a transaction.
 *
 * Nothing is lost where it cannot be folded: the log is part of the database.
 *
 * @see https://sqlite.org/pragma.html#pragma_wal_checkpoint
 */
function foldLog(db: Database): Folded {
	if (db.inTransaction) return 'part';
	const before = db.query<{ timeout: number }, []>('PRAGMA busy_timeout').get();
	try {
		db.run('PRAGMA busy_timeout = 0');
		const row = db.query<{ busy: number }, []>('PRAGMA wal_checkpoint(TRUNCATE)').get();
		return row?.busy === 0 ? 'whole' : 'part';
	} catch (error) {
		// Whatever else it is will show when something is written.
		return (error as { code?: unknown }).code === 'SQLITE_FULL' ? 'full' : 'part';
	} finally {
		db.run(`PRAGMA busy_timeout = ${before?.timeout ?? 0}`);
	}
}
