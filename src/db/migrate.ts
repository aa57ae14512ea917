import { Database } from 'bun:sqlite';
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
 * Where the migrations are: in the repository; in the compiled binary at the root, where the modules of its
 * main entry are (`import.meta.dir`), while those of a thread's entry are in the folder of that.
 */
export const MIGRATIONS =
	(Bun.isStandaloneExecutable
		? [import.meta.dir, join(import.meta.dir, '..')]
		: [join(import.meta.dir, '..', '..')]
	)
		.map((folder) => join(folder, 'drizzle'))
		.find((folder) => existsSync(folder)) ?? '';

/** Up to here a whole-file check costs milliseconds; beyond, it would hold the start up. */
const QUICK_CHECK_BYTES_MAX = 16 * 1024 * 1024;

export interface MigrationReport {
	/** How many migrations this start applied. */
	applied: number;
	/** The copy of the file as it was before; undefined when there was nothing to lose. */
	backup?: string;
}

export interface MigrationTask {
	path: string;
	/** Where a file that holds data is copied to first. */
	backupDir: string;
	now: number;
	/** A folder as drizzle-kit writes it. */
	migrations: string;
}

/** Brings the file at `path` to this version's schema. @throws as `applyMigrations`. */
export const migrateDatabase = (path: string, backupDir: string, now: number): MigrationReport =>
	applyMigrations({ path, backupDir, now, migrations: MIGRATIONS });

/**
 * Applies what the file at `path` lacks of a folder's migrations, all of it in one transaction.
 *
 * @throws DatabaseRefused for a file that is damaged, no database of ours, or of another version; it
 * is left as it was.
 */
export function applyMigrations(task: MigrationTask): MigrationReport {
	const { path, backupDir, now, migrations: migrationsFolder } = task;
	try {
		const isNew = !existsSync(path) || statSync(path).size === 0;
		const embedded = readMigrationFiles({ migrationsFolder }).map(({ hash }) => hash);
		const applied = isNew ? [] : inspect(path, embedded);
		if (applied.length === embedded.length) return { applied: 0 };
		const db = openDatabase(path, 'write');
		try {
			const backup = isNew ? undefined : backUp(db, backupDir, now);
			// drizzle rebuilds tables by DROP; with foreign keys on, that deletes what refers to them.
			// The pragma is ignored inside its transaction, so it is set out here. drizzle-orm#5782
			db.run('PRAGMA foreign_keys = 0');
			migrate(drizzle({ client: db }), { migrationsFolder });
			const broken = db.query('PRAGMA foreign_key_check').all();
			if (broken.length > 0) {
				throw new DatabaseRefused(`${path}: a migration left ${broken.length} dangling references`);
			}
			return {
				applied: embedded.length - applied.length,
				...(backup === undefined ? {} : { backup }),
			};
		} finally {
			db.close();
		}
	} catch (error) {
		throw refusalOf(error, path);
	}
}

/**
 * The migrations that a file has, after a look at whether it is sound and ours. Nothing is set on
 * this connection: `openDatabase` would write into the file of another program.
 */
function inspect(path: string, embedded: string[]): string[] {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		db.run('PRAGMA busy_timeout = 5000');
		const applied = appliedMigrations(db);
		requireSound(db, path);
		requirePrefix(applied, embedded, path);
		if (applied.length === 0 && tablesOf(db).some((name) => name !== MIGRATIONS_TABLE)) {
			throw new DatabaseRefused(`${path} is the database of another program`);
		}
		return applied;
	} finally {
		db.close();
	}
}

export const MIGRATIONS_TABLE = '__drizzle_migrations';

const tablesOf = (db: Database): string[] =>
	db
		.query<{ name: string }, []>(`SELECT name FROM sqlite_master WHERE type = 'table'`)
		.all()
		.map(({ name }) => name);

/** The hashes of the migrations that were applied to this file, in order. */
export function appliedMigrations(db: Database): string[] {
	if (!tablesOf(db).includes(MIGRATIONS_TABLE)) return [];
	return db
		.query<{ hash: string }, []>(`SELECT hash FROM ${MIGRATIONS_TABLE} ORDER BY created_at`)
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
	const code = String((error as { code?: unknown } | null)?.code ?? '');
	// Without what an extended code adds, as in SQLITE_READONLY_DIRECTORY.
	switch (/^SQLITE_[A-Z]+/.exec(code)?.[0]) {
		case 'SQLITE_NOTADB':
			return new DatabaseRefused(`${path} is not an SQLite database, or its first page is damaged`);
		case 'SQLITE_CORRUPT':
			return new DatabaseRefused(`${path} is damaged; restore it from a backup`);
		case 'SQLITE_BUSY':
			return new DatabaseRefused(`${path} is locked by another program`);
		case 'SQLITE_FULL':
			return new DatabaseRefused(`The disk is full: ${path} cannot be brought to this version`);
		case 'SQLITE_CANTOPEN':
		case 'SQLITE_READONLY':
		case 'SQLITE_PERM':
			return new DatabaseRefused(`${path} cannot be opened for writing`);
		default:
			return error;
	}
}
