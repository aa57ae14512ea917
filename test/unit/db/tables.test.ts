import { beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { is } from 'drizzle-orm';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import { openDatabase } from '../../../src/db/client.ts';
import { migrateDatabase } from '../../../src/db/migrate.ts';
import * as notificationTables from '../../../src/db/notification-tables.ts';
import * as tables from '../../../src/db/tables.ts';

const DECLARED = Object.values({ ...tables, ...notificationTables })
	.filter((table) => is(table, SQLiteTable))
	.map(getTableConfig);

/** Those whose key is a number by itself: where the numbers of tenants and plans come from, one row a tenant, and an order. */
const WITH_ROWID = ['audit', 'plans', 'presence_heads', 'tenant_heads', 'tenants'];
/** The operator's own: no tenant's rows. */
const OPERATORS = ['audit', 'management_keys', 'plans'];

interface Column {
	name: string;
	type: string;
	notnull: number;
	dflt_value: string | null;
	pk: number;
}
interface Index {
	name: string;
	unique: number;
	origin: string;
	partial: number;
}
interface Listed {
	name: string;
	wr: number;
	strict: number;
}

let listed: Listed[];
let columns: Map<string, Column[]>;
let indexes: Map<string, (Index & { columns: string[]; sql: string })[]>;
let foreignKeys: Map<string, string[]>;

beforeAll(() => {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-unit-'));
	const path = join(folder, 'chatapi.db');
	migrateDatabase(path, join(folder, 'backups'), 0);
	const db = openDatabase(path, 'read');
	const all = <Row>(sql: string) => db.query<Row, []>(sql).all();
	listed = all<Listed>('PRAGMA table_list').filter(({ name }) => !/^(sqlite|__)/.test(name));
	const names = listed.map(({ name }) => name);
	const each = <Value>(read: (name: string) => Value) =>
		new Map(names.map((name) => [name, read(name)]));
	columns = each((name) => all<Column>(`PRAGMA table_info(${name})`));
	foreignKeys = each((name) =>
		all<{ from: string; table: string; to: string }>(`PRAGMA foreign_key_list(${name})`).map(
			(key) => `${key.from} → ${key.table}.${key.to}`,
		),
	);
	indexes = each((name) =>
		all<Index>(`PRAGMA index_list(${name})`)
			.filter(({ origin }) => origin === 'c')
			.map((index) => ({
				...index,
				columns: all<{ name: string }>(`PRAGMA index_info(${index.name})`).map((one) => one.name),
				sql:
					all<{ sql: string }>(`SELECT sql FROM sqlite_master WHERE name = '${index.name}'`)[0]
						?.sql ?? '',
			})),
	);
	db.close();
	rmSync(folder, { recursive: true, force: true });
});

test('the migrations make exactly the tables that are declared', () => {
	expect(listed.map(({ name }) => name).sort()).toEqual(DECLARED.map(({ name }) => name).sort());
	expect(DECLARED.length).toBeGreaterThan(5);
});

test('every table is STRICT, and WITHOUT ROWID where its key leads with the tenant', () => {
	expect(listed.filter(({ strict }) => strict !== 1)).toEqual([]);
	expect(
		listed
			.filter(({ wr }) => wr !== 1)
			.map(({ name }) => name)
			.sort(),
	).toEqual(WITH_ROWID);
	for (const { name } of listed.filter((table) => !OPERATORS.includes(table.name))) {
		const key = (columns.get(name) ?? []).filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
		expect(`${name}: ${key[0]?.name}`).toBe(`${name}: tenant`);
	}
});

for (const table of DECLARED) {
	describe(table.name, () => {
		test('has the declared columns, in their types, and NULL where it may be', () => {
			const declared = table.columns.map((column) => ({
				name: column.name,
				type: column.getSQLType().toUpperCase(),
				notnull: column.notNull ? 1 : 0,
				hasDefault: column.hasDefault && column.default !== undefined,
			}));
			const actual = (columns.get(table.name) ?? []).map(({ name, type, notnull, dflt_value }) => ({
				name,
				type: type.toUpperCase(),
				notnull,
				hasDefault: dflt_value !== null,
			}));

			expect(actual).toEqual(declared);
		});

		test('has the declared primary key, in its order', () => {
			const single = table.columns.filter(({ primary }) => primary).map(({ name }) => name);
			const composite = table.primaryKeys.flatMap((key) => key.columns.map(({ name }) => name));
			const actual = (columns.get(table.name) ?? [])
				.filter(({ pk }) => pk > 0)
				.sort((a, b) => a.pk - b.pk)
				.map(({ name }) => name);

			expect(actual).toEqual([...single, ...composite]);
		});

		test('has the declared indexes, over the same columns, unique and partial as declared', () => {
			const declared = [
				...table.indexes.map(({ config }) => ({
					name: config.name,
					unique: config.unique ? 1 : 0,
					partial: config.where === undefined ? 0 : 1,
					columns: config.columns.map((column) => ('name' in column ? column.name : '?')),
				})),
				...table.columns
					.filter(({ isUnique }) => isUnique)
					.map((column) => ({
						name: column.uniqueName ?? '?',
						unique: 1,
						partial: 0,
						columns: [column.name],
					})),
			];
			const actual = (indexes.get(table.name) ?? []).map(({ name, unique, partial, columns }) => ({
				name,
				unique,
				partial,
				columns,
			}));
			const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);

			expect(actual.sort(byName)).toEqual(declared.sort(byName));
		});

		test('has the declared foreign keys', () => {
			const declared = table.foreignKeys.map((key) => {
				const { columns: from, foreignColumns, foreignTable } = key.reference();
				return `${from[0]?.name} → ${getTableConfig(foreignTable).name}.${foreignColumns[0]?.name}`;
			});

			expect(foreignKeys.get(table.name)).toEqual(declared);
		});
	});
}

test('the conditions of partial indexes are those that are declared', () => {
	for (const table of DECLARED) {
		for (const { config } of table.indexes) {
			if (config.where === undefined) continue;
			const condition = config.where.queryChunks
				.map((chunk) => (chunk !== undefined && 'value' in chunk ? String(chunk.value) : '?'))
				.join('');
			const actual = indexes.get(table.name)?.find(({ name }) => name === config.name)?.sql;
			expect(actual?.split(' WHERE ')[1]).toBe(condition);
		}
	}
});
