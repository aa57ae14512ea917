/** docs/protocol.md, "Opening a socket": credentials, origins, tickets, tokens, and refusals. */
import { describe, expect, test } from 'bun:test';
import { errorOf, httpClient } from '../../helpers/http.ts';
import { upgradeAnswer } from '../../helpers/raw-http.ts';
import { openSocket } from '../../helpers/socket.ts';
import { testWith, useTarget } from '../../helpers/target.ts';
import {
	createGroup,
	createKey,
	createTicket,
	createToken,
	operator,
	sendMessage,
} from '../../helpers/tenants.ts';
import { within } from '../../helpers/wait.ts';

const used = useTarget();

describe('opening a socket', () => {
	test('says connected first, with who one is and where the log stands', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const last = await sendMessage(tenant, who.alice, room_id);

		const socket = await tenant.socket(who.bob);

		expect(socket.frames[0]?.type).toBe('connected');
		expect(String(socket.connected.cursor) >= last.cursor).toBe(true);
		expect(socket.connected).toMatchObject({
			user_id: who.bob,
			unread_count: 1,
			connection_id: expect.stringMatching(/^conn_[0-9a-z]{26}$/),
			heartbeat_ms: expect.any(Number),
			limits: expect.any(Object),
		});
		await socket.close();
	});

	test('tells each socket its own id, and in an empty tenant a cursor before the first event', async () => {
		const { tenant, who } = await used.stage();
		const [one, two] = [await tenant.socket(who.bob), await tenant.socket(who.bob)];

		expect(one.connected.connection_id).not.toBe(two.connected.connection_id);
		const { room_id } = await createGroup(tenant, who.bob);
		const created = await one.next('room.created');
		expect(created).toMatchObject({ room: { room_id } });
		// The client itself fails on a cursor that does not rise; this says that there was one.
		expect(one.connected.cursor).toMatch(/^[0-9a-v]{16}$/);
		await Promise.all([one.close(), two.close()]);
	});

	test('takes the key as bearer, the user in the query, and the path under /v1', async () => {
		const { tenant, who } = await used.stage();
		const bearer = { Authorization: `Bearer ${tenant.api_key}` };

		for (const options of [
			{ key: tenant.api_key, query: `user_id=${who.bob}` },
			{ headers: bearer, user: who.bob },
			{ key: tenant.api_key, user: who.bob, query: `user_id=${who.bob}` },
			{ key: tenant.api_key, user: who.bob, path: '/v1/ws' },
			{ key: tenant.api_key, query: 'user_id=a%7Cb%3Ac%40d' },
		]) {
			const socket = await openSocket(used.server, options);
			expect(socket.connected.user_id).toBe(options.query?.includes('%7C') ? 'a|b:c@d' : who.bob);
			await socket.close();
		}
	});

	test('is refused as an ordinary request is, before any upgrade', async () => {
		const { tenant, who } = await used.stage();
		const key = { 'X-API-Key': tenant.api_key };
		const user = { 'X-User-Id': who.bob };

		for (const [claim, headers, path, status, code, field] of [
			['no key', user, '/ws', 401, 'AUTHENTICATION_ERROR', undefined],
			[
				'a bad key',
				{ ...user, 'X-API-Key': 'sk_x' },
				'/ws',
				401,
				'AUTHENTICATION_ERROR',
				undefined,
			],
			['no user id', { ...key, 'X-User-Id': 'a b' }, '/ws', 400, 'VALIDATION_ERROR', 'X-User-Id'],
			['two users', { ...key, ...user }, '/ws?user_id=al', 400, 'VALIDATION_ERROR', undefined],
			['an empty user', key, '/ws?user_id=', 400, 'VALIDATION_ERROR', undefined],
			['an unknown parameter', { ...key, ...user }, '/ws?room=x', 400, 'VALIDATION_ERROR', 'room'],
		] as const) {
			const answer = await upgradeAnswer(used.server, headers, path);

			expect({ claim, status: answer.status }).toEqual({ claim, status });
			expect(errorOf(answer).code).toBe(code);
			if (field !== undefined) expect(errorOf(answer).field).toBe(field);
		}
	});

	test('without an upgrade is refused with the envelope', async () => {
		const { tenant, who } = await used.stage();
		const answer = await tenant.as(who.bob).get('/ws');

		expect(answer.status).toBeWithin(400, 500);
		expect(errorOf(answer).retryable).toBe(false);
	});
});

describe('a key', () => {
	testWith('operator', 'needs rooms:read, and no more, to open a socket', async () => {
		const { tenant, who } = await used.stage();
		const writes = await createKey(tenant, ['messages:write']);
		const reads = await createKey(tenant, ['rooms:read']);
		const headersOf = (key: string) => ({ 'X-API-Key': key, 'X-User-Id': who.bob });

		const refused = await upgradeAnswer(used.server, headersOf(writes.api_key));
		// With events:read it would be a backend socket.
		const nobody = await upgradeAnswer(used.server, { 'X-API-Key': reads.api_key });

		expect([refused.status, errorOf(refused).code]).toEqual([403, 'AUTHORIZATION_ERROR']);
		expect((await upgradeAnswer(used.server, headersOf(reads.api_key))).status).toBe(101);
		expect([nobody.status, errorOf(nobody).field]).toEqual([400, 'X-User-Id']);
	});

	testWith(
		'operator',
		'pays one token of the tenant’s bucket a socket; then it is 429',
		async () => {
			const { tenant, who } = await used.stage({
				rate_limit: { requests_per_minute: 1, burst: 3 },
			});
			const headers = { 'X-API-Key': tenant.api_key, 'X-User-Id': who.bob };

			const statuses = [];
			for (let count = 0; count < 4; count++) {
				statuses.push((await upgradeAnswer(used.server, headers)).status);
			}

			expect(statuses).toEqual([101, 101, 101, 429]);
		},
	);
});

testWith('operator', 'an Origin must be among the tenant’s allowed_origins, exactly', async () => {
	const { tenant, who } = await used.stage({ allowed_origins: ['https://app.example'] });
	const headers = { 'X-API-Key': tenant.api_key, 'X-User-Id': who.bob };

	for (const [Origin, status] of [
		['https://app.example', 101],
		['http://app.example', 403],
		['https://app.example:8443', 403],
		['https://sub.app.example', 403],
		['null', 403],
	] as const) {
		const answer = await upgradeAnswer(used.server, { ...headers, Origin });
		expect({ Origin, status: answer.status }).toEqual({ Origin, status });
	}
	// Who is no browser sends none.
	expect((await upgradeAnswer(used.server, headers)).status).toBe(101);
});

describe('a ticket', () => {
	const upgrade = (token: string, rest = '') =>
		upgradeAnswer(used.server, {}, `/ws?token=${token}${rest}`);

	test('opens a socket as its user without a header, and is good for one try', async () => {
		const { tenant, who } = await used.stage();
		const answer = await tenant
			.as(who.bob)
			.post<{ token: string; expires_in: number }>('/ws/token');
		const { token, expires_in } = answer.body;

		const socket = await openSocket(used.server, { query: `token=${token}` });

		expect(token).toStartWith('wst_');
		expect(expires_in).toBe(60);
		expect(socket.connected.user_id).toBe(who.bob);
		expect((await upgrade(token)).status).toBe(401);
		await socket.close();
	});

	test('is for its user alone, and spent by a try that is refused', async () => {
		const { tenant, who } = await used.stage();
		const token = await createTicket(tenant, who.bob);

		const asAlice = await upgrade(token, `&user_id=${who.alice}`);

		expect([asAlice.status, errorOf(asAlice).code]).toEqual([400, 'VALIDATION_ERROR']);
		expect((await upgrade(token)).status).toBe(401);
	});

	test('used twice at once opens exactly one socket', async () => {
		const { tenant, who } = await used.stage();
		const token = await createTicket(tenant, who.bob);

		const tries = await Promise.all([upgrade(token), upgrade(token)]);

		expect(tries.map(({ status }) => status).sort()).toEqual([101, 401]);
	});

	test('is asked for with a user token too', async () => {
		const { tenant, who } = await used.stage();
		const bearer = { Authorization: `Bearer ${await createToken(tenant, who.bob)}` };

		const answer = await visitor().post<{ token: string }>('/ws/token', undefined, bearer);

		expect((await upgrade(answer.body.token)).status).toBe(101);
	});
});

describe('a user token', () => {
	const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

	test('opens a socket without X-User-Id, and with another user’s is refused', async () => {
		const { tenant, who } = await used.stage();
		const token = await createToken(tenant, who.bob);

		const socket = await openSocket(used.server, { headers: bearer(token) });
		const asAlice = await upgradeAnswer(used.server, {
			...bearer(token),
			'X-User-Id': who.alice,
		});

		expect(socket.connected.user_id).toBe(who.bob);
		expect(asAlice.status).toBe(400);
		await socket.close();
	});

	test('that ends closes its sockets with 4501', async () => {
		const { tenant, who } = await used.stage();
		const token = await createToken(tenant, who.bob, { expires_in: 2 });
		const socket = await openSocket(used.server, { headers: bearer(token) });

		expect((await within(socket.closed, 'the token to end', 10_000)).code).toBe(4501);
	});

	testWith('operator', 'ends with the key that made it, and its sockets with it', async () => {
		const { tenant, who } = await used.stage();
		const { api_key, key_id } = await createKey(tenant, ['auth_only']);
		const made = await visitor().post<{ token: string }>(`/users/${who.bob}/tokens`, undefined, {
			'X-API-Key': api_key,
		});
		const headers = bearer(made.body.token);
		const socket = await openSocket(used.server, { headers });

		await operator(used.server).delete(`/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`);

		expect((await within(socket.closed, 'the socket to close')).code).toBe(4501);
		expect((await upgradeAnswer(used.server, headers)).status).toBe(401);
	});
});

/** Without any credential of its own. */
const visitor = () => httpClient(used.server);
