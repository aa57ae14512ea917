/** Limits and refusals that need a server with settings of its own; protocol/limits has the others. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { upgradeAnswer } from '../helpers/raw-http.ts';
import { openSocket, type Socket } from '../helpers/socket.ts';
import { createGroup, createTenant, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';

describe('topics subscribed by name', () => {
	const used = useServer({ WS_MAX_SUBSCRIPTIONS: '3' });

	test('do not count rooms, and reach none by their name', async () => {
		const tenant = await createTenant(used.server);
		const rooms = [];
		for (let count = 0; count < 5; count++) rooms.push(await createGroup(tenant, 'bob'));
		const foreign = await createGroup(tenant, 'alice');
		const socket = await tenant.socket('bob');
		const mallory = await tenant.socket('mallory');

		for (const topic of [foreign.room_id, `r/${foreign.room_id}`, `../r/${foreign.room_id}`]) {
			const answer = await mallory.request({ type: 'subscribe', topic });
			expect(['reply', 'error']).toContain(answer.type);
		}
		for (const { room_id } of rooms) {
			bodyOf(await tenant.as('bob').post(`/rooms/${room_id}/messages`, { content: 'x' }), 201);
		}
		bodyOf(
			await tenant.as('alice').post(`/rooms/${foreign.room_id}/messages`, { content: 'x' }),
			201,
		);
		await Promise.all([socket.settle(), mallory.settle()]);

		expect(socket.all('message')).toHaveLength(5);
		expect(mallory.all('message')).toEqual([]);
		await Promise.all([socket.close(), mallory.close()]);
	});

	for (const topic of [undefined, '', 7, null, 'x'.repeat(129), 'a\nb']) {
		test(`${JSON.stringify(topic)?.slice(0, 12)} is no topic`, async () => {
			const tenant = await createTenant(used.server);
			const socket = await tenant.socket('bob');

			for (const type of ['subscribe', 'unsubscribe']) {
				expect(await socket.request({ type, topic })).toMatchObject({
					type: 'error',
					code: 'VALIDATION_ERROR',
					field: 'topic',
				});
			}
			await socket.close();
		});
	}
});

describe('connections', () => {
	const used = useServer({
		WS_MAX_CONNECTIONS_PER_USER: '2',
		WS_MAX_CONNECTIONS_PER_TENANT: '3',
		WS_MAX_CONNECTIONS: '5',
	});

	test('beyond the limit of the user, tenant or server close with 4504; one that ends makes room', async () => {
		const [one, two, three] = [
			await createTenant(used.server),
			await createTenant(used.server),
			await createTenant(used.server),
		];
		const open = [await one.socket('alice'), await one.socket('alice')];

		await expectFull(one, 'alice');
		open.push(await one.socket('bob'));
		await expectFull(one, 'bob');
		open.push(await two.socket('alice'), await two.socket('bob'));
		await expectFull(three, 'alice');
		for (const socket of open) await socket.settle();

		await open.shift()?.close();
		const next = await eventually(() => three.socket('alice').catch(() => undefined));
		await expectFull(one, 'alice');
		await Promise.all([...open, next].map((socket: Socket) => socket.close()));
	});

	async function expectFull(tenant: TestTenant, user: string) {
		await expect(tenant.socket(user)).rejects.toThrow('closed before "connected": 4504');
	}
});

describe('limits that nobody set', () => {
	const used = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });

	test('are ten sockets of a user and 200 topics of a socket; one more is refused', async () => {
		const tenant = await createTenant(used.server);
		const socket = await tenant.socket('alice');
		const others = await Promise.all(Array.from({ length: 9 }, () => tenant.socket('alice')));
		const subscribe = (topic: string) => socket.request({ type: 'subscribe', topic });

		await expect(tenant.socket('alice')).rejects.toThrow('closed before "connected": 4504');
		for (let count = 1; count <= 200; count++) {
			expect((await subscribe(`topic-${count}`)).type).toBe('reply');
		}
		const beyond = await subscribe('one-more');

		expect(beyond).toMatchObject({ type: 'error', code: 'CONFLICT', retryable: false });
		expect(socket.connected.limits).toMatchObject({ subscriptions: 200 });
		for (const each of [socket, ...others]) await each.settle();
		await Promise.all([socket, ...others].map((each) => each.close()));
	});
});

describe('limits that are switched off', () => {
	const used = useServer({
		DEFAULT_RATE_LIMIT: '0',
		WS_MAX_CONNECTIONS_PER_USER: '0',
		WS_MAX_CONNECTIONS_PER_TENANT: '0',
		WS_MAX_CONNECTIONS: '0',
		WS_FRAMES_PER_SECOND: '0',
		WS_MAX_SUBSCRIPTIONS: '0',
	});

	test('let sockets, frames and topics be as many as they are', async () => {
		const tenant = await createTenant(used.server);
		const open = await Promise.all(Array.from({ length: 40 }, () => tenant.socket('alice')));
		const [socket] = open;

		for (let count = 0; count < 1000; count++) socket?.send({ type: 'ping' });
		for (let count = 0; count < 300; count++) {
			const answer = await socket?.request({ type: 'subscribe', topic: `topic-${count}` });
			expect(answer?.type).toBe('reply');
		}
		await eventually(() => (socket?.all('pong').length ?? 0) >= 1000);

		expect(socket?.connected.limits).toMatchObject({ frames_per_second: 0, subscriptions: 0 });
		expect(socket?.all('error')).toEqual([]);
		await Promise.all(open.map((each) => each.close()));
	}, 30_000);
});

describe('the Origin of a browser', () => {
	const used = useServer({ ALLOWED_ORIGINS: 'https://server.example,http://localhost:3000' });

	test('must be one of the tenant, or of the server where the tenant names none', async () => {
		const [own, inherited, none] = [
			await createTenant(used.server, { allowed_origins: ['https://tenant.example'] }),
			await createTenant(used.server),
			await createTenant(used.server, { allowed_origins: [] }),
		];

		for (const [tenant, origin, isAllowed] of [
			[own, 'https://tenant.example', true],
			[own, 'https://server.example', false],
			[own, undefined, true],
			[inherited, 'https://server.example', true],
			[inherited, 'http://localhost:3000', true],
			[inherited, 'http://localhost:3001', false],
			[inherited, 'https://tenant.example', false],
			[inherited, 'http://server.example', false],
			[inherited, 'https://sub.server.example', false],
			[inherited, 'https://server.example.evil.example', false],
			[inherited, 'null', false],
			[inherited, '', false],
			[inherited, undefined, true],
			[none, 'https://server.example', false],
			[none, undefined, true],
		] as const) {
			const headers = origin === undefined ? {} : { Origin: origin };
			const answer = await upgradeAnswer(used.server, { ...credentials(tenant), ...headers });

			expect({ origin, status: answer.status }).toEqual({ origin, status: isAllowed ? 101 : 403 });
			if (!isAllowed) expect(errorOf(answer).code).toBe('AUTHORIZATION_ERROR');
		}
	});

	test('is looked at after the key: a bad key from a bad origin is 401', async () => {
		const headers = { 'X-API-Key': 'sk_bad', 'X-User-Id': 'bob', Origin: 'https://evil.example' };
		expect((await upgradeAnswer(used.server, headers)).status).toBe(401);
	});

	test('is refused the same whatever it is, and reaches nothing', async () => {
		const tenant = await createTenant(used.server, { allowed_origins: ['https://tenant.example'] });
		const ask = (origin: string) =>
			upgradeAnswer(used.server, {
				...credentials(tenant),
				Origin: origin,
				'X-Request-Id': 'same',
			});

		const [server, evil] = [await ask('https://server.example'), await ask('https://evil.example')];

		expect(server.text).toBe(evil.text);
		expect(evil.text).not.toContain('tenant.example');
		const opening = openSocket(used.server, {
			key: tenant.api_key,
			user: 'bob',
			headers: { Origin: 'https://evil.example' },
		});
		await expect(opening).rejects.toThrow('closed before "connected"');
	});

	const credentials = (tenant: TestTenant) => ({
		'X-API-Key': tenant.api_key,
		'X-User-Id': 'bob',
	});
});
