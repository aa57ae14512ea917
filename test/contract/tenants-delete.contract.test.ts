/** Deleting a tenant: what its clients see, how it comes back, and how it is erased, kills in between. */
import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answer, bodyOf, errorOf } from '../helpers/http.ts';
import { randomSecret, startServer } from '../helpers/server.ts';
import {
	createGroup,
	createTenant,
	createToken,
	operator,
	sendMessage,
	type TestTenant,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Tenant } from '../helpers/wire.ts';

interface Deleted {
	tenant_id: string;
	status: string;
	purge_at: string;
	receipt?: { deleted_by: string; rows: Record<string, number> };
}

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });
const DAY_MS = 24 * 60 * 60 * 1000;

const pathOf = ({ tenant_id }: Pick<TestTenant, 'tenant_id'>) => `/admin/tenants/${tenant_id}`;

const isBeingDeleted = (answer: Answer) => {
	expect(answer.status).toBe(403);
	expect(errorOf(answer)).toMatchObject({
		code: 'AUTHORIZATION_ERROR',
		message: 'This tenant is being deleted',
	});
};

describe('DELETE /admin/tenants/{tenant_id}', () => {
	test('answers 202 with the day of the end, stops everything, and restore takes it all back', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		await sendMessage(tenant, 'alice', room_id, 'kept');
		const token = await createToken(tenant, 'alice');
		const [user, backend] = [await tenant.socket('alice'), await tenant.socket('bob')];
		const client = operator(used.server);

		const deleted = bodyOf(await client.delete(pathOf(tenant)).then(asDeleted), 202);
		const again = bodyOf(await client.delete(pathOf(tenant)).then(asDeleted), 202);

		expect(deleted.status).toBe('deleting');
		expect(Math.abs(Date.parse(deleted.purge_at) - Date.now() - 30 * DAY_MS)).toBeLessThan(60_000);
		expect(again).toEqual(deleted);
		for (const socket of [user, backend]) {
			expect(await within(socket.closed, 'the close', 1000)).toEqual({
				code: 4510,
				reason: 'tenant_deleted',
			});
		}
		isBeingDeleted(await tenant.as('alice').get('/rooms'));
		isBeingDeleted(await withToken(used.server, token).get('/rooms'));
		for (const verb of ['suspend', 'resume']) {
			expect((await client.post(`${pathOf(tenant)}/${verb}`)).status).toBe(409);
		}
		const shown = bodyOf(await client.get<Tenant>(pathOf(tenant)), 200);
		expect(shown).toMatchObject({ status: 'deleting', purge_at: deleted.purge_at });

		const restored = await client.post<Tenant>(`${pathOf(tenant)}/restore`);
		expect(bodyOf(restored, 200)).toMatchObject({ status: 'active', purge_at: null });
		const page = await tenant.as('alice').get(`/rooms/${room_id}/messages`);
		expect(page.text).toContain('kept');
		expect((await withToken(used.server, token).get('/rooms')).status).toBe(200);
	});

	test('purge=now answers 200 with what was erased, and the tenant is nobody’s from then on', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		for (let count = 0; count < 20; count++) await sendMessage(tenant, 'alice', room_id);
		const client = operator(used.server);

		const purged = bodyOf(await client.delete(`${pathOf(tenant)}?purge=now`).then(asDeleted), 200);

		expect(purged.status).toBe('purged');
		expect(purged.receipt).toMatchObject({
			deleted_by: 'master',
			rows: { tenants: 1, api_keys: 1, rooms: 1, memberships: 2, messages: 20 },
		});
		expect((await tenant.as('alice').get('/rooms')).status).toBe(401);
		for (const [method, path] of [
			['GET', ''],
			['DELETE', ''],
			['DELETE', '?purge=now'],
			['POST', '/restore'],
			['POST', '/suspend'],
			['PATCH', ''],
		] as const) {
			const body = method === 'PATCH' ? { name: 'Back' } : undefined;
			const answer = await client.call(method, pathOf(tenant) + path, { body });
			expect({ method, path, status: answer.status }).toEqual({ method, path, status: 404 });
		}
	});

	test('refuses any other purge by name, and deletes nothing', async () => {
		const tenant = await createTenant(used.server);

		for (const purge of ['later', '', 'NOW', 'true']) {
			const answer = await operator(used.server).delete(`${pathOf(tenant)}?purge=${purge}`);
			expect(answer.status).toBe(400);
			expect(errorOf(answer).field).toBe('purge');
		}

		expect((await tenant.as('alice').get('/rooms')).status).toBe(200);
	});
});

const asDeleted = (answer: Answer) => answer as Answer<Deleted>;

test('what is due is erased in the background', async () => {
	const server = await startServer({ env: { DELETED_TENANT_RETENTION: '1s' } });
	const tenant = await createTenant(server);
	await createGroup(tenant, 'alice');

	bodyOf(await operator(server).delete(pathOf(tenant)), 202);

	await eventually(
		async () => (await operator(server).get(pathOf(tenant))).status === 404,
		15_000,
		'the end of the tenant',
	);
	expect(await server.stop()).toBe(0);
}, 60_000);

const MESSAGES = 6000;

/** As many messages as take a while to be erased, stored while the server is down. */
function fill(dataDir: string, tenant_id: string): void {
	const db = new Database(join(dataDir, 'chatapi.db'));
	db.run(
		`WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ${MESSAGES})
		INSERT INTO messages (tenant, room, seq, cursor, ordinal, message_id, sender_id, content, created_at)
		SELECT tenant, 1, seq, 1000 + seq, seq, 'msg_' || seq, 'alice', 'erase me', 0 FROM tenants, n
		WHERE tenant_id = ?`,
		[tenant_id],
	);
	db.close();
}

/** Rows of tenants that are not in the table of tenants, by table. */
function orphans(dataDir: string): Record<string, number> {
	const db = new Database(join(dataDir, 'chatapi.db'));
	try {
		const names = db
			.query<{ name: string }, []>(
				`SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c ON c.name = 'tenant'
				WHERE m.type = 'table'`,
			)
			.all();
		expect(names.length).toBeGreaterThan(15);
		const counts = names.map(({ name }) => {
			const row = db
				.query<{ count: number }, []>(
					`SELECT count(*) AS count FROM ${name}
					WHERE tenant > 0 AND tenant NOT IN (SELECT tenant FROM tenants)`,
				)
				.get();
			return [name, row?.count ?? -1] as const;
		});
		return Object.fromEntries(counts.filter(([, count]) => count !== 0));
	} finally {
		db.close();
	}
}

test('a kill in the middle of a purge is gone on from at the next start, and others send all the while', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-purge-'));
	const env = { DEFAULT_RATE_LIMIT: '0', MASTER_API_KEY: randomSecret() };
	let server = await startServer({ dataDir, env });
	const [tenant, other] = [await createTenant(server), await createTenant(server)];
	const { room_id } = await createGroup(other, 'alice');
	await createGroup(tenant, 'alice');
	await server.stop();
	fill(dataDir, tenant.tenant_id);

	server = await startServer({ dataDir, env });
	const purging = operator(server)
		.delete(`${pathOf(tenant)}?purge=now`)
		.catch(() => undefined);
	const there = { ...other, server };
	let [sent, slowestMs] = [0, 0];
	await eventually(
		async () => {
			const startedAt = performance.now();
			await sendMessageTo(server.url, there, room_id);
			slowestMs = Math.max(slowestMs, performance.now() - startedAt);
			sent++;
			const shown = await operator(server).get<Tenant>(pathOf(tenant));
			return (shown.body.erased_rows ?? 0) >= 500;
		},
		15_000,
		'the purge to be half way',
	);
	await server.kill();
	await purging;
	server = await startServer({ dataDir, env });
	await eventually(
		async () => (await operator(server).get(pathOf(tenant))).status === 404,
		15_000,
		'the end of the purge',
	);
	expect(await server.stop()).toBe(0);

	expect(sent).toBeGreaterThan(0);
	expect(slowestMs).toBeLessThan(500);
	expect(orphans(dataDir)).toEqual({});
	const db = new Database(join(dataDir, 'chatapi.db'));
	const entry = db
		.query<{ details: string }, []>("SELECT details FROM audit WHERE action = 'tenants.purge'")
		.get();
	db.close();
	expect(JSON.parse(entry?.details ?? '').after.rows.messages).toBe(MESSAGES);
	rmSync(dataDir, { recursive: true });
}, 90_000);

async function sendMessageTo(url: string, tenant: TestTenant, room_id: string): Promise<void> {
	const answer = await fetch(`${url}/rooms/${room_id}/messages`, {
		method: 'POST',
		headers: {
			'X-API-Key': tenant.api_key,
			'X-User-Id': 'alice',
			'Content-Type': 'application/json',
		},
		body: JSON.stringify({ content: 'meanwhile' }),
	});
	expect(answer.status).toBe(201);
}
