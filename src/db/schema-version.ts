import { Database } from 'bun:sqlite';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { appliedMigrations, DatabaseRefused, MIGRATIONS, MIGRATIONS_TABLE } from './migrate.ts';

/** Which schema a file has. */
export interface SchemaVersion {
	/** How many of our migrations made it. */
	migrations: number;
	/** Of the last of them. */
	hash: string;
}

interface SchemaObject {
	type: string;
	name: string;
	sql: string | null;
}

/** The schema of this version of the executable. */
export function currentSchema(): SchemaVersion {
	const known = readMigrationFiles({ migrationsFolder: MIGRATIONS });
	return { migrations: known.length, hash: known.at(-1)?.hash ?? '' };
}

/**
 * The schema of a file of ours, of this version or an earlier one. All of it is held against what its
 * migrations make: a table, index or trigger that was added, changed or taken away is found.
 *
 * @throws DatabaseRefused for a file of another program, of a newer version, or with another schema.
 */
export function schemaVersionOf(db: Database, path: string): SchemaVersion {
	const { known, applied } = migrationsOf(db, path);
	const expected = new Database(':memory:');
	try {
		for (const { sql } of known.slice(0, applied.length)) {
			for (const statement of sql) expected.run(statement);
		}
		const odd = differenceOf(objectsOf(expected), objectsOf(db));
		if (odd !== undefined) {
			throw new DatabaseRefused(`${path} has another schema than its migrations make: see ${odd}`);
		}
	} finally {
		expected.close();
	}
	return { migrations: applied.length, hash: applied.at(-1) ?? '' };
}

/**
 * The migrations there are and those that made a file, whatever it looks like by now.
 *
 * @throws DatabaseRefused for a file of another program, or of a newer version.
 */
export function migrationsOf(db: Database, path: string) {
	const known = readMigrationFiles({ migrationsFolder: MIGRATIONS });
	const applied = appliedMigrations(db);
	if (applied.length === 0) throw new DatabaseRefused(`${path} is no database of chatapi`);
	if (!applied.every((hash, index) => hash === known[index]?.hash)) {
		throw new DatabaseRefused(
			`${path} is of another version of chatapi: it has ${applied.length} migrations, ` +
				`of which this version (${known.length}) does not know all`,
		);
	}
	return { known, applied };
}

/** SQLite's own tables and the one of the migrations are left out. */
const objectsOf = (db: Database): SchemaObject[] =>
	db
		.query<SchemaObject, [string]>(
			`SELECT type, name, sql FROM sqlite_schema
			WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~' AND tbl_name <> ? ORDER BY name`,
		)
		.all(MIGRATIONS_TABLE);

/** The name of the first thing that is not in both, or not the same. */
function differenceOf(expected: SchemaObject[], actual: SchemaObject[]): string | undefined {
	const texts = new Map(expected.map((object) => [object.name, textOf(object)]));
	for (const object of actual) {
		if (texts.get(object.name) !== textOf(object)) return object.name;
		texts.delete(object.name);
	}
	return texts.keys().next().value;
}

const textOf = ({ type, sql }: SchemaObject): string => `${type} ${sql}`;
