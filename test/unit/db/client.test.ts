import { describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from '../../../src/db/client.ts';
import { useTempFolders } from './temp-folder.ts';

const tempFolder = useTempFolders();

const EXPECTED = {
	journal_mode: 'wal',
	synchronous: 2,
	foreign_keys: 1,
	trusted_schema: 0,
	cell_size_check: 1,
	cache_size: -32_768,
};

for (const mode of ['write', 'read'] as const) {
	test(`a connection to ${mode} has every setting`, () => {
		const path = join(tempFolder(), 'a.db');
		openDatabase(path, 'write').close();
		const db = openDatabase(path, mode);

		for (const [name, value] of Object.entries(EXPECTED)) {
			expect(db.query(`PRAGMA ${name}`).values()).toEqual([[value]]);
		}
		expect(db.query('PRAGMA busy_timeout').values()).toEqual([[5000]]);
		db.close();
	});
}

test('a connection may leave the sync to its caller', () => {
	const db = openDatabase(join(tempFolder(), 'a.db'), 'write', 'normal');
	expect(db.query('PRAGMA synchronous').values()).toEqual([[1]]);
	db.close();
});

describe('a connection to read', () => {
	test('cannot write', () => {
		const path = join(tempFolder(), 'a.db');
		const writer = openDatabase(path, 'write');
		writer.run('CREATE TABLE t (a)');
		const reader = openDatabase(path, 'read');

		for (const sql of ['INSERT INTO t VALUES (1)', 'CREATE TABLE u (a)', 'DELETE FROM t']) {
			expect(() => reader.run(sql)).toThrow('readonly');
		}
		expect(reader.query('SELECT count(*) FROM t').values()).toEqual([[0]]);
		reader.close();
		writer.close();
	});

	test('sees what was committed, at once, and nothing before', () => {
		const path = join(tempFolder(), 'a.db');
		const writer = openDatabase(path, 'write');
		writer.run('CREATE TABLE t (a)');
		const reader = openDatabase(path, 'read');
		const seen = () => reader.query('SELECT count(*) FROM t').values()[0]?.[0];

		writer.run('BEGIN IMMEDIATE');
		writer.run('INSERT INTO t VALUES (1)');
		expect(seen()).toBe(0);
		writer.run('COMMIT');
		expect(seen()).toBe(1);
		reader.close();
		writer.close();
	});

	test('makes no file', () => {
		expect(() => openDatabase(join(tempFolder(), 'absent.db'), 'read')).toThrow();
	});
});

test('names a parameter that a statement was not given: strict', () => {
	const db = openDatabase(join(tempFolder(), 'a.db'), 'write');

	expect(() => db.query('SELECT $a').get({ b: 1 } as never)).toThrow('Missing parameter');
	db.close();
});

test('refuses a file that is no database', () => {
	const path = join(tempFolder(), 'a.db');
	writeFileSync(path, 'This is a text, and long enough to be taken for a header. '.repeat(20));

	expect(() => openDatabase(path, 'write')).toThrow('not a database');
});
