import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { createGroup, createKey, createTenant, operator } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { ApiKey, ApiKeysPage } from '../helpers/wire.ts';

const used = useServer();

describe('POST /admin/tenants/{tenant_id}/api-keys', () => {
	test('answers 201 with a key that acts in this tenant only, told this once', async () => {
		const tenant = await createTenant(used.server);
		const other = await createTenant(used.server);

		const key = await createKey(tenant, ['rooms:*', 'messages:read'], { name: 'Production' });

		expect(key).toMatchObject({
			name: 'Production',
			permissions: ['rooms:*', 'messages:read'],
			expires_at: null,
		});
		expect(key.key_id).toMatch(/^key_[0-9a-z]{26}$/);
		expect(key.api_key).toStartWith(key.prefix);
		const room = await createGroup(tenant, 'alice');
		const foreign = await createGroup(other, 'alice');
		const client = httpClient(used.server, { key: key.api_key, user: 'alice' });
		expect((await client.get(`/rooms/${room.room_id}`)).status).toBe(200);
		expect((await client.get(`/rooms/${foreign.room_id}`)).status).toBe(404);
	});

	test('an unknown permission is refused with the list of the known ones', async () => {
		const tenant = await createTenant(used.server);
		const answer = await operator(used.server).post(`/admin/tenants/${tenant.tenant_id}/api-keys`, {
			name: 'k',
			permissions: ['rooms:read', 'rooms:destroy'],
		});

		expect(answer.status).toBe(400);
		const error = errorOf(answer);
		expect(error).toMatchObject({ code: 'VALIDATION_ERROR', field: '/permissions/1' });
		for (const known of ['rooms:read', 'usage:read', 'messages:*', 'full_access', 'auth_only']) {
			expect(error.message).toContain(known);
		}
		expect(error.message).not.toContain('rooms:destroy');
		expect(await keysOf(tenant.tenant_id)).toHaveLength(1);
	});

	for (const [claim, body, field] of [
		['no name', { permissions: ['*'] }, 'name'],
		['no permissions', { name: 'k' }, 'permissions'],
		['an empty list of permissions', { name: 'k', permissions: [] }, 'permissions'],
		['an unknown field', { name: 'k', permissions: ['*'], scopes: [] }, 'scopes'],
		['a time that is none', { name: 'k', permissions: ['*'], expires_at: 'soon' }, 'expires_at'],
		[
			'a date that no calendar has',
			{ name: 'k', permissions: ['*'], expires_at: '2090-02-31T00:00:00Z' },
			'expires_at',
		],
		[
			'a time in the past',
			{ name: 'k', permissions: ['*'], expires_at: '2020-01-01T00:00:00Z' },
			'expires_at',
		],
	] as const) {
		test(`refuses ${claim} by name`, async () => {
			const tenant = await createTenant(used.server);
			const answer = await operator(used.server).post(
				`/admin/tenants/${tenant.tenant_id}/api-keys`,
				body,
			);

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
		});
	}

	test('a tenant has at most 100, whoever makes them; what is revoked does not count', async () => {
		const tenant = await createTenant(used.server, { rate_limit: { requests_per_second: 1000 } });
		const path = `/admin/tenants/${tenant.tenant_id}/api-keys`;
		const body = { name: 'k', permissions: ['send'] };
		const make = () => operator(used.server).post<ApiKey>(path, body);
		const made = await Promise.all(Array.from({ length: 104 }, make));

		const refused = made.filter(({ status }) => status !== 201);
		expect(refused.map(errorOf).map(({ code }) => code)).toEqual(Array(5).fill('CONFLICT'));
		const own = await tenant.as().post('/api-keys', body);
		expect(errorOf(own)).toMatchObject({ code: 'CONFLICT', message: expect.stringMatching(/100/) });
		const { key_id } = bodyOf(made.find(({ status }) => status === 201) ?? own, 201) as ApiKey;
		bodyOf(await operator(used.server).delete(`${path}/${key_id}`), 200);
		expect((await tenant.as().post('/api-keys', body)).status).toBe(201);
		expect((await make()).status).toBe(409);
	});

	test('a tenant that does not exist gets no key', async () => {
		const missing = `tenant_${'0'.repeat(26)}`;
		const answer = await operator(used.server).post(`/admin/tenants/${missing}/api-keys`, {
			name: 'k',
			permissions: ['*'],
		});

		expect(answer.status).toBe(404);
		expect(errorOf(answer).code).toBe('NOT_FOUND');
	});
});

describe('GET /admin/tenants/{tenant_id}/api-keys', () => {
	test('lists the first key, named default, and the others, without a secret', async () => {
		const tenant = await createTenant(used.server);
		const second = await createKey(tenant, ['read_only'], { name: 'second' });

		const answer = await operator(used.server).get<ApiKeysPage>(
			`/admin/tenants/${tenant.tenant_id}/api-keys`,
		);

		const byName = new Map(bodyOf(answer, 200).api_keys.map((key) => [key.name, key]));
		expect([...byName.keys()].sort()).toEqual(['default', 'second']);
		expect(byName.get('default')?.permissions).toEqual(['full_access']);
		expect(byName.get('second')).toMatchObject({
			key_id: second.key_id,
			prefix: second.api_key.slice(0, second.prefix.length),
			permissions: ['read_only'],
		});
		for (const { api_key } of [tenant, second]) expect(answer.text).not.toContain(api_key);
		expect(answer.text).not.toContain('hash');
	});

	test('gives each key once over its pages', async () => {
		const tenant = await createTenant(used.server);
		for (let index = 0; index < 4; index++) await createKey(tenant, ['*'], { name: `k${index}` });

		const names: string[] = [];
		let cursor: string | null = null;
		do {
			const rest: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
			const answer = await operator(used.server).get<ApiKeysPage>(
				`/admin/tenants/${tenant.tenant_id}/api-keys?limit=2${rest}`,
			);
			const page: ApiKeysPage = bodyOf(answer, 200);
			expect(page.api_keys.length).toBeLessThanOrEqual(2);
			names.push(...page.api_keys.map(({ name }) => name));
			cursor = page.next_cursor;
		} while (cursor !== null && names.length < 100);

		expect(names.sort()).toEqual(['default', 'k0', 'k1', 'k2', 'k3']);
	});

	test('of a tenant that does not exist is 404', async () => {
		const missing = `tenant_${'0'.repeat(26)}`;
		const answer = await operator(used.server).get(`/admin/tenants/${missing}/api-keys`);

		expect(answer.status).toBe(404);
	});
});

describe('DELETE /admin/tenants/{tenant_id}/api-keys/{key_id}', () => {
	test('the very next request with the key is 401, and its sockets close with 4501 within a second', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['*']);
		const socket = await tenant.socket('alice', { headers: { 'X-API-Key': key.api_key } });
		const bystander = await tenant.socket('alice');
		const client = httpClient(used.server, { key: key.api_key, user: 'alice' });
		expect((await client.get('/rooms')).status).toBe(200);

		const revoked = await operator(used.server).delete(
			`/admin/tenants/${tenant.tenant_id}/api-keys/${key.key_id}`,
		);
		const next = await client.get('/rooms');

		expect(revoked.status).toBeLessThan(300);
		expect(next.status).toBe(401);
		expect(errorOf(next)).toMatchObject({
			code: 'AUTHENTICATION_ERROR',
			message: 'Invalid API key',
		});
		expect((await within(socket.closed, 'the socket to close', 1_000)).code).toBe(4501);
		await bystander.settle();
		expect((await tenant.as('alice').get('/rooms')).status).toBe(200);
		await bystander.close();
	});

	test('a revoked key opens no socket, and is gone from the list', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['*']);

		await operator(used.server).delete(`/admin/tenants/${tenant.tenant_id}/api-keys/${key.key_id}`);

		const opening = tenant.socket('alice', { headers: { 'X-API-Key': key.api_key } });
		await expect(opening).rejects.toThrow('closed before');
		const listed = await keysOf(tenant.tenant_id);
		expect(listed.map(({ key_id }) => key_id)).not.toContain(key.key_id);
	});

	test('is 404 the second time, and for a key of another tenant, which goes on working', async () => {
		const tenant = await createTenant(used.server);
		const other = await createTenant(used.server);
		const key = await createKey(tenant, ['*']);
		const path = (owner: string) => `/admin/tenants/${owner}/api-keys/${key.key_id}`;

		const foreign = await operator(used.server).delete(path(other.tenant_id));
		const client = httpClient(used.server, { key: key.api_key, user: 'alice' });
		const still = await client.get('/rooms');
		await operator(used.server).delete(path(tenant.tenant_id));
		const again = await operator(used.server).delete(path(tenant.tenant_id));

		expect(foreign.status).toBe(404);
		expect(still.status).toBe(200);
		expect(again.status).toBe(404);
	});
});

describe('what a key may do', () => {
	test('a key past its expiry is 401 without anybody revoking it, and its sockets close', async () => {
		const tenant = await createTenant(used.server);
		const expires_at = new Date(Date.now() + 1_500).toISOString();
		const key = await createKey(tenant, ['*'], { expires_at });
		const client = httpClient(used.server, { key: key.api_key, user: 'alice' });
		const socket = await tenant.socket('alice', { headers: { 'X-API-Key': key.api_key } });

		const before = await client.get('/rooms');
		const after = await eventually(async () => {
			const answer = await client.get('/rooms');
			return answer.status === 401 ? answer : undefined;
		});

		expect(key.expires_at).toBe(expires_at);
		expect(before.status).toBe(200);
		expect(errorOf(after).message).toBe('Invalid API key');
		expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expires_at));
		expect((await within(socket.closed, 'the socket to close', 1_000)).code).toBe(4501);
	});

	/** What a preset opens, as status by request; the room has a message that may be acked. */
	const REQUESTS: Record<string, [method: string, path: (room: string) => string, body?: object]> =
		{
			'rooms:read': ['GET', (room) => `/rooms/${room}`],
			'rooms:write': ['PATCH', (room) => `/rooms/${room}`, { name: 'Renamed' }],
			'members:write': ['DELETE', (room) => `/rooms/${room}/members/carol`],
			'messages:read': ['GET', (room) => `/rooms/${room}/messages`],
			'messages:write': ['POST', (room) => `/rooms/${room}/messages`, { content: 'hi' }],
		};
	const everything = Object.keys(REQUESTS);

	for (const [grants, allowed] of [
		[['full_access'], everything],
		[['*'], everything],
		[['read_only'], ['rooms:read', 'messages:read']],
		[['send'], ['rooms:read', 'messages:write']],
		[['auth_only'], []],
		[['messages:*'], ['messages:read', 'messages:write']],
		[['rooms:read'], ['rooms:read']],
		[['usage:read'], []],
	] as const) {
		test(`a key with ${grants} may do ${allowed.join(', ') || 'none of these'}, and is told what it lacks`, async () => {
			const tenant = await createTenant(used.server);
			const room = await createGroup(tenant, 'alice', ['carol']);
			const key = await createKey(tenant, grants);
			const client = httpClient(used.server, { key: key.api_key, user: 'alice' });

			for (const [permission, [method, path, body]] of Object.entries(REQUESTS)) {
				const answer = await client.call(method, path(room.room_id), { body });

				if ((allowed as readonly string[]).includes(permission)) {
					expect({ permission, status: answer.status < 300 }).toEqual({ permission, status: true });
				} else {
					const error = errorOf(answer);
					expect(error).toMatchObject({ code: 'AUTHORIZATION_ERROR', retryable: false });
					expect({ permission, status: answer.status }).toEqual({ permission, status: 403 });
					expect(error.message).toContain(permission);
				}
			}
		});
	}

	test('a missing permission is 403 before the body, the user or the room are looked at', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['read_only']);
		const client = httpClient(used.server, { key: key.api_key });

		const answer = await client.call('POST', '/rooms/room_nowhere/messages', { raw: '{' });

		expect(answer.status).toBe(403);
	});
});

async function keysOf(tenant_id: string): Promise<ApiKey[]> {
	const answer = await operator(used.server).get<ApiKeysPage>(
		`/admin/tenants/${tenant_id}/api-keys?limit=100`,
	);
	return bodyOf(answer, 200).api_keys;
}
