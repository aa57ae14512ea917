import { Database } from 'bun:sqlite';
import { afterEach, describe, expect, test } from 'bun:test';
import {
	appendFileSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { type BackupTask, backUp, verifyBackup } from '../../../src/db/backup.ts';
import {
	type Manifest,
	manifestPath,
	manifestText,
	readManifest,
} from '../../../src/db/manifest.ts';
import { DatabaseRefused } from '../../../src/db/migrate.ts';
import { digestOf } from '../../../src/db/whole-file.ts';
import { createFakeClock } from '../core/fake-clock.ts';
import { dumpOf, EPOCHS, fillDatabase, insertMessage } from './filled.ts';
import { useTempFolders } from './temp-folder.ts';
import { rejectionOf } from './workbench.ts';

const tempFolder = useTempFolders();
const opened: Database[] = [];
afterEach(() => {
	for (const db of opened.splice(0)) db.close();
});

const silent = () => {};

function given() {
	const folder = tempFolder();
	const { path, db } = fillDatabase(folder);
	opened.push(db);
	const target = join(folder, 'copy', 'backup.db');
	mkdirSync(join(folder, 'copy'));
	const task: BackupTask = {
		source: path,
		target,
		version: '1.2.3',
		clock: createFakeClock(),
		lowWaterBytes: 0,
		onProgress: silent,
		record: async () => {},
	};
	return { folder, path, db, target, task };
}

/** A good backup, to be spoilt. */
async function backedUp() {
	const { task, target, ...rest } = given();
	const manifest = await backUp(task);
	return { ...rest, target, manifest };
}

/** What is said of a backup that is refused. */
async function refusalOf(file: string): Promise<string> {
	const before = existsSync(file) ? readFileSync(file) : undefined;
	const error = await rejectionOf(verifyBackup(file, silent));
	expect(error).toBeInstanceOf(DatabaseRefused);
	if (before !== undefined) expect(readFileSync(file).equals(before)).toBe(true);
	return (error as Error).message;
}

/** Changes a backup's file, and makes its manifest tell of the file as it then is. */
async function forge(file: string, spoil: (db: Database) => void, patch: Partial<Manifest> = {}) {
	const db = new Database(file, { readwrite: true, create: false });
	spoil(db);
	db.close();
	const manifest = { ...readManifest(file), ...(await digestOf(file)), ...patch };
	writeFileSync(manifestPath(file), manifestText(manifest));
}

describe('a backup', () => {
	test('is the database as it is, with what only its log holds, and nothing that is not committed', async () => {
		const { task, target, path, db } = given();
		const committed = dumpOf(path);
		db.run('BEGIN IMMEDIATE');
		insertMessage(db, 1, 1000);

		await backUp(task);

		expect(dumpOf(target)).toBe(committed);
		expect(committed).toContain('msg_2_200');
		db.run('ROLLBACK');
		await verifyBackup(target, silent);
		expect(existsSync(`${target}-wal`)).toBe(false);
	});

	test('has a manifest that tells its bytes, schema, tenants and epochs', async () => {
		const { task, target } = given();

		const manifest = await backUp(task);

		expect(readManifest(target)).toEqual(manifest);
		expect(manifest).toEqual({
			format: 'chatapi-backup-1',
			created_at: new Date(task.clock.now()).toISOString(),
			version: '1.2.3',
			file: 'backup.db',
			bytes: statSync(target).size,
			sha256: new Bun.CryptoHasher('sha256').update(readFileSync(target)).digest('hex'),
			schema: { migrations: expect.any(Number), hash: expect.any(String) },
			tenants: EPOCHS.map((epoch, index) => ({
				tenant_id: `tenant_${index + 1}`,
				epoch,
				last_cursor: 200,
			})),
		});
		expect(manifest.schema.migrations).toBeGreaterThan(4);
	});

	test('leaves nothing beside the file and its manifest', async () => {
		const { target, folder } = await backedUp();

		expect(readdirSync(join(folder, 'copy')).sort()).toEqual([
			'backup.db',
			'backup.db.manifest.json',
		]);
		expect(statSync(manifestPath(target)).mode & 0o777).toBe(0o600);
	});

	test('of a database without tenants verifies too', async () => {
		const { task, db } = given();
		for (const table of ['messages', 'rooms', 'tenant_heads', 'tenants']) {
			db.run(`DELETE FROM ${table}`);
		}

		const { tenants } = await backUp(task);

		expect(tenants).toEqual([]);
		expect((await verifyBackup(task.target, silent)).tenants).toEqual([]);
	});

	test('is told of, whole and checked, before it has its name; what that throws keeps it from getting one', async () => {
		const { task, target } = given();
		const seen: unknown[] = [];
		const record: BackupTask['record'] = async (copy) => {
			seen.push({ ...copy, isThere: existsSync(target) });
		};

		const error = await rejectionOf(
			backUp({ ...task, record: () => Promise.reject(new DatabaseRefused('not told of')) }),
		);
		const left = readdirSync(join(target, '..'));
		const { bytes, sha256 } = await backUp({ ...task, record });

		expect((error as Error).message).toBe('not told of');
		expect(left).toEqual([]);
		expect(seen).toEqual([{ bytes, sha256, isThere: false }]);
		expect(existsSync(target)).toBe(true);
	});

	test('replaces no file', async () => {
		const { task, target } = given();
		writeFileSync(target, 'mine');

		expect((await rejectionOf(backUp(task))) as Error).toMatchObject({
			message: `${target} is there already`,
		});
		expect(readFileSync(target, 'utf8')).toBe('mine');
		expect(readdirSync(join(target, '..'))).toEqual(['backup.db']);
	});

	test.each([
		['no database', { source: '/nonexistent/chatapi.db' }, /nothing to back up/],
		['no room', { lowWaterBytes: Number.MAX_SAFE_INTEGER / 2 }, /bytes free/],
	])('of %s is refused, and leaves nothing', async (_, patch, sentence) => {
		const { task, target } = given();

		const error = await rejectionOf(backUp({ ...task, ...patch }));

		expect(error).toBeInstanceOf(DatabaseRefused);
		expect((error as Error).message).toMatch(sentence);
		expect(readdirSync(join(target, '..'))).toEqual([]);
	});

	test('of a damaged database is refused, and leaves nothing', async () => {
		const { task, target, path, db } = given();
		db.run('PRAGMA wal_checkpoint(TRUNCATE)');
		db.close();
		const bytes = readFileSync(path);
		bytes.fill(0xff, 3 * 4096, 8 * 4096);
		writeFileSync(path, bytes);

		const error = await rejectionOf(backUp(task));

		expect(error).toBeInstanceOf(DatabaseRefused);
		expect((error as Error).message).toMatch(/damaged/);
		expect(readdirSync(join(target, '..'))).toEqual([]);
	});
});

describe('verify finds', () => {
	test('one flipped bit, wherever it is', async () => {
		const { target } = await backedUp();
		const good = readFileSync(target);
		const offsets = Array.from({ length: 24 }, (_, at) => Math.floor((at * good.length) / 24));

		for (const offset of [...offsets, good.length - 1]) {
			const bytes = Buffer.from(good);
			bytes[offset] = (bytes[offset] ?? 0) ^ (1 << (offset % 8));
			writeFileSync(target, bytes);
			expect(await refusalOf(target)).toMatch(/SHA-256/);
		}

		writeFileSync(target, good);
		await verifyBackup(target, silent);
	});

	test('a file that is shorter, longer or empty', async () => {
		const { target } = await backedUp();
		appendFileSync(target, 'x');
		expect(await refusalOf(target)).toMatch(/its manifest says/);
		truncateSync(target, 4096);
		expect(await refusalOf(target)).toMatch(/its manifest says/);
		truncateSync(target, 0);
		expect(await refusalOf(target)).toMatch(/0 bytes/);
	});

	test('no file, a directory, no manifest', async () => {
		const { target, folder } = await backedUp();

		expect(await refusalOf(join(folder, 'none.db'))).toMatch(/is not there/);
		const error = await rejectionOf(verifyBackup(folder, silent));
		expect((error as Error).message).toMatch(/is no file/);
		rmSync(manifestPath(target));
		expect(await refusalOf(target)).toMatch(/manifest\.json is missing/);
	});

	test.each([
		['nothing', () => ''],
		['no JSON', (text: string) => text.slice(0, -5)],
		['another format', (text: string) => text.replace('chatapi-backup-1', 'chatapi-backup-9')],
		['a SHA-256 that is none', (text: string) => text.replace(/"sha256": "./, '"sha256": "')],
	])('a manifest of %s', async (_, spoil) => {
		const { target } = await backedUp();
		writeFileSync(manifestPath(target), spoil(readFileSync(manifestPath(target), 'utf8')));

		expect(await refusalOf(target)).toMatch(/is damaged, or is no manifest/);
	});

	test('a copy of the file alone, which lacks what is in the log', async () => {
		const { target, path } = await backedUp();
		copyFileSync(path, target);

		expect(await refusalOf(target)).toMatch(/its manifest says|SHA-256/);
	});

	describe('beside a manifest that was made to fit', () => {
		test('a dangling reference', async () => {
			const { target } = await backedUp();
			await forge(target, (db) => {
				db.run('PRAGMA foreign_keys = 0');
				db.run('DELETE FROM tenants WHERE tenant = 2');
			});

			expect(await refusalOf(target)).toMatch(/damaged: a row of \w+ refers to no row of tenants/);
		});

		test('an index that lacks a row', async () => {
			const { target } = await backedUp();
			await forge(target, (db) => {
				const root = db
					.query<{ rootpage: number }, []>(
						`SELECT rootpage FROM sqlite_schema WHERE name = 'rooms_by_id'`,
					)
					.get();
				const size = 4096;
				const bytes = readFileSync(target);
				// The number of cells of the index's one page.
				bytes.writeUInt16BE(1, ((root?.rootpage ?? 0) - 1) * size + 3);
				writeFileSync(target, bytes);
			});

			expect(await refusalOf(target)).toMatch(/is damaged/);
		});

		test.each([
			['a trigger', 'CREATE TRIGGER t AFTER INSERT ON rooms BEGIN SELECT 1; END', 'see t'],
			['a table', 'CREATE TABLE extra (x)', 'see extra'],
			['a view', 'CREATE VIEW v AS SELECT 1', 'see v'],
			['a column', 'ALTER TABLE rooms ADD extra text', 'see rooms'],
			['a missing index', 'DROP INDEX rooms_by_id', 'see rooms_by_id'],
		])('%s that no migration makes', async (_, sql, name) => {
			const { target } = await backedUp();
			await forge(target, (db) => db.run(sql));

			expect(await refusalOf(target)).toContain(name);
		});

		test('the schema of a newer version, and the database of another program', async () => {
			const { target } = await backedUp();
			await forge(target, (db) =>
				db.run(`INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9e15)`),
			);
			expect(await refusalOf(target)).toMatch(/another version of chatapi/);

			await forge(target, (db) => db.run('DROP TABLE __drizzle_migrations'));
			expect(await refusalOf(target)).toMatch(/no database of chatapi/);
		});

		test('a tenant or an epoch that the manifest does not tell of', async () => {
			const { target, manifest } = await backedUp();
			await forge(target, silent, { tenants: manifest.tenants.slice(1) });
			expect(await refusalOf(target)).toMatch(/other tenants/);

			await forge(target, (db) => db.run(`UPDATE tenant_heads SET epoch = 'ccccc'`), {
				tenants: manifest.tenants,
			});
			expect(await refusalOf(target)).toMatch(/other tenants/);
		});

		test('no database at all', async () => {
			const { target } = await backedUp();
			await forge(target, () => writeFileSync(target, 'x'.repeat(8192)));

			expect(await refusalOf(target)).toMatch(/is not an SQLite database/);
		});
	});
});

test('a backup may have another name, with its manifest', async () => {
	const { target, folder } = await backedUp();
	const moved = join(folder, 'copy', 'a name with # and ? and %20.db');
	copyFileSync(target, moved);
	copyFileSync(manifestPath(target), manifestPath(moved));

	expect((await verifyBackup(moved, silent)).file).toBe(basename(target));
});
