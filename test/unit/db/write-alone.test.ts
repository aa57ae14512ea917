import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeAlone } from '../../../src/db/write-alone.ts';
import { dumpOf, fillDatabase, insertMessage } from './filled.ts';
import { useTempFolders } from './temp-folder.ts';
import { rejectionOf } from './workbench.ts';

const tempFolder = useTempFolders();

/** A database that its server has closed. */
function closedDatabase(): string {
	const { path, db } = fillDatabase(tempFolder());
	db.run('PRAGMA wal_checkpoint(TRUNCATE)');
	db.close();
	return path;
}

test('what was written is in the file alone, whatever statements are still prepared', async () => {
	const path = closedDatabase();
	const prepared: unknown[] = [];

	await writeAlone(path, async (db) => {
		prepared.push(db.prepare('SELECT * FROM messages').get());
		const statement = db.prepare('SELECT * FROM tenants');
		prepared.push(statement, statement.all());
		insertMessage(db, 1, 1000);
	});

	const alone = join(tempFolder(), 'alone.db');
	copyFileSync(path, alone);
	expect(dumpOf(alone)).toContain('msg_1_1000');
	expect(statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0).toBe(0);
	expect(prepared).toHaveLength(3);
});

test('what throws changes nothing, and lets go of the file', async () => {
	const path = closedDatabase();
	const before = dumpOf(path);

	const error = await rejectionOf(
		writeAlone(path, async (db) => {
			insertMessage(db, 1, 1000);
			throw new Error('no');
		}),
	);

	expect((error as Error).message).toBe('no');
	expect(dumpOf(path)).toBe(before);
	const other = new Database(path);
	other.run('PRAGMA busy_timeout = 0');
	other.run('BEGIN IMMEDIATE');
	other.close();
});
