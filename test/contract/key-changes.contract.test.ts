/** Keys that change while they are in use: rotated, given other permissions, made to end; and by the tenant itself. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, type HttpClient, httpClient } from '../helpers/http.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createKey,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { ApiKey, ApiKeysPage, Message } from '../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

const pathOf = (tenant: TestTenant, { key_id }: Pick<ApiKey, 'key_id'>) =>
	`/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`;

const statusOf = async (key: string): Promise<number> =>
	(await httpClient(used.server, { key, user: 'ann' }).get('/rooms')).status;

const as = (key: string, user?: string): HttpClient =>
	httpClient(used.server, user === undefined ? { key } : { key, user });

describe('rotation', () => {
	test('gives a new secret; the old one is good until the end of its grace, and no longer', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['*']);
		const rotate = (grace_seconds: number) =>
			operator(used.server).post<ApiKey>(`${pathOf(tenant, key)}/rotate`, { grace_seconds });

		const first = bodyOf(await rotate(3600), 200);

		expect(first.key_id).toBe(key.key_id);
		expect(first.api_key).not.toBe(key.api_key);
		expect(Date.parse(first.grace_until ?? '')).toBeGreaterThan(Date.now() + 3_500_000);
		expect(await statusOf(key.api_key)).toBe(200);
		expect(await statusOf(first.api_key ?? '')).toBe(200);

		const second = bodyOf(await rotate(0), 200);

		expect(second.grace_until).toBeNull();
		expect(await statusOf(key.api_key)).toBe(401);
		expect(await statusOf(first.api_key ?? '')).toBe(401);
		expect(await statusOf(second.api_key ?? '')).toBe(200);
	});

	test('keeps sockets open for the grace, and closes them at its end, of the old secret alone', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['*']);
		const old = await openSocket(used.server, { key: key.api_key, user: 'ann' });

		const rotated = bodyOf(
			await operator(used.server).post<ApiKey>(`${pathOf(tenant, key)}/rotate`, {
				grace_seconds: 1,
			}),
			200,
		);
		const fresh = await openSocket(used.server, { key: rotated.api_key ?? '', user: 'ann' });

		expect(old.isOpen).toBe(true);
		expect((await within(old.closed, 'the end of the grace', 5000)).code).toBe(4501);
		expect(await statusOf(key.api_key)).toBe(401);
		await fresh.settle();
		expect(fresh.isOpen).toBe(true);
	});

	for (const [claim, graces] of [
		['without a grace', [0]],
		['again within the grace', [3600, 3600]],
	] as const) {
		test(`${claim} ends the old secret at once, and its sockets, however many are open`, async () => {
			const tenant = await createTenant(used.server);
			const key = await createKey(tenant, ['*']);
			const open = () => openSocket(used.server, { key: key.api_key, user: 'ann' });
			const old = await Promise.all([open(), open()]);

			let latest = key.api_key;
			for (const grace_seconds of graces) {
				const rotate = `${pathOf(tenant, key)}/rotate`;
				const answer = await operator(used.server).post<ApiKey>(rotate, { grace_seconds });
				latest = bodyOf(answer, 200).api_key ?? '';
			}

			for (const { closed } of old) {
				expect((await within(closed, 'the end of the old secret', 1000)).code).toBe(4501);
			}
			expect(await statusOf(key.api_key)).toBe(401);
			expect(await statusOf(latest)).toBe(200);
			const fresh = await openSocket(used.server, { key: latest, user: 'ann' });
			await operator(used.server).patch(pathOf(tenant, key), { name: 'renamed' });
			expect(await statusOf(key.api_key)).toBe(401);
			await fresh.settle();
			expect(fresh.isOpen).toBe(true);
		});
	}

	test('leaves tokens of the key alone', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['*']);
		const made = await as(key.api_key).post<{ token: string }>('/users/ann/tokens', {});
		const headers = { Authorization: `Bearer ${made.body.token}` };

		await operator(used.server).post(`${pathOf(tenant, key)}/rotate`, { grace_seconds: 0 });

		expect((await httpClient(used.server, { headers }).get('/rooms')).status).toBe(200);
	});

	test('once for the same Idempotency-Key, however often it is asked for at once', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['keys:manage', 'rooms:read']);
		const headers = { 'Idempotency-Key': 'rotate-once' };

		const answers = await Promise.all(
			[1, 2, 3, 4, 5].map(() =>
				as(key.api_key).post<ApiKey>(`/api-keys/${key.key_id}/rotate`, {}, headers),
			),
		);

		expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
		expect(await statusOf(answers[0]?.body.api_key ?? '')).toBe(200);
		expect(await statusOf(key.api_key)).toBe(200);
	});

	for (const grace_seconds of [-1, 1.5, '60', 30 * 86_400 + 1, null]) {
		test(`refuses a grace of ${grace_seconds}, and changes nothing`, async () => {
			const tenant = await createTenant(used.server);
			const key = await createKey(tenant, ['*']);

			const answer = await operator(used.server).post(`${pathOf(tenant, key)}/rotate`, {
				grace_seconds,
			});

			expect(answer.status).toBe(400);
			expect(errorOf(answer).field).toBe('grace_seconds');
			expect(await statusOf(key.api_key)).toBe(200);
		});
	}
});

describe('a change of permissions', () => {
	test('counts for the next request and for the next frame of an open socket', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'ann');
		const key = await createKey(tenant, ['rooms:read', 'messages:write']);
		const socket = await openSocket(used.server, { key: key.api_key, user: 'ann' });
		const send = () => socket.request({ type: 'send_message', room_id, content: 'x' });
		expect((await send()).type).toBe('reply');

		await operator(used.server).patch(pathOf(tenant, key), { permissions: ['rooms:read'] });

		expect(await send()).toMatchObject({ type: 'error', code: 'AUTHORIZATION_ERROR' });
		const refused = await as(key.api_key, 'ann').post(`/rooms/${room_id}/messages`, {
			content: 'x',
		});
		expect(refused.status).toBe(403);

		await operator(used.server).patch(pathOf(tenant, key), {
			permissions: ['rooms:read', 'messages:write'],
		});

		expect((await send()).type).toBe('reply');
	});

	test('closes a socket that may not be open any more', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['rooms:read', 'events:read']);
		const user = await openSocket(used.server, { key: key.api_key, user: 'ann' });
		const backend = await openSocket(used.server, { key: key.api_key });

		await operator(used.server).patch(pathOf(tenant, key), { permissions: ['events:read'] });

		expect((await within(user.closed, 'its end', 1000)).code).toBe(4501);
		await backend.settle();
		expect(backend.isOpen).toBe(true);
	});

	test('under load lets nothing through after its answer', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'ann');
		const key = await createKey(tenant, ['rooms:read', 'messages:write']);
		const client = as(key.api_key, 'ann');
		let isAnswered = false;
		const send = async (): Promise<number> =>
			(
				await client.call<Message>('POST', `/rooms/${room_id}/messages`, {
					body: { content: 'x' },
					isChecked: false,
				})
			).status;
		const senders = Array.from({ length: 8 }, async () => {
			while (!isAnswered) await send();
			return Promise.all([send(), send(), send()]);
		});

		await eventually(
			async () =>
				(await tenant.as('ann').get<{ last_seq: number }>(`/rooms/${room_id}`)).body.last_seq > 50,
			5000,
			'messages to flow',
		);
		await operator(used.server).patch(pathOf(tenant, key), { permissions: ['rooms:read'] });
		isAnswered = true;
		const late = (await Promise.all(senders)).flat();

		expect(late).toHaveLength(24);
		expect(late.filter((status) => status !== 403)).toEqual([]);
	});

	test('makes a key end, with its sockets, and moves that end', async () => {
		const tenant = await createTenant(used.server);
		const key = await createKey(tenant, ['*']);
		const socket = await openSocket(used.server, { key: key.api_key, user: 'ann' });
		const endIn = (ms: number) =>
			operator(used.server).patch(pathOf(tenant, key), {
				expires_at: new Date(Date.now() + ms).toISOString(),
			});

		await endIn(1500);
		await operator(used.server).patch(pathOf(tenant, key), { expires_at: null });
		await socket.settle();
		await endIn(500);

		expect((await within(socket.closed, 'its end', 5000)).code).toBe(4501);
		expect(await statusOf(key.api_key)).toBe(401);
	});
});

describe('a tenant’s own keys', () => {
	test('are made, listed, changed and revoked by a key with keys:manage, within the tenant', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const own = tenant.as();

		const made = bodyOf(
			await own.post<ApiKey>('/api-keys', { name: 'K', permissions: ['send'] }),
			201,
		);
		const changed = bodyOf(
			await own.patch<ApiKey>(`/api-keys/${made.key_id}`, { name: 'Renamed' }),
			200,
		);
		const listed = bodyOf(await own.get<ApiKeysPage>('/api-keys'), 200);

		expect(changed).toMatchObject({ name: 'Renamed', permissions: ['send'] });
		expect(listed.api_keys.map(({ name }) => name).sort()).toEqual(['Renamed', 'default']);
		expect(JSON.stringify(listed)).not.toContain((made.api_key ?? '').slice(13));
		for (const call of [
			other.as().patch(`/api-keys/${made.key_id}`, { name: 'Mine' }),
			other.as().delete(`/api-keys/${made.key_id}`),
			other.as().post(`/api-keys/${made.key_id}/rotate`, {}),
		]) {
			expect((await call).status).toBe(404);
		}
		expect((await own.delete(`/api-keys/${made.key_id}`)).status).toBe(200);
		expect(await statusOf(made.api_key ?? '')).toBe(401);
	});

	test('cannot be given more than the asking key has, nor be taken over when they have more', async () => {
		const tenant = await createTenant(used.server);
		const manager = await createKey(tenant, ['keys:manage', 'rooms:read']);
		const strong = await createKey(tenant, ['messages:write']);
		const client = as(manager.api_key);

		const answers = [
			await client.post('/api-keys', { name: 'K', permissions: ['*'] }),
			await client.post('/api-keys', { name: 'K', permissions: ['rooms:read', 'events:read'] }),
			await client.patch(`/api-keys/${manager.key_id}`, { permissions: ['keys:*', 'rooms:*'] }),
			await client.patch(`/api-keys/${strong.key_id}`, { permissions: ['rooms:read'] }),
			await client.post(`/api-keys/${strong.key_id}/rotate`, {}),
		];

		for (const answer of answers) {
			expect(answer.status).toBe(403);
			expect(errorOf(answer).code).toBe('AUTHORIZATION_ERROR');
		}
		expect(await statusOf(strong.api_key)).toBe(403);
		const made = await client.post<ApiKey>('/api-keys', { name: 'K', permissions: ['rooms:read'] });
		expect(made.status).toBe(201);
	});

	test('are told again, for the same Idempotency-Key, to the key that asked first and to no other', async () => {
		const tenant = await createTenant(used.server);
		const weak = await createKey(tenant, ['keys:manage']);
		const strong = await createKey(tenant, ['*']);
		const made = { name: 'prod', permissions: ['full_access'] };
		const create = (key: string) =>
			as(key).post<ApiKey>('/api-keys', made, { 'Idempotency-Key': 'make-prod' });
		const rotate = (key: string) =>
			as(key).post<ApiKey>(
				`/api-keys/${strong.key_id}/rotate`,
				{},
				{ 'Idempotency-Key': 'rotate-strong' },
			);
		const first = bodyOf(await create(strong.api_key), 201);
		const second = bodyOf(await rotate(strong.api_key), 200);

		const stolen = [await create(weak.api_key), await rotate(weak.api_key)];

		for (const answer of stolen) {
			expect(answer.status).toBe(409);
			expect(errorOf(answer)).toMatchObject({ code: 'CONFLICT', field: 'Idempotency-Key' });
		}
		// The same key by its new secret.
		const again = await create(second.api_key ?? '');
		expect(again.headers.get('Idempotency-Replayed')).toBe('true');
		expect(again.body.api_key).toBe(first.api_key);
		expect((await rotate(strong.api_key)).body.api_key).toBe(second.api_key);
	});

	test('of a key that ends, end no later', async () => {
		const tenant = await createTenant(used.server);
		const end = new Date(Date.now() + 60_000).toISOString();
		const manager = await createKey(tenant, ['*'], { expires_at: end });
		const client = as(manager.api_key);
		const later = new Date(Date.now() + 600_000).toISOString();

		const unsaid = await client.post<ApiKey>('/api-keys', { name: 'K', permissions: ['send'] });
		const said = await client.post<ApiKey>('/api-keys', {
			name: 'K',
			permissions: ['send'],
			expires_at: later,
		});
		const taken = await client.post(`/api-keys/${await firstKeyOf(tenant)}/rotate`, {});

		expect([unsaid.body.expires_at, said.body.expires_at]).toEqual([end, end]);
		expect(taken.status).toBe(403);
	});

	test('are no user’s', async () => {
		const tenant = await createTenant(used.server);
		const answer = await tenant.as('ann').get('/api-keys');

		expect(answer.status).toBe(400);
		expect(errorOf(answer).field).toBe('X-User-Id');
	});
});

async function firstKeyOf(tenant: TestTenant): Promise<string> {
	const { api_keys } = bodyOf(await tenant.as().get<ApiKeysPage>('/api-keys?limit=100'), 200);
	return api_keys.find(({ name }) => name === 'default')?.key_id ?? '';
}

test('a message sent with a key that a socket hears of is not held up by a change of another key', async () => {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'ann');
	const socket = await tenant.socket('ann');
	const other = await createKey(tenant, ['*']);

	await operator(used.server).patch(pathOf(tenant, other), { permissions: ['send'] });
	const { seq } = await sendMessage(tenant, 'ann', room_id);

	expect(await socket.next('message')).toMatchObject({ seq });
});
