import { constants, Database } from 'bun:sqlite';
import { resolve } from 'node:path';

/**
 * Opens a file that nobody writes, without locking it and without making a file beside it. A log that lies
 * beside it is not looked at: a backup is one file, whole by itself.
 *
 * @throws an SQLite error when there is none; only the first read tells whether it is a database.
 * @see https://sqlite.org/uri.html#uriimmutable
 */
export function openForReading(path: string): Database {
	const db = new Database(
		`file:${encodeURI(resolve(path)).replaceAll('?', '%3F').replaceAll('#', '%23')}?immutable=1`,
		constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI,
	);
	// What stands in a foreign file's schema is not to be run.
	db.run('PRAGMA trusted_schema = 0');
	db.run('PRAGMA cell_size_check = 1');
	return db;
}
