import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { openApiOf } from '../helpers/openapi.ts';
import { exchange, requestText } from '../helpers/raw-http.ts';
import { createGroup, createTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Room } from '../helpers/wire.ts';

const used = useServer();

describe('a route that does not exist', () => {
	for (const path of [
		'/',
		'/nowhere',
		'/admin',
		'/admin/nowhere',
		'/rooms/room_x/nowhere',
		'/v1/nowhere',
		'/v1/v1/rooms',
		'/v2/rooms',
		'/ROOMS',
		'/rooms/room_x/messages/msg_x/more',
		'/tenants',
	]) {
		test(`${path} is 404 for everybody`, async () => {
			const tenant = await createTenant(used.server);
			for (const client of [httpClient(used.server), tenant.as('alice'), tenant.as()]) {
				for (const method of ['GET', 'POST', 'DELETE']) {
					const answer = await client.call(method, path);

					expect({ method, status: answer.status }).toEqual({ method, status: 404 });
					expect(errorOf(answer).code).toBe('NOT_FOUND');
				}
			}
		});
	}
});

describe('a method that a route does not have', () => {
	test('is 405 with Allow, for everybody, on every path of the document', async () => {
		const { operations } = await openApiOf(used.server.url);
		const methodsOf = Map.groupBy(operations, ({ path }) => path);
		expect(methodsOf.size).toBeGreaterThan(10);

		for (const [path, declared] of methodsOf) {
			const known = new Set(declared.map(({ method }) => method));
			const concrete = path.replace('{tenant_id}', 'tenant_x').replace(/\{\w+\}/g, 'room_x');
			if (known.has('GET')) known.add('HEAD');
			for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
				if (known.has(method)) continue;
				const answer = await httpClient(used.server).call(method, concrete, { isChecked: false });

				expect({ method, path, status: answer.status }).toEqual({ method, path, status: 405 });
				// To HEAD there is no body.
				const error = method === 'HEAD' ? undefined : errorOf(answer);
				if (error !== undefined) {
					expect(error).toMatchObject({ code: 'METHOD_NOT_ALLOWED', retryable: false });
				}
				const allowed = answer.headers.get('Allow')?.split(/, */) ?? [];
				expect(new Set(allowed).size).toBe(allowed.length);
				expect(allowed.sort()).toEqual([...known].sort());
			}
		}
	});

	test('is none for HEAD where there is GET: it is answered as GET is, without a body', async () => {
		const { operations } = await openApiOf(used.server.url);
		for (const { method, path } of operations) {
			if (method !== 'GET') continue;
			const concrete = path.replace(/\{\w+\}/g, 'x');
			const plain = await httpClient(used.server).call('GET', concrete, { isChecked: false });
			const head = await httpClient(used.server).call('HEAD', concrete, { isChecked: false });

			expect({ path, status: head.status, text: head.text }).toEqual({
				...{ path, status: plain.status, text: '' },
			});
		}
	});
});

describe('the same route under another path', () => {
	test('every path of the document is there under /v1 too', async () => {
		const { operations } = await openApiOf(used.server.url);
		for (const { method, path } of operations) {
			const concrete = path.replace(/\{\w+\}/g, 'x');
			const plain = await httpClient(used.server).call(method, concrete);
			const prefixed = await httpClient(used.server).call(method, `/v1${concrete}`);

			expect({ path, status: prefixed.status }).toEqual({ path, status: plain.status });
			expect(prefixed.status).not.toBe(405);
		}
	});

	test('a room made under one is there under the other', async () => {
		const tenant = await createTenant(used.server);
		const answer = await tenant.as('alice').post<Room>('/v1/rooms', { type: 'group' });
		const { room_id } = bodyOf(answer, 201);

		expect((await tenant.as('alice').get(`/rooms/${room_id}`)).status).toBe(200);
		expect((await tenant.as('alice').get(`/v1/rooms/${room_id}`)).status).toBe(200);
		const socket = await tenant.socket('alice', { headers: {} });
		await socket.close();
	});
});

describe('the Host header', () => {
	for (const host of ['x', 'api', 'a.b', 'chat.example:8080', '[::1]:80', '127.0.0.1']) {
		test(`${host} routes as any other`, async () => {
			const tenant = await createTenant(used.server);
			const headers = { Host: host, 'X-API-Key': tenant.api_key, 'X-User-Id': 'alice' };
			const ask = (line: string) => exchange(used.server, requestText(used.server, line, headers));

			expect((await ask('GET /health')).status).toBe(200);
			expect((await ask('GET /rooms')).status).toBe(200);
			expect((await ask('GET /nowhere')).status).toBe(404);
			expect((await ask('DELETE /rooms')).status).toBe(405);
		});

		test(`${host} leads no path past its guard`, async () => {
			const { masterKey } = used.server;
			for (const path of [
				'/zzz/admin/tenants',
				'/z/admin/tenants',
				'//admin/tenants',
				'/x/health',
			]) {
				const answer = await exchange(
					used.server,
					requestText(used.server, `GET ${path}`, { Host: host, 'X-Master-Key': masterKey }),
				);
				expect({ path, status: answer.status }).toEqual({ path, status: 404 });
			}
		});
	}
});

describe('a Host that is no host', () => {
	for (const host of ['', 'a b', 'a/b', '@', '[::1', 'x:99999', '%zz', '\u00e9']) {
		test(`${JSON.stringify(host)} is an answer as any other, and no defect`, async () => {
			const tenant = await createTenant(used.server);
			const headers = { Host: host, 'X-API-Key': tenant.api_key, 'X-User-Id': 'alice' };
			for (const path of ['/nowhere', '/rooms', '/rooms?limit=0', '/ws', '/v1/ws?x=1', '/health']) {
				const answer = await exchange(
					used.server,
					requestText(used.server, `GET ${path}`, headers),
				);

				expect({ path, isDefect: answer.status >= 500 }).toEqual({ path, isDefect: false });
				if (answer.status >= 400) errorOf(answer);
			}
		});
	}
});

describe('the tenant key', () => {
	test('counts as X-API-Key and as bearer; the messages name what is wrong', async () => {
		const { api_key } = await createTenant(used.server);
		const ask = (headers: Record<string, string>) =>
			httpClient(used.server, { headers, user: 'alice' }).get('/rooms');
		const messageOf = async (headers: Record<string, string>) => {
			const answer = await ask(headers);
			return [answer.status, errorOf(answer).code, errorOf(answer).message];
		};
		const code = 'AUTHENTICATION_ERROR';

		expect((await ask({ 'X-API-Key': api_key })).status).toBe(200);
		expect((await ask({ Authorization: `Bearer ${api_key}` })).status).toBe(200);
		expect((await ask({ Authorization: `bearer ${api_key}` })).status).toBe(200);
		expect(await messageOf({})).toEqual([401, code, 'Missing X-API-Key header']);
		for (const key of ['sk_x', 'x', `${api_key}x`, api_key.slice(0, -1), flipped(api_key)]) {
			expect(await messageOf({ 'X-API-Key': key })).toEqual([401, code, 'Invalid API key']);
			expect(await messageOf({ Authorization: `Bearer ${key}` })).toEqual([
				401,
				code,
				'Invalid API key',
			]);
		}
		expect((await ask({ Authorization: `Basic ${btoa(`x:${api_key}`)}` })).status).toBe(401);
	});

	test('of a tenant does not act without a user where one is needed, nor as one that is none', async () => {
		const tenant = await createTenant(used.server);
		for (const [user, message] of [
			[undefined, 'Missing X-User-Id header'],
			['', undefined],
			['no blanks', undefined],
			['x'.repeat(129), undefined],
			['a/b', undefined],
		] as const) {
			const answer = await tenant.as(user).get('/rooms');

			expect({ user, status: answer.status }).toEqual({ user, status: 400 });
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'X-User-Id' });
			if (message !== undefined) expect(errorOf(answer).message).toBe(message);
		}
	});

	test('that is sent twice, and differs, is refused', async () => {
		const first = await createTenant(used.server);
		const second = await createTenant(used.server);
		const host = new URL(used.server.url).host;
		const request = (name: string, one: string, two: string) =>
			`GET /rooms HTTP/1.1\r\nHost: ${host}\r\n${name}: ${one}\r\n${name}: ${two}\r\n`;

		const keys = await exchange(
			used.server,
			`${request('X-API-Key', first.api_key, second.api_key)}X-User-Id: alice\r\n\r\n`,
		);
		const users = await exchange(
			used.server,
			`${request('X-User-Id', 'alice', 'bob')}X-API-Key: ${first.api_key}\r\n\r\n`,
		);

		expect(keys.status).toBe(401);
		expect(users.status).toBe(400);
		expect(errorOf(users).field).toBe('X-User-Id');
	});
});

test('two tenants do not see each other through the same ids', async () => {
	const [one, two] = [await createTenant(used.server), await createTenant(used.server)];
	const mine = await createGroup(one, 'alice', ['bob'], { name: 'Same' });

	expect((await two.as('alice').get(`/rooms/${mine.room_id}`)).status).toBe(404);
	expect((await two.as().get(`/rooms/${mine.room_id}`)).status).toBe(404);
	expect(bodyOf(await two.as('alice').get<{ rooms: Room[] }>('/rooms'), 200).rooms).toEqual([]);
});

/** The key with one letter of its secret changed: its checksum no longer fits. */
function flipped(key: string): string {
	const letter = key[20] === 'a' ? 'b' : 'a';
	return key.slice(0, 20) + letter + key.slice(21);
}
