import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { startServer } from '../helpers/server.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createKey,
	createPlan,
	createTenant,
	createToken,
	operator,
	sendMessage,
	type TestTenant,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

interface Usage {
	tenant_id: string;
	period: string;
	messages_sent: number;
	messages_delivered: number;
	api_requests: number;
	active_users: number;
	peak_connections: number;
	peak_connections_at: string | null;
	connection_minutes: number;
	storage_bytes: number;
	explained?: { field: string; items: Record<string, unknown>[]; next_cursor: string | null };
}

/** Asked by the operator: it counts for no tenant. */
const usageOf = async ({ server, tenant_id }: TestTenant, query = '') =>
	bodyOf(await operator(server).get<Usage>(`/admin/tenants/${tenant_id}/usage${query}`), 200);

const today = () => new Date().toISOString().slice(0, 10);
const month = () => today().slice(0, 7);

/** Waits out the last seconds of a day, so that none begins within a test. */
const awayFromMidnight = () =>
	eventually(() => Date.now() % 86_400_000 < 86_340_000, 70_000, 'midnight to pass');

test('a new tenant has used nothing, and every field is there', async () => {
	const tenant = await createTenant(used.server);

	const { storage_bytes, ...usage } = await usageOf(tenant);

	expect(usage).toEqual({
		tenant_id: tenant.tenant_id,
		period: month(),
		...{ messages_sent: 0, messages_delivered: 0, api_requests: 0, active_users: 0 },
		...{ peak_connections: 0, peak_connections_at: null, connection_minutes: 0 },
		...{ webhooks_delivered: 0, emails_sent: 0, emails_delivered: 0, emails_bounced: 0 },
	} as typeof usage);
	expect(storage_bytes).toBeGreaterThan(100);
});

test('what a tenant does over both faces is counted once each, and for nobody else', async () => {
	await awayFromMidnight();
	const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
	const before = await usageOf(other);
	const { room_id } = await createGroup(tenant, 'ann', ['bob', 'cat']); // request 1
	const ann = await tenant.socket('ann'); // 2
	const bob = await tenant.socket('bob'); // 3
	await sendMessage(tenant, 'cat', room_id); // 4: to two sockets
	await ann.request({ type: 'send_message', room_id, content: 'x', client_msg_id: 'c1' }); // 5
	await ann.request({ type: 'send_message', room_id, content: 'x', client_msg_id: 'c1' }); // 6: a repeat
	await tenant.as('dan').post(`/rooms/${room_id}/messages`, { content: 'x' }); // 7: 404, and an act
	const token = await createToken(tenant, 'eve'); // 8
	await withToken(used.server, token).get('/rooms'); // 9
	const lacking = await createKey(tenant, ['rooms:read']);
	const refused = await tenant
		.as('fay')
		.post(`/rooms/${room_id}/messages`, { content: 'x' }, { 'X-API-Key': lacking.api_key });
	await Promise.all([ann.close(), bob.close()]);

	const usage = await usageOf(tenant);
	const own = bodyOf(await tenant.as().get<Usage>(`/usage?period=${today()}`), 200); // 10

	expect(refused.status).toBe(403);
	expect(usage).toMatchObject({
		...{ messages_sent: 2, messages_delivered: 4, api_requests: 9 },
		...{ active_users: 5, peak_connections: 2, connection_minutes: 0 },
	});
	expect(own).toMatchObject({ ...usage, period: today(), api_requests: 10 });
	expect(await usageOf(other)).toEqual(before);
});

test('messages that are replayed are delivered then, and not before', async () => {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'ann', ['bob']);
	const first = await tenant.socket('ann');
	const { cursor } = first.connected;
	await first.close();
	for (let count = 0; count < 3; count++) await sendMessage(tenant, 'bob', room_id);
	const away = await usageOf(tenant);
	const back = await openSocket(used.server, {
		...{ key: tenant.api_key, user: 'ann', query: `cursor=${cursor}` },
	});
	await back.next('replay.done');

	expect([away.messages_delivered, (await usageOf(tenant)).messages_delivered]).toEqual([0, 3]);
	await back.close();
});

describe('what stands behind a number', () => {
	test('is listed in pages: users, rooms, peaks, tables, days', async () => {
		await awayFromMidnight();
		const tenant = await createTenant(used.server);
		const rooms = [
			await createGroup(tenant, 'ann', ['bob']),
			await createGroup(tenant, 'bob'),
			await createGroup(tenant, 'cat'),
		].map(({ room_id }) => room_id);
		const [one = '', two = '', three = ''] = rooms;
		for (const room_id of [one, one, one]) await sendMessage(tenant, 'ann', room_id);
		await sendMessage(tenant, undefined, two);
		const socket = await tenant.socket('dan');
		await socket.close();
		const explained = async (query: string) => {
			const { explained: page } = await usageOf(tenant, `?${query}`);
			if (page === undefined) throw new Error('Nothing is explained');
			return page;
		};

		const users = await explained('explain=active_users&limit=3');
		expect(users).toEqual({
			field: 'active_users',
			items: ['ann', 'bob', 'cat'].map((user_id) => ({ user_id, days: 1 })),
			next_cursor: 'cat',
		});
		const more = await explained(`explain=active_users&limit=3&cursor=${users.next_cursor}`);
		expect(more).toMatchObject({ items: [{ user_id: 'dan', days: 1 }], next_cursor: null });

		const messages = await explained(`explain=messages_sent&period=${today()}`);
		expect(messages.items).toEqual(
			[
				{ room_id: one, messages: 3 },
				{ room_id: two, messages: 1 },
			].sort((a, b) => (a.room_id < b.room_id ? -1 : 1)),
		);
		expect(JSON.stringify(messages)).not.toContain(three);

		const peaks = await explained('explain=peak_connections');
		expect(peaks.items).toMatchObject([{ day: today(), peak_connections: 1 }]);

		const tables = await explained('explain=storage_bytes');
		const { storage_bytes } = await usageOf(tenant);
		const bytes = tables.items.reduce((sum, item) => sum + Number(item.bytes), 0);
		expect(bytes).toBe(storage_bytes);
		expect(tables.items).toContainEqual(expect.objectContaining({ table: 'messages', rows: 4 }));
		expect(tables.items.map(({ table }) => table)).not.toContain('usage_days');

		const days = await explained('explain=days');
		expect(days.items).toHaveLength(Number(today().slice(8)));
		expect(days.items.at(-1)).toMatchObject({ day: today(), messages_sent: 4, storage_bytes });
	});

	test('grows with what is stored, by its bytes', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'ann');
		await sendMessage(tenant, 'ann', room_id, 'x');
		const one = (await usageOf(tenant)).storage_bytes;
		await sendMessage(tenant, 'ann', room_id, 'x');
		const two = (await usageOf(tenant)).storage_bytes;
		await sendMessage(tenant, 'ann', room_id, '€'.repeat(1001));
		const three = (await usageOf(tenant)).storage_bytes;

		expect(two - one).toBeGreaterThan(1);
		expect(three - two).toBe(two - one + 3 * 1001 - 1);
	});
});

describe('as CSV', () => {
	test('it is a header and a line for each day up to today, with the figures of the JSON', async () => {
		await awayFromMidnight();
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'ann');
		await sendMessage(tenant, 'ann', room_id);

		const answer = await operator(used.server).get(`/admin/tenants/${tenant.tenant_id}/usage`, {
			Accept: 'text/csv',
		});
		const json = await usageOf(tenant, `?period=${today()}`);

		expect(answer.status).toBe(200);
		expect(answer.headers.get('Content-Type')).toBe('text/csv; charset=utf-8; header=present');
		const [header = '', ...lines] = answer.text.trimEnd().split('\r\n');
		expect(header).toStartWith('day,messages_sent,messages_delivered,api_requests,active_users,');
		expect(lines).toHaveLength(Number(today().slice(8)));
		const cells = (lines.at(-1) ?? '').split(',');
		const line = Object.fromEntries(header.split(',').map((name, index) => [name, cells[index]]));
		expect(line).toMatchObject({
			day: today(),
			messages_sent: '1',
			api_requests: '2',
			active_users: '1',
			peak_connections_at: '',
			storage_bytes: String(json.storage_bytes),
		});
	});

	test('a refusal is JSON all the same', async () => {
		const tenant = await createTenant(used.server);
		const csv = { Accept: 'text/csv' };

		const wrongDay = await tenant.as().get('/usage?period=2026-02-30', csv);
		const user = await tenant.as('ann').get('/usage', csv);

		expect([errorOf(wrongDay).field, errorOf(user).field]).toEqual(['period', 'X-User-Id']);
	});
});

test('a period of the past or the future is empty, and what is none is refused by name', async () => {
	const tenant = await createTenant(used.server);
	await createGroup(tenant, 'ann');

	for (const period of ['2020-01', '2020-02-29', '9999-12']) {
		expect(await usageOf(tenant, `?period=${period}`)).toMatchObject({
			...{ period, api_requests: 0, active_users: 0, storage_bytes: 0 },
		});
	}
	for (const [query, field] of [
		['period=2026', 'period'],
		['period=2026-00', 'period'],
		['period=2026-11-31', 'period'],
		['period=%00', 'period'],
		['explain=everything', 'explain'],
		['limit=0', 'limit'],
		['explain=active_users&cursor=%20', 'cursor'],
		['days=1', 'days'],
	]) {
		const answer = await tenant.as().get(`/usage?${query}`);
		expect({ query, status: answer.status, field: errorOf(answer).field }).toEqual({
			...{ query: String(query), status: 400, field },
		});
	}
});

test("SelfMX's path and header: /v1/tenants/{id}/usage with a bearer token", async () => {
	const tenant = await createTenant(used.server);

	const answer = await fetch(`${used.server.url}/v1/tenants/${tenant.tenant_id}/usage`, {
		headers: { Authorization: `Bearer ${used.server.masterKey}` },
	});

	expect(await answer.json()).toEqual(await usageOf(tenant));
});

describe('over the end of the process', () => {
	/** A server in which one tenant has done something, a socket left open. */
	async function inUse(dataDir: string) {
		const env = { MASTER_API_KEY: 'a-master-key-of-enough-characters!', DEFAULT_RATE_LIMIT: '0' };
		const server = await startServer({ env, dataDir });
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'ann', ['bob']);
		const socket = await tenant.socket('bob');
		await Promise.all(Array.from({ length: 50 }, () => sendMessage(tenant, 'ann', room_id)));
		await eventually(() => socket.all('message').length === 50);
		const again = async () => {
			const next = await startServer({ env, dataDir });
			return { next, usage: await usageOf({ ...tenant, server: next }) };
		};
		return { server, again };
	}

	test('a stop loses nothing', async () => {
		await awayFromMidnight();
		const { server, again } = await inUse(`${used.server.dataDir}-stop`);
		expect(await server.stop()).toBe(0);

		const { next, usage } = await again();
		expect(usage).toMatchObject({
			...{ messages_sent: 50, messages_delivered: 50, api_requests: 52 },
			...{ active_users: 2, peak_connections: 1 },
		});
		expect(await next.stop()).toBe(0);
	});

	test('a kill loses no message, and of the rest what was not written', async () => {
		await awayFromMidnight();
		const { server, again } = await inUse(`${used.server.dataDir}-kill`);
		await server.kill();

		const { next, usage } = await again();
		expect(usage.messages_sent).toBe(50);
		expect(usage.api_requests).toBeLessThanOrEqual(52);
		expect(await next.stop()).toBe(0);
	});

	test('the rest is written within some seconds, without anybody asking', async () => {
		await awayFromMidnight();
		const { server, again } = await inUse(`${used.server.dataDir}-wait`);
		// What is on disk, read from outside.
		const disk = new Database(`${server.dataDir}/chatapi.db`, { readonly: true });
		const query = disk.query<{ requests: number }, []>(
			'SELECT sum(api_requests) AS requests FROM usage_days',
		);
		await eventually(() => query.get()?.requests === 52, 15_000, 'the usage to be written');
		disk.close();
		await server.kill();

		const { next, usage } = await again();
		expect(usage).toMatchObject({ api_requests: 52, active_users: 2, messages_delivered: 50 });
		expect(await next.stop()).toBe(0);
	}, 40_000);
});

describe('the usage of a plan', () => {
	interface PlanUsage extends Omit<Usage, 'tenant_id'> {
		plan_id: string;
		tenants: Usage[];
		next_cursor: string | null;
	}

	test('is the sum of its tenants, page by page, and of no others', async () => {
		await awayFromMidnight();
		const { plan_id } = await createPlan(used.server);
		const path = `/admin/plans/${plan_id}/usage`;
		const other = await createTenant(used.server);
		await sendMessage(other, 'ann', (await createGroup(other, 'ann')).room_id);
		const tenants: TestTenant[] = [];
		for (let count = 1; count <= 3; count++) {
			const tenant = await createTenant(used.server, { plan_id });
			const { room_id } = await createGroup(tenant, 'ann', ['bob']);
			for (let n = 0; n < count; n++) await sendMessage(tenant, 'ann', room_id);
			tenants.push(tenant);
		}
		// Written by whoever asks for a tenant's own.
		const parts = await Promise.all(tenants.map((tenant) => usageOf(tenant)));

		const whole = bodyOf(await operator(used.server).get<PlanUsage>(path), 200);
		const first = bodyOf(await operator(used.server).get<PlanUsage>(`${path}?limit=2`), 200);
		const rest = bodyOf(
			await operator(used.server).get<PlanUsage>(`${path}?limit=2&cursor=${first.next_cursor}`),
			200,
		);

		expect(whole).toMatchObject({ plan_id, period: month(), messages_sent: 6, active_users: 3 });
		expect(whole.api_requests).toBe(parts.reduce((sum, part) => sum + part.api_requests, 0));
		expect(whole.tenants.map((part) => [part.tenant_id, part.messages_sent])).toEqual(
			tenants.map(({ tenant_id }, index) => [tenant_id, index + 1]).toReversed(),
		);
		expect([...first.tenants, ...rest.tenants]).toEqual(whole.tenants);
		expect([first.messages_sent, rest.next_cursor]).toEqual([6, null]);
	});

	test('is a line a tenant as CSV, and nothing for a plan without tenants', async () => {
		const { plan_id } = await createPlan(used.server);
		const path = `/admin/plans/${plan_id}/usage`;
		const empty = bodyOf(await operator(used.server).get<PlanUsage>(path), 200);
		const { tenant_id } = await createTenant(used.server, { plan_id });

		const csv = await operator(used.server).call('GET', path, {
			headers: { Accept: 'text/csv' },
			isChecked: false,
		});

		expect(empty).toMatchObject({ messages_sent: 0, peak_connections_at: null, tenants: [] });
		const [header = '', line = '', ...more] = csv.text.split('\r\n');
		expect(header).toStartWith('tenant_id,messages_sent,');
		expect(line).toStartWith(`${tenant_id},0,`);
		expect(more).toEqual(['']);
	});

	test('refuses a period there never is, and a plan that is none', async () => {
		const { plan_id } = await createPlan(used.server);
		const client = operator(used.server);

		const never = await client.get(`/admin/plans/${plan_id}/usage?period=2026-02-30`);
		const none = await client.get(`/admin/plans/plan_${'0'.repeat(26)}/usage`);

		expect([never.status, none.status]).toEqual([400, 404]);
		expect(errorOf(never).field).toBe('period');
	});
});
