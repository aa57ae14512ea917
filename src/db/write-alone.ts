import type { Database } from 'bun:sqlite';
import { openDatabase } from './client.ts';

/**
 * Runs one transaction on a database that no other process writes: one under the lock of its data directory, or a
 * draft. When this resolves it is on disk and, unless somebody else reads the file, in the file itself: the
 * write-ahead log is empty. What throws changes nothing.
 *
 * Folding is asked for, and not left to the closing of the connection: prepared statements keep that open until
 * they are collected, and a file that is renamed meanwhile would leave its log behind.
 *
 * @throws what `run` throws, or an SQLite error.
 */
export async function writeAlone(path: string, run: (db: Database) => Promise<void>) {
	const db = openDatabase(path, 'write');
	try {
		db.run('BEGIN IMMEDIATE');
		try {
			await run(db);
			db.run('COMMIT');
		} catch (error) {
			if (db.inTransaction) db.run('ROLLBACK');
			throw error;
		}
		db.query('PRAGMA wal_checkpoint(TRUNCATE)').get();
	} finally {
		db.close();
	}
}
