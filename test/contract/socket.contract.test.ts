import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { upgradeAnswer } from '../helpers/raw-http.ts';
import { openSocket } from '../helpers/socket.ts';
import { createGroup, createKey, createTenant, sendMessage } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { RoomsPage } from '../helpers/wire.ts';

const used = useServer();

describe('opening a socket', () => {
	test('says connected first, with who one is and where the log stands', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const last = await sendMessage(tenant, 'alice', room_id);

		const socket = await tenant.socket('bob');

		expect(socket.frames[0]?.type).toBe('connected');
		expect(socket.connected).toMatchObject({
			user_id: 'bob',
			cursor: last.cursor,
			unread_count: 1,
			connection_id: expect.stringMatching(/^conn_[0-9a-z]{26}$/),
			heartbeat_ms: expect.any(Number),
			limits: expect.any(Object),
		});
		await socket.close();
	});

	test('tells each socket its own id, and in an empty tenant a cursor before the first event', async () => {
		const tenant = await createTenant(used.server);
		const [one, two] = [await tenant.socket('bob'), await tenant.socket('bob')];

		expect(one.connected.connection_id).not.toBe(two.connected.connection_id);
		const { room_id } = await createGroup(tenant, 'bob');
		const created = await one.next('room.created');
		expect(created).toMatchObject({ room: { room_id } });
		// The client itself fails on a cursor that does not rise; this says that there was one.
		expect(one.connected.cursor).toMatch(/^[0-9a-v]{16}$/);
		await Promise.all([one.close(), two.close()]);
	});

	test('takes the key as bearer, the user in the query, and the path under /v1', async () => {
		const tenant = await createTenant(used.server);
		const bearer = { Authorization: `Bearer ${tenant.api_key}` };

		for (const options of [
			{ key: tenant.api_key, query: 'user_id=bob' },
			{ headers: bearer, user: 'bob' },
			{ key: tenant.api_key, user: 'bob', query: 'user_id=bob' },
			{ key: tenant.api_key, user: 'bob', path: '/v1/ws' },
			{ key: tenant.api_key, query: 'user_id=a%7Cb%3Ac%40d' },
		]) {
			const socket = await openSocket(used.server, options);
			expect(socket.connected.user_id).toBe(options.query?.includes('%7C') ? 'a|b:c@d' : 'bob');
			await socket.close();
		}
	});

	test('is refused as an ordinary request is, before any upgrade', async () => {
		const tenant = await createTenant(used.server);
		const sendOnly = await createKey(tenant, ['messages:write']);
		const key = { 'X-API-Key': tenant.api_key };
		const user = { 'X-User-Id': 'bob' };

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
			[
				'no permission',
				{ ...user, 'X-API-Key': sendOnly.api_key },
				'/ws',
				403,
				'AUTHORIZATION_ERROR',
				undefined,
			],
			['no user', key, '/ws', 400, 'VALIDATION_ERROR', 'X-User-Id'],
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
		const tenant = await createTenant(used.server);
		const answer = await tenant.as('bob').get('/ws');

		expect(answer.status).toBeWithin(400, 500);
		expect(errorOf(answer).retryable).toBe(false);
	});
});

describe('a frame', () => {
	test('with a request_id is answered exactly once, with it; one without only when it fails', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'bob');
		const socket = await tenant.socket('bob');

		socket.send({ type: 'send_message', room_id, content: 'quiet' });
		socket.send({ type: 'ack', room_id, seq: 1 });
		socket.send({ type: 'ack', room_id, seq: 0 });
		const reply = await socket.request({ type: 'send_message', room_id, content: 'loud' });
		await socket.settle();

		expect(reply).toMatchObject({ type: 'reply', ok: true, data: { seq: 2, content: 'loud' } });
		expect(socket.all('reply')).toHaveLength(1);
		expect(socket.all('error')).toMatchObject([{ code: 'VALIDATION_ERROR', field: 'seq' }]);
		expect(socket.all('error')[0]).not.toHaveProperty('request_id');
		expect(socket.all('message').map(({ content }) => content)).toEqual(['quiet', 'loud']);
		await socket.close();
	});

	test('may carry its fields in data', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'bob');
		const socket = await tenant.socket('bob');
		const data = { room_id, content: 'wrapped' };

		const reply = await socket.request({ type: 'send_message', data });
		const empty = await socket.request({ type: 'send_message', data: {} });
		socket.send({ type: 'ping', data: {} });

		expect(reply).toMatchObject({ type: 'reply', ok: true, data: { content: 'wrapped' } });
		expect(empty).toMatchObject({ type: 'error', code: 'VALIDATION_ERROR' });
		expect((await socket.next('pong')).type).toBe('pong');
		await socket.close();
	});

	for (const [claim, frame] of [
		['is no JSON', '{'],
		['is no object', '[]'],
		['is a text', '"ping"'],
		['is null', 'null'],
		['has no type', '{}'],
		['has a type that is none', '{"type":7}'],
		['has an unknown type', '{"type":"shout"}'],
		['has a type of the server', '{"type":"message","content":"x"}'],
		['has a type of every object', '{"type":"toString"}'],
		['has a request_id that is none', '{"type":"ping","request_id":7}'],
		['has a request_id too long', `{"type":"ping","request_id":"${'x'.repeat(65)}"}`],
		['has an unknown field', '{"type":"ping","pong":1}'],
		['has data that is no object', '{"type":"ping","data":[]}'],
		['is empty', ''],
		['is binary', new TextEncoder().encode('{"type":"ping"}')],
	] as const) {
		test(`that ${claim} gets one error, and the socket goes on`, async () => {
			const tenant = await createTenant(used.server);
			const socket = await tenant.socket('bob');

			socket.send(frame);
			const error = await socket.next('error');
			await socket.settle();

			expect(error).toMatchObject({ code: 'VALIDATION_ERROR', retryable: false });
			expect(error.message).toBeString();
			expect(socket.frames.map(({ type }) => type)).toEqual(['connected', 'error', 'pong']);
			await socket.close();
		});
	}

	test('that is refused for its type still gets its request_id back', async () => {
		const tenant = await createTenant(used.server);
		const socket = await tenant.socket('bob');

		expect(await socket.request({ type: 'shout' })).toMatchObject({
			type: 'error',
			code: 'VALIDATION_ERROR',
			field: 'type',
		});
		await socket.close();
	});

	test('ping gets a pong, and with a request_id one reply', async () => {
		const tenant = await createTenant(used.server);
		const socket = await tenant.socket('bob');

		socket.send({ type: 'ping' });
		await socket.next('pong');
		expect(await socket.request({ type: 'ping' })).toMatchObject({ type: 'reply', ok: true });
		expect(socket.all('error')).toEqual([]);
		await socket.close();
	});

	test('after frame takes effect in the order sent', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'bob');
		const socket = await tenant.socket('bob');
		const contents = Array.from({ length: 40 }, (_, index) => `${index}`);

		for (const content of contents) socket.send({ type: 'send_message', room_id, content });
		await socket.request({ type: 'read', room_id, seq: 40 });

		expect(socket.all('message').map(({ content }) => content)).toEqual(contents);
		const { rooms } = bodyOf(await tenant.as('bob').get<RoomsPage>('/rooms'), 200);
		expect(rooms[0]).toMatchObject({ last_seq: 40, last_read_seq: 40, unread_count: 0 });
		await socket.close();
	});
});
