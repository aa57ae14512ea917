/** A tenant that is erased takes nothing with it that belongs to those beside it, made before it or after. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { bodyOf } from '../../helpers/http.ts';
import { dumpOfTenant, withoutBackground } from '../../helpers/tenant-dump.ts';
import {
	createGroup,
	createKey,
	createTenant,
	createToken,
	operator,
	sendMessage,
	type TestTenant,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';
import type { AuditPage } from '../../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

const MESSAGES = 7;
const CROWD = 600;

/** A row of every kind that clients make, under the same names in each tenant. */
async function createFilled(crowd: readonly string[] = []): Promise<TestTenant> {
	const tenant = await createTenant(used.server, { name: 'Twin' });
	if (crowd.length > 0) {
		const toCrowd = { topic: 'news', payload: 0, targets: { user_ids: crowd } };
		bodyOf(await tenant.as().post('/notify', toCrowd), 202);
	}
	const alice = tenant.as('alice');
	const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol']);
	for (let n = 0; n < MESSAGES; n++) await sendMessage(tenant, 'alice', room_id, `${n}`);
	bodyOf(await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 3 }), 200);
	bodyOf(await alice.delete(`/rooms/${room_id}/members/carol`), 200);
	bodyOf(await alice.post('/subscriptions', { topic: 'news' }), 201);
	const notification = { topic: 'news', payload: 1, targets: { user_ids: ['alice', 'bob'] } };
	bodyOf(await tenant.as().post('/notify', notification, { 'Idempotency-Key': 'k' }), 202);
	bodyOf(await tenant.as().put('/users/alice', { name: 'Alice' }), 200, 201);
	await createToken(tenant, 'alice');
	await createKey(tenant, ['send']);
	return tenant;
}

/** All that the server holds of a tenant, and what its operator can read about it. */
async function everythingOf({ tenant_id }: TestTenant) {
	const path = `/admin/audit?after=0&limit=100&tenant_id=${tenant_id}`;
	const { entries } = bodyOf(await operator(used.server).get<AuditPage>(path), 200);
	const rows = dumpOfTenant(join(used.server.dataDir, 'chatapi.db'), tenant_id);
	return { entries, rows: withoutBackground(rows) };
}

/** Tables with rows of a tenant that is not there. */
function orphans(dataDir: string): string[] {
	const db = new Database(join(dataDir, 'chatapi.db'), { readonly: true });
	const tables = db
		.query<{ name: string }, []>(
			`SELECT t.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
			WHERE t.type = 'table' AND c.name = 'tenant'`,
		)
		.all()
		.map(({ name }) => name);
	const found = tables.filter(
		(name) =>
			db.query(`SELECT 1 FROM ${name} WHERE tenant NOT IN (SELECT tenant FROM tenants)`).get() !==
			null,
	);
	db.close();
	return found;
}

test('what is erased is the tenant’s own, row by row', async () => {
	const [before, erased, after] = [
		// More rows than a slice takes, in front of those of alice and bob: a slice is the tenant's own too.
		await createFilled(Array.from({ length: CROWD }, (_, index) => `a${index}`)),
		await createFilled(),
		await createFilled(),
	];
	const others = [before, after];
	const sockets = await Promise.all(others.map((tenant) => tenant.socket('alice')));
	const held = await Promise.all(others.map(everythingOf));
	expect(held.map(({ entries }) => entries.length)).toEqual([2, 2]);
	expect(held[1]?.rows.length).toBeGreaterThan(30);

	const path = `/admin/tenants/${erased.tenant_id}`;
	const client = operator(used.server);
	bodyOf(await client.delete(`${path}?purge=now`), 200, 202);
	await eventually(async () => (await client.get(path)).status === 404, 15_000);

	expect(orphans(used.server.dataDir)).toEqual([]);
	expect(await Promise.all(others.map(everythingOf))).toEqual(held);
	for (const [index, socket] of sockets.entries()) {
		await socket.settle();
		expect(socket.frames.map(({ type }) => type)).toEqual(['connected', 'pong']);
		const rooms = await others[index]?.as('bob').get('/rooms');
		expect(rooms?.text).toContain(`"last_seq":${MESSAGES}`);
		await socket.close();
	}
});
