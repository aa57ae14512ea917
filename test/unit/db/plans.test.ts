import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEventLog } from '../../../src/db/event-log.ts';
import { createEventsStore } from '../../../src/features/events/store.ts';
import { createKeysStore } from '../../../src/features/keys/store.ts';
import { createMembersStore } from '../../../src/features/members/store.ts';
import { createMessagesStore } from '../../../src/features/messages/store.ts';
import { createPresenceStore } from '../../../src/features/presence/store.ts';
import { createRoomsStore } from '../../../src/features/rooms/store.ts';
import { createTenantsStore } from '../../../src/features/tenants/store.ts';
import { createUsageStore } from '../../../src/features/usage/store.ts';
import { createUsersStore } from '../../../src/features/users/store.ts';
import { statementsOf } from '../../tidy/statements.ts';

const ROOT = join(import.meta.dir, '../../..');
const journal = JSON.parse(readFileSync(join(ROOT, 'drizzle/meta/_journal.json'), 'utf8'));
const migrations: string[] = journal.entries.map(({ tag }: { tag: string }) =>
	readFileSync(join(ROOT, 'drizzle', `${tag}.sql`), 'utf8').replaceAll(
		'--> statement-breakpoint',
		'',
	),
);

/**
 * One row a tenant, or all tenants; a list that was handed in; or an index that holds only the few rows that are asked for: to walk
 * through them is what the statement is for.
 */
const WALKS = [
	...['tenant_heads', 'tenants', 'users_deactivated', 'presences_online', 'api_keys_live'],
	'json_each',
];

/** Steps of a plan that look at more rows the more a tenant has: all of a table, or all of a tenant. */
function walksIn(db: Database, statement: string): string[] {
	return db
		.query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${statement}`)
		.all()
		.map(({ detail }) => detail)
		.filter((detail) => /^SCAN (?!m$|\(subquery)/.test(detail) || /\(tenant=\?\)/.test(detail))
		.filter((detail) => !WALKS.some((table) => detail.includes(` ${table} `)))
		.map((detail) => `${detail}: ${statement.replaceAll(/\s+/g, ' ').slice(0, 120)}`);
}

function migrated(): Database {
	const db = new Database(':memory:', { strict: true });
	for (const migration of migrations) db.run(migration);
	return db;
}

test('no statement of a store walks through all rows of a table, or of a tenant', () => {
	const statements = statementsOf(migrations, (db) => [
		createEventLog(db),
		createEventsStore(db),
		createKeysStore(db),
		createMembersStore(db),
		createMessagesStore(db),
		createRoomsStore(db),
		createTenantsStore(db),
		createUsageStore(db),
		createUsersStore(db),
		createPresenceStore(db),
	]);

	const walks = statements.flatMap((statement) => walksIn(migrated(), statement));

	expect(statements.length).toBeGreaterThan(30);
	expect(walks).toEqual([]);
});

test('keys are listed and counted by an index that has no revoked ones, however many there were', () => {
	const statements = statementsOf(migrations, (db) => [createKeysStore(db)]);
	const many = statements.filter((text) => /order by|count\(/i.test(text));
	const plans = many.map((text) =>
		migrated().query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`).all(),
	);

	expect(plans).toHaveLength(2);
	for (const steps of plans) {
		expect(steps).toHaveLength(1);
		expect(steps[0]?.detail).toMatch(/^SEARCH api_keys USING .*INDEX api_keys_live \(tenant=\?/);
	}
});

test('a statement that does walk is found', () => {
	const ofTenant = 'SELECT count(*) FROM positions WHERE tenant = ? AND user_id = ?';

	expect(walksIn(migrated(), ofTenant)).toHaveLength(1);
	expect(walksIn(migrated(), 'SELECT content FROM messages WHERE seq = ?')).toHaveLength(1);
});
