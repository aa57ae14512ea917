/** Who may open a socket of the tenant itself, how many, until when, and what it may send. */
import { describe, expect, test } from 'bun:test';
import { backendOf, storedOf } from '../helpers/backends.ts';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { upgradeAnswer } from '../helpers/raw-http.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createKey,
	createTenant,
	createTicket,
	createToken,
	operator,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Message } from '../helpers/wire.ts';

const used = useServer({
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '0',
	WS_MAX_CONNECTIONS_PER_USER: '3',
});

describe('who may open one', () => {
	const ask = (key: string, headers: Record<string, string> = {}, path = '/ws') =>
		upgradeAnswer(used.server, { 'X-API-Key': key, ...headers }, path);

	test('is a key with events:read that names no user; without it, it is told that a user is missing', async () => {
		const tenant = await createTenant(used.server);
		const [reader, without, other] = [
			await createKey(tenant, ['events:read']),
			await createKey(tenant, ['rooms:*', 'messages:*']),
			await createKey(tenant, ['messages:write']),
		];

		expect((await ask(reader.api_key)).status).toBe(101);
		expect((await ask(tenant.api_key)).status).toBe(101);
		const missing = await ask(without.api_key);
		expect(missing.status).toBe(400);
		expect(errorOf(missing)).toMatchObject({
			code: 'VALIDATION_ERROR',
			field: 'X-User-Id',
			message: 'Missing X-User-Id header',
		});
		expect((await ask(other.api_key)).status).toBe(403);
		// As a user it needs what a user's socket needs.
		expect((await ask(reader.api_key, { 'X-User-Id': 'bob' })).status).toBe(403);
		expect((await ask(reader.api_key, {}, '/ws?user_id=bob')).status).toBe(403);
		expect((await ask(tenant.api_key, {}, '/ws?user_id=')).status).toBe(400);
		expect((await ask(tenant.api_key, { 'X-User-Id': '' })).status).toBe(400);
		expect((await ask(tenant.api_key, { Origin: 'https://evil.example' })).status).toBe(403);
		expect((await ask(`${reader.api_key}x`)).status).toBe(401);
	});

	test('is no user, by token or ticket', async () => {
		const tenant = await createTenant(used.server);
		const token = await createToken(tenant, 'alice');

		const sockets = [
			await openSocket(used.server, { headers: { Authorization: `Bearer ${token}` } }),
			await openSocket(used.server, { query: `token=${await createTicket(tenant, 'alice')}` }),
		];
		await createGroup(tenant, 'bob');

		for (const socket of sockets) {
			await socket.settle();
			expect(socket.connected).toMatchObject({ user_id: 'alice' });
			expect(storedOf(socket)).toEqual([]);
			await socket.close();
		}
	});

	test('loses it with the key: revoked or expired, and with no user', async () => {
		const tenant = await createTenant(used.server);
		const revoked = await createKey(tenant, ['events:read']);
		const expires_at = new Date(Date.now() + 1_500).toISOString();
		const expiring = await createKey(tenant, ['events:read'], { expires_at });
		const sockets = [
			await backendOf(revoked, used.server),
			await backendOf(expiring, used.server),
			await backendOf(tenant, used.server),
		] as const;

		bodyOf(await tenant.as().post('/users/alice/revoke'), 200);
		bodyOf(await tenant.as().post('/users/null/deactivate'), 200);
		await sockets[0].settle();
		const path = `/admin/tenants/${tenant.tenant_id}/api-keys/${revoked.key_id}`;
		bodyOf(await operator(used.server).delete(path), 200);

		expect((await within(sockets[0].closed, 'the close', 1_000)).code).toBe(4501);
		expect((await within(sockets[1].closed, 'the close', 4_000)).code).toBe(4501);
		await sockets[2].settle();
		await sockets[2].close();
	});

	test('is as many as one user’s sockets; users have theirs beside', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const open = [];
		for (let count = 0; count < 3; count++) open.push(await backendOf(tenant, used.server));

		await expect(backendOf(tenant, used.server)).rejects.toThrow('before "connected": 4504');
		open.push(await tenant.socket('alice'), await backendOf(other, used.server));
		await open.shift()?.close();
		open.push(await eventually(() => backendOf(tenant, used.server).catch(() => undefined)));

		for (const socket of open) await socket.close();
	});
});

describe('its frames', () => {
	test('send as the tenant, and read what the tenant may read', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const backend = await backendOf(tenant, used.server);
		const alice = await tenant.socket('alice');

		const sent = await backend.request<{ data: Message }>({
			type: 'send_message',
			...{ room_id, content: 'from us', client_msg_id: 'c-1' },
		});
		const again = await backend.request<{ data: Message }>({
			type: 'send_message',
			...{ room_id, content: 'from us', client_msg_id: 'c-1' },
		});

		expect(sent.data).toMatchObject({ kind: 'system', sender_id: null, seq: 1 });
		expect(again.data).toMatchObject({ message_id: sent.data.message_id, duplicate: true });
		expect(await alice.next('message')).toMatchObject({ content: 'from us', sender_id: null });
		await backend.settle();
		expect(backend.all('message')).toHaveLength(1);
		for (const type of ['rooms.get', 'members.list', 'messages.list']) {
			expect(await backend.request({ type, room_id })).toMatchObject({ type: 'reply' });
		}
		await Promise.all([backend.close(), alice.close()]);
	});

	test('that are a user’s are refused as over REST, and are no bad frames', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const backend = await backendOf(tenant, used.server);
		const frames = [
			{ type: 'ack', room_id, seq: 1 },
			{ type: 'read', room_id, seq: 1 },
			{ type: 'typing.start', room_id },
			{ type: 'typing.stop', room_id },
			{ type: 'subscribe', topic: 'orders' },
			{ type: 'unsubscribe', topic: 'orders' },
			{ type: 'rooms.list' },
		];

		for (const frame of [...frames, ...frames]) {
			expect(await backend.request(frame)).toMatchObject({
				type: 'error',
				code: 'VALIDATION_ERROR',
				message: 'Missing X-User-Id header',
				field: 'X-User-Id',
			});
		}
		await backend.settle();
		await backend.close();
	});

	test('need the key’s permissions; ping and resume none but events:read', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const reader = await createKey(tenant, ['events:read']);
		const backend = await backendOf(reader, used.server);
		const { cursor } = backend.connected;

		for (const type of ['send_message', 'rooms.get', 'messages.list', 'ack']) {
			const answer = await backend.request({ type, room_id, content: 'x', seq: 1 });
			expect(answer).toMatchObject({ type: 'error', code: 'AUTHORIZATION_ERROR' });
		}
		expect(await backend.request({ type: 'ping' })).toMatchObject({ type: 'reply' });
		expect(await backend.request({ type: 'resume', cursor })).toMatchObject({ type: 'reply' });
		await backend.close();
	});
});
