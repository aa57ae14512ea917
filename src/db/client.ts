import { Database } from 'bun:sqlite';
import { assert } from '../core/errors.ts';

/** What every connection is set to, and must read back as. SQLite keeps most of these per connection. */
const PRAGMAS = {
	// First: it also covers the switch to WAL below.
	busy_timeout: 5000,
	journal_mode: 'wal',
	foreign_keys: 1,
	trusted_schema: 0,
	cell_size_check: 1,
	// MEMORY: a large statement's journal must not need a writable /tmp.
	temp_store: 2,
	// Kibibytes when negative: 32 MiB a connection.
	cache_size: -32_768,
} as const;

/**
 * When a commit returns. `full`: after the sync that covers it. `normal`: before it; the caller syncs the
 * log, or does without.
 *
 * @see https://sqlite.org/pragma.html#pragma_synchronous
 */
type Synchronous = 'full' | 'normal';

const SYNCHRONOUS: Readonly<Record<Synchronous, number>> = { full: 2, normal: 1 };

/**
 * Opens the database file with every setting made and read back.
 *
 * @throws an SQLite error when the file is no database, or may not be read or written.
 */
export function openDatabase(
	path: string,
	mode: 'write' | 'read',
	synchronous: Synchronous = 'full',
): Database {
	const db = new Database(path, { readwrite: true, create: mode === 'write', strict: true });
	try {
		const pragmas = { ...PRAGMAS, synchronous: SYNCHRONOUS[synchronous] };
		for (const [name, value] of Object.entries(pragmas)) {
			db.run(`PRAGMA ${name} = ${value}`);
			const row = db.query<Record<string, unknown>, []>(`PRAGMA ${name}`).get();
			const readBack = Object.values(row ?? {})[0];
			assert(readBack === value, `PRAGMA ${name} is ${value}, not ${readBack}`);
		}
		// A reader that cannot write is a promise SQLite keeps for us.
		if (mode === 'read') db.run('PRAGMA query_only = 1');
	} catch (error) {
		db.close();
		throw error;
	}
	return db;
}

/**
 * A store as use-cases see it: every call may be a promise, and is awaited. On SQLite it never is;
 * on a database across a network it would be.
 */
export type Stored<Store> = {
	[Name in keyof Store]: Store[Name] extends (...input: infer Input) => infer Output
		? (...input: Input) => Output | Promise<Output>
		: never;
};
