import type { Database } from 'bun:sqlite';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/bun-sqlite';
import { migrate } from 'drizzle-orm/bun-sqlite/migrator';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { openDatabase } from './client.ts';

/** Why a database file cannot be served, in one sentence for the operator. */
export class DatabaseRefused extends Error {
	override readonly name = 'DatabaseRefused';
}

/**
 * Where the migrations are: embedded below the root of the compiled binary (where every module's
 * `import.meta.dir` is that root), in the repository otherwise.
 */
const MIGRATIONS = Bun.isStandaloneExecutable
	? join(import.meta.dir, 'drizzle')
	: join(import.meta.dir, '..', '..', 'drizzle');

/** Up to here a whole-file check costs milliseconds; beyond, it would hold the start up. */
const QUICK_CHECK_BYTES_MAX = 16 * 1024 * 1024;

export interface MigrationReport {
	/** Tags of the migrations that this start applied. */
	applied: number;
	/** The copy of the file as it was before; undefined when there was nothing to lose. */
	backup?: string;
}

/**
 * Brings the file at `path` to this version's schema, each migration in a transaction of its own.
 * A file that holds data is copied to `backupDir` first.
 *
 * @throws DatabaseRefused for a file that is damaged, no database, or of another version; it is
 * left as it was.
 */
export function migrateDatabase(path: string, backupDir: string, now: number): MigrationReport {
	const isNew = !existsSync(path) || statSync(path).size === 0;
	const db = openForMigration(path);
	try {
		const embedded = readMigrationFiles({ migrationsFolder: MIGRATIONS }).map(({ hash }) => hash);
		const applied = appliedMigrations(db);
		if (!isNew) requireSound(db, path);
		requirePrefix(applied, embedded, path);
		if (applied.length === embedded.length) return { applied: 0 };
		const backup = isNew ? undefined : backUp(db, backupDir, now);
		// drizzle rebuilds tables by DROP; with foreign keys on, that deletes what refers to them.
		// The pragma is ignored inside its transaction, so it is set out here. drizzle-orm#5782
		db.run('PRAGMA foreign_keys = 0');
		migrate(drizzle({ client: db }), { migrationsFolder: MIGRATIONS });
		const broken = db.query('PRAGMA foreign_key_check').all();
		if (broken.length > 0) {
			throw new DatabaseRefused(`${path}: a migration left ${broken.length} dangling references`);
		}
		return {
			applied: embedded.length - applied.length,
			...(backup === undefined ? {} : { backup }),
		};
	} catch (error) {
		throw refusalOf(error, path);
	} finally {
		db.close();
	}
}

function openForMigration(path: string): Database {
	try {
		return openDatabase(path, 'write');
	} catch (error) {
		throw refusalOf(error, path);
	}
}

/** The hashes of the migrations that were applied to this file, in order. */
function appliedMigrations(db: Database): string[] {
	const table = db
		.query(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '__drizzle_migrations'`)
		.get();
	if (table === null) return [];
	return db
		.query<{ hash: string }, []>('SELECT hash FROM __drizzle_migrations ORDER BY created_at')
		.all()
		.map(({ hash }) => hash);
}

function requireSound(db: Database, path: string): void {
	if (statSync(path).size > QUICK_CHECK_BYTES_MAX) return;
	const problem = Object.values(
		db.query<Record<string, string>, []>('PRAGMA quick_check(1)').get() ?? {},
	)[0];
	if (problem !== 'ok') throw new DatabaseRefused(`${path} is damaged; restore it from a backup`);
}

/** drizzle stores hashes but compares none, and starts on a newer schema without a word. */
function requirePrefix(applied: string[], embedded: string[], path: string): void {
	const isOurs = applied.every((hash, index) => hash === embedded[index]);
	if (isOurs) return;
	throw new DatabaseRefused(
		`${path} was written by another version of chatapi: ` +
			`it has ${applied.length} migrations of which this version (${embedded.length}) does not know all`,
	);
}

/** A consistent copy of the file, whatever the WAL holds. */
function backUp(db: Database, backupDir: string, now: number): string {
	mkdirSync(backupDir, { recursive: true, mode: 0o700 });
	const stamp = new Date(now).toISOString().replaceAll(':', '-');
	const backup = join(backupDir, `before-migration-${stamp}.db`);
	db.query('VACUUM INTO ?').run(backup);
	return backup;
}

/** Says in one sentence why SQLite would not open or read the file. */
export function refusalOf(error: unknown, path: string): unknown {
	switch ((error as { code?: string }).code) {
		case 'SQLITE_NOTADB':
			return new DatabaseRefused(`${path} is not an SQLite database, or its first page is damaged`);
		case 'SQLITE_CORRUPT':
			return new DatabaseRefused(`${path} is damaged; restore it from a backup`);
		case 'SQLITE_CANTOPEN':
		case 'SQLITE_READONLY':
		case 'SQLITE_PERM':
			return new DatabaseRefused(`${path} cannot be opened for writing`);
		default:
			return error;
	}
}
