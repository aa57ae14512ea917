/** What all of the operator's API has in common: repeated requests, versions, and confined credentials. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import {
	createKey,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { AuditPage, Plan, Room, Tenant } from '../helpers/wire.ts';

const used = useServer();

const withKey = (key: string) => ({ 'Idempotency-Key': key });

async function countTenants(): Promise<number> {
	const { tenants } = bodyOf(
		await operator(used.server).get<{ tenants: Tenant[] }>('/admin/tenants?limit=100'),
		200,
	);
	return tenants.length;
}

describe('an Idempotency-Key', () => {
	test('answers the same request the same, with the secret in it, and does it once', async () => {
		const client = operator(used.server);
		const before = await countTenants();

		const first = await client.post<Tenant>('/admin/tenants', { name: 'Once' }, withKey('once'));
		const again = await client.post<Tenant>('/admin/tenants', { name: 'Once' }, withKey('once'));

		expect([first.status, again.status]).toEqual([201, 201]);
		expect(first.headers.get('Idempotency-Replayed')).toBeNull();
		expect(again.headers.get('Idempotency-Replayed')).toBe('true');
		expect(again.text).toBe(first.text);
		expect(again.body.api_key).toMatch(/^sk_/);
		expect(await countTenants()).toBe(before + 1);
	});

	test('answers a change or an end again, which by then is stale or has nothing to end', async () => {
		const client = operator(used.server);
		const { plan_id } = await createPlan(used.server);
		const { key } = await createManagementKey(used.server, plan_id);
		const tenant = await createTenant(used.server, { plan_id });
		const { key_id } = await createKey(tenant, ['send']);
		const [gone, erased] = [await createTenant(used.server), await createTenant(used.server)];
		const free = await createPlan(used.server);
		const one = `/admin/tenants/${tenant.tenant_id}`;
		const changes: [method: string, path: string, body?: object, later?: object][] = [
			['PATCH', `/admin/plans/${plan_id}`, { name: 'First' }, { name: 'Later' }],
			['PATCH', one, { name: 'First' }, { name: 'Later' }],
			['PUT', one, { metadata: { a: 1 } }, { metadata: { a: 2 } }],
			['PATCH', `${one}/api-keys/${key_id}`, { name: 'First' }, { name: 'Later' }],
			['DELETE', `${one}/api-keys/${key_id}`],
			['DELETE', `/admin/plans/${plan_id}/management-keys/${key}`],
			['DELETE', `/admin/plans/${free.plan_id}`],
			['DELETE', `/admin/tenants/${gone.tenant_id}`],
			['DELETE', `/admin/tenants/${erased.tenant_id}?purge=now`],
		];
		for (const [index, [method, path, body, later]] of changes.entries()) {
			const ask = (given = body) =>
				client.call(method, path, { body: given, headers: withKey(`change-${index}`) });
			const first = await ask();
			expect([200, 202]).toContain(first.status);
			if (later !== undefined) bodyOf(await client.call(method, path, { body: later }), 200);

			const again = await ask();
			const other = later === undefined ? undefined : await ask(later);

			expect([again.status, again.text]).toEqual([first.status, first.text]);
			expect(again.headers.get('Idempotency-Replayed')).toBe('true');
			expect(again.headers.get('ETag')).toBe(first.headers.get('ETag'));
			if (later === undefined) continue;
			expect(errorOf(other as never).code).toBe('CONFLICT');
		}
		const now = bodyOf(await client.get<Tenant>(one), 200);
		expect([now.name, now.metadata]).toEqual(['Later', { a: 2 }]);
	});

	test('does it once when the same request comes twenty times at once', async () => {
		const client = operator(used.server);
		const before = await countTenants();

		const answers = await Promise.all(
			Array.from({ length: 20 }, () =>
				client.post<Tenant>('/admin/tenants', { name: 'Storm' }, withKey('storm')),
			),
		);

		expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
		expect(answers.filter(({ headers }) => !headers.has('Idempotency-Replayed'))).toHaveLength(1);
		expect(await countTenants()).toBe(before + 1);
	});

	test('with another body, or of another operation, is a conflict that changes nothing', async () => {
		const client = operator(used.server);
		await client.post('/admin/tenants', { name: 'A' }, withKey('clash'));
		const before = await countTenants();

		const otherBody = await client.post('/admin/tenants', { name: 'B' }, withKey('clash'));
		const otherOperation = await client.post('/admin/plans', { name: 'A' }, withKey('clash'));

		for (const answer of [otherBody, otherOperation]) {
			expect(answer.status).toBe(409);
			expect(errorOf(answer)).toMatchObject({ code: 'CONFLICT', field: 'Idempotency-Key' });
		}
		expect(await countTenants()).toBe(before);
	});

	test('tells an object from the list of its members', async () => {
		const client = operator(used.server);
		const before = await countTenants();
		const pairs: [unknown, unknown][] = [
			[{ a: 1 }, [['a', 1]]],
			[{}, []],
			[{ deep: [{ a: { b: null } }] }, { deep: [[['a', [['b', null]]]]] }],
		];

		for (const [index, [metadata, other]] of pairs.entries()) {
			const headers = withKey(`shape-${index}`);
			const first = await client.post('/admin/tenants', { name: 'S', metadata }, headers);
			const second = await client.post('/admin/tenants', { name: 'S', metadata: other }, headers);

			expect([first.status, second.status]).toEqual([201, 409]);
		}
		expect(await countTenants()).toBe(before + pairs.length);
	});

	test('does not tell the order of the fields apart', async () => {
		const client = operator(used.server);
		const headers = { ...withKey('order'), 'Content-Type': 'application/json' };
		const post = (raw: string) => client.call('POST', '/admin/tenants', { raw, headers });

		const first = await post('{"name":"O","metadata":{"a":1,"b":[1,2]}}');
		const again = await post('{"metadata":{"b":[1,2],"a":1},"name":"O"}');

		expect(again.text).toBe(first.text);
	});

	test('of a refusal is free: the request may be mended and sent again', async () => {
		const client = operator(used.server);

		const refused = await client.post('/admin/tenants', { name: '' }, withKey('mended'));
		const mended = await client.post('/admin/tenants', { name: 'Good' }, withKey('mended'));

		expect([refused.status, mended.status]).toEqual([400, 201]);
		expect(mended.headers.get('Idempotency-Replayed')).toBeNull();
	});

	test('is each caller’s own: the same one of others is another', async () => {
		const [acme, globex] = [await createTenant(used.server), await createTenant(used.server)];
		const room = { type: 'group', name: 'Same' };

		const answers = await Promise.all(
			[acme.as('ann'), acme.as('bob'), acme.as(), globex.as('ann')].map((client) =>
				client.post<Room>('/rooms', room, withKey('shared')),
			),
		);
		const again = await acme.as('ann').post<Room>('/rooms', room, withKey('shared'));

		expect(new Set(answers.map(({ body }) => body.room_id)).size).toBe(4);
		expect(answers.map(({ headers }) => headers.has('Idempotency-Replayed'))).not.toContain(true);
		expect(again.body.room_id).toBe(answers[0]?.body.room_id as string);
	});

	test('outlives a rotation of the tenant’s key', async () => {
		const tenant = await createTenant(used.server);
		const { api_key } = await createKey(tenant, ['*']);
		const room = { type: 'group', name: 'Kept' };

		const first = await tenant.as('ann').post<Room>('/rooms', room, withKey('kept'));
		const other = httpClient(used.server, { key: api_key, user: 'ann' });
		const again = await other.post<Room>('/rooms', room, withKey('kept'));

		expect(again.text).toBe(first.text);
	});

	for (const [claim, key] of [
		['an empty one', ''],
		['one of 256 characters', 'x'.repeat(256)],
		['one that is no ASCII', 'schlüssel'],
	] as const) {
		test(`is refused by name: ${claim}`, async () => {
			const before = await countTenants();

			const answer = await operator(used.server).post(
				'/admin/tenants',
				{ name: 'A' },
				withKey(key),
			);

			expect(answer.status).toBe(400);
			expect(errorOf(answer).field).toBe('Idempotency-Key');
			expect(await countTenants()).toBe(before);
		});
	}

	test('may be 255 characters long', async () => {
		const answer = await operator(used.server).post(
			'/admin/tenants',
			{ name: 'Long' },
			withKey('~'.repeat(255)),
		);
		expect(answer.status).toBe(201);
	});
});

describe('a version', () => {
	const patch = (plan: Plan, body: Record<string, unknown>, match?: string) =>
		operator(used.server).patch<Plan>(
			`/admin/plans/${plan.plan_id}`,
			body,
			match === undefined ? {} : { 'If-Match': match },
		);

	test('is the ETag of every answer about the thing, and rises with each change', async () => {
		const plan = await createPlan(used.server);

		const changed = await patch(plan, { name: 'Second' });
		const read = await operator(used.server).get<Plan>(`/admin/plans/${plan.plan_id}`);

		expect(plan.version).toBe(1);
		expect([changed.body.version, changed.headers.get('ETag')]).toEqual([2, '"2"']);
		expect([read.body.version, read.headers.get('ETag')]).toEqual([2, '"2"']);
	});

	test('stays where a change leaves everything as it is, and there is no entry of it', async () => {
		const { plan_id } = await createPlan(used.server);
		const tenant = await createTenant(used.server, { plan_id });
		const { tenant_id } = tenant;
		const { key_id } = await createKey(tenant, ['send']);
		const limits = { rate_limit: { requests_per_second: 7 }, metadata: { a: { b: [1] } } };
		const settings = { from_name: 'Acme' };
		const patches: [path: string, body: object][] = [
			[`/admin/plans/${plan_id}`, { name: 'Gold', quotas: { storage_bytes: 9 } }],
			[`/admin/tenants/${tenant_id}`, { name: 'Acme', plan_id, settings, ...limits }],
			[`/admin/tenants/${tenant_id}/api-keys/${key_id}`, { name: 'k', permissions: ['read_only'] }],
		];
		const lastEntry = async () =>
			bodyOf(await operator(used.server).get<AuditPage>('/admin/audit?limit=1'), 200).entries[0]
				?.entry;
		for (const [path, body] of patches) {
			const first = await operator(used.server).patch(path, body);
			const entry = await lastEntry();

			const second = await operator(used.server).patch(path, body);
			const nothing = await operator(used.server).patch(path, {});
			const stale = await operator(used.server).patch(path, body, { 'If-Match': '"77"' });

			expect(first.status).toBe(200);
			expect([second.text, second.headers.get('ETag')]).toEqual([
				...[first.text, first.headers.get('ETag')],
			]);
			expect([nothing.status, nothing.text]).toEqual([200, first.text]);
			expect(stale.status).toBe(412);
			expect(await lastEntry()).toBe(entry);
		}
	});

	test('lets one of two operators through who have seen the same', async () => {
		const plan = await createPlan(used.server);

		const answers = await Promise.all(
			['Ann’s', 'Bob’s'].map((name) => patch(plan, { name }, '"1"')),
		);

		expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
		const [lost] = answers.filter(({ status }) => status === 412);
		if (lost === undefined) throw new Error('Nobody lost');
		expect(errorOf(lost)).toMatchObject({ code: 'PRECONDITION_FAILED', field: 'If-Match' });
	});

	test('may be any of a list, or any at all', async () => {
		const plan = await createPlan(used.server);

		expect((await patch(plan, { name: 'A' }, '"7", "1"')).status).toBe(200);
		expect((await patch(plan, { name: 'B' }, '*')).status).toBe(200);
		expect((await patch(plan, { name: 'C' })).status).toBe(200);
		expect((await patch(plan, { name: 'D' }, '"1"')).status).toBe(412);
	});

	for (const match of ['1', 'W/"1"', '"one"', '', '"1" "2"', `"${'1'.repeat(2000)}"`]) {
		test(`is refused by name when it is no tag of ours: ${match.slice(0, 10)}`, async () => {
			const plan = await createPlan(used.server);

			const answer = await patch(plan, { name: 'A' }, match);

			expect(answer.status).toBe(400);
			expect(errorOf(answer).field).toBe('If-Match');
		});
	}
});

describe('management credentials', () => {
	test('make and see the tenants of their plan, and no others', async () => {
		const { server } = used;
		const [own, other] = [await createPlan(server), await createPlan(server)];
		const management = await createManagementKey(server, own.plan_id);
		const client = httpClient(server, { management });
		const foreign = await createTenant(server, { plan_id: other.plan_id });
		const unplanned = await createTenant(server);

		const made = bodyOf(await client.post<Tenant>('/admin/tenants', { name: 'Mine' }), 201);
		const listed = await client.get<{ tenants: Tenant[] }>('/admin/tenants');
		const intoOther = await client.post('/admin/tenants', { name: 'X', plan_id: other.plan_id });

		expect(made.plan_id).toBe(own.plan_id);
		expect(listed.body.tenants.map(({ tenant_id }) => tenant_id)).toEqual([made.tenant_id]);
		expect(intoOther.status).toBe(404);
		for (const { tenant_id } of [foreign, unplanned]) {
			expect((await client.get(`/admin/tenants/${tenant_id}`)).status).toBe(404);
		}
		expect((await client.get<{ plans: Plan[] }>('/admin/plans')).body.plans).toHaveLength(1);
	});

	test('are refused without their secret, with another one, and from the moment they are revoked', async () => {
		const { server } = used;
		const { plan_id } = await createPlan(server);
		const { key, secret } = await createManagementKey(server, plan_id);
		const other = await createManagementKey(server, plan_id);
		const statusOf = async (headers: Record<string, string>) =>
			(await httpClient(server, { headers }).get('/admin/tenants')).status;

		expect(await statusOf({ key, secret })).toBe(200);
		expect(await statusOf({ key })).toBe(401);
		expect(await statusOf({ key, secret: other.secret })).toBe(401);
		expect(await statusOf({ secret })).toBe(401);
		const revoked = await operator(server).delete(`/admin/plans/${plan_id}/management-keys/${key}`);
		expect(revoked.status).toBe(200);
		expect(await statusOf({ key, secret })).toBe(401);
		expect(await statusOf(other)).toBe(200);
	});

	test('end with their plan', async () => {
		const { server } = used;
		const { plan_id } = await createPlan(server);
		const management = await createManagementKey(server, plan_id);

		expect((await operator(server).delete(`/admin/plans/${plan_id}`)).status).toBe(200);

		expect((await httpClient(server, { management }).get('/admin/tenants')).status).toBe(401);
	});
});
