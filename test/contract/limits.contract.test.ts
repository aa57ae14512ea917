import { describe, expect, test } from 'bun:test';
import { type Answer, bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { upgradeAnswer } from '../helpers/raw-http.ts';
import { type Environment, startServer } from '../helpers/server.ts';
import { createGroup, createKey, createTenant, operator, sendMessage } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';

const used = useServer();
const HEADERS = [
	'X-RateLimit-Limit',
	'X-RateLimit-Remaining',
	'X-RateLimit-Reset',
	'RateLimit',
	'RateLimit-Policy',
];

/** A token a second, two at once: slow enough that a test sees every step. */
const SLOW = { rate_limit: { requests_per_second: 1, burst: 2 } };

describe('the request bucket of a tenant', () => {
	test('is told on every answer to its credential: good, bad, missing and forbidden', async () => {
		const tenant = await createTenant(used.server, {
			rate_limit: { requests_per_second: 10, burst: 30 },
		});
		const client = tenant.as('alice');
		const answers = [
			await client.get('/rooms'),
			await client.get('/rooms?nope=1'),
			await client.get('/rooms/room_nowhere'),
			await client.call('POST', '/rooms', { raw: 'x' }),
		];

		expect(answers.map(({ status }) => status)).toEqual([200, 400, 404, 415]);
		for (const { headers } of answers) {
			expect(headers.get('X-RateLimit-Limit')).toBe('30');
			const remaining = Number(headers.get('X-RateLimit-Remaining'));
			expect(remaining).toBeWithin(26, 30);
			const resetIn = Number(headers.get('X-RateLimit-Reset')) - Date.now() / 1000;
			expect(resetIn).toBeGreaterThan(-1);
			expect(resetIn).toBeLessThan(3);
			expect(headers.get('RateLimit')).toMatch(/^"requests";r=(\d+);t=\d+$/);
			expect(headers.get('RateLimit')).toContain(`;r=${remaining};`);
			expect(headers.get('RateLimit-Policy')).toMatch(/^"requests";q=30;w=\d+$/);
		}
	});

	test('is told where a socket is refused too', async () => {
		const tenant = await createTenant(used.server);
		const { api_key } = await createKey(tenant, ['rooms:read']);
		const answer = await upgradeAnswer(used.server, { 'X-API-Key': api_key });

		expect(answer.status).toBe(400);
		for (const name of HEADERS) expect(answer.headers.get(name)).not.toBeNull();
	});

	test('is told to nobody else', async () => {
		const visitor = httpClient(used.server);
		const answers = [
			await visitor.get('/health'),
			await visitor.get('/rooms'),
			await visitor.get('/nowhere'),
			await operator(used.server).get('/admin/tenants?limit=1'),
		];

		for (const { headers } of answers) {
			for (const name of HEADERS) expect(headers.get(name)).toBeNull();
		}
	});

	test('empty, it answers 429 with the true wait; another tenant notices nothing', async () => {
		const tenant = await createTenant(used.server, SLOW);
		const other = await createTenant(used.server, SLOW);
		const refused = await exhaust(() => tenant.as('alice').get('/rooms'));
		const refusedAt = performance.now();
		const untouched = await other.as('alice').get('/rooms');

		const { retry_after_ms = Number.NaN, ...error } = errorOf(refused);
		expect(error).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', retryable: true });
		expect(error.message).toContain('requests');
		expect(retry_after_ms).toBeWithin(1, 1_001);
		expect(refused.headers.get('Retry-After')).toBe(String(Math.ceil(retry_after_ms / 1000)));
		expect(refused.headers.get('X-RateLimit-Remaining')).toBe('0');
		expect(untouched.status).toBe(200);

		// Asking in vain costs nothing, so the wait is over when it was said to be.
		await eventually(async () => (await tenant.as('alice').get('/rooms')).status === 200);
		const waitedMs = performance.now() - refusedAt;
		expect(waitedMs).toBeGreaterThan(retry_after_ms - 30);
		expect(waitedMs).toBeLessThan(retry_after_ms + 400);
	});

	test('is shared by the keys, users and faces of the tenant; 429 comes before the body is read', async () => {
		const tenant = await createTenant(used.server, { rate_limit: { requests_per_minute: 6 } });
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await sendMessage(tenant, 'alice', room_id);
		const socket = await tenant.socket('bob');
		await exhaust(() => tenant.as('alice').get('/rooms'));

		const frame = await socket.request({ type: 'send_message', room_id, content: 'x' });
		const unread = await tenant.as('carol').call('POST', '/rooms', { raw: '{{{' });

		expect(frame).toMatchObject({ type: 'error', code: 'RATE_LIMIT_EXCEEDED', retryable: true });
		expect(frame.retry_after_ms).toBeWithin(1, 10_001);
		expect(unread.status).toBe(429);
		expect(socket.all('message')).toEqual([]);
		await socket.close();
	});

	test('costs nothing for ack, read and ping over WebSocket, and 1 for acks over HTTP', async () => {
		const tenant = await createTenant(used.server, { rate_limit: { requests_per_minute: 20 } });
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await sendMessage(tenant, 'alice', room_id);
		const socket = await tenant.socket('bob');
		const remaining = async () =>
			Number((await tenant.as('bob').get('/rooms')).headers.get('X-RateLimit-Remaining'));

		const before = await remaining();
		for (let repeat = 0; repeat < 5; repeat++) {
			expect(await socket.request({ type: 'ack', room_id, seq: 1 })).toMatchObject({ ok: true });
			expect(await socket.request({ type: 'read', room_id, seq: 1 })).toMatchObject({ ok: true });
			await socket.settle();
		}
		const after = await remaining();
		await tenant.as('bob').post('/acks', { room_id, seq: 1 });

		expect(after).toBe(before - 1);
		expect(await remaining()).toBe(after - 2);
		await socket.close();
	});

	for (const [rate_limit, limit] of [
		[{ requests_per_second: 7 }, '14'],
		[{ requests_per_second: 7, burst: 9 }, '9'],
		[{ requests_per_minute: 120 }, '120'],
		[{ requests_per_minute: 120, burst: 5 }, '5'],
		[null, '200'],
	] as const) {
		test(`of ${JSON.stringify(rate_limit)} holds ${limit}`, async () => {
			const tenant = await createTenant(used.server, { rate_limit });
			const { headers } = await tenant.as('alice').get('/rooms');

			expect(headers.get('X-RateLimit-Limit')).toBe(limit);
		});
	}

	test('its default is DEFAULT_RATE_LIMIT; 0 switches it off, with its headers', async () => {
		await withServer({ DEFAULT_RATE_LIMIT: '5' }, async (server) => {
			const tenant = await createTenant(server);
			expect((await tenant.as('al').get('/rooms')).headers.get('X-RateLimit-Limit')).toBe('10');
		});
		await withServer({ DEFAULT_RATE_LIMIT: '0' }, async (server) => {
			const tenant = await createTenant(server);
			const answers = await Promise.all(
				Array.from({ length: 300 }, () => tenant.as('alice').get('/rooms')),
			);
			expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
			for (const name of HEADERS) expect(answers[0]?.headers.get(name)).toBeNull();
		});
	});
});

describe('failed authentications', () => {
	const env = { AUTH_FAILURES_PER_MINUTE: '3' };

	test('beyond the limit of the address are 429; a good credential is never refused', async () => {
		await withServer(env, async (server) => {
			const tenant = await createTenant(server);
			const bad = httpClient(server, { key: 'sk_wrong', user: 'alice' });

			const statuses = [];
			for (let count = 0; count < 5; count++) statuses.push((await bad.get('/rooms')).status);
			const master = await httpClient(server, { master: 'wrong' }).get('/admin/tenants');
			const slowed = await bad.get('/rooms');

			expect(statuses).toEqual([401, 401, 401, 429, 429]);
			expect(master.status).toBe(429);
			const { retry_after_ms = Number.NaN } = errorOf(slowed);
			expect(errorOf(slowed).code).toBe('RATE_LIMIT_EXCEEDED');
			expect(retry_after_ms).toBeWithin(1, 20_001);
			expect(slowed.headers.get('Retry-After')).toBe(String(Math.ceil(retry_after_ms / 1000)));
			expect((await tenant.as('alice').get('/rooms')).status).toBe(200);
			expect((await operator(server).get('/admin/tenants')).status).toBe(200);
			await (await tenant.socket('alice')).close();
		});
	});

	test('count by the address that a trusted proxy tells, and by no other', async () => {
		const from = (address: string) => ({ 'X-Forwarded-For': address });
		await withServer(env, async (server) => {
			const bad = httpClient(server, { key: 'sk_wrong' });
			for (let count = 0; count < 3; count++) await bad.get('/rooms', from(`192.0.2.${count}`));
			expect((await bad.get('/rooms', from('192.0.2.99'))).status).toBe(429);
		});
		await withServer({ ...env, TRUSTED_PROXIES: '127.0.0.1' }, async (server) => {
			const bad = httpClient(server, { key: 'sk_wrong' });
			for (let count = 0; count < 3; count++) await bad.get('/rooms', from('192.0.2.1'));
			expect((await bad.get('/rooms', from('192.0.2.1'))).status).toBe(429);
			expect((await bad.get('/rooms', from('192.0.2.2'))).status).toBe(401);
			// What stands left of the proxy's own entry was written by the client.
			expect((await bad.get('/rooms', from('203.0.113.7, 192.0.2.1'))).status).toBe(429);
		});
	});
});

/** Asks until it is refused. */
async function exhaust(ask: () => Promise<Answer>): Promise<Answer> {
	for (let count = 0; count < 50; count++) {
		const answer = await ask();
		if (answer.status === 429) return answer;
		bodyOf(answer, 200);
	}
	throw new Error('Fifty requests did not empty the bucket');
}

async function withServer(
	env: Environment,
	act: (server: Awaited<ReturnType<typeof startServer>>) => Promise<void>,
): Promise<void> {
	const server = await startServer({ env });
	try {
		await act(server);
	} finally {
		await server.stop();
	}
}
