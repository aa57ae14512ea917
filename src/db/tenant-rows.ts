import type { Database, SQLQueryBindings } from 'bun:sqlite';
import type { TenantId, TenantNo } from '../core/ids.ts';
import { IMPORTING } from './tenant-export.ts';
import type { Row, Slice } from './tenant-file.ts';
import { HEADS, TENANTS, type TenantTable, tenantTables } from './tenant-tables.ts';

/** A tenant of which an import has stored some rows, and nobody sees one. */
export interface HalfDone {
	tenant: TenantNo;
	tenant_id: TenantId;
}

/** Rows that were removed. */
export interface Erased {
	table: string;
	rows: number;
}

/**
 * Rows of whole tenants, in whatever tables there are. Everything is stored under a number that is given,
 * never under one that was read. Statements are made as they are needed: hardly any server ever does.
 */
export function createTenantRows(db: Database) {
	let found: TenantTable[] | undefined;
	const tables = (): TenantTable[] => {
		found ??= tenantTables(db);
		return found;
	};

	/** The server's own number of what a lasting name stands for; null where it has none. */
	function resolved({ references }: TenantTable, row: Row): Row {
		const numbers = references.map(({ column, table, to, name }) => {
			const lasting = row[column] ?? null;
			const own = db
				.query<Row, [SQLQueryBindings]>(`SELECT ${to} AS number FROM ${table} WHERE ${name} = ?`)
				.get(lasting);
			return [column, own?.number ?? null];
		});
		return { ...row, ...Object.fromEntries(numbers) };
	}

	function insert({ table, rows }: Slice, tenant: TenantNo): void {
		const { name, columns } = table;
		const marks = columns.map(() => ', ?').join('');
		const statement = db.query(
			`INSERT INTO ${name} (tenant, ${columns.join(', ')}) VALUES (?${marks})`,
		);
		for (const row of rows) {
			const values = table.references.length === 0 ? row : resolved(table, row);
			statement.run(tenant, ...columns.map((column) => values[column] ?? null));
		}
	}

	const tableOf = (name: string): TenantTable =>
		tables().find((table) => table.name === name) as TenantTable;

	return {
		/** Whether a tenant of this id is there, seen or not. */
		isThere: (tenant_id: string): boolean =>
			db.query('SELECT 1 FROM tenants WHERE tenant_id = ?').get(tenant_id) !== null,

		/** Makes room for a tenant that nobody sees, and returns its number. */
		begin(row: Row): TenantNo {
			const { columns } = tableOf(TENANTS);
			const values = columns.map((column) => (column === 'status' ? IMPORTING : row[column]));
			const marks = columns.map(() => '?').join(', ');
			const { lastInsertRowid } = db
				.query(`INSERT INTO tenants (${columns.join(', ')}) VALUES (${marks})`)
				.run(...values.map((value, at) => (isReference(columns[at]) ? null : (value ?? null))));
			return Number(lastInsertRowid) as TenantNo;
		},

		insert,

		/** Lets everybody see the tenant. Returns what it referred to and this server does not have. */
		finish(tenant: TenantNo, row: Row, head: Row): string[] {
			const table = tableOf(TENANTS);
			const values = resolved(table, row);
			db.query(
				`UPDATE tenants SET ${table.columns.map((column) => `${column} = ?`).join(', ')} WHERE tenant = ?`,
			).run(...table.columns.map((column) => values[column] ?? null), tenant);
			insert({ table: tableOf(HEADS), rows: [head] }, tenant);
			return table.references
				.filter(({ column }) => (row[column] ?? null) !== null && values[column] === null)
				.map(({ column }) => `${column} ${row[column]}`);
		},

		/** Whether a key of the tenant would be taken for another's: one that it has is one that the other had. */
		sharesKey: (tenant: TenantNo): boolean =>
			db
				.query(
					`SELECT 1 FROM api_keys k JOIN api_keys o ON o.old_prefix = k.prefix AND o.tenant <> k.tenant
						WHERE k.tenant = ?1
					UNION ALL SELECT 1 FROM api_keys k JOIN api_keys o ON o.prefix = k.old_prefix AND o.tenant <> k.tenant
						WHERE k.tenant = ?1`,
				)
				.get(tenant) !== null,

		listHalfDone: (): HalfDone[] =>
			db
				.query<HalfDone, [string]>('SELECT tenant, tenant_id FROM tenants WHERE status = ?')
				.all(IMPORTING),

		/** Removes so many rows of the tenant at most, itself last. Returns whether it is gone. */
		removeSome(tenant: TenantNo, limit: number): boolean {
			// What refers to others goes first.
			for (const table of [...tables()].reverse()) {
				if (erase(table, tenant, limit) > 0 && table.name !== TENANTS) return false;
			}
			return true;
		},
		/**
		 * Removes so many rows of the tenant at most, all from one table; not the tenant itself and the head of
		 * its log. Undefined when there is no other row of it.
		 */
		eraseSome(tenant: TenantNo, limit: number): Erased | undefined {
			for (const table of [...tables()].reverse()) {
				if (table.name === TENANTS || table.name === HEADS) continue;
				const rows = erase(table, tenant, limit);
				if (rows > 0) return { table: table.name, rows };
			}
			return undefined;
		},

		/** Removes the tenant itself, of which nothing else is left. */
		eraseItself: (tenant: TenantNo): Erased[] =>
			[HEADS, TENANTS].map((table) => ({ table, rows: erase(tableOf(table), tenant, 1) })),
	};

	function erase({ name, key }: TenantTable, tenant: TenantNo, limit: number): number {
		const list = key.join(', ');
		if (key.length === 0)
			return db.query(`DELETE FROM ${name} WHERE tenant = ?`).run(tenant).changes;
		const slice = `(${list}) IN (SELECT ${list} FROM ${name} WHERE tenant = ?1 LIMIT ?2)`;
		const statement = db.query(`DELETE FROM ${name} WHERE tenant = ?1 AND ${slice}`);
		return statement.run(tenant, limit).changes;
	}

	function isReference(column: string | undefined): boolean {
		return tableOf(TENANTS).references.some((reference) => reference.column === column);
	}
}

export type TenantRows = ReturnType<typeof createTenantRows>;
