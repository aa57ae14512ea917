import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import {
	copyFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { openDatabase } from '../../../src/db/client.ts';
import { applyMigrations, DatabaseRefused, migrateDatabase } from '../../../src/db/migrate.ts';
import { thrownBy } from '../core/thrown.ts';
import { useTempFolders } from './temp-folder.ts';

const tempFolder = useTempFolders();
const RELEASED = join(import.meta.dir, '../../../drizzle');

function task(migrations = RELEASED) {
	const folder = tempFolder();
	return {
		path: join(folder, 'chatapi.db'),
		backupDir: join(folder, 'backups'),
		now: Date.UTC(2026, 10, 21, 3, 45, 0, 123),
		migrations,
	};
}

/** The released migrations and one more. */
function withOneMore(sql: string): string {
	const folder = tempFolder();
	cpSync(RELEASED, folder, { recursive: true });
	const path = join(folder, 'meta/_journal.json');
	const journal = JSON.parse(readFileSync(path, 'utf8'));
	const last = journal.entries.at(-1);
	const tag = `${String(last.idx + 1).padStart(4, '0')}_one_more`;
	journal.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag });
	writeFileSync(path, JSON.stringify(journal));
	writeFileSync(join(folder, `${tag}.sql`), sql);
	return folder;
}

const filesOf = (folder: string): Map<string, string> =>
	new Map(
		readdirSync(folder)
			.filter((name) => statSync(join(folder, name)).isFile())
			.map((name) => [name, Bun.hash(readFileSync(join(folder, name))).toString()]),
	);

/** Runs something that must refuse the file, and holds the folder against what it was before. */
function refusalLeavingAlone({ path }: { path: string }, run: () => unknown): string {
	const folder = join(path, '..');
	const before = filesOf(folder);
	const error = thrownBy(run);
	expect(error).toBeInstanceOf(DatabaseRefused);
	expect(filesOf(folder)).toEqual(before);
	expect(existsSync(join(folder, 'backups'))).toBe(false);
	expect(error.message).not.toContain('\n');
	expect(error.message).toContain(basename(path));
	return error.message;
}

/** A database of this version with a tenant in it: one file, whole by itself. */
function existing() {
	const maker = task();
	applyMigrations(maker);
	const db = openDatabase(maker.path, 'write');
	db.run(
		`INSERT INTO tenants (tenant, tenant_id, name, status, created_at, updated_at)
		VALUES (1, 'tenant_1', 'Acme', 'active', 1, 2)`,
	);
	db.run(
		`INSERT INTO tenant_heads (tenant, epoch, last_cursor, last_room) VALUES (1, 'epoch', 7, 3)`,
	);
	db.run('PRAGMA wal_checkpoint(TRUNCATE)');
	db.close();
	const given = task();
	copyFileSync(maker.path, given.path);
	return given;
}

const query = (path: string, sql: string) => {
	const db = new Database(path);
	try {
		return db.query(sql).values();
	} finally {
		db.close();
	}
};

describe('a new database', () => {
	test('gets every migration, and no backup: there is nothing to lose', () => {
		const given = task();

		const report = applyMigrations(given);

		expect(report).toEqual({ applied: readdirSync(RELEASED).filter(isSql).length });
		expect(query(given.path, 'SELECT count(*) FROM __drizzle_migrations')).toEqual([
			[report.applied],
		]);
		expect(existsSync(given.backupDir)).toBe(false);
	});

	test('may be there already as an empty file', () => {
		const given = task();
		writeFileSync(given.path, '');

		expect(applyMigrations(given).applied).toBeGreaterThan(0);
		expect(existsSync(given.backupDir)).toBe(false);
	});

	test('is completed when a kill left the table of migrations and nothing in it', () => {
		const given = task();
		const db = openDatabase(given.path, 'write');
		db.run(
			'CREATE TABLE __drizzle_migrations (id SERIAL PRIMARY KEY, hash text, created_at numeric)',
		);
		db.close();

		expect(applyMigrations(given).applied).toBeGreaterThan(0);
		expect(query(given.path, 'SELECT count(*) FROM tenants')).toEqual([[0]]);
	});
});

const isSql = (name: string) => name.endsWith('.sql');

describe('a database of this version', () => {
	test('is left as it is, however often', () => {
		const given = existing();
		const before = filesOf(join(given.path, '..'));

		expect(applyMigrations(given)).toEqual({ applied: 0 });
		expect(migrateDatabase(given.path, given.backupDir, given.now)).toEqual({ applied: 0 });

		expect(filesOf(join(given.path, '..'))).toEqual(before);
		expect(existsSync(given.backupDir)).toBe(false);
	});

	test('keeps what a crash left in its log', () => {
		const given = existing();
		const db = openDatabase(given.path, 'write');
		db.run(`UPDATE tenants SET name = 'Changed'`);
		const crashed = join(tempFolder(), 'chatapi.db');
		for (const end of ['', '-wal']) copyFileSync(given.path + end, crashed + end);
		db.close();
		expect(statSync(`${crashed}-wal`).size).toBeGreaterThan(0);

		expect(applyMigrations({ ...given, path: crashed })).toEqual({ applied: 0 });
		expect(query(crashed, 'SELECT name FROM tenants')).toEqual([['Changed']]);
	});
});

describe('a database of an older version', () => {
	const addColumn = 'ALTER TABLE tenants ADD COLUMN colour text;';

	test('is copied, then gets what it lacks, and keeps what it holds', () => {
		const given = { ...existing(), migrations: withOneMore(addColumn) };

		const report = applyMigrations(given);

		expect(report.applied).toBe(1);
		expect(query(given.path, 'SELECT name, colour FROM tenants')).toEqual([['Acme', null]]);
		expect(report.backup).toBe(
			join(given.backupDir, 'before-migration-2026-11-21T03-45-00.123Z.db'),
		);
		expect(readdirSync(given.backupDir)).toEqual([basename(report.backup ?? '')]);
		expect(statSync(given.backupDir).mode & 0o777).toBe(0o700);
		expect(query(report.backup ?? '', 'SELECT name FROM tenants')).toEqual([['Acme']]);
		expect(query(report.backup ?? '', 'PRAGMA integrity_check')).toEqual([['ok']]);
		expect(query(report.backup ?? '', 'PRAGMA table_info(tenants)').flat()).not.toContain('colour');
		expect(applyMigrations(given)).toEqual({ applied: 0 });
	});

	test('has in its backup what stands in the log only', () => {
		const given = { ...existing(), migrations: withOneMore(addColumn) };
		const db = openDatabase(given.path, 'write');
		db.run(`UPDATE tenants SET name = 'In the log'`);

		const { backup } = applyMigrations(given);

		expect(query(backup ?? '', 'SELECT name FROM tenants')).toEqual([['In the log']]);
		db.close();
	});

	test('keeps the rows that refer to a table which is rebuilt', () => {
		const rebuild = `PRAGMA foreign_keys=OFF;--> statement-breakpoint
			CREATE TABLE new_tenants AS SELECT * FROM tenants;--> statement-breakpoint
			DROP TABLE tenants;--> statement-breakpoint
			CREATE TABLE tenants (tenant integer PRIMARY KEY, tenant_id text, name text);--> statement-breakpoint
			INSERT INTO tenants SELECT tenant, tenant_id, name FROM new_tenants;--> statement-breakpoint
			DROP TABLE new_tenants;`;
		const given = { ...existing(), migrations: withOneMore(rebuild) };

		expect(applyMigrations(given).applied).toBe(1);

		expect(query(given.path, 'SELECT last_cursor FROM tenant_heads')).toEqual([[7]]);
	});

	test('is told of when a migration leaves references to nothing', () => {
		const given = { ...existing(), migrations: withOneMore('DELETE FROM tenants;') };

		const error = thrownBy(() => applyMigrations(given));

		expect(error).toBeInstanceOf(DatabaseRefused);
		expect(error.message).toContain('1 dangling references');
		const [backup = ''] = readdirSync(given.backupDir);
		expect(query(join(given.backupDir, backup), 'SELECT name FROM tenants')).toEqual([['Acme']]);
	});

	test('stays as it was when a migration fails half-way', () => {
		const broken = `${addColumn}--> statement-breakpoint\nINSERT INTO absent VALUES (1);`;
		const given = { ...existing(), migrations: withOneMore(broken) };

		expect(thrownBy(() => applyMigrations(given)).message).toContain('absent');

		expect(query(given.path, 'PRAGMA table_info(tenants)').flat()).not.toContain('colour');
		expect(applyMigrations({ ...given, migrations: RELEASED })).toEqual({ applied: 0 });
	});
});

/** The released migrations as they were up to one of them. */
function upTo(tag: string): string {
	const folder = tempFolder();
	cpSync(RELEASED, folder, { recursive: true });
	const path = join(folder, 'meta/_journal.json');
	const journal = JSON.parse(readFileSync(path, 'utf8'));
	const last = journal.entries.findIndex((entry: { tag: string }) => entry.tag === tag);
	expect(last).toBeGreaterThan(-1);
	journal.entries.length = last + 1;
	writeFileSync(path, JSON.stringify(journal));
	return folder;
}

test('members who had left before every stay was kept are so still, and the others are members', () => {
	const given = task(upTo('0004_deactivated_users'));
	applyMigrations(given);
	const db = openDatabase(given.path, 'write');
	db.run(`INSERT INTO tenants (tenant, tenant_id, name, status, created_at, updated_at)
		VALUES (1, 't1', 'Acme', 'active', 1, 2), (2, 't2', 'Twin', 'active', 1, 2)`);
	for (const tenant of [1, 2]) {
		db.run(`INSERT INTO memberships (tenant, room, user_id, role, joined_at, joined_cursor,
				left_cursor, hidden_cursor)
			VALUES (${tenant}, 1, 'ann', 'owner', 5, 1, NULL, 7),
				(${tenant}, 1, 'bob', 'member', 6, 2, ${tenant === 1 ? 4 : 'NULL'}, 0)`);
		db.run(
			`INSERT INTO positions VALUES (${tenant}, 1, 'ann', 3, 2, 2), (${tenant}, 1, 'bob', 1, 1, 1)`,
		);
	}
	db.close();

	applyMigrations({ ...given, migrations: RELEASED });

	const members = 'SELECT tenant, user_id, role, joined_at, joined_cursor, hidden_cursor';
	expect(query(given.path, `${members} FROM memberships ORDER BY 1, 2`)).toEqual([
		[1, 'ann', 'owner', 5, 1, 7],
		[2, 'ann', 'owner', 5, 1, 7],
		[2, 'bob', 'member', 6, 2, 0],
	]);
	const stays = 'SELECT tenant, user_id, left_cursor, room, joined_cursor FROM ended_memberships';
	expect(query(given.path, stays)).toEqual([[1, 'bob', 4, 1, 2]]);
	const positions = 'SELECT tenant, user_id, delivered_seq, read_seq FROM positions ORDER BY 1, 2';
	expect(query(given.path, positions)).toEqual([
		[1, 'ann', 3, 2],
		[2, 'ann', 3, 2],
		[2, 'bob', 1, 1],
	]);
});

describe('is refused and left alone', () => {
	test('a database of a newer version', () => {
		const given = task(withOneMore('ALTER TABLE tenants ADD COLUMN colour text;'));
		applyMigrations(given);

		expect(
			refusalLeavingAlone(given, () => applyMigrations({ ...given, migrations: RELEASED })),
		).toContain('another version');
	});

	test('a database whose migrations were edited since', () => {
		const given = existing();
		const edited = join(tempFolder(), 'drizzle');
		cpSync(RELEASED, edited, { recursive: true });
		const [first = ''] = readdirSync(edited).filter(isSql).sort();
		writeFileSync(join(edited, first), `${readFileSync(join(edited, first), 'utf8')}\n-- edited`);

		expect(
			refusalLeavingAlone(given, () => applyMigrations({ ...given, migrations: edited })),
		).toContain('another version');
	});

	test('the database of another program, which is not even switched to WAL', () => {
		const given = task();
		const db = new Database(given.path);
		db.run('CREATE TABLE recipes (title)');
		db.close();

		expect(refusalLeavingAlone(given, () => applyMigrations(given))).toContain('another program');
		expect(query(given.path, 'PRAGMA journal_mode')).toEqual([['delete']]);
	});

	for (const [what, content] of [
		['a text', Buffer.from('Dear diary, today I was taken for a database. '.repeat(50))],
		['zeros', Buffer.alloc(8192)],
		['random bytes', Buffer.from(Array.from({ length: 8192 }, (_, at) => (at * 7919) % 251))],
		['a few bytes', Buffer.from('SQLite')],
	] as const) {
		test(what, () => {
			const given = task();
			writeFileSync(given.path, content);

			expect(refusalLeavingAlone(given, () => applyMigrations(given))).toMatch(
				/not an SQLite database|is damaged/,
			);
		});
	}

	test('a directory in its place', () => {
		const given = task();
		mkdirSync(given.path);

		expect(refusalLeavingAlone(given, () => applyMigrations(given))).toContain('cannot be opened');
	});

	for (const [what, damage] of [
		['garbage in its header', (bytes: Buffer) => void bytes.fill(0xa5, 0, 100)],
		['garbage in its first page', (bytes: Buffer) => void bytes.fill(0xa5, 100, 4096)],
		['garbage in a page in the middle', (bytes: Buffer) => void bytes.fill(0xa5, 8192, 12_288)],
	] as const) {
		test(`a database with ${what}`, () => {
			const given = existing();
			const bytes = readFileSync(given.path);
			damage(bytes);
			writeFileSync(given.path, bytes);

			expect(refusalLeavingAlone(given, () => applyMigrations(given))).toMatch(
				/not an SQLite database|is damaged/,
			);
		});
	}

	test('a database of which the end is missing', () => {
		const given = existing();
		const bytes = readFileSync(given.path);
		writeFileSync(given.path, bytes.subarray(0, Math.floor(bytes.length / 8192) * 4096));

		expect(refusalLeavingAlone(given, () => applyMigrations(given))).toContain('is damaged');
	});
});

test('a locked database is told of as that', () => {
	const given = { ...existing(), migrations: withOneMore('CREATE TABLE more (a);') };
	const holder = new Database(given.path);
	holder.run('PRAGMA locking_mode = EXCLUSIVE');
	holder.run('BEGIN EXCLUSIVE');

	const error = thrownBy(() => applyMigrations(given));

	expect(error).toBeInstanceOf(DatabaseRefused);
	expect(error.message).toContain('is locked by another program');
	holder.close();
}, 15_000);
