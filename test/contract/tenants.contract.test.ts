import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { createTenant, operator } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Tenant, TenantsPage } from '../helpers/wire.ts';

const used = useServer();
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('POST /admin/tenants', () => {
	test('answers 201 with the tenant and its first key, which works at once', async () => {
		const answer = await operator(used.server).post<Tenant>('/admin/tenants', {
			name: 'MyCompany',
			domain: 'my.example',
			metadata: { region: 'eu' },
			rate_limit: { requests_per_second: 50, burst: 75 },
			allowed_origins: ['https://my.example'],
		});

		const tenant = bodyOf(answer, 201);
		expect(tenant).toMatchObject({
			name: 'MyCompany',
			domain: 'my.example',
			metadata: { region: 'eu' },
			rate_limit: { requests_per_second: 50, burst: 75 },
			allowed_origins: ['https://my.example'],
			status: 'active',
		});
		expect(tenant.tenant_id).toMatch(/^tenant_[0-9a-z]{26}$/);
		expect(tenant.id).toBe(tenant.tenant_id);
		expect(tenant.api_key).toMatch(/^sk_[0-9A-Za-z]{45}$/);
		expect(tenant.created_at).toMatch(TIME);
		expect(tenant.updated_at).toMatch(TIME);
		const rooms = await httpClient(used.server, { key: tenant.api_key ?? '', user: 'al' }).get(
			'/rooms',
		);
		expect(rooms.status).toBe(200);
	});

	test('needs only a name, and makes two tenants of two requests with the same one', async () => {
		const first = await createTenant(used.server, { name: 'Twin' });
		const second = await createTenant(used.server, { name: 'Twin' });

		expect(first.tenant_id).not.toBe(second.tenant_id);
		expect(first.api_key).not.toBe(second.api_key);
	});

	for (const [claim, body, field] of [
		['no name', {}, 'name'],
		['an empty name', { name: '' }, 'name'],
		['a name that is no text', { name: 7 }, 'name'],
		['a name of 129 characters', { name: 'x'.repeat(129) }, 'name'],
		['a name with a control character', { name: 'a\u0007b' }, 'name'],
		['a name that turns the reading direction', { name: 'a\u202eb' }, 'name'],
		['an unknown field', { name: 'A', nmae: 'B' }, 'nmae'],
		['an unknown setting', { name: 'A', settings: { colour: 'red' } }, '/settings/colour'],
		['a plan id that is none', { name: 'A', plan_id: 'x' }, 'plan_id'],
		['a field that only the server writes', { name: 'A', status: 'active' }, 'status'],
		[
			'an unknown member of rate_limit',
			{ name: 'A', rate_limit: { requests_per_hour: 1 } },
			'/rate_limit/requests_per_hour',
		],
		[
			'a rate limit below zero',
			{ name: 'A', rate_limit: { requests_per_second: -1 } },
			'/rate_limit/requests_per_second',
		],
		[
			'origins that are no list',
			{ name: 'A', allowed_origins: 'https://a.example' },
			'allowed_origins',
		],
	] as const) {
		test(`refuses ${claim} by name, and makes no tenant`, async () => {
			const client = operator(used.server);
			const before = await countTenants();

			const answer = await client.post('/admin/tenants', body);

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field, retryable: false });
			expect(await countTenants()).toBe(before);
		});
	}
});

describe('who may use /admin', () => {
	const kinds = async (): Promise<[string, Record<string, string>][]> => {
		const { api_key } = await createTenant(used.server);
		return [
			['nobody', {}],
			['a wrong master key', { 'X-Master-Key': 'x'.repeat(64) }],
			['an empty master key', { 'X-Master-Key': '' }],
			['a tenant key', { 'X-API-Key': api_key }],
			['a tenant key in the master header', { 'X-Master-Key': api_key }],
			['a tenant key as bearer', { Authorization: `Bearer ${api_key}` }],
			['the master key in the tenant header', { 'X-API-Key': used.server.masterKey }],
			['the master key without its last character', cut(used.server.masterKey)],
		];
	};
	const cut = (key: string) => ({ 'X-Master-Key': key.slice(0, -1) });

	test('everyone without the master key gets 401 Unauthorized, before the body is looked at', async () => {
		for (const [who, headers] of await kinds()) {
			const answer = await httpClient(used.server, { headers }).post('/admin/tenants', { nope: 1 });

			expect({ who, status: answer.status, ...errorOf(answer) }).toMatchObject({
				who,
				status: 401,
				code: 'AUTHENTICATION_ERROR',
				message: 'Unauthorized',
			});
		}
	});

	test('the master key counts as X-Master-Key and as bearer, on both paths', async () => {
		const { masterKey } = used.server;
		for (const headers of [
			{ 'X-Master-Key': masterKey },
			{ Authorization: `Bearer ${masterKey}` },
			{ authorization: `bearer ${masterKey}` },
		]) {
			for (const path of ['/admin/tenants', '/v1/admin/tenants', '/v1/tenants']) {
				const answer = await httpClient(used.server, { headers }).post<Tenant>(path, { name: 'A' });
				expect({ path, status: answer.status }).toEqual({ path, status: 201 });
			}
		}
	});

	test('the master key opens nothing of a tenant', async () => {
		const { masterKey } = used.server;
		for (const headers of [
			{ 'X-API-Key': masterKey },
			{ 'X-Master-Key': masterKey },
			{ Authorization: `Bearer ${masterKey}` },
		]) {
			const client = httpClient(used.server, { headers, user: 'alice' });
			expect((await client.get('/rooms')).status).toBe(401);
		}
	});
});

describe('GET /admin/tenants', () => {
	test('gives each tenant once over its pages, and never a secret', async () => {
		const made = [];
		for (let index = 0; index < 5; index++) {
			made.push(await createTenant(used.server, { name: `Paged ${index}` }));
		}

		const pages = await pagesOfTenants(2);

		const listed = pages.flatMap(({ body }) => body.tenants.map(({ tenant_id }) => tenant_id));
		expect(new Set(listed).size).toBe(listed.length);
		for (const { tenant_id } of made) expect(listed).toContain(tenant_id);
		expect(Math.max(...pages.map(({ body }) => body.tenants.length))).toBe(2);
		for (const { text } of pages) {
			expect(text).not.toContain('sk_');
			expect(text).not.toContain('api_key');
			expect(text).not.toContain('hash');
		}
	});

	test('a tenant made between two pages moves nothing out of sight', async () => {
		const client = operator(used.server);
		const first = bodyOf(await client.get<TenantsPage>('/admin/tenants?limit=2'), 200);
		const all = (await pagesOfTenants(100)).flatMap(({ body }) => body.tenants);

		await createTenant(used.server, { name: 'Between' });
		const rest = await pagesOfTenants(2, first.next_cursor);

		const seen = new Set(
			[...first.tenants, ...rest.flatMap(({ body }) => body.tenants)].map((each) => each.tenant_id),
		);
		for (const { tenant_id } of all) expect(seen.has(tenant_id)).toBe(true);
	});

	for (const [query, field] of [
		['limit=0', 'limit'],
		['limit=101', 'limit'],
		['limit=ten', 'limit'],
		['limit=1.5', 'limit'],
		['limit=', 'limit'],
		['cursor=%20', 'cursor'],
		['sort=name', 'sort'],
	] as const) {
		test(`refuses ?${query} by name`, async () => {
			const answer = await operator(used.server).get(`/admin/tenants?${query}`);

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
		});
	}
});

describe('GET /admin/tenants/{tenant_id}', () => {
	test('gives what was made, without its key', async () => {
		const client = operator(used.server);
		const { api_key, ...made } = bodyOf(
			await client.post<Tenant>('/admin/tenants', { name: 'One', metadata: ['any', { json: 1 }] }),
			201,
		);

		const answer = await client.get<Tenant>(`/admin/tenants/${made.tenant_id}`);

		expect(bodyOf(answer, 200)).toEqual(made);
		expect(answer.text).not.toContain(api_key ?? 'sk_');
	});

	test('one that does not exist is 404', async () => {
		const missing = `tenant_${'0'.repeat(26)}`;
		const answer = await operator(used.server).get(`/admin/tenants/${missing}`);

		expect(answer.status).toBe(404);
		expect(errorOf(answer).code).toBe('NOT_FOUND');
	});
});

async function pagesOfTenants(limit: number, from: string | null = null) {
	const client = operator(used.server);
	const pages = [];
	let cursor = from;
	do {
		const rest = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
		const page = await client.get<TenantsPage>(`/admin/tenants?limit=${limit}${rest}`);
		cursor = bodyOf(page, 200).next_cursor;
		pages.push(page);
	} while (cursor !== null && pages.length < 1_000);
	return pages;
}

const countTenants = async () =>
	(await pagesOfTenants(100)).reduce((count, { body }) => count + body.tenants.length, 0);
