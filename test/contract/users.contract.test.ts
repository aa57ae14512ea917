/** Users as their tenant tells of them, and the end of what is done in their name. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createTenant,
	createTicket,
	createToken,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { within } from '../helpers/wait.ts';
import type { MessagesPage, Room } from '../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });

interface User {
	user_id: string;
	name: string | null;
	avatar_url: string | null;
	metadata: unknown;
	deactivated_at: string | null;
}

describe('PUT and GET /users/{user_id}', () => {
	test('merge what is told, and give it back', async () => {
		const tenant = await createTenant(used.server);
		const backend = tenant.as();
		await backend.put('/users/alice', { name: 'Alice', metadata: { a: 1, b: 2 } });

		const merged = await backend.put<User>('/users/alice', {
			avatar_url: 'https://cdn.acme.com/a.png?s=64',
			metadata: { b: null },
		});

		expect(bodyOf(merged, 200)).toMatchObject({
			user_id: 'alice',
			name: 'Alice',
			avatar_url: 'https://cdn.acme.com/a.png?s=64',
			metadata: { a: 1 },
			deactivated_at: null,
		});
		expect((await backend.get<User>('/users/alice')).body).toEqual(merged.body);
	});

	test('of a user that nobody told of is 404, though that user acts', async () => {
		const tenant = await createTenant(used.server);
		await createGroup(tenant, 'alice');

		const answer = await tenant.as().get('/users/alice');

		expect(errorOf(answer)).toMatchObject({ code: 'NOT_FOUND', message: 'User not found' });
	});

	for (const [claim, body, field] of [
		['an unknown field', { nick: 'A' }, 'nick'],
		['an empty name', { name: '' }, 'name'],
		['a name with a direction character', { name: 'a\u202eb' }, 'name'],
		['an address that is none', { avatar_url: 'javascript:alert(1)' }, 'avatar_url'],
		['an address with markup', { avatar_url: 'https://x/"><script>' }, 'avatar_url'],
		[
			'an address of 3,000 characters',
			{ avatar_url: `https://x/${'a'.repeat(3000)}` },
			'avatar_url',
		],
		['a time that is the server’s to say', { deactivated_at: null }, 'deactivated_at'],
		['another user than the path', { user_id: 'bob' }, 'user_id'],
	] as const) {
		test(`refuse ${claim} by name`, async () => {
			const tenant = await createTenant(used.server);
			const answer = await tenant.as().put('/users/alice', body);

			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
			expect((await tenant.as().get('/users/alice')).status).toBe(404);
		});
	}

	test('refuse a user id that is none, and one of 129 characters', async () => {
		const tenant = await createTenant(used.server);
		for (const user of ['a%20b', 'a%2Fb', '%00', 'x'.repeat(129), 'caf%C3%A9']) {
			const answer = await tenant.as().put(`/users/${user}`, { name: 'A' });

			expect({ user, code: errorOf(answer).code }).toEqual({ user, code: 'VALIDATION_ERROR' });
		}
	});
});

describe('POST /users/{user_id}/revoke', () => {
	test('closes the sockets within a second, and voids tokens and tickets, of that user only', async () => {
		const tenant = await createTenant(used.server);
		const token = await createToken(tenant, 'alice');
		const ticket = await createTicket(tenant, 'alice');
		const bearer = { Authorization: `Bearer ${token}` };
		const mine = await Promise.all([
			tenant.socket('alice'),
			openSocket(used.server, { headers: bearer }),
			openSocket(used.server, { query: `token=${await createTicket(tenant, 'alice')}` }),
		]);
		const bystander = await tenant.socket('bob');

		bodyOf(await tenant.as().post('/users/alice/revoke'), 200);
		const next = await withToken(used.server, token).get('/rooms');

		expect(errorOf(next)).toMatchObject({
			code: 'AUTHENTICATION_ERROR',
			message: 'Invalid or expired token',
		});
		for (const { closed } of mine) {
			expect((await within(closed, 'the socket to close', 1_000)).code).toBe(4501);
		}
		await expect(openSocket(used.server, { query: `token=${ticket}` })).rejects.toThrow('closed');
		await bystander.settle();
		await bystander.close();
		const again = withToken(used.server, await createToken(tenant, 'alice'));
		expect((await again.get('/rooms')).status).toBe(200);
	});

	test('under load: nothing by the user is stored after its answer', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const token = await createToken(tenant, 'alice');
		const client = withToken(used.server, token);
		const socket = await openSocket(used.server, { headers: { Authorization: `Bearer ${token}` } });
		const path = `/rooms/${room_id}/messages`;

		async function sendUntilRefused(): Promise<number> {
			for (let count = 0; count < 100_000; count++) {
				const answer = await client.call('POST', path, {
					body: { content: 'by REST' },
					isChecked: false,
				});
				if (answer.status !== 201) return answer.status;
			}
			return 0;
		}
		const senders = Array.from({ length: 8 }, sendUntilRefused);
		await bystandersSee(5);
		for (let count = 0; count < 500; count++) {
			socket.send({ type: 'send_message', room_id, content: `by socket ${count}` });
		}
		bodyOf(await tenant.as().post('/users/alice/revoke'), 200);
		const head = await lastSeq();

		expect(await Promise.all(senders)).toEqual(Array.from({ length: 8 }, () => 401));
		expect((await within(socket.closed, 'the socket to close', 1_000)).code).toBe(4501);
		expect(await lastSeq()).toBe(head);
		const newest = await tenant.as('bob').get<MessagesPage>(path);
		expect(newest.body.messages.at(-1)?.seq).toBe(head);

		async function lastSeq(): Promise<number> {
			return (await tenant.as('bob').get<Room>(`/rooms/${room_id}`)).body.last_seq;
		}
		async function bystandersSee(count: number): Promise<void> {
			while ((await lastSeq()) < count);
		}
	});
});

describe('POST /users/{user_id}/deactivate', () => {
	test('refuses everything in the name of the user, and says so; reactivate takes it back', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'bob', ['alice']);
		const token = await createToken(tenant, 'alice');
		const sockets = [await tenant.socket('alice'), await tenant.socket('bob')];

		const off = bodyOf(await tenant.as().post<User>('/users/alice/deactivate'), 200);

		expect(off.deactivated_at).toMatch(/Z$/);
		const [mine, bobs] = sockets;
		expect((await within(Promise.resolve(mine?.closed), 'the close', 1_000))?.code).toBe(4507);
		await bobs?.settle();
		expect((await withToken(used.server, token).get('/rooms')).status).toBe(401);
		const byKey = await tenant.as('alice').get('/rooms');
		expect({ status: byKey.status, message: errorOf(byKey).message }).toEqual({
			status: 403,
			message: 'This user is deactivated',
		});
		await expect(tenant.socket('alice')).rejects.toThrow('closed');
		expect((await tenant.as('alice').post('/ws/token')).status).toBe(403);
		const mint = await tenant.as().post('/users/alice/tokens');
		expect(errorOf(mint).code).toBe('CONFLICT');
		// What there is of the user stays.
		expect((await tenant.as('bob').get(`/rooms/${room_id}/members`)).text).toContain('"alice"');

		const on = bodyOf(await tenant.as().post<User>('/users/alice/reactivate'), 200);

		expect(on.deactivated_at).toBeNull();
		expect((await tenant.as('alice').get('/rooms')).status).toBe(200);
		expect((await withToken(used.server, token).get('/rooms')).status).toBe(401);
		await bobs?.close();
	});

	test('is of one tenant', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const token = await createToken(other, 'alice');

		await tenant.as().post('/users/alice/deactivate');

		expect((await withToken(used.server, token).get('/rooms')).status).toBe(200);
		expect((await other.as('alice').get('/rooms')).status).toBe(200);
	});
});

test('a user, by key or token, tells of no user, not of itself either', async () => {
	const tenant = await createTenant(used.server);
	const token = await createToken(tenant, 'alice');
	const asUser = tenant.as('alice');

	for (const [method, path] of [
		['GET', '/users/alice'],
		['PUT', '/users/alice'],
		['POST', '/users/alice/tokens'],
		['POST', '/users/bob/revoke'],
		['POST', '/users/bob/deactivate'],
		['POST', '/users/bob/reactivate'],
	] as const) {
		const body = method === 'PUT' ? { name: 'A' } : undefined;
		const byKey = await asUser.call(method, path, { body });
		const byToken = await withToken(used.server, token).call(method, path, { body });

		expect(errorOf(byKey)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'X-User-Id' });
		expect(errorOf(byToken).code).toBe('AUTHORIZATION_ERROR');
	}
	const nobody = httpClient(used.server);
	expect((await nobody.get('/users/alice')).status).toBe(401);
});
