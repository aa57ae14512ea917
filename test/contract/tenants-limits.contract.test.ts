/** A tenant's rate limits: changed while it is at work, exact where they count a day, and told truly. */
import { describe, expect, test } from 'bun:test';
import { type Answer, bodyOf, errorOf } from '../helpers/http.ts';
import {
	createGroup,
	createPlan,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import type { Message, Room, Tenant } from '../helpers/wire.ts';

const used = useServer();

interface Limits {
	buckets: { name: string; limit: number; remaining: number; reset_at: string }[];
	quotas: { name: string; scope: string; limit: number; used: number; resets_at: string | null }[];
}

const limit = async (tenant: TestTenant, rate_limit: Record<string, number | null> | null) =>
	bodyOf(
		await operator(used.server).patch<Tenant>(`/admin/tenants/${tenant.tenant_id}`, { rate_limit }),
		200,
	);

const limitsOf = async (tenant: TestTenant) =>
	bodyOf(await tenant.as('alice').get<Limits>('/limits'), 200).buckets;

const toMidnightMs = () => 86_400_000 - (Date.now() % 86_400_000);

/** A day that ends within a test would begin its count anew. */
const withinOneDay = () =>
	eventually(() => toMidnightMs() > 30_000, 40_000, 'the next day to have begun');

const send = (tenant: TestTenant, room_id: string, rest: Record<string, unknown> = {}) =>
	tenant.as('alice').post<Message>(`/rooms/${room_id}/messages`, { content: 'x', ...rest });

describe('another rate', () => {
	test('holds from the next request on, and on open sockets; a higher one is no free burst', async () => {
		const tenant = await createTenant(used.server, {
			rate_limit: { requests_per_second: 1, burst: 400 },
		});
		const { room_id } = await createGroup(tenant, 'alice');
		const socket = await tenant.socket('alice');
		const list = () => socket.request({ type: 'rooms.list' });

		await limit(tenant, { requests_per_second: null, requests_per_minute: 1, burst: 3 });
		const few = [];
		for (let count = 0; count < 5; count++) few.push(await list());
		const rest = await tenant.as('alice').get('/rooms');
		await limit(tenant, { requests_per_minute: 600, burst: 600 });
		const after = await eventually(async () => {
			const answer = await list();
			return answer.type === 'reply' ? answer : undefined;
		});
		const left = (await tenant.as('alice').get('/rooms')).headers;
		await socket.close();

		expect(few.map(({ type }) => type).slice(-2)).toEqual(['error', 'error']);
		expect(few.at(-1)).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' });
		expect(few.filter(({ type }) => type === 'reply').length).toBeLessThanOrEqual(3);
		expect(rest.status).toBe(429);
		expect(rest.headers.get('X-RateLimit-Limit')).toBe('3');
		expect(after).toMatchObject({ ok: true });
		expect(left.get('X-RateLimit-Limit')).toBe('600');
		expect(Number(left.get('X-RateLimit-Remaining'))).toBeLessThan(60);
		expect(room_id).toStartWith('room_');
	});

	test('may leave the rate to the server, and say the burst only', async () => {
		const tenant = await createTenant(used.server, { rate_limit: { burst: 7 } });

		const { headers } = await tenant.as('alice').get('/rooms');

		expect(headers.get('X-RateLimit-Limit')).toBe('7');
		expect((await limit(tenant, { burst: null })).rate_limit).toBeNull();
		expect((await tenant.as('alice').get('/rooms')).headers.get('X-RateLimit-Limit')).toBe('200');
	});

	for (const [rate_limit, field] of [
		[{ messages_per_day: -1 }, '/rate_limit/messages_per_day'],
		[{ messages_per_day: 1.5 }, '/rate_limit/messages_per_day'],
		[{ messages_per_day: '5' }, '/rate_limit/messages_per_day'],
		[{ messages_per_week: 5 }, '/rate_limit/messages_per_week'],
		[{ requests_per_second: 0 }, '/rate_limit/requests_per_second'],
	] as const) {
		test(`of ${JSON.stringify(rate_limit)} is refused by name, and the old one holds`, async () => {
			const tenant = await createTenant(used.server, { rate_limit: { requests_per_second: 5 } });
			const path = `/admin/tenants/${tenant.tenant_id}`;

			const answer = await operator(used.server).patch(path, { rate_limit });

			expect(answer.status).toBe(400);
			expect(errorOf(answer).field).toBe(field);
			const read = await operator(used.server).get<Tenant>(path);
			expect(read.body.rate_limit).toEqual({ requests_per_second: 5 });
		});
	}
});

describe('messages_per_day', () => {
	test('is exact among many at once, on both faces; a repeat is answered all the same', async () => {
		await withinOneDay();
		const tenant = await createTenant(used.server, {
			rate_limit: { requests_per_second: 1000, messages_per_day: 20 },
		});
		const { room_id } = await createGroup(tenant, 'alice');
		const socket = await tenant.socket('alice');
		bodyOf(await send(tenant, room_id, { client_msg_id: 'first' }), 201);

		const [answers, frames] = await Promise.all([
			Promise.all(Array.from({ length: 30 }, () => send(tenant, room_id))),
			Promise.all(
				Array.from({ length: 30 }, () =>
					socket.request({ type: 'send_message', room_id, content: 'y' }),
				),
			),
		]);
		const repeat = await send(tenant, room_id, { client_msg_id: 'first' });
		await socket.close();

		const stored =
			answers.filter(({ status }) => status === 201).length +
			frames.filter(({ type }) => type === 'reply').length;
		expect(stored).toBe(19);
		const room = await tenant.as('alice').get<Room>(`/rooms/${room_id}`);
		expect(room.body.last_seq).toBe(20);
		const [refused] = answers.filter(({ status }) => status !== 201);
		expect(refused?.status).toBe(429);
		const error = errorOf(refused as Answer);
		expect(error).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', retryable: true });
		expect(error.message).toContain('messages_per_day');
		expect(Math.abs((error.retry_after_ms ?? 0) - toMidnightMs())).toBeLessThan(10_000);
		expect(frames.find(({ type }) => type === 'error')).toMatchObject({
			code: 'RATE_LIMIT_EXCEEDED',
		});
		expect(bodyOf(repeat, 200).duplicate).toBe(true);
	});

	test('is another tenant’s own, may be raised at once, and 0 stops all', async () => {
		await withinOneDay();
		const tenant = await createTenant(used.server, { rate_limit: { messages_per_day: 1 } });
		const other = await createTenant(used.server, { rate_limit: { messages_per_day: 1 } });
		const { room_id } = await createGroup(tenant, 'alice');
		const { room_id: others } = await createGroup(other, 'alice');
		await sendMessage(tenant, 'alice', room_id);

		expect((await send(tenant, room_id)).status).toBe(429);
		expect((await send(other, others)).status).toBe(201);
		await limit(tenant, { messages_per_day: 2 });
		expect((await send(tenant, room_id)).status).toBe(201);
		await limit(tenant, { messages_per_day: 0 });
		expect((await send(tenant, room_id)).status).toBe(429);
		await limit(tenant, { messages_per_day: null });
		expect((await send(tenant, room_id)).status).toBe(201);
	});
});

describe('GET /limits', () => {
	test('shows every bucket with what is left, and the headers tell of the one nearest to empty', async () => {
		await withinOneDay();
		const tenant = await createTenant(used.server, {
			rate_limit: { requests_per_minute: 100, messages_per_day: 4 },
		});
		const { room_id } = await createGroup(tenant, 'alice');

		const before = await tenant.as('alice').get('/rooms');
		await sendMessage(tenant, 'alice', room_id);
		await sendMessage(tenant, 'alice', room_id);
		const after = await tenant.as('alice').get('/rooms');
		const buckets = await limitsOf(tenant);

		expect(before.headers.get('RateLimit-Policy')).toBe('"requests";q=100;w=60');
		expect(after.headers.get('RateLimit-Policy')).toBe('"messages_per_day";q=4;w=86400');
		expect(after.headers.get('RateLimit')).toStartWith('"messages_per_day";r=2;t=');
		expect(after.headers.get('X-RateLimit-Limit')).toBe('4');
		expect(after.headers.get('X-RateLimit-Remaining')).toBe('2');
		const reset = Number(after.headers.get('X-RateLimit-Reset')) * 1000;
		expect(reset % 86_400_000).toBe(0);
		expect(buckets.map(({ name }) => name)).toEqual(['requests', 'messages_per_day']);
		expect(buckets[0]).toMatchObject({ limit: 100 });
		expect(buckets[0]?.remaining).toBeWithin(90, 97);
		expect(buckets[1]).toMatchObject({ limit: 4, remaining: 2 });
		expect(buckets[1]?.reset_at).toEndWith('T00:00:00.000Z');
	});

	test('shows the quotas of the tenant and of its plan, and what both used', async () => {
		const quotas = { messages_per_month: 10, storage_bytes: 1_000_000 };
		const { plan_id } = await createPlan(used.server, { quotas });
		const tenant = await createTenant(used.server, { plan_id, quotas: { messages_per_month: 5 } });
		const other = await createTenant(used.server, { plan_id });
		for (const [each, count] of [
			[tenant, 2],
			[other, 1],
		] as const) {
			const { room_id } = await createGroup(each, 'alice');
			for (let n = 0; n < count; n++) await sendMessage(each, 'alice', room_id);
		}
		const shown = async () =>
			bodyOf(await tenant.as('alice').get<Limits>('/limits'), 200).quotas.map(
				({ name, scope, limit, used }) => `${scope} ${name}: ${used} of ${limit}`,
			);

		await eventually(
			async () => (await shown()).includes('plan messages_per_month: 3 of 10'),
			10_000,
			'the pool to be summed up',
		);
		const now = bodyOf(await tenant.as('alice').get<Limits>('/limits'), 200).quotas;

		expect((await shown())[0]).toBe('tenant messages_per_month: 2 of 5');
		expect(now.map(({ name, scope }) => `${scope} ${name}`)).toEqual([
			'tenant messages_per_month',
			'plan messages_per_month',
			'plan storage_bytes',
		]);
		expect(now[0]?.resets_at).toEndWith('-01T00:00:00.000Z');
		expect(now[2]).toMatchObject({ resets_at: null });
		expect(now[2]?.used).toBeGreaterThan(100);
	});

	test('is empty of what is not limited', async () => {
		const tenant = await createTenant(used.server);
		expect((await limitsOf(tenant)).map(({ name }) => name)).toEqual(['requests']);
	});
});
