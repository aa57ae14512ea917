/**
 * The file of one tenant, read. Whatever stands in it, only what is marked as the one tenant's is read, and
 * its number is never used: whoever stores the rows gives them another.
 */
import type { Database, SQLQueryBindings } from 'bun:sqlite';
import { Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { LAST_MOMENT_MS } from '../core/clock.ts';
import { KeyIdField, NameField } from '../core/fields.ts';
import { expandGrants } from '../core/permissions.ts';
import { openForReading } from './immutable.ts';
import { DatabaseRefused, refusalOf } from './migrate.ts';
import { currentSchema, schemaVersionOf } from './schema-version.ts';
import { IMPORTING, TENANT_FILE, TENANT_IN_FILE } from './tenant-export.ts';
import { HEADS, JSON_COLUMNS, TENANTS, type TenantTable, tenantTables } from './tenant-tables.ts';

/** A row by its columns, without `tenant`. */
export type Row = Record<string, SQLQueryBindings>;

/** Rows of one table, in the order of its key. */
export interface Slice {
	table: TenantTable;
	rows: readonly Row[];
}

export interface TenantFile {
	tenant_id: string;
	/** What refers to the server's own rows is by their lasting names here. */
	tenant: Row;
	head: Row;
	/** All other rows, a few at a time. */
	slices(): Generator<Slice, void, void>;
	close(): void;
}

/** One change of an import: a few milliseconds of a batch that sends are in too. */
const SLICE_ROWS_MAX = 500;
const SLICE_BYTES_MAX = 256 * 1024;

const TENANT_ID = /^tenant_[0-9a-hjkmnp-tv-z]{26}$/;
const EPOCH = /^[0-9a-v]{5}$/;

/** Opens a file that was checked. @throws DatabaseRefused when it is no file of a tenant. */
export function openTenantFile(path: string): TenantFile {
	const db = openOurs(path);
	try {
		const tables = tenantTables(db);
		const tenant = onlyRow(db, tables, TENANTS, path);
		const head = onlyRow(db, tables, HEADS, path);
		const { tenant_id } = tenant;
		if (typeof tenant_id !== 'string' || !TENANT_ID.test(tenant_id)) {
			throw new DatabaseRefused(`${path} has a tenant_id that is none`);
		}
		if (!EPOCH.test(String(head.epoch)) || tenant.status === IMPORTING) {
			throw new DatabaseRefused(`${path} has a tenant that no export writes`);
		}
		return {
			...{ tenant_id, tenant, head },
			slices: () => slicesOf(db, tables),
			close: () => db.close(),
		};
	} catch (error) {
		db.close();
		throw refusalOf(error, path);
	}
}

/** @throws DatabaseRefused unless it is the file of a tenant, by this version's schema. */
function openOurs(path: string): Database {
	let db: Database | undefined;
	try {
		db = openForReading(path);
		const mark = db.query<{ application_id: number }, []>('PRAGMA application_id').get();
		if (mark?.application_id !== TENANT_FILE) {
			throw new DatabaseRefused(`${path} is no tenant that chatapi exported`);
		}
		const { migrations } = schemaVersionOf(db, path);
		if (migrations === currentSchema().migrations) return db;
		throw new DatabaseRefused(
			`${path} is of an earlier version of chatapi: export it with the version that imports it`,
		);
	} catch (error) {
		db?.close();
		throw refusalOf(error, path);
	}
}

/** A row that a tenant has one of, with lasting names in the place of the server's numbers. */
function onlyRow(db: Database, tables: readonly TenantTable[], name: string, path: string): Row {
	const table = tables.find((one) => one.name === name);
	const [row, ...others] = table === undefined ? [] : rowsOf(db, table).all(TENANT_IN_FILE);
	if (row === undefined || others.length > 0) {
		throw new DatabaseRefused(`${path} does not have one row in ${name}`);
	}
	return row;
}

function rowsOf(db: Database, { name, columns, key, references }: TenantTable) {
	const shown = columns.map((column) => {
		const reference = references.find((one) => one.column === column);
		if (reference === undefined) return `t.${column}`;
		const { table, to, name: lasting } = reference;
		return `(SELECT r.${lasting} FROM ${table} r WHERE r.${to} = t.${column}) AS ${column}`;
	});
	const order = ['tenant', ...key].map((column) => `t.${column}`).join(', ');
	return db.query<Row, [number]>(
		`SELECT ${shown.join(', ')} FROM ${name} t WHERE t.tenant = ? ORDER BY ${order}`,
	);
}

function* slicesOf(db: Database, tables: readonly TenantTable[]): Generator<Slice, void, void> {
	for (const table of tables) {
		if (table.name === TENANTS || table.name === HEADS) continue;
		let rows: Row[] = [];
		let bytes = 0;
		for (const row of rowsOf(db, table).iterate(TENANT_IN_FILE)) {
			rows.push(row);
			bytes += sizeOf(row);
			if (rows.length < SLICE_ROWS_MAX && bytes < SLICE_BYTES_MAX) continue;
			yield { table, rows };
			rows = [];
			bytes = 0;
		}
		if (rows.length > 0) yield { table, rows };
	}
}

function sizeOf(row: Row): number {
	let bytes = 0;
	for (const value of Object.values(row)) {
		if (typeof value === 'string') bytes += value.length;
		else if (value instanceof Uint8Array) bytes += value.byteLength;
	}
	return bytes;
}

/** Rows that the server could not go on from, whatever wrote them. */
const BROKEN: readonly { what: string; sql: string }[] = [
	{
		what: 'an event above the end of its log',
		sql: `SELECT 1 FROM tenant_heads h JOIN events e ON e.tenant = h.tenant
			WHERE e.cursor > h.last_cursor OR h.pruned_through > h.last_cursor`,
	},
	{
		what: 'a room numbered above the last one',
		sql: `SELECT 1 FROM tenant_heads h JOIN rooms r ON r.tenant = h.tenant WHERE r.room > h.last_room`,
	},
	{
		what: 'a message above its room’s last seq',
		sql: `SELECT 1 FROM messages m LEFT JOIN room_heads h ON h.tenant = m.tenant AND h.room = m.room
			WHERE h.room IS NULL OR m.seq > h.last_seq OR m.seq < 1`,
	},
];

/**
 * What makes a file unfit to be imported, beyond what `checkFile` finds: rows of anybody else, values that
 * are none here, heads that do not fit. Takes as long as the file is large.
 *
 * @throws DatabaseRefused as `openTenantFile`.
 */
export function checkTenantFile(path: string): readonly string[] {
	openTenantFile(path).close();
	const db = openForReading(path);
	try {
		const foreign = tenantTables(db)
			.filter(({ name }) => exists(db, `SELECT 1 FROM ${name} WHERE tenant IS NOT 1`))
			.map(({ name }) => `${name} has rows of another tenant`);
		const broken = BROKEN.filter(({ sql }) => exists(db, sql)).map(({ what }) => what);
		const keys = hasOddKey(db) ? ['api_keys has a key that no server makes'] : [];
		return [...foreign, ...broken, ...keys, ...oddValues(db)];
	} finally {
		db.close();
	}
}

const exists = (db: Database, sql: string): boolean => db.query(`${sql} LIMIT 1`).get() !== null;

interface KeyInFile {
	key_id: string;
	name: string;
	permissions: string;
	latest: number;
}

const KEY = TypeCompiler.Compile(Type.Object({ key_id: KeyIdField, name: NameField }));

/** Whether a key could not be shown or used: it would be in the way of the export of all configuration. */
function hasOddKey(db: Database): boolean {
	const rows = db.query<KeyInFile, []>(
		`SELECT key_id, name, permissions, max(created_at, coalesce(expires_at, 0), coalesce(old_until, 0),
			coalesce(last_used_at, 0)) AS latest FROM api_keys`,
	);
	for (const key of rows.iterate()) if (!isOurs(key)) return true;
	return false;
}

function isOurs(key: KeyInFile): boolean {
	if (!KEY.Check(key) || key.latest > LAST_MOMENT_MS) return false;
	try {
		expandGrants(JSON.parse(key.permissions));
		return true;
	} catch {
		// No JSON, no list, or a permission that there is not.
		return false;
	}
}

/** The last millisecond that a date has. SQLite's integers have 64 bits, and ours are exact up to 53. */
const INTEGER_MAX = 8_640_000_000_000_000;
/** What comes in by a request is smaller (MAX_BODY_BYTES); a row is held in memory. */
const VALUE_BYTES_MAX = 16 * 1024 * 1024;

/** The first value of each table that no server writes, by what is wrong with it. */
function oddValues(db: Database): string[] {
	return tenantTables(db).flatMap(({ name }) => {
		const columns = db
			.query<{ name: string; type: string }, [string]>(
				'SELECT name, type FROM pragma_table_info(?)',
			)
			.all(name);
		const tests = columns.flatMap(({ name: column, type }) => testsOf(`${name}.${column}`, type));
		const cases = tests.map(([test, what]) => `WHEN ${test} THEN '${what}'`).join(' ');
		const odd = db
			.query<{ what: string }, []>(
				`SELECT what FROM (SELECT CASE ${cases} END AS what FROM ${name}) WHERE what IS NOT NULL LIMIT 1`,
			)
			.get();
		return odd === null ? [] : [`${name} has ${odd.what}`];
	});
}

/** SQL that finds an odd value of a column, and what it is then. */
function testsOf(column: string, type: string): [test: string, what: string][] {
	if (type === 'INTEGER') {
		return [
			[`${column} > ${INTEGER_MAX}`, 'a number that is too large'],
			[`${column} < 0`, 'a number below 0'],
		];
	}
	// From the row's header: nothing is read for it.
	const size: [string, string] = [
		`octet_length(${column}) > ${VALUE_BYTES_MAX}`,
		'a value that is too large',
	];
	if (!JSON_COLUMNS.has(column)) return [size];
	return [size, [`json_valid(${column}) = 0`, 'text that is no JSON']];
}
