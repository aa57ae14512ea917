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
 * What an answer to a write means. `full`: a commit returns after the fsync that covers it. `relaxed`: it
 * is left to the system when the disk has it; the end of the process loses nothing, a loss of power may.
 *
 * @see https://sqlite.org/pragma.html#pragma_synchronous
 */
export type Durability = 'full' | 'relaxed';

const SYNCHRONOUS: Readonly<Record<Durability, number>> = { full: 2, relaxed: 1 };

/**
 * Opens the database file with every setting made and read back.
 *
 * @throws an SQLite error when the file is no database, or may not be read or written.
 */
export function openDatabase(
	path: string,
	mode: 'write' | 'read',
	durability: Durability = 'full',
): Database {
	const db = new Database(path, { readwrite: true, create: mode === 'write', strict: true });
	try {
		const pragmas = { ...PRAGMAS, synchronous: SYNCHRONOUS[durability] };
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
