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

/** Tables that a running server writes when it likes: figures and times that nobody waits for. */
const IN_THE_BACKGROUND = /^(usage|presence)/;

/** The lines of a dump but for what a running server writes when it likes. */
export const withoutBackground = (lines: readonly string[]): string[] =>
	lines.filter((line) => !IN_THE_BACKGROUND.test(line));

/** How many rows each table has, of anybody, but for those that are written in the background. */
export function countsOf(path: string): Record<string, number> {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		return Object.fromEntries(
			tablesOf(db)
				.filter((name) => !IN_THE_BACKGROUND.test(name))
				.map((name) => [name, Number(db.query(`SELECT count(*) FROM ${name}`).values()[0]?.[0])]),
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
