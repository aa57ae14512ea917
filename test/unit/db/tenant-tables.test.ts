import type { Database } from 'bun:sqlite';
import { afterEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { TenantNo } from '../../../src/core/ids.ts';
import { openDatabase } from '../../../src/db/client.ts';
import { migrateDatabase } from '../../../src/db/migrate.ts';
import { IMPORTING } from '../../../src/db/tenant-export.ts';
import type { Row } from '../../../src/db/tenant-file.ts';
import { createTenantRows } from '../../../src/db/tenant-rows.ts';
import { JSON_COLUMNS, tenantTables } from '../../../src/db/tenant-tables.ts';
import { useTempFolders } from './temp-folder.ts';

const tempFolder = useTempFolders();
const opened: Database[] = [];
afterEach(() => {
	for (const db of opened.splice(0)) db.close();
});

/** Tables of the server, of which an export has at most the rows that the tenant refers to. */
const SERVERS_OWN = ['__drizzle_migrations', 'audit', 'management_keys', 'plans'];

function migrated(): Database {
	const folder = tempFolder();
	const path = join(folder, 'chatapi.db');
	migrateDatabase(path, join(folder, 'backups'), 0);
	const db = openDatabase(path, 'write');
	opened.push(db);
	return db;
}

const namesIn = (db: Database): string[] =>
	db
		.query(
			`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'`,
		)
		.values()
		.flat()
		.map(String);

test('every table belongs to tenants, or is on the list of the server’s own: decide for a new one', () => {
	const db = migrated();
	const owned = tenantTables(db).map(({ name }) => name);

	expect(
		namesIn(db).filter((name) => !owned.includes(name) && !SERVERS_OWN.includes(name)),
	).toEqual([]);
	expect(owned.filter((name) => SERVERS_OWN.includes(name))).toEqual([]);
	expect(owned[0]).toBe('tenants');
	expect(owned.length).toBeGreaterThan(9);
});

test('what refers to a tenant does so by its column tenant', () => {
	const db = migrated();

	const others = namesIn(db).filter((name) =>
		db
			.query(
				`SELECT 1 FROM pragma_foreign_key_list('${name}') WHERE "table" = 'tenants' AND "from" <> 'tenant'`,
			)
			.get(),
	);

	expect(others).toEqual([]);
});

describe('a table that is added', () => {
	function withMore(): Database {
		const db = migrated();
		db.run('CREATE TABLE colours (colour INTEGER PRIMARY KEY, colour_id TEXT NOT NULL UNIQUE)');
		db.run(`CREATE TABLE boards (tenant INTEGER NOT NULL REFERENCES tenants(tenant), board TEXT NOT NULL,
			colour INTEGER REFERENCES colours(colour), PRIMARY KEY (tenant, board))`);
		db.run(`CREATE TABLE a_cards (tenant INTEGER NOT NULL, board TEXT NOT NULL, card INTEGER NOT NULL,
			PRIMARY KEY (tenant, board, card), FOREIGN KEY (tenant, board) REFERENCES boards(tenant, board))`);
		return db;
	}

	test('is found with its key, its references, and behind what it refers to', () => {
		const tables = tenantTables(withMore());

		const names = tables.map(({ name }) => name);
		expect(names.indexOf('a_cards')).toBeGreaterThan(names.indexOf('boards'));
		expect(names).not.toContain('colours');
		expect(tables.find(({ name }) => name === 'boards')).toEqual({
			name: 'boards',
			columns: ['board', 'colour'],
			key: ['board'],
			references: [{ column: 'colour', table: 'colours', to: 'colour', name: 'colour_id' }],
		});
	});

	/** What a file would say of a tenant and its log. */
	function rowsOf(db: Database): { tenant: Row; head: Row } {
		const blank = (name: string): Row =>
			Object.fromEntries(
				db
					.query<{ name: string; type: string; notnull: number }, []>(
						`SELECT name, type, "notnull" FROM pragma_table_info('${name}') WHERE name <> 'tenant'`,
					)
					.all()
					.map((column) => [
						column.name,
						column.notnull === 0 ? null : column.type === 'TEXT' ? 'x' : 1,
					]),
			);
		return {
			tenant: { ...blank('tenants'), tenant_id: 'tenant_new', status: 'active' },
			head: { ...blank('tenant_heads'), epoch: 'ccccc' },
		};
	}

	test('is filled under the given number, by lasting names, and emptied slice by slice', () => {
		const db = withMore();
		db.run(`INSERT INTO colours VALUES (7, 'red')`);
		const rows = createTenantRows(db);
		const tableOf = (name: string) => {
			const table = tenantTables(db).find((one) => one.name === name);
			if (table === undefined) throw new Error(`no table ${name}`);
			return table;
		};
		const { tenant: row, head } = rowsOf(db);

		const tenant = rows.begin(row);
		rows.insert(
			{
				table: tableOf('boards'),
				rows: [
					{ board: 'one', colour: 'red' },
					{ board: 'two', colour: 'a colour of elsewhere' },
					{ board: 'three', colour: null },
				],
			},
			tenant,
		);
		rows.insert(
			{ table: tableOf('a_cards'), rows: [1, 2, 3].map((card) => ({ board: 'one', card })) },
			tenant,
		);

		expect(db.query('SELECT board, colour, tenant FROM boards ORDER BY board').values()).toEqual([
			['one', 7, tenant],
			['three', null, tenant],
			['two', null, tenant],
		]);
		expect(rows.listHalfDone()).toEqual([{ tenant, tenant_id: 'tenant_new' as never }]);
		expect(db.query('SELECT status FROM tenants').values()).toEqual([[IMPORTING]]);
		expect(db.query('SELECT count(*) FROM tenant_heads').values()).toEqual([[0]]);
		expect(rows.finish(tenant, row, head)).toEqual([]);
		expect(rows.listHalfDone()).toEqual([]);
		expect(db.query('SELECT status FROM tenants').values()).toEqual([['active']]);

		const beside = rows.begin({ ...row, tenant_id: 'tenant_beside' });
		rows.insert({ table: tableOf('boards'), rows: [{ board: 'one', colour: null }] }, beside);
		let steps = 1;
		while (!rows.removeSome(tenant, 2)) steps++;
		// Cards in two slices, boards in two, the head, and the tenant.
		expect(steps).toBe(6);
		expect(db.query('SELECT tenant FROM boards').values()).toEqual([[beside]]);
		expect(db.query('SELECT tenant FROM tenants').values()).toEqual([[beside]]);
		expect(rows.removeSome(tenant, 2)).toBe(true);
		expect(rows.removeSome(999 as TenantNo, 2)).toBe(true);
	});
});

/** Columns of text that nobody parses. One that holds JSON belongs on the list of those: a file is held against it. */
const PLAIN_TEXT = new Set(
	`tenants.tenant_id tenants.name tenants.domain tenants.status tenants.webhook_url tenant_heads.epoch
	api_keys.key_id api_keys.name api_keys.prefix api_keys.old_prefix rooms.room_id rooms.type rooms.name
	rooms.user_low rooms.user_high memberships.user_id memberships.role ended_memberships.user_id
	positions.user_id messages.message_id messages.sender_id messages.content messages.client_msg_id
	events.stream events.type users.user_id users.name users.avatar_url presences.user_id
	user_tokens.prefix user_tokens.user_id user_tokens.key_id notification_targets.stream
	deliveries.user_id dead_letters.user_id dead_letters.notification_id dead_letters.topic
	subscriptions.user_id subscriptions.topic subscriptions.subscription_id quota_warnings.quota
	quota_warnings.scope usage_users.user_id`.split(/\s+/),
);

test('every column of text is known to be plain or JSON: decide for a new one', () => {
	const db = migrated();

	const columns = tenantTables(db).flatMap(({ name }) =>
		db
			.query<{ name: string }, [string]>(
				`SELECT name FROM pragma_table_info(?) WHERE type = 'TEXT'`,
			)
			.all(name)
			.map((column) => `${name}.${column.name}`),
	);

	expect(columns.toSorted()).toEqual([...PLAIN_TEXT, ...JSON_COLUMNS].toSorted());
});
