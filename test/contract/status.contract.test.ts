import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { freePort } from '../helpers/ports.ts';
import { startServer } from '../helpers/server.ts';
import { createGroup, createTenant, operator, sendMessage } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';

const used = useServer();

describe('GET /health, /livez, /readyz', () => {
	test('are open, and say how the server is', async () => {
		const visitor = httpClient(used.server);
		const health = await visitor.get('/health');

		expect(bodyOf(health, 200)).toMatchObject({
			status: 'ok',
			service: 'chatapi',
			db_writable: true,
			durability: 'full',
			version: expect.stringMatching(/^\d+\.\d+\.\d+/),
			uptime: expect.stringMatching(/^(\d+h)?(\d+m)?\d+s$/),
		});
		expect((await visitor.get('/livez')).status).toBe(200);
		expect((await visitor.get('/readyz')).status).toBe(200);
	});

	test('answer the same to a bad credential: they look at none', async () => {
		const visitor = httpClient(used.server, { key: 'sk_bad', master: 'bad', user: 'no blanks' });
		for (const path of ['/health', '/livez', '/readyz']) {
			expect((await visitor.get(path)).status).toBe(200);
		}
	});

	test('refuse a query that they do not know', async () => {
		const answer = await httpClient(used.server).get('/health?verbose=1');

		expect(answer.status).toBe(400);
		expect(errorOf(answer).field).toBe('verbose');
	});
});

describe('GET /metrics', () => {
	interface Metrics {
		active_connections: number;
		messages_sent: number;
		delivery_attempts: number;
		delivery_failures: number;
		broadcast_drops: number;
		uptime_seconds: number;
	}
	const asJson = async () =>
		bodyOf(
			await operator(used.server).get<Metrics>('/metrics', { Accept: 'application/json' }),
			200,
		);

	test('is for the master key only', async () => {
		const { api_key } = await createTenant(used.server);
		for (const credentials of [{}, { key: api_key }, { master: 'wrong'.repeat(8) }]) {
			const answer = await httpClient(used.server, credentials).get('/metrics');

			expect(answer.status).toBe(401);
			expect(errorOf(answer)).toMatchObject({
				code: 'AUTHENTICATION_ERROR',
				message: 'Unauthorized',
			});
		}
	});

	test('is Prometheus text unless JSON is asked for', async () => {
		const plain = await operator(used.server).get('/metrics');
		const json = await asJson();

		expect(plain.status).toBe(200);
		expect(plain.headers.get('Content-Type')).toStartWith('text/plain');
		for (const line of plain.text.split('\n').filter((each) => each !== '')) {
			expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? (-?[\d.e+-]+|NaN|[+-]Inf))$/);
		}
		expect(Object.keys(json).sort()).toEqual(
			[
				'active_connections',
				'broadcast_drops',
				'delivery_attempts',
				'delivery_failures',
				'messages_sent',
				'uptime_seconds',
			].sort(),
		);
	});

	test('counts stored messages, deliveries and open sockets, and no duplicate twice', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const idle = await asJson();
		const sockets = await Promise.all([tenant.socket('alice'), tenant.socket('bob')]);
		// Each is told of the other, in its own time: these are deliveries too.
		await Promise.all(sockets.map((socket) => socket.next('presence.update')));
		const before = await asJson();

		await sendMessage(tenant, 'alice', room_id);
		for (let repeat = 0; repeat < 3; repeat++) {
			const body = { content: 'x', client_msg_id: 'same' };
			await tenant.as('alice').post(`/rooms/${room_id}/messages`, body);
		}
		const during = await asJson();
		await Promise.all(sockets.map((socket) => socket.close()));

		expect(during.messages_sent - before.messages_sent).toBe(2);
		expect(during.active_connections - idle.active_connections).toBe(2);
		expect(during.delivery_attempts - before.delivery_attempts).toBe(4);
		expect(during.delivery_failures).toBe(0);
		expect(during.broadcast_drops).toBe(0);
		await eventually(async () => (await asJson()).active_connections === idle.active_connections);
	});

	test('names no tenant, user, room or key', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'very-secret-user');
		const { text } = await operator(used.server).get('/metrics');

		for (const secret of [tenant.tenant_id, tenant.api_key, 'very-secret-user', room_id]) {
			expect(text).not.toContain(secret);
		}
	});

	test('has an address of its own by METRICS_ADDR, where it needs no key', async () => {
		const port = await freePort();
		const server = await startServer({ env: { METRICS_ADDR: `127.0.0.1:${port}` } });

		const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
		const elsewhere = await fetch(`http://127.0.0.1:${port}/admin/tenants`, {
			headers: { 'X-Master-Key': server.masterKey },
		});

		expect(answer.status).toBe(200);
		expect(await answer.text()).toContain('# TYPE');
		expect(elsewhere.status).toBe(404);
		expect(await server.stop()).toBe(0);
	});
});

describe('X-Request-Id', () => {
	test('is made by the server, another one each time, and stands in the error too', async () => {
		const visitor = httpClient(used.server);
		const first = await visitor.get('/rooms');
		const second = await visitor.get('/rooms');

		const id = first.headers.get('X-Request-Id');
		expect(id).toMatch(/^req_[0-9a-z]{26}$/);
		expect(errorOf(first).request_id).toBe(id ?? '');
		expect(second.headers.get('X-Request-Id')).not.toBe(id);
	});

	for (const id of ['a', 'A-Z_a.z-0', `${'x'.repeat(32)}.${'y'.repeat(31)}`]) {
		test(`keeps ${id.slice(0, 12)} of ${id.length} characters`, async () => {
			for (const path of ['/health', '/rooms', '/nowhere']) {
				const answer = await httpClient(used.server).get(path, { 'X-Request-Id': id });
				expect(answer.headers.get('X-Request-Id')).toBe(id);
			}
		});
	}

	for (const id of ['', 'x'.repeat(65), 'with blank', 'new/line', 'ünicode', '<script>']) {
		test(`replaces ${JSON.stringify(id.slice(0, 12))} of ${id.length} characters`, async () => {
			const answer = await httpClient(used.server).get('/rooms', { 'X-Request-Id': id });
			expect(answer.headers.get('X-Request-Id')).toMatch(/^req_[0-9a-z]{26}$/);
			if (id !== '') expect(answer.text).not.toContain(id);
		});
	}
});
