import { Database } from 'bun:sqlite';
import { afterEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { randomSecret, type Server, startServer } from '../helpers/server.ts';
import { openSocket, type Socket } from '../helpers/socket.ts';
import {
	createGroup,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
	tenantOf,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import type { EventsPage, Plan, Tenant } from '../helpers/wire.ts';

const startOfNextMonth = () => {
	const now = new Date();
	return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1);
};

describe('messages a month', () => {
	const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

	test('over the pool are refused on both faces, with when and whose; a repeat is not', async () => {
		const { plan_id } = await createPlan(used.server, { quotas: { messages_per_month: 2 } });
		const [tenant, other] = [
			await createTenant(used.server, { plan_id }),
			await createTenant(used.server, { plan_id }),
		];
		const { room_id } = await createGroup(tenant, 'ann');
		const path = `/rooms/${room_id}/messages`;
		const first = await tenant.as('ann').post(path, { content: 'x', client_msg_id: 'c1' });
		const { room_id: elsewhere } = await createGroup(other, 'ann');
		await sendMessage(other, 'ann', elsewhere);
		const ann = await tenant.socket('ann');

		const refused = await tenant.as('ann').post(path, { content: 'y' });
		const system = await tenant.as().post(path, { content: 'y' });
		const frame = await ann.request({ type: 'send_message', room_id, content: 'y' });
		const repeat = await tenant.as('ann').post(path, { content: 'x', client_msg_id: 'c1' });
		const again = { type: 'send_message', room_id, content: 'x', client_msg_id: 'c1' };
		const repeatedFrame = await ann.request(again);
		await ann.close();

		expect([first.status, refused.status, system.status]).toEqual([201, 403, 403]);
		const { code, message, retryable, retry_after_ms = 0 } = errorOf(refused);
		const leftMs = startOfNextMonth() - Date.now();
		expect({ code, retryable }).toEqual({ code: 'QUOTA_EXCEEDED', retryable: false });
		expect(message).toContain("messages_per_month of this tenant's plan is used up (2)");
		expect(message).toContain(new Date(startOfNextMonth()).toISOString());
		expect(Math.abs(retry_after_ms - leftMs)).toBeLessThan(10_000);
		expect(Number(refused.headers.get('Retry-After'))).toBe(Math.ceil(retry_after_ms / 1000));
		expect(frame).toMatchObject({ type: 'error', code: 'QUOTA_EXCEEDED' });
		expect(bodyOf(repeat, 200)).toMatchObject({ duplicate: true });
		expect(repeatedFrame).toMatchObject({ type: 'reply', ok: true, data: { duplicate: true } });
		// What is stored is read as ever.
		const page = await tenant.as('ann').get<{ messages: unknown[] }>(path);
		expect(bodyOf(page, 200).messages.length).toBe(1);
	});

	test('of the plan change for all its tenants with the next message', async () => {
		const plan = await createPlan(used.server, { quotas: { messages_per_month: 0 } });
		const tenant = await createTenant(used.server, { plan_id: plan.plan_id });
		const { room_id } = await createGroup(tenant, 'ann');
		const send = async () =>
			(await tenant.as('ann').post(`/rooms/${room_id}/messages`, { content: 'x' })).status;
		const set = async (quotas: unknown) =>
			bodyOf(
				await operator(used.server).patch<Plan>(`/admin/plans/${plan.plan_id}`, { quotas }),
				200,
			);
		const statuses: number[] = [await send()];
		await set({ messages_per_month: 1 });
		statuses.push(await send(), await send());
		await set({ messages_per_month: null });
		statuses.push(await send());
		await set(null);
		statuses.push(await send());
		await set({ messages_per_month: 3 });
		statuses.push(await send());

		expect(statuses).toEqual([403, 201, 403, 201, 201, 403]);
	});

	test('of a plan cannot be had again by who is confined to it: a deleted tenant counts, and is not erased', async () => {
		const plan = await createPlan(used.server, { quotas: { messages_per_month: 3 } });
		const management = await createManagementKey(used.server, plan.plan_id);
		const client = httpClient(used.server, { management });
		const sent: number[] = [];

		for (let round = 0; round < 3; round++) {
			const made = bodyOf(await client.post<Tenant>('/admin/tenants', { name: 'Again' }), 201);
			const { tenant_id, api_key = '' } = made;
			const tenant = tenantOf(used.server, { tenant_id, api_key });
			const { room_id } = await createGroup(tenant, 'ann');
			for (let count = 0; count < 2; count++) {
				const path = `/rooms/${room_id}/messages`;
				sent.push((await tenant.as('ann').post(path, { content: 'x' })).status);
			}
			const path = `/admin/tenants/${tenant_id}`;
			const erased = await client.delete(`${path}?purge=now`);
			expect(erased.status).toBe(403);
			expect(errorOf(erased)).toMatchObject({ code: 'AUTHORIZATION_ERROR', field: 'purge' });
			expect(bodyOf(await client.get<Tenant>(path), 200).status).toBe('active');
			bodyOf(await client.delete(path), 202);
		}

		expect(sent).toEqual([201, 201, 201, 403, 403, 403]);
	});

	test('of a tenant are shown as they were given, and refused where they are none', async () => {
		const quotas = { messages_per_month: 3, storage_bytes: null };
		const { tenant_id } = await createTenant(used.server, { quotas });
		const path = `/admin/tenants/${tenant_id}`;
		const shown = bodyOf(await operator(used.server).get<Tenant>(path), 200);
		expect(shown).toMatchObject({ quotas: { messages_per_month: 3 } });
		expect(JSON.stringify(shown)).not.toContain('storage_bytes');

		for (const wrong of [
			{ messages_per_month: -1 },
			{ messages_per_month: 1.5 },
			{ messages_per_month: '3' },
			{ messages: 3 },
			[],
			'all',
		]) {
			const body = { name: 'Acme', quotas: wrong };
			const answer = await operator(used.server).post('/admin/tenants', body);
			expect({ wrong, code: errorOf(answer).code }).toEqual({ wrong, code: 'VALIDATION_ERROR' });
		}
	});
});

describe('what is counted in memory first', () => {
	const used = useServer({ DEFAULT_RATE_LIMIT: '0' });
	/** ADR 19: within five seconds; the rest is for a slow machine. */
	const DEADLINE_MS = 8000;

	test('is refused soon after it is used up: requests, but not the question for usage', async () => {
		const { plan_id } = await createPlan(used.server, { quotas: { api_requests_per_month: 3 } });
		const [tenant, other] = [
			await createTenant(used.server, { plan_id }),
			await createTenant(used.server),
		];
		const statusOf = async () => (await tenant.as('ann').get('/rooms')).status;

		await eventually(async () => (await statusOf()) === 403, DEADLINE_MS, 'a refusal');
		const refused = await tenant.as('ann').get('/rooms');
		const ticket = await tenant.as('ann').post('/ws/token');
		const upgrade = await tenant.socket('ann').catch((error: Error) => error.message);

		expect(errorOf(refused).code).toBe('QUOTA_EXCEEDED');
		expect(errorOf(refused).message).toContain("api_requests_per_month of this tenant's plan");
		expect(ticket.status).toBe(403);
		expect(upgrade).toBeString();
		expect((await tenant.as().get('/usage')).status).toBe(200);
		expect((await other.as('ann').get('/rooms')).status).toBe(200);
	}, 20_000);

	test('is refused soon: new users, new sockets', async () => {
		const quotas = { monthly_active_users: 2, peak_connections: 1 };
		const tenant = await createTenant(used.server, { quotas });
		const ann = await tenant.socket('ann');
		await tenant.as('bob').get('/rooms');
		let count = 0;
		const newUser = async () => (await tenant.as(`new${count++}`).get('/rooms')).status;
		await eventually(async () => (await newUser()) === 403, DEADLINE_MS, 'a refusal');

		expect((await tenant.as('bob').get('/rooms')).status).toBe(200);
		expect(await ann.request({ type: 'rooms.list' })).toMatchObject({ ok: true });
		const second = await tenant.as('ann').get('/ws', {
			Connection: 'Upgrade',
			Upgrade: 'websocket',
			'Sec-WebSocket-Version': '13',
			'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
		});
		expect(second.status).toBe(403);
		expect(errorOf(second).message).toContain('peak_connections of this tenant');
		await ann.close();
	}, 20_000);

	test('warns the backend, on its socket and in the log, and no user', async () => {
		const tenant = await createTenant(used.server, { quotas: { messages_per_month: 1 } });
		const { room_id } = await createGroup(tenant, 'ann');
		const [ann, backend] = [
			await tenant.socket('ann'),
			await openSocket(used.server, { key: tenant.api_key }),
		];
		await sendMessage(tenant, 'ann', room_id);

		const warning = await backend.next('quota.warning', DEADLINE_MS);
		const { events } = bodyOf(await tenant.as().get<EventsPage>('/events?limit=100'), 200);
		await ann.settle();

		expect(warning).toMatchObject({ quota: 'messages_per_month', scope: 'tenant', percent: 100 });
		expect(events.filter(({ type }) => type === 'quota.warning')).toEqual([warning as never]);
		expect(ann.all('quota.warning')).toEqual([]);
		await Promise.all([ann.close(), backend.close()]);
	}, 20_000);
});

test('a feature that the plan switches off is refused at once, on open sockets too', async () => {
	const server = await startServer({ env: { DEFAULT_RATE_LIMIT: '0' } });
	const features = { typing: false, gold_badge: true };
	const { plan_id } = await createPlan(server, { features });
	const [tenant, other] = [await createTenant(server, { plan_id }), await createTenant(server)];
	const { room_id } = await createGroup(tenant, 'ann');
	const { room_id: elsewhere } = await createGroup(other, 'ann');
	const [ann, outsider] = [await tenant.socket('ann'), await other.socket('ann')];
	const start = () => ann.request({ type: 'typing.start', room_id });
	const shown = await operator(server).get<Tenant>(`/admin/tenants/${tenant.tenant_id}`);

	expect(bodyOf(shown, 200)).toMatchObject({ features });
	expect(await start()).toMatchObject({
		code: 'AUTHORIZATION_ERROR',
		message: 'The plan of this tenant lacks the feature typing',
	});
	expect(await outsider.request({ type: 'typing.start', room_id: elsewhere })).toMatchObject({
		ok: true,
	});
	await operator(server).patch(`/admin/plans/${plan_id}`, { features: { typing: true } });
	expect(await start()).toMatchObject({ ok: true });
	await operator(server).patch(`/admin/plans/${plan_id}`, {
		features: { typing: false, notifications: false },
	});
	expect(await start()).toMatchObject({ code: 'AUTHORIZATION_ERROR' });
	expect((await tenant.as('ann').get('/notifications')).status).toBe(403);
	expect((await tenant.as('ann').get('/rooms')).status).toBe(200);

	await Promise.all([ann.close(), outsider.close()]);
	expect(await server.stop()).toBe(0);
});

describe('over kills', () => {
	let folder = '';
	let server: Server | undefined;
	afterEach(async () => {
		await server?.kill();
		rmSync(folder, { recursive: true, force: true });
	});

	test('64 senders of four tenants on both faces store exactly the pool', async () => {
		const [limit, senders, tenants] = [1500, 64, 4];
		folder = mkdtempSync(join(tmpdir(), 'chatapi-quotas-'));
		const masterKey = randomSecret();
		const env = { DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0', MASTER_API_KEY: masterKey };
		const start = () => startServer({ env, dataDir: join(folder, 'data') });
		server = await start();
		const { plan_id } = await createPlan(server, { quotas: { messages_per_month: limit } });
		const grounds: { tenant: TestTenant; room_id: string }[] = [];
		for (let index = 0; index < tenants; index++) {
			const tenant = await createTenant(server, { plan_id });
			const { room_id } = await createGroup(tenant, 'ann');
			grounds.push({ tenant, room_id });
		}

		/** Sends until it is refused for the quota, or the server is gone; then what it knows not may be sent again. */
		let [acknowledged, refusedAt] = [0, Number.POSITIVE_INFINITY];
		async function work(running: Server, index: number, life: number): Promise<void> {
			const ground = grounds[index % tenants] as (typeof grounds)[number];
			const { room_id } = ground;
			const tenant = tenantOf(running, ground.tenant);
			let socket: Socket | undefined;
			try {
				if (Math.floor(index / tenants) % 2 === 0) socket = await tenant.socket('ann');
				for (let count = 0; ; count++) {
					const message = { content: 'x', client_msg_id: `c${life}-${index}-${count}` };
					const code =
						socket === undefined
							? await overRest(tenant, room_id, message)
							: await overSocket(socket, room_id, message);
					if (code === undefined) acknowledged++;
					else {
						expect(code).toBe('QUOTA_EXCEEDED');
						refusedAt = Math.min(refusedAt, acknowledged);
						break;
					}
				}
			} catch (error) {
				if (running === server) throw error;
			} finally {
				await socket?.close().catch(() => {});
			}
		}

		for (const life of [0, 1, 2]) {
			const running = server;
			const works = Array.from({ length: senders }, (_, index) => work(running, index, life));
			if (life < 2) {
				const goal = (limit / 3) * (life + 1);
				await eventually(() => acknowledged >= goal, 30_000, 'the senders to get on');
				server = undefined;
				await running.kill();
				await Promise.allSettled(works);
				server = await start();
			} else await Promise.all(works);
		}

		const db = new Database(join(folder, 'data/chatapi.db'), { readonly: true });
		const row = db.query<{ count: number }, []>('SELECT count(*) AS count FROM messages').get();
		db.close();
		expect(row?.count).toBe(limit);
		expect(acknowledged).toBeLessThanOrEqual(limit);
		// A kill leaves at most one message of each sender that nobody was told of.
		expect(acknowledged).toBeGreaterThan(limit - 2 * senders);
		expect(refusedAt).toBeGreaterThan(limit - 3 * senders);
	}, 60_000);
});

const overRest = async (
	tenant: TestTenant,
	room_id: string,
	message: object,
): Promise<string | undefined> => {
	const answer = await tenant.as('ann').post(`/rooms/${room_id}/messages`, message);
	return answer.status === 201 ? undefined : errorOf(answer).code;
};

const overSocket = async (
	socket: Socket,
	room_id: string,
	message: object,
): Promise<string | undefined> => {
	const reply = await socket.request({ type: 'send_message', room_id, ...message });
	return reply.type === 'reply' ? undefined : String(reply.code);
};
