/** What is done to one plan, its credentials and its tenants is nothing to the plan beside it. */
import { expect, test } from 'bun:test';
import { bodyOf, type HttpClient, httpClient } from '../../helpers/http.ts';
import {
	createManagementKey,
	createPlan,
	createTenant,
	operator,
	type TestTenant,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';

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
