import type { Database } from 'bun:sqlite';

/** A table that belongs to tenants: its primary key begins with `tenant`. */
export interface TenantTable {
	name: string;
	/** All but `tenant`. */
	columns: readonly string[];
	/** The rest of the primary key; none where a tenant has one row. */
	key: readonly string[];
	/** Columns that refer to tables which are the server's own, such as plans. */
	references: readonly Reference[];
}

/** By which number here, and which lasting name, a row of the server's own is known. */
export interface Reference {
	column: string;
	table: string;
	to: string;
	/** The one column that says the same in every database. */
	name: string;
}

interface Column {
	name: string;
	pk: number;
}

/** Columns of tenants' tables that hold JSON, which is parsed wherever they are read. */
export const JSON_COLUMNS: ReadonlySet<string> = new Set([
	...['metadata', 'rate_limit', 'allowed_origins', 'settings', 'smtp', 'quotas', 'purge'].map(
		(column) => `tenants.${column}`,
	),
	...['api_keys.permissions', 'rooms.metadata', 'users.metadata', 'messages.meta'],
	...['events.payload', 'notifications.data'],
]);

/** The row of the tenant itself, to which the others refer. */
export const TENANTS = 'tenants';
/** The head of its log: where there is none, the tenant is not there for anybody. */
export const HEADS = 'tenant_heads';

/**
 * The tables that belong to tenants, found in the schema, so that none can be forgotten: `tenants` first,
 * and each behind those that it refers to.
 */
export function tenantTables(db: Database): TenantTable[] {
	const names = db
		.query<{ name: string }, []>(
			`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'
			ORDER BY name <> '${TENANTS}', name`,
		)
		.all()
		.map(({ name }) => name);
	const owned = names.filter((name) => keyOf(db, name)[0] === 'tenant');
	return inOrder(db, owned).map((name) => ({
		name,
		columns: columnsOf(db, name)
			.map((column) => column.name)
			.filter((column) => column !== 'tenant'),
		key: keyOf(db, name).slice(1),
		references: foreignKeys(db, name)
			.filter(({ table }) => !owned.includes(table))
			.map(({ from: column, table, to }) => ({ column, table, to, name: nameOf(db, table) })),
	}));
}

const columnsOf = (db: Database, table: string) =>
	db.query<Column, [string]>('SELECT name, pk FROM pragma_table_info(?)').all(table);

const keyOf = (db: Database, table: string): string[] =>
	columnsOf(db, table)
		.filter(({ pk }) => pk > 0)
		.sort((one, other) => one.pk - other.pk)
		.map(({ name }) => name);

const foreignKeys = (db: Database, table: string) =>
	db
		.query<{ from: string; table: string; to: string }, [string]>(
			'SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)',
		)
		.all(table);

/** The one text column of a table that is unique by itself. */
function nameOf(db: Database, table: string): string {
	const row = db
		.query<{ name: string }, [string, string]>(
			`SELECT c.name FROM pragma_index_list(?) i JOIN pragma_index_info(i.name) c
			JOIN pragma_table_info(?) t ON t.name = c.name
			WHERE i."unique" AND NOT i.partial AND t.type = 'TEXT'
			GROUP BY i.name HAVING count(*) = 1`,
		)
		.get(table, table);
	if (row === null) throw new Error(`Broken invariant: ${table} has no name that lasts`);
	return row.name;
}

function inOrder(db: Database, names: readonly string[]): string[] {
	const ordered = new Set<string>();
	function visit(name: string): void {
		if (ordered.has(name)) return;
		for (const { table } of foreignKeys(db, name)) {
			if (table !== name && names.includes(table)) visit(table);
		}
		ordered.add(name);
	}
	for (const name of names) visit(name);
	return [...ordered];
}
