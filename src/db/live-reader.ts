import { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { DatabaseRefused, refusalOf } from './migrate.ts';
import { migrationsOf, schemaVersionOf } from './schema-version.ts';

/** A database of a data directory, opened to be looked at by a command. */
export interface LiveReader {
	db: Database;
	/** @throws DatabaseRefused when a table, an index or a trigger is not as its migrations made it. */
	requireWhole(): void;
	close(): void;
}

/**
 * Opens a database that a server may be writing, for reading only. It is of this version or an earlier one;
 * whether its schema is still what it was is left to `requireWhole`.
 *
 * @throws DatabaseRefused, in one sentence, when there is none, or none that this version knows.
 */
export function openLiveReader(path: string): LiveReader {
	if (!existsSync(path)) throw new DatabaseRefused(`There is no database ${path}`);
	try {
		const db = new Database(path, { readwrite: true, create: false });
		try {
			db.run('PRAGMA busy_timeout = 5000');
			db.run('PRAGMA query_only = 1');
			// What stands in a tampered file's schema is not to be run.
			db.run('PRAGMA trusted_schema = 0');
			db.run('PRAGMA cell_size_check = 1');
			migrationsOf(db, path);
			return { db, requireWhole: () => void schemaVersionOf(db, path), close: () => db.close() };
		} catch (error) {
			db.close();
			throw error;
		}
	} catch (error) {
		throw refusalOf(error, path);
	}
}
