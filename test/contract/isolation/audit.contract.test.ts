/** Whose entries of the audit log are whose: two plans with a tenant each, and one tenant that moves. */
import { beforeAll, expect, test } from 'bun:test';
import { bodyOf, errorOf, type HttpClient, httpClient } from '../../helpers/http.ts';
import {
	createKey,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { AuditEntry, AuditPage } from '../../helpers/wire.ts';

const used = useServer();

interface Side {
	plan_id: string;
	tenant_id: string;
	client: HttpClient;
}

let own: Side;
let foreign: Side;
beforeAll(async () => {
	foreign = await createSide('BRAVO');
	own = await createSide('ALPHA');
});

async function createSide(name: string): Promise<Side> {
	const { plan_id } = await createPlan(used.server, { name });
	const tenant = await createTenant(used.server, { name, plan_id });
	await createKey(tenant, ['send'], { name });
	const management = await createManagementKey(used.server, plan_id);
	return { plan_id, tenant_id: tenant.tenant_id, client: httpClient(used.server, { management }) };
}

const all = async (client: HttpClient, query = ''): Promise<AuditEntry[]> =>
	bodyOf(await client.get<AuditPage>(`/admin/audit?after=0&limit=100${query}`), 200).entries;

test('management credentials see what was done to their plan and its tenants, and nothing else', async () => {
	const entries = await all(own.client);

	expect(entries.map(({ action }) => action)).toEqual([
		...['plans.create', 'tenants.create', 'keys.create', 'management_keys.create'],
	]);
	expect(new Set(entries.map(({ plan_id }) => plan_id))).toEqual(new Set([own.plan_id]));
	expect(entries[1]?.tenant_id).toBe(own.tenant_id);
	expect(JSON.stringify(entries)).toContain('ALPHA');
	expect(JSON.stringify(entries)).not.toContain('BRAVO');
	expect(JSON.stringify(entries)).not.toContain(foreign.tenant_id);
});

test('the operator sees each entry once, with its own tenant', async () => {
	const entries = await all(operator(used.server));

	expect(entries.map(({ entry }) => entry)).toEqual(entries.map((_, index) => index + 1));
	for (const { target, tenant_id } of entries) {
		expect(tenant_id).toBe((target?.tenant_id as string | undefined) ?? null);
	}
});

test('a foreign tenant and plan cannot be told from missing ones by asking for their entries', async () => {
	const asked = async (query: string) => {
		const headers = { 'X-Request-Id': 'the-same' };
		const answer = await own.client.get(`/admin/audit?${query}`, headers);
		return { status: answer.status, text: answer.text, code: errorOf(answer).code };
	};
	const missing = '0'.repeat(26);

	expect(await asked(`tenant_id=${foreign.tenant_id}`)).toEqual(
		await asked(`tenant_id=tenant_${missing}`),
	);
	expect(await asked(`plan_id=${foreign.plan_id}`)).toEqual(await asked(`plan_id=plan_${missing}`));
	expect((await asked(`plan_id=${foreign.plan_id}`)).code).toBe('NOT_FOUND');
});

test('naming one’s own tenant or plan shows the same entries, of that tenant or plan', async () => {
	expect(await all(own.client, `&plan_id=${own.plan_id}`)).toEqual(await all(own.client));
	const ofTenant = await all(own.client, `&tenant_id=${own.tenant_id}`);
	expect(ofTenant.map(({ action }) => action)).toEqual(['tenants.create', 'keys.create']);
});

test('a tenant that moves brings nothing of the plan it was on, and the plan it leaves keeps what it had', async () => {
	const left = await createSide('CHARLIE');
	const path = `/admin/tenants/${left.tenant_id}`;
	const master = operator(used.server);
	const plan = { features: { charlies_feature: true }, settings: { from_name: 'CHARLIES NAME' } };
	bodyOf(await master.patch(`/admin/plans/${left.plan_id}`, plan), 200);
	const joined = await createSide('DELTA');
	const [before, beforeJoined] = [await all(left.client), await all(joined.client)];

	bodyOf(await master.patch(path, { plan_id: joined.plan_id, name: 'MOVED' }), 200);
	bodyOf(await joined.client.patch(path, { name: 'OURS' }), 200);

	expect(await all(left.client)).toEqual(before);
	const entries = await all(joined.client);
	expect(entries.slice(0, -1)).toEqual(beforeJoined);
	expect(entries.at(-1)).toMatchObject({ before: { name: 'MOVED' }, after: { name: 'OURS' } });
	expect(JSON.stringify(entries)).not.toMatch(/charlie/i);
	expect(JSON.stringify(entries)).not.toContain(left.plan_id);
	const told = bodyOf(await master.get<AuditPage>(`/admin/audit?tenant_id=${left.tenant_id}`), 200);
	expect(told.entries.at(-2)).toMatchObject({
		...{ action: 'tenants.update', plan_id: null, tenant_id: left.tenant_id },
		...{ before: { plan_id: left.plan_id }, after: { plan_id: joined.plan_id } },
	});
});
