/** What a user acts with: tokens over REST and on sockets, and the pages that may show them. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { upgradeAnswer } from '../helpers/raw-http.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createKey,
	createTenant,
	createToken,
	operator,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Message, RoomsPage } from '../helpers/wire.ts';

const PAGE = 'https://app.acme.com';
const OTHER_PAGE = 'https://evil.example';

const used = useServer({ ALLOWED_ORIGINS: 'https://default.example' });

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

describe('POST /users/{user_id}/tokens', () => {
	test('answers 201 with a token that acts as that user, in this tenant', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const { room_id } = await createGroup(tenant, 'alice');
		const foreign = await createGroup(other, 'alice');

		const answer = await tenant
			.as()
			.post<{ token: string; user_id: string; expires_at: string }>('/users/alice/tokens', {
				expires_in: 3600,
			});

		const { token, user_id, expires_at } = bodyOf(answer, 201);
		expect(token).toMatch(/^ut_[0-9A-Za-z]{45}$/);
		expect(user_id).toBe('alice');
		const leftMs = Date.parse(expires_at) - Date.now();
		expect(leftMs).toBeWithin(3_590_000, 3_600_001);
		const client = withToken(used.server, token);
		const sent = await client.post<Message>(`/rooms/${room_id}/messages`, { content: 'hi' });
		expect(bodyOf(sent, 201)).toMatchObject({ sender_id: 'alice', kind: 'user' });
		expect((await client.get<RoomsPage>('/rooms')).body.rooms).toHaveLength(1);
		expect((await client.get(`/rooms/${foreign.room_id}`)).status).toBe(404);
		expect((await client.get('/rooms', { 'X-User-Id': 'alice' })).status).toBe(200);
	});

	for (const [claim, body, field] of [
		['no time at all', { expires_in: 0 }, 'expires_in'],
		['more than 30 days', { expires_in: 2_592_001 }, 'expires_in'],
		['half a second', { expires_in: 0.5 }, 'expires_in'],
		['a text', { expires_in: '60' }, 'expires_in'],
		['an unknown field', { permissions: ['*'] }, 'permissions'],
	] as const) {
		test(`refuses ${claim} by name`, async () => {
			const tenant = await createTenant(used.server);
			const answer = await tenant.as().post('/users/alice/tokens', body);

			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
		});
	}

	test('a key that may only mint makes a token that may more than the key', async () => {
		const tenant = await createTenant(used.server);
		const { api_key } = await createKey(tenant, ['auth_only']);
		const minter = httpClient(used.server, { key: api_key });
		const answer = await minter.post<{ token: string }>('/users/alice/tokens');

		const client = withToken(used.server, bodyOf(answer, 201).token);

		expect((await minter.get('/rooms', { 'X-User-Id': 'alice' })).status).toBe(403);
		expect((await client.post('/rooms', { type: 'group' })).status).toBe(201);
		expect((await client.get('/events')).status).toBe(403);
		expect((await client.post('/users/bob/tokens')).status).toBe(403);
		expect((await client.get('/admin/tenants')).status).toBe(401);
	});
});

describe('a user token', () => {
	test('acts as nobody else: another X-User-Id is refused', async () => {
		const tenant = await createTenant(used.server);
		const client = withToken(used.server, await createToken(tenant, 'alice'));

		for (const user of ['bob', 'Alice', 'alice,alice']) {
			const answer = await client.get('/rooms', { 'X-User-Id': user });

			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'X-User-Id' });
		}
	});

	test('opens a socket, as its user only, which closes when it ends', async () => {
		const tenant = await createTenant(used.server);
		const token = await createToken(tenant, 'alice', { expires_in: 2 });
		const socket = await openSocket(used.server, { headers: bearer(token) });
		const asBob = await upgradeAnswer(used.server, { ...bearer(token), 'X-User-Id': 'bob' });
		const byQuery = await upgradeAnswer(used.server, {}, `/ws?token=${token}`);

		expect(socket.connected.user_id).toBe('alice');
		expect([asBob.status, byQuery.status]).toEqual([400, 401]);
		expect((await within(socket.closed, 'the token to end', 5_000)).code).toBe(4501);
		const client = withToken(used.server, token);
		const after = await eventually(async () => {
			const answer = await client.get('/rooms');
			return answer.status === 401 && answer;
		});
		expect(errorOf(after).message).toBe('Invalid or expired token');
	});

	test('ends with the key that made it: the next request is 401, its sockets close', async () => {
		const tenant = await createTenant(used.server);
		const { api_key, key_id } = await createKey(tenant, ['auth_only']);
		const minter = httpClient(used.server, { key: api_key });
		const made = await minter.post<{ token: string }>('/users/alice/tokens');
		const { token } = bodyOf(made, 201);
		const socket = await openSocket(used.server, { headers: bearer(token) });

		await operator(used.server).delete(`/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`);
		const next = await withToken(used.server, token).get('/rooms');

		expect(next.status).toBe(401);
		expect((await within(socket.closed, 'the socket to close', 1_000)).code).toBe(4501);
	});

	test('with a letter more or less is 401', async () => {
		const token = await createToken(await createTenant(used.server), 'alice');

		for (const bad of [`${token}x`, token.slice(0, -1), 'ut_', `ut_${'0'.repeat(45)}`]) {
			const answer = await withToken(used.server, bad).get('/rooms');

			expect([answer.status, errorOf(answer).message]).toEqual([401, 'Invalid or expired token']);
		}
	});
});

/** The headers of an answer that are about pages. */
const corsOf = ({ headers }: { headers: Headers }) => ({
	origin: headers.get('Access-Control-Allow-Origin'),
	varies: (headers.get('Vary') ?? '').includes('Origin'),
});

describe('a page with a user token', () => {
	const withOrigins = (origins: readonly string[] | null) =>
		createTenant(used.server, { allowed_origins: origins });

	test('may read answers and errors when its origin is the tenant’s, exactly', async () => {
		const tenant = await withOrigins([PAGE]);
		const client = withToken(used.server, await createToken(tenant, 'alice'));

		const [good, missing] = [
			await client.get('/rooms', { Origin: PAGE }),
			await client.get(`/rooms/room_${'0'.repeat(26)}`, { Origin: PAGE }),
		];

		expect([good.status, missing.status]).toEqual([200, 404]);
		for (const answer of [good, missing]) {
			expect(corsOf(answer)).toEqual({ origin: PAGE, varies: true });
			expect(answer.headers.get('Access-Control-Expose-Headers')).toContain('X-Request-Id');
			expect(answer.headers.has('Access-Control-Allow-Credentials')).toBeFalse();
		}
	});

	test('is refused with any other origin, can read nothing, and changes nothing', async () => {
		const tenant = await withOrigins([PAGE]);
		const client = withToken(used.server, await createToken(tenant, 'alice'));

		for (const origin of [
			OTHER_PAGE,
			'null',
			`${PAGE}.evil.example`,
			`${PAGE}:443`,
			`${PAGE}/`,
			'http://app.acme.com',
			'https://APP.acme.com',
			'https://default.example',
		]) {
			const answer = await client.post('/rooms', { type: 'group' }, { Origin: origin });

			expect({ from: origin, ...corsOf(answer), status: answer.status }).toEqual({
				from: origin,
				origin: null,
				varies: true,
				status: 403,
			});
			expect(errorOf(answer).field).toBe('Origin');
		}
		expect((await client.get<RoomsPage>('/rooms')).body.rooms).toEqual([]);
	});

	test('of a tenant without origins needs one of the server’s', async () => {
		const tenant = await withOrigins(null);
		const client = withToken(used.server, await createToken(tenant, 'alice'));

		const good = await client.get('/rooms', { Origin: 'https://default.example' });
		const bad = await client.get('/rooms', { Origin: PAGE });

		expect([good.status, bad.status]).toEqual([200, 403]);
		expect(corsOf(good).origin).toBe('https://default.example');
	});

	test('may read that its token is no longer good', async () => {
		const tenant = await withOrigins([PAGE]);
		const token = await createToken(tenant, 'alice');
		await tenant.as().post('/users/alice/revoke');

		const answer = await withToken(used.server, token).get('/rooms', { Origin: PAGE });

		expect(answer.status).toBe(401);
		expect(corsOf(answer)).toEqual({ origin: PAGE, varies: true });
	});

	test('with an API key, or the master key, may read nothing', async () => {
		const tenant = await withOrigins([PAGE]);
		for (const headers of [
			{ 'X-API-Key': tenant.api_key, 'X-User-Id': 'alice' },
			{ ...bearer(tenant.api_key), 'X-User-Id': 'alice' },
			{ 'X-Master-Key': used.server.masterKey },
		]) {
			const path = 'X-Master-Key' in headers ? '/admin/tenants' : '/rooms';
			const answer = await httpClient(used.server, { headers }).get(path, { Origin: PAGE });

			expect([answer.status, corsOf(answer).origin]).toEqual([200, null]);
		}
	});

	test('asks first, and is answered alike from everywhere', async () => {
		const preflight = (path: string, origin: string, method = 'POST') =>
			fetch(used.server.url + path, {
				method: 'OPTIONS',
				headers: { Origin: origin, 'Access-Control-Request-Method': method },
			});

		for (const path of ['/rooms', '/v1/rooms', `/rooms/room_${'0'.repeat(26)}/messages`]) {
			const answers = [await preflight(path, PAGE), await preflight(path, OTHER_PAGE)];
			for (const [index, answer] of answers.entries()) {
				expect(answer.status).toBe(204);
				expect(corsOf(answer)).toEqual({ origin: [PAGE, OTHER_PAGE][index] ?? '', varies: true });
				expect(answer.headers.get('Access-Control-Allow-Methods')).toBe('POST, GET');
				const allowed = answer.headers.get('Access-Control-Allow-Headers') ?? '';
				expect(allowed).toContain('Authorization');
				expect(allowed).not.toMatch(/key/i);
				expect(answer.headers.get('X-Request-Id')).toMatch(/^req_/);
			}
		}
		for (const path of [
			'/admin/tenants',
			'/v1/tenants',
			'/metrics',
			'/health',
			'/nowhere',
			'/ws',
		]) {
			const answer = await preflight(path, PAGE);

			expect({ path, ...corsOf(answer) }).toMatchObject({ path, origin: null });
			expect(answer.status).toBeOneOf([404, 405]);
		}
		const plain = await fetch(`${used.server.url}/rooms`, { method: 'OPTIONS' });
		expect(plain.status).toBe(405);
	});
});
