/** What is done to one plan, its credentials and its tenants is nothing to the plan beside it. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, errorOf, type HttpClient, httpClient } from '../../helpers/http.ts';
import { randomSecret, startServer } from '../../helpers/server.ts';
import {
	createGroup,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
	tenantOf,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';

const used = useServer();

interface Side {
	plan_id: string;
	/** Of the management credentials. */
	key: string;
	client: HttpClient;
}

async function createSide(name: string): Promise<Side> {
	const { plan_id } = await createPlan(used.server, { name });
	const management = await createManagementKey(used.server, plan_id);
	return { plan_id, key: management.key, client: httpClient(used.server, { management }) };
}

const tenantIds = async (client: HttpClient, query = ''): Promise<string[]> => {
	const answer = await client.get<{ tenants: TestTenant[] }>(`/admin/tenants${query}`);
	return bodyOf(answer, 200).tenants.map(({ tenant_id }) => tenant_id);
};

const keysOf = async ({ plan_id }: Side): Promise<string[]> => {
	const path = `/admin/plans/${plan_id}/management-keys`;
	const answer = await operator(used.server).get<{ management_keys: { key: string }[] }>(path);
	return bodyOf(answer, 200).management_keys.map(({ key }) => key);
};

test('a plan has the credentials and tenants that were given to it, and ends alone', async () => {
	const sides = [await createSide('first'), await createSide('empty'), await createSide('last')];
	const [first, empty, last] = sides as [Side, Side, Side];
	const tenants = new Map<Side, string>();
	for (const side of [first, last]) {
		const { tenant_id } = await createTenant(used.server, { name: 'Twin', plan_id: side.plan_id });
		tenants.set(side, tenant_id);
	}

	for (const side of sides) {
		const own = [tenants.get(side)].filter((tenant_id) => tenant_id !== undefined);
		expect(await keysOf(side)).toEqual([side.key]);
		expect(await tenantIds(side.client)).toEqual(own);
		expect(await tenantIds(operator(used.server), `?plan_id=${side.plan_id}`)).toEqual(own);
	}
	const master = operator(used.server);
	const foreign = await master.delete(`/admin/plans/${first.plan_id}/management-keys/${last.key}`);
	expect(foreign.status).toBe(404);

	// Tenants are on the others.
	bodyOf(await master.delete(`/admin/plans/${empty.plan_id}`), 200);
	expect((await empty.client.get('/admin/tenants')).status).toBe(401);
	for (const side of [first, last]) {
		expect((await master.delete(`/admin/plans/${side.plan_id}`)).status).toBe(409);
		expect(await keysOf(side)).toEqual([side.key]);
		expect(await tenantIds(side.client)).toEqual([tenants.get(side) ?? '']);
	}
});

const DAY_MS = 86_400_000;

test('a quota counts the messages of its own tenant, of its own plan’s tenants, and no others', async () => {
	await eventually(() => Date.now() % DAY_MS < DAY_MS - 60_000, 70_000, 'midnight to pass');
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-quotas-'));
	const env = { MASTER_API_KEY: randomSecret(), DEFAULT_RATE_LIMIT: '0' };
	const first = await startServer({ dataDir, env });
	const free = await createPlan(first);
	const pool = await createPlan(first, { quotas: { messages_per_month: 5 } });
	const quotas = { messages_per_month: 3 };
	const [busy, limited, idle] = [
		await createTenant(first, { plan_id: free.plan_id }),
		await createTenant(first, { plan_id: pool.plan_id, quotas }),
		await createTenant(first, { plan_id: pool.plan_id }),
	];
	const rooms = new Map<TestTenant, string>();
	for (const tenant of [busy, limited, idle]) {
		const { room_id } = await createGroup(tenant, 'ann');
		await sendMessage(tenant, 'ann', room_id);
		rooms.set(tenant, room_id);
	}
	expect(await first.stop()).toBe(0);
	// The last messages of two are of another month; of the busy one there are many, in its days too.
	const today = Math.floor(Date.now() / DAY_MS);
	const disk = new Database(join(dataDir, 'chatapi.db'));
	disk.run(`UPDATE tenant_heads SET message_day = ${today - 40} WHERE tenant > 1`);
	disk.run('UPDATE tenant_heads SET day_messages = 40, month_messages = 540 WHERE tenant = 1');
	disk.run(`INSERT INTO usage_days (tenant, day, messages_sent) VALUES (1, ${today}, 40)
		ON CONFLICT (tenant, day) DO UPDATE SET messages_sent = excluded.messages_sent`);
	disk.close();

	const second = await startServer({ dataDir, env });
	const send = async (tenant: TestTenant) => {
		const path = `/rooms/${rooms.get(tenant)}/messages`;
		const answer = await tenantOf(second, tenant).as('ann').post(path, { content: 'x' });
		return answer.status === 201 ? 'sent' : errorOf(answer).code;
	};
	const sent: string[] = [];
	for (const tenant of [limited, limited, limited, limited, idle, idle, idle, busy]) {
		sent.push(await send(tenant));
	}
	expect(sent).toEqual([
		...['sent', 'sent', 'sent', 'QUOTA_EXCEEDED'],
		...['sent', 'sent', 'QUOTA_EXCEEDED', 'sent'],
	]);
	expect(await second.stop()).toBe(0);
	rmSync(dataDir, { recursive: true });
}, 120_000);
