import { Database } from 'bun:sqlite';
import { existsSync } from 'node:fs';
import { DatabaseRefused, MIGRATIONS_TABLE } from './migrate.ts';
import { currentSchema, schemaVersionOf } from './schema-version.ts';
import { type TenantTable, tenantTables } from './tenant-tables.ts';

/** What tells the file of a tenant from a whole database, in its header. @see https://sqlite.org/pragma.html#pragma_application_id */
export const TENANT_FILE = 0x63_68_74_31;
/** Of the one tenant in a file: the number it has in a database is nobody else's business. */
export const TENANT_IN_FILE = 1;
/** The status of a tenant that is not whole yet, and that nobody may see. */
export const IMPORTING = 'importing';

export interface ExportJob {
	name: 'export';
	from: string;
	to: string;
	tenant_id: string;
}

/**
 * Writes all rows of one tenant, as they are at one moment, into a new file of the same schema. Of the
 * server's own tables it has only the rows that the tenant refers to.
 *
 * @throws DatabaseRefused when the tenant is not there, or the database is of another version.
 */
export function exportTenant({ from, to, tenant_id }: ExportJob): readonly string[] {
	if (!existsSync(from)) throw new DatabaseRefused(`${from} is not there`);
	const db = new Database(to, { create: true, readwrite: true });
	try {
		db.run(`PRAGMA application_id = ${TENANT_FILE}`);
		// Whoever is killed leaves a draft that nobody reads; what is whole is synced as a whole.
		db.run('PRAGMA journal_mode = OFF');
		db.run('PRAGMA synchronous = OFF');
		db.run('PRAGMA busy_timeout = 5000');
		db.run('ATTACH ? AS source', [from]);
		const tables = tablesOf(from);
		db.run('BEGIN');
		const tenant = findTenant(db, tenant_id);
		createObjects(db, 'table');
		db.run(`INSERT INTO main.${MIGRATIONS_TABLE} SELECT * FROM source.${MIGRATIONS_TABLE}`);
		for (const table of tables) copyRows(db, table, tenant);
		for (const table of tables) copyReferred(db, table);
		createObjects(db, 'index');
		createObjects(db, 'trigger');
		db.run('COMMIT');
	} finally {
		db.close();
	}
	return [];
}

/** The tables of tenants in a database. @throws DatabaseRefused when it is not of this version. */
function tablesOf(path: string): TenantTable[] {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		db.run('PRAGMA busy_timeout = 5000');
		if (schemaVersionOf(db, path).migrations === currentSchema().migrations) {
			return tenantTables(db);
		}
	} finally {
		db.close();
	}
	throw new DatabaseRefused(`${path} is of an earlier version: start this one on it first`);
}

function findTenant(db: Database, tenant_id: string): number {
	const row = db
		.query<{ tenant: number }, [string]>(
			`SELECT tenant FROM source.tenants WHERE tenant_id = ? AND status NOT IN ('${IMPORTING}', 'purging')`,
		)
		.get(tenant_id);
	if (row === null) throw new DatabaseRefused(`There is no tenant ${tenant_id}`);
	return row.tenant;
}

/** Indexes last: filled in one go. */
function createObjects(db: Database, type: string): void {
	const objects = db
		.query<{ sql: string }, [string]>(
			`SELECT sql FROM source.sqlite_schema
			WHERE type = ? AND sql IS NOT NULL AND name NOT LIKE 'sqlite~_%' ESCAPE '~'`,
		)
		.all(type);
	for (const { sql } of objects) db.run(sql);
}

function copyRows(db: Database, { name, columns }: TenantTable, tenant: number): void {
	const list = columns.join(', ');
	db.query(
		`INSERT INTO main.${name} (tenant, ${list})
		SELECT ${TENANT_IN_FILE}, ${list} FROM source.${name} WHERE tenant = ?`,
	).run(tenant);
}

function copyReferred(db: Database, { name, references }: TenantTable): void {
	for (const { column, table, to } of references) {
		db.run(
			`INSERT OR IGNORE INTO main.${table} SELECT * FROM source.${table}
			WHERE ${to} IN (SELECT ${column} FROM main.${name} WHERE tenant = ${TENANT_IN_FILE})`,
		);
	}
}
