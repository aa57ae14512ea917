/** Two operators at once, or twenty: whoever says which version they saw wins alone, all others lose nothing. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, type HttpClient, httpClient } from '../helpers/http.ts';
import { openApiOf } from '../helpers/openapi.ts';
import { startServer } from '../helpers/server.ts';
import {
	createKey,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { ApiKeysPage, AuditPage, Plan, Tenant } from '../helpers/wire.ts';
import { createScene, pathOf, type Scene, validRequest } from './bad-input/valid-requests.ts';

const used = useServer();

const CROWD = 20;
const numbers = Array.from({ length: CROWD }, (_, number) => number);

interface Versioned {
	version: number;
	name: string;
	metadata?: unknown;
}

/** Entries about a tenant or a plan that are changes of it. */
async function changesOf(query: string): Promise<AuditPage['entries']> {
	const answer = await operator(used.server).get<AuditPage>(`/admin/audit?limit=100&${query}`);
	return bodyOf(answer, 200).entries.filter(({ action }) => action.endsWith('.update'));
}

/** A tenant on a plan, and the two who may change it: the master key and the plan's credentials. */
async function createTenantOfTwo() {
	const { server } = used;
	const { plan_id } = await createPlan(server);
	const { tenant_id } = await createTenant(server, { plan_id });
	const management = await createManagementKey(server, plan_id);
	return {
		path: `/admin/tenants/${tenant_id}`,
		entries: () => changesOf(`tenant_id=${tenant_id}`),
		clients: [operator(server), httpClient(server, { management })],
	};
}

async function createPlanOfTwo() {
	const { plan_id } = await createPlan(used.server);
	return {
		path: `/admin/plans/${plan_id}`,
		entries: () => changesOf(`plan_id=${plan_id}`),
		clients: [operator(used.server)],
	};
}

const KINDS = [
	['a tenant, by PATCH', createTenantOfTwo, () => 'PATCH'],
	['a tenant, by PUT', createTenantOfTwo, () => 'PUT'],
	['a tenant, by both', createTenantOfTwo, (n: number) => (n % 3 === 0 ? 'PUT' : 'PATCH')],
	['a plan', createPlanOfTwo, () => 'PATCH'],
] as const;

describe.each(KINDS)('%s', (_, create, methodOf) => {
	test('is changed by one of twenty who have seen the same version; the others are told 412', async () => {
		const { path, clients, entries } = await create();

		const answers = await Promise.all(
			numbers.map((n) =>
				(clients[n % clients.length] as HttpClient).call<Versioned>(methodOf(n), path, {
					body: { name: `by ${n}` },
					headers: { 'If-Match': '"1"' },
				}),
			),
		);
		const now = bodyOf(await operator(used.server).get<Versioned>(path), 200);

		const won = answers.filter(({ status }) => status === 200);
		const lost = answers.filter(({ status }) => status !== 200);
		expect(won).toHaveLength(1);
		expect(won[0]?.headers.get('ETag')).toBe('"2"');
		expect(lost.map(errorOf)).toEqual(
			lost.map(() => expect.objectContaining({ code: 'PRECONDITION_FAILED', field: 'If-Match' })),
		);
		expect(now).toMatchObject({ version: 2, name: won[0]?.body.name });
		expect((await entries()).map(({ after }) => after)).toEqual([
			expect.objectContaining({ name: now.name }),
		]);
	});

	test('is changed by each of twenty who say no version: none of it is lost', async () => {
		const { path, clients, entries } = await create();
		const isPlan = path.includes('plans');
		const bodyWith = (n: number) =>
			isPlan ? { features: { [`f${n}`]: true } } : { metadata: { [`f${n}`]: true } };

		const answers = await Promise.all(
			numbers.map((n) =>
				(clients[n % clients.length] as HttpClient).call<Tenant & Plan>(methodOf(n), path, {
					body: bodyWith(n),
				}),
			),
		);
		const now = bodyOf(await operator(used.server).get<Tenant & Plan>(path), 200);

		const all = Object.fromEntries(numbers.map((n) => [`f${n}`, true]));
		expect(answers.map(({ status }) => status)).toEqual(numbers.map(() => 200));
		expect(isPlan ? now.features : now.metadata).toEqual(all);
		// One after the other: each has a version of its own, and saw what was there before it.
		const versions = answers.map(({ body }) => body.version).sort((one, other) => one - other);
		expect(versions).toEqual(numbers.map((n) => n + 2));
		for (const { body } of answers) {
			const seen = isPlan ? body.features : (body.metadata as object);
			expect(Object.keys(seen)).toHaveLength(body.version - 1);
		}
		expect(await entries()).toHaveLength(CROWD);
	});
});

test('a key is changed by one of twenty, operator or tenant, who have seen the same version', async () => {
	const tenant = await createTenant(used.server);
	const { key_id } = await createKey(tenant, ['rooms:read']);
	const ofOperator = `/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`;
	const ask = (n: number) => {
		const [client, path] =
			n % 2 === 0 ? [operator(used.server), ofOperator] : [tenant.as(), `/api-keys/${key_id}`];
		return client.patch<Versioned>(path, { name: `by ${n}` }, { 'If-Match': '"1"' });
	};

	const answers = await Promise.all(numbers.map(ask));
	const rotated = await operator(used.server).post<Versioned>(`${ofOperator}/rotate`, {});
	const stale = await tenant
		.as()
		.patch(`/api-keys/${key_id}`, { name: 'x' }, { 'If-Match': '"2"' });
	const listed = bodyOf(await tenant.as().get<ApiKeysPage>('/api-keys'), 200).api_keys;

	const won = answers.filter(({ status }) => status === 200);
	expect(won.map(({ headers }) => headers.get('ETag'))).toEqual(['"2"']);
	expect(answers.filter(({ status }) => status === 412)).toHaveLength(CROWD - 1);
	expect([rotated.body.version, stale.status]).toEqual([3, 412]);
	expect(listed.find((key) => key.key_id === key_id)).toMatchObject({
		...{ name: won[0]?.body.name, version: 3 },
	});
});

test('a key is changed by each of three in what they say, and by nobody in what they do not', async () => {
	const tenant = await createTenant(used.server);
	for (let round = 0; round < 5; round++) {
		const { key_id } = await createKey(tenant, ['rooms:read']);
		const path = `/admin/tenants/${tenant.tenant_id}/api-keys`;
		const expires_at = new Date(Date.now() + 3_600_000).toISOString();
		const changes = [{ name: `Named ${round}` }, { permissions: ['users:read'] }, { expires_at }];

		const answers = await Promise.all(
			changes.map((body) => operator(used.server).patch(`${path}/${key_id}`, body)),
		);
		const { api_keys } = bodyOf(await operator(used.server).get<ApiKeysPage>(path), 200);

		expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
		expect(api_keys.find((key) => key.key_id === key_id)).toMatchObject({
			...{ name: `Named ${round}`, permissions: ['users:read'], expires_at },
		});
	}
});

test('a plan that one deletes while another puts a tenant on it is either there, or has no tenant', async () => {
	const ends = new Set<string>();
	for (let round = 0; round < 12; round++) {
		const { plan_id } = await createPlan(used.server);
		const { tenant_id } = await createTenant(used.server);
		const [one, other] = [operator(used.server), operator(used.server)];
		const remove = () => one.delete(`/admin/plans/${plan_id}`);
		const move = () => other.patch(`/admin/tenants/${tenant_id}`, { plan_id });

		const [removed, moved] =
			round % 2 === 0
				? await Promise.all([remove(), move()])
				: (await Promise.all([move(), remove()])).toReversed();
		const plan = await operator(used.server).get(`/admin/plans/${plan_id}`);
		const tenant = await operator(used.server).get<Tenant>(`/admin/tenants/${tenant_id}`);

		const isGone = removed?.status === 200;
		expect([removed?.status, moved?.status]).toEqual(isGone ? [200, 404] : [409, 200]);
		expect(plan.status).toBe(isGone ? 404 : 200);
		expect(bodyOf(tenant, 200).plan_id).toBe(isGone ? null : plan_id);
		ends.add(isGone ? 'removed' : 'moved');
	}
	expect(ends.size).toBe(2);
});

test('a tenant that is suspended and resumed by many at once ends as the last of them said', async () => {
	const { path, clients } = await createTenantOfTwo();
	const answers = await Promise.all(
		numbers.map((n) =>
			(clients[n % clients.length] as HttpClient).post<Tenant>(
				`${path}/${n % 3 === 0 ? 'resume' : 'suspend'}`,
			),
		),
	);
	const now = bodyOf(await operator(used.server).get<Tenant>(path), 200);

	expect(answers.map(({ status }) => status)).toEqual(numbers.map(() => 200));
	const last = answers.filter(({ body }) => body.version === now.version);
	expect(last.length).toBeGreaterThan(0);
	for (const { body } of last) expect(body.status).toBe(now.status);
	// Each that changed something has the next version; those that changed nothing tell of the present one.
	const byVersion = Map.groupBy(answers, ({ body }) => body.version);
	for (const same of byVersion.values()) {
		expect(new Set(same.map(({ body }) => body.status)).size).toBe(1);
	}
});

/** What has to have been done to a scene before, for an operation to do something. */
const BEFORE: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
	'tenants.resume': ({ spare_tenant_id }) =>
		operator(used.server).post(`/admin/tenants/${spare_tenant_id}/suspend`),
	'tenants.restore': ({ spare_tenant_id }) =>
		operator(used.server).delete(`/admin/tenants/${spare_tenant_id}`),
};

/** What a document makes has the entries of what it does. */
const ENTRIES: Readonly<Record<string, number>> = { 'configuration.apply': 3 };

// Started here and not in a hook: the tests below are made from its document.
const documented = await startServer();
const posts = (await openApiOf(documented.url)).operations.filter(
	({ method, path }) => method.toUpperCase() === 'POST' && path.startsWith('/admin'),
);
await documented.stop();

describe('the same Idempotency-Key from eight at once', () => {
	test('counts for every POST of the operator', () => {
		expect(posts.map(({ operation }) => operation.operationId).sort()).toEqual([
			'configuration.apply',
			'keys.create',
			'keys.rotate',
			'management_keys.create',
			'plans.create',
			'tenants.create',
			'tenants.restore',
			'tenants.resume',
			'tenants.suspend',
		]);
	});

	for (const declared of posts) {
		const { operationId } = declared.operation;
		test(`does it once, and tells all eight the same: ${operationId}`, async () => {
			const scene = await createScene(used.server);
			await BEFORE[operationId]?.(scene);
			const request = validRequest(declared, scene);
			const name = `eight-${operationId}`;
			const ask = (key: string) =>
				operator(used.server).call('POST', pathOf(request), {
					headers: { 'Idempotency-Key': key, 'X-Request-Id': name },
					...(request.body === undefined ? {} : { body: request.body }),
				});

			const answers = await Promise.all(Array.from({ length: 8 }, () => ask(name)));
			const later = await ask(name);

			// One document at a time: who comes while it is applied is told to come again.
			const isApply = operationId === 'configuration.apply';
			const busy = answers.filter(({ status }) => status === 409);
			expect(isApply ? [] : busy).toEqual([]);
			for (const answer of busy) {
				expect(errorOf(answer).message).toBe('Another document is being applied: try again later');
			}
			const told = answers.filter(({ status }) => status !== 409);
			const first = told.filter(({ headers }) => !headers.has('Idempotency-Replayed'));
			expect(first).toHaveLength(1);
			expect(first[0]?.status).toBeLessThan(300);
			expect(new Set([...told, later].map(({ text }) => text)).size).toBe(1);
			expect(later.headers.get('Idempotency-Replayed')).toBe('true');
			const audit = await operator(used.server).get<AuditPage>('/admin/audit?limit=100');
			const entries = bodyOf(audit, 200).entries.filter(({ request_id }) => request_id === name);
			expect(entries).toHaveLength(ENTRIES[operationId] ?? 1);
		});
	}
});
