/** The audit log: what is in it of which operation, and how it is read. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { type Declared, openApiOf } from '../helpers/openapi.ts';
import { type Server, startServer } from '../helpers/server.ts';
import { createManagementKey, createPlan, createTenant, operator } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { AuditEntry, AuditPage } from '../helpers/wire.ts';
import {
	createScene,
	pathWithQuery,
	type Scene,
	validRequest,
} from './bad-input/valid-requests.ts';

/**
 * What the operator reads of their own: tenants, plans and keys, figures of usage, this log. Whatever
 * else is done under /admin has its entry, by the name of its operation.
 */
const PLAIN_READS = new Set([
	...['tenants.list', 'tenants.get', 'keys.list'],
	...['plans.list', 'plans.get', 'management_keys.list'],
	...['usage.inspect', 'usage.inspect_plan', 'audit.list', 'status.metrics'],
	...['configuration.export', 'configuration.progress'],
]);

/** What has to have been done to a scene before, for an operation to succeed. */
const BEFORE: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
	'tenants.resume': ({ spare_tenant_id }) =>
		operator(used.server).post(`/admin/tenants/${spare_tenant_id}/suspend`),
	'tenants.restore': ({ spare_tenant_id }) =>
		operator(used.server).delete(`/admin/tenants/${spare_tenant_id}`),
	'keys.update': ({ tenant, key_id }) =>
		operator(used.server).patch(`/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`, {
			permissions: ['read_only'],
		}),
	'tenant_users.get': ({ tenant, user_id }) =>
		tenant.as().put(`/users/${user_id}`, { name: 'Bob' }),
};

/** PUT and PATCH are one use-case; and what a configuration changes has the entries of what it does. */
const RECORDED_AS: Readonly<Record<string, readonly string[]>> = {
	'tenants.merge': ['tenants.update'],
	'configuration.apply': ['plans.create', 'tenants.create', 'keys.create'],
};

const used = useServer();

const list = async (query: string, server: Pick<Server, 'url' | 'masterKey'> = used.server) =>
	bodyOf(await operator(server).get<AuditPage>(`/admin/audit${query}`), 200);

/** The entries of one request. */
async function entriesOf(
	request_id: string,
	server: Pick<Server, 'url' | 'masterKey'>,
): Promise<AuditEntry[]> {
	const { entries } = await list('?limit=100', server);
	return entries.filter((entry) => entry.request_id === request_id);
}

// Started here and not in a hook: the tests below are made from its document.
const documented = await startServer();
const operations = (await openApiOf(documented.url)).operations.filter(
	({ operation }) => operation.security?.some((scheme) => 'MasterKey' in scheme) === true,
);
await documented.stop();

describe('of every operation of the operator', () => {
	for (const declared of operations) {
		const { operationId } = declared.operation;
		const isPlain = PLAIN_READS.has(operationId);
		test(`${operationId} ${isPlain ? 'is a plain read, and has none' : 'has its entry'}`, async () => {
			const scene = await createScene(used.server);
			await BEFORE[operationId]?.(scene);
			const request_id = `audit-${operationId}`;

			const status = await ask(declared, scene, request_id);
			const entries = await entriesOf(request_id, used.server);

			expect(status).toBeLessThan(300);
			const actions = isPlain ? [] : (RECORDED_AS[operationId] ?? [operationId]);
			expect(entries.map(({ action, credential }) => ({ action, credential }))).toEqual(
				actions.map((action) => ({ action, credential: 'master' })),
			);
			const { params, query } = validRequest(declared, scene);
			const ids = Object.values({ ...params, ...query });
			for (const entry of entries) {
				expect(Object.values(entry.target ?? {})).toEqual(expect.arrayContaining(ids));
			}
		});
	}

	test('the list of plain reads names no operation that is not there, and none that writes', () => {
		const byName = new Map(operations.map((each) => [each.operation.operationId, each]));
		expect([...PLAIN_READS].map((name) => byName.get(name)?.method)).toEqual(
			[...PLAIN_READS].map(() => 'GET'),
		);
		expect(operations.length).toBeGreaterThan(PLAIN_READS.size);
	});
});

async function ask(declared: Declared, scene: Scene, request_id: string): Promise<number> {
	const request = validRequest(declared, scene);
	const answer = await operator(used.server).call(request.method, pathWithQuery(request, ''), {
		headers: { 'X-Request-Id': request_id },
		...(request.body === undefined ? {} : { body: request.body }),
	});
	return answer.status;
}

describe('usage.inspect', () => {
	test.each([
		['', false],
		['?explain=days', false],
		['?explain=storage_bytes', false],
		['?explain=peak_connections', false],
		['?explain=active_users', true],
		['?explain=messages_sent', true],
	])('%s has its entry where it names users or rooms: %p', async (query, isRecorded) => {
		const { tenant_id } = await createTenant(used.server);
		const request_id = `usage-${query.slice(9)}`;
		const path = `/admin/tenants/${tenant_id}/usage${query}`;

		bodyOf(await operator(used.server).get(path, { 'X-Request-Id': request_id }), 200);

		const entries = await entriesOf(request_id, used.server);
		expect(entries.map(({ action, target }) => ({ action, target }))).toEqual(
			isRecorded
				? [{ action: 'usage.inspect', target: { tenant_id, explain: query.slice(9), limit: 50 } }]
				: [],
		);
	});
});

describe('GET /admin/audit', () => {
	let plan_id: string;
	let tenant_id: string;
	/** The number of the last entry before all of this. */
	let start: number;
	beforeAll(async () => {
		start = (await list('?limit=1')).entries[0]?.entry ?? 0;
		plan_id = (await createPlan(used.server)).plan_id;
		tenant_id = (await createTenant(used.server, { plan_id })).tenant_id;
		await createTenant(used.server);
		for (const name of ['a', 'b', 'c']) {
			const body = { name };
			bodyOf(await operator(used.server).patch(`/admin/plans/${plan_id}`, body), 200);
		}
	});

	test('has all that is known of a change, and a hash', async () => {
		const { entries } = await list(`?plan_id=${plan_id}&action=plans.update&after=0`);

		expect(entries).toHaveLength(3);
		expect(entries[1]).toMatchObject({
			entry: start + 5,
			credential: 'master',
			action: 'plans.update',
			tenant_id: null,
			plan_id,
			target: { plan_id },
			before: { name: 'a', version: 2 },
			after: { name: 'b', version: 3 },
			erased: false,
		});
		expect(entries[1]?.hash).toMatch(/^[0-9a-f]{64}$/);
		expect(JSON.stringify(entries)).not.toContain('nonce');
	});

	test('goes forward after an entry, back before one, and begins at the end', async () => {
		const numbers = async (query: string) => {
			const { entries, has_more } = await list(query);
			return [...entries.map(({ entry }) => entry - start), has_more];
		};

		expect(await numbers(`?after=${start}&limit=4`)).toEqual([1, 2, 3, 4, true]);
		expect(await numbers(`?after=${start + 4}&limit=4`)).toEqual([5, 6, false]);
		expect(await numbers(`?before=${start + 3}&limit=2`)).toEqual([1, 2, start > 0]);
		expect(await numbers('?limit=2')).toEqual([5, 6, true]);
		expect(await numbers(`?after=${start + 1}&before=${start + 4}`)).toEqual([2, 3, false]);
		expect(await numbers(`?after=${start + 6}`)).toEqual([false]);
	});

	test('is narrowed by tenant, plan and action, and by all of them', async () => {
		const actions = async (query: string) =>
			(await list(`${query}&after=${start}`)).entries.map(({ action }) => action);
		const ofPlan = ['plans.create', 'tenants.create', ...Array(3).fill('plans.update')];

		expect(await actions(`?plan_id=${plan_id}`)).toEqual(ofPlan);
		expect(await actions(`?tenant_id=${tenant_id}`)).toEqual(['tenants.create']);
		expect(await actions(`?tenant_id=${tenant_id}&plan_id=${plan_id}`)).toEqual(['tenants.create']);
		expect(await actions(`?tenant_id=${tenant_id}&action=keys.create`)).toEqual([]);
		expect(await actions('?action=tenants.create')).toHaveLength(2);
		expect(await actions('?action=no.such')).toEqual([]);
	});

	test.each([
		['tenant_id', `tenant_${'0'.repeat(26)}`],
		['plan_id', `plan_${'0'.repeat(26)}`],
	])('of an unknown %s is 404', async (name, id) => {
		const answer = await operator(used.server).get(`/admin/audit?${name}=${id}`);

		expect({ status: answer.status, code: errorOf(answer).code }).toEqual({
			status: 404,
			code: 'NOT_FOUND',
		});
	});

	test.each([
		'after=-1',
		'after=x',
		'before=0',
		'limit=101',
		'action=',
		'action=a.b.c',
		'cursor=1',
	])('refuses %s by name', async (query) => {
		const answer = await operator(used.server).get(`/admin/audit?${query}`);

		expect(answer.status).toBe(400);
		expect(errorOf(answer).field).toBe(query.split('=')[0] as string);
	});

	test('names the management credentials that did something', async () => {
		const management = await createManagementKey(used.server, plan_id);
		const client = httpClient(used.server, { management });

		bodyOf(await client.post('/admin/tenants', { name: 'Theirs' }), 201);

		const [entry] = (await list('?limit=1')).entries;
		expect(entry).toMatchObject({
			credential: management.key,
			action: 'tenants.create',
			plan_id,
		});
		expect(JSON.stringify(entry)).not.toContain(management.secret);
	});
});
