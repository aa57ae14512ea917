/** Every SQL statement the stores prepare, and whether it keeps to one tenant. */
import { Database } from 'bun:sqlite';

/** Prepared without a tenant on purpose: part of the statement, and why. */
export const TENANTLESS: readonly { sql: string; why: string }[] = [
	{
		sql: 'where ("api_keys"."prefix" = ?',
		why: 'authentication: it is what finds the tenant',
	},
	{
		sql: 'where ("api_keys"."old_prefix" = ?',
		why: 'authentication: it is what finds the tenant',
	},
	{
		sql: 'FROM user_tokens WHERE prefix =',
		why: 'authentication: it is what finds the tenant',
	},
];

/** The operator's own tables, and SQLite's count of their rows: these are no tenant's. */
const OPERATORS = new Set(['tenants', 'plans', 'management_keys', 'audit', 'sqlite_sequence']);

/** What `create` prepares on a database of this schema. Nothing of it is run. */
export function statementsOf(
	migrations: readonly string[],
	create: (db: Database) => unknown,
): string[] {
	const statements = new Set<string>();
	const db = new Database(':memory:', { strict: true });
	try {
		for (const migration of migrations) db.run(migration);
		create(recording(db, statements));
	} finally {
		db.close();
	}
	return [...statements];
}

/** The same database; what it is asked to prepare is noted. */
const recording = (db: Database, statements: Set<string>): Database =>
	new Proxy(db, {
		get(target, name) {
			const value: unknown = Reflect.get(target, name, target);
			if (typeof value !== 'function') return value;
			return function call(...given: unknown[]): unknown {
				if ((name === 'prepare' || name === 'query') && typeof given[0] === 'string') {
					statements.add(given[0]);
				}
				return Reflect.apply(value, target, given);
			};
		},
	});

/** The statements that touch a tenant's table and do not say which tenant. */
export function tenantViolations(
	statements: readonly string[],
	exceptions: readonly { sql: string; why: string }[] = TENANTLESS,
): string[] {
	const isException = (statement: string) => exceptions.some(({ sql }) => statement.includes(sql));
	const found = statements
		.filter((statement) => !isException(statement))
		.flatMap((statement) =>
			looseTables(statement).map((table) => `${table}: ${shortened(statement)}`),
		);
	const idle = exceptions.filter(
		({ sql }) => !statements.some((statement) => statement.includes(sql)),
	);
	return [...found, ...idle.map(({ sql }) => `no statement holds what is excepted: ${sql}`)];
}

const shortened = (statement: string) => statement.replaceAll(/\s+/g, ' ').slice(0, 160);

/** Tables of a statement whose rows it does not confine to one tenant. */
function looseTables(statement: string): string[] {
	// Text and quotes around names tell nothing here.
	let sql = statement.replaceAll(/'[^']*'/g, "''").replaceAll(/["`]/g, '');
	const named = new Set(
		[...sql.matchAll(/\b(\w+)\s+as\s*\(\s*select\b/gi)].map((match) => match[1]),
	);
	const loose: string[] = [];
	// From the innermost out: each SELECT has to say it for its own tables.
	for (;;) {
		const inner = innermostSelect(sql);
		loose.push(...looseTablesOf(inner ?? sql, named));
		if (inner === undefined) return loose;
		sql = sql.replace(inner, '()');
	}
}

/** A SELECT in brackets that holds no other, with its brackets. */
function innermostSelect(sql: string): string | undefined {
	const starts = [...sql.matchAll(/\(\s*select\b/gi)];
	const start = starts.at(-1)?.index;
	if (start === undefined) return undefined;
	let depth = 0;
	for (let index = start; index < sql.length; index++) {
		if (sql[index] === '(') depth++;
		else if (sql[index] === ')' && --depth === 0) return sql.slice(start, index + 1);
	}
	throw new Error(`brackets that do not match: ${sql}`);
}

const TABLE =
	/(?<!\bdo )\b(from|join|into|update)\s+(\w+)(?:\s+as)?(?:\s+(?!(?:set|where|on|join|left|inner|cross|order|limit|values|returning|group|default|indexed|select)\b)(\w+))?(\s*\()?/gi;

function looseTablesOf(sql: string, named: ReadonlySet<string | undefined>): string[] {
	// What else a FROM lists behind a comma would go unseen.
	if (/\bfrom\s+\w+(\s+\w+)?\s*,/i.test(sql)) return ['a list of tables; write JOIN'];
	const tables = [...sql.matchAll(TABLE)].flatMap(
		([, keyword = '', table = '', alias, bracket]) => {
			const isInsert = keyword.toLowerCase() === 'into';
			const isFunction = bracket !== undefined && !isInsert;
			if (OPERATORS.has(table) || named.has(table) || isFunction) return [];
			return [{ isInsert, table, alias: alias ?? table }];
		},
	);
	const read = tables.filter(({ isInsert }) => !isInsert);
	const isConfined = ({ isInsert, table, alias }: (typeof tables)[number]): boolean => {
		if (isInsert) return new RegExp(`into ${table}\\s*\\([^)]*\\btenant\\b`, 'i').test(sql);
		const column = read.length === 1 ? `(?:${alias}\\.)?tenant` : `${alias}\\.tenant`;
		return new RegExp(`(?<![\\w.])${column}\\s*=|=\\s*${column}\\b`, 'i').test(sql);
	};
	return tables.filter((table) => !isConfined(table)).map(({ table }) => table);
}
