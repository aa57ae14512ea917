/** What a database holds of a tenant, whatever its number there: to be compared across databases. */
import { Database } from 'bun:sqlite';

/** Every row of every table with a column `tenant`, without that number, as sorted lines. */
export function dumpOfTenant(path: string, tenant_id: string): string[] {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		const row = db
			.query<{ tenant: number }, [string]>('SELECT tenant FROM tenants WHERE tenant_id = ?')
			.get(tenant_id);
		return row === null ? [] : rowsOf(db, row.tenant);
	} finally {
		db.close();
	}
}

/** How many rows each table has, of anybody. */
export function countsOf(path: string): Record<string, number> {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		return Object.fromEntries(
			tablesOf(db).map((name) => [
				name,
				Number(db.query(`SELECT count(*) FROM ${name}`).values()[0]?.[0]),
			]),
		);
	} finally {
		db.close();
	}
}

const tablesOf = (db: Database): string[] =>
	db
		.query<{ name: string }, []>(
			`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name`,
		)
		.all()
		.map(({ name }) => name);

function rowsOf(db: Database, tenant: number): string[] {
	const owned = tablesOf(db).filter((name) =>
		db.query(`SELECT 1 FROM pragma_table_info('${name}') WHERE name = 'tenant' AND pk > 0`).get(),
	);
	return owned
		.flatMap((name) =>
			db
				.query<Record<string, unknown>, [number]>(`SELECT * FROM ${name} WHERE tenant = ?`)
				.all(tenant)
				.map(({ tenant: _, ...row }) => `${name} ${JSON.stringify(row)}`),
		)
		.sort();
}
