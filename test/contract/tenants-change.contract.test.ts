/** Tenants as managed things: found, changed by whom it may be, and what the change means at once. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import {
	createGroup,
	createKey,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Message, Room, Tenant, TenantsPage } from '../helpers/wire.ts';

const used = useServer();

const pathOf = ({ tenant_id }: Pick<TestTenant, 'tenant_id'>) => `/admin/tenants/${tenant_id}`;

const change = async (tenant: TestTenant, patch: Record<string, unknown>) =>
	bodyOf(await operator(used.server).patch<Tenant>(pathOf(tenant), patch), 200);

interface Messages {
	messages: Message[];
	has_more: boolean;
}

describe('GET /admin/tenants', () => {
	const namesOf = async (query: string, client = operator(used.server)) => {
		const page = bodyOf(await client.get<TenantsPage>(`/admin/tenants?${query}`), 200);
		return page.tenants.map(({ name }) => name);
	};

	test('finds part of a name or domain, in capitals or not, and takes wildcards as they stand', async () => {
		await createTenant(used.server, { name: 'Blue Whale 100%', domain: 'krill.example' });
		await createTenant(used.server, { name: 'Blue Whale 100x' });

		expect(await namesOf('q=BLUE%20wHALE')).toEqual(['Blue Whale 100x', 'Blue Whale 100%']);
		expect(await namesOf('q=100%25')).toEqual(['Blue Whale 100%']);
		expect(await namesOf('q=krill.')).toEqual(['Blue Whale 100%']);
		expect(await namesOf('q=_lue')).toEqual([]);
		expect(await namesOf('q=%27%20OR%201=1')).toEqual([]);
	});

	test('finds a tenant by its whole id, and by no part of it', async () => {
		const { tenant_id } = await createTenant(used.server, { name: 'By id' });

		expect(await namesOf(`q=${tenant_id}`)).toEqual(['By id']);
		expect(await namesOf(`q=${tenant_id.slice(0, -1)}`)).toEqual([]);
	});

	test('lists those of a plan and a status, over its pages', async () => {
		const { plan_id } = await createPlan(used.server);
		for (const name of ['P1', 'P2', 'P3']) {
			const tenant = await createTenant(used.server, { name, plan_id });
			if (name === 'P2') await operator(used.server).post(`${pathOf(tenant)}/suspend`);
		}

		const first = bodyOf(
			await operator(used.server).get<TenantsPage>(`/admin/tenants?plan_id=${plan_id}&limit=2`),
			200,
		);
		const rest = await namesOf(`plan_id=${plan_id}&limit=2&cursor=${first.next_cursor}`);

		expect([...first.tenants.map(({ name }) => name), ...rest]).toEqual(['P3', 'P2', 'P1']);
		expect(await namesOf(`plan_id=${plan_id}&status=suspended`)).toEqual(['P2']);
		expect(await namesOf(`plan_id=${plan_id}&status=active&q=p1`)).toEqual(['P1']);
		expect(await namesOf(`plan_id=plan_${'0'.repeat(26)}`)).toEqual([]);
	});

	test('shows management credentials nothing of other plans, whatever they ask for', async () => {
		const [own, other] = [await createPlan(used.server), await createPlan(used.server)];
		await createTenant(used.server, { name: 'Mine', plan_id: own.plan_id });
		const theirs = await createTenant(used.server, { name: 'Theirs', plan_id: other.plan_id });
		const management = await createManagementKey(used.server, own.plan_id);
		const client = httpClient(used.server, { management });

		expect(await namesOf('limit=100', client)).toEqual(['Mine']);
		expect(await namesOf(`plan_id=${own.plan_id}`, client)).toEqual(['Mine']);
		expect(await namesOf(`plan_id=${other.plan_id}`, client)).toEqual([]);
		expect(await namesOf(`q=${theirs.tenant_id}`, client)).toEqual([]);
	});

	for (const [query, field] of [
		['status=asleep', 'status'],
		['plan_id=x', 'plan_id'],
		['q=', 'q'],
		[`q=${'x'.repeat(129)}`, 'q'],
	] as const) {
		test(`refuses ?${query.slice(0, 20)} by name`, async () => {
			const answer = await operator(used.server).get(`/admin/tenants?${query}`);

			expect(answer.status).toBe(400);
			expect(errorOf(answer).field).toBe(field);
		});
	}
});

describe('PATCH and PUT /admin/tenants/{tenant_id}', () => {
	for (const method of ['PATCH', 'PUT'] as const) {
		for (const type of ['application/json', 'application/merge-patch+json']) {
			test(`merge alike: ${method} with ${type}`, async () => {
				const tenant = await createTenant(used.server, {
					name: 'Before',
					domain: 'acme.example',
					metadata: { keep: 1, gone: 2 },
					settings: { from_name: 'Acme', history: 'joined' },
				});
				const raw = JSON.stringify({
					domain: null,
					webhook_url: 'https://acme.example/hooks?a=b',
					metadata: { gone: null, more: { deep: true } },
					settings: { history: null, reply_to: 'help@acme.example' },
				});

				const answer = await operator(used.server).call<Tenant>(method, pathOf(tenant), {
					raw,
					headers: { 'Content-Type': type },
				});

				expect(bodyOf(answer, 200)).toMatchObject({
					name: 'Before',
					domain: null,
					webhook_url: 'https://acme.example/hooks?a=b',
					metadata: { keep: 1, more: { deep: true } },
					settings: { from_name: 'Acme', reply_to: 'help@acme.example' },
					version: 2,
				});
				expect(answer.body.settings).not.toHaveProperty('history');
				expect(answer.body.effective_settings).toEqual({
					from_name: 'Acme',
					reply_to: 'help@acme.example',
					history: 'all',
					live_receipts: true,
				});
				expect(answer.headers.get('ETag')).toBe('"2"');
				const read = await operator(used.server).get<Tenant>(pathOf(tenant));
				expect(read.text).toBe(answer.text);
			});
		}
	}

	for (const [claim, patch, field] of [
		['null for a name', { name: null }, 'name'],
		['an unknown field', { nmae: 'A' }, 'nmae'],
		['a status', { status: 'suspended' }, 'status'],
		['a version', { version: 7 }, 'version'],
		['an api_key', { api_key: 'sk_x' }, 'api_key'],
		['the tenant itself', { tenant_id: 'tenant_1' }, 'tenant_id'],
		['what only a plan gives', { features: { a: true } }, 'features'],
		['an unknown setting', { settings: { histroy: 'all' } }, '/settings/histroy'],
		[
			'a setting of the wrong kind',
			{ settings: { live_receipts: 'yes' } },
			'/settings/live_receipts',
		],
		['a setting of no known value', { settings: { history: 'none' } }, '/settings/history'],
		['settings that are no object', { settings: [] }, 'settings'],
		['an address that is none', { settings: { reply_to: 'nobody' } }, '/settings/reply_to'],
		['a webhook to a file', { webhook_url: 'file:///etc/passwd' }, 'webhook_url'],
		['a webhook with credentials', { webhook_url: 'https://a:b@c.example/' }, 'webhook_url'],
		['a webhook with a line break', { webhook_url: 'https://c.example/\r\nX: y' }, 'webhook_url'],
		[
			'both units of a rate',
			{ rate_limit: { requests_per_second: 1, requests_per_minute: 1 } },
			'rate_limit',
		],
		['an unknown plan id', { plan_id: 'gold' }, 'plan_id'],
	] as const) {
		test(`refuse ${claim} by name, and change nothing`, async () => {
			const tenant = await createTenant(used.server);
			const before = await operator(used.server).get(pathOf(tenant));

			for (const method of ['PATCH', 'PUT']) {
				const answer = await operator(used.server).call(method, pathOf(tenant), { body: patch });
				expect(answer.status).toBe(400);
				expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
			}

			expect((await operator(used.server).get(pathOf(tenant))).text).toBe(before.text);
		});
	}

	test('of metadata that the merge makes too large is 413, and changes nothing', async () => {
		const tenant = await createTenant(used.server, { metadata: { a: 'x'.repeat(5000) } });

		const answer = await operator(used.server).patch(pathOf(tenant), {
			metadata: { b: 'y'.repeat(5000) },
		});

		expect(answer.status).toBe(413);
		expect(errorOf(answer).field).toBe('metadata');
		const read = await operator(used.server).get<Tenant>(pathOf(tenant));
		expect(Object.keys(read.body.metadata as object)).toEqual(['a']);
	});

	test('let one of twenty through who have seen the same version', async () => {
		const tenant = await createTenant(used.server);

		const answers = await Promise.all(
			Array.from({ length: 20 }, (_, n) =>
				operator(used.server).patch(pathOf(tenant), { name: `N${n}` }, { 'If-Match': '"1"' }),
			),
		);

		expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
		expect(answers.filter(({ status }) => status === 412)).toHaveLength(19);
		expect((await operator(used.server).get<Tenant>(pathOf(tenant))).body.version).toBe(2);
	});

	test('move a tenant to another plan by the master key only', async () => {
		const [own, other] = [await createPlan(used.server), await createPlan(used.server)];
		const tenant = await createTenant(used.server, { plan_id: own.plan_id });
		const management = await createManagementKey(used.server, own.plan_id);
		const client = httpClient(used.server, { management });

		for (const plan_id of [other.plan_id, null, `plan_${'0'.repeat(26)}`]) {
			const refused = await client.patch(pathOf(tenant), { plan_id, name: 'Moved' });
			expect(refused.status).toBe(403);
			expect(errorOf(refused)).toMatchObject({ code: 'AUTHORIZATION_ERROR', field: 'plan_id' });
		}
		const stayed = await client.patch<Tenant>(pathOf(tenant), { plan_id: own.plan_id, name: 'S' });
		expect(bodyOf(stayed, 200)).toMatchObject({ plan_id: own.plan_id, name: 'S' });
		const moved = await change(tenant, { plan_id: other.plan_id });
		expect(moved.plan_id).toBe(other.plan_id);
		expect((await client.get(pathOf(tenant))).status).toBe(404);
		expect((await change(tenant, { plan_id: null })).plan_id).toBeNull();
	});
});

describe('settings', () => {
	test('are inherited from the plan unless the tenant sets its own, and follow it at once', async () => {
		const { plan_id } = await createPlan(used.server, {
			settings: { history: 'joined', from_name: 'School' },
			features: { typing: true },
		});
		const tenant = await createTenant(used.server, { plan_id, settings: { from_name: 'Class' } });

		const read = async () => (await operator(used.server).get<Tenant>(pathOf(tenant))).body;
		const before = await read();
		await operator(used.server).patch(`/admin/plans/${plan_id}`, { settings: { history: null } });
		const after = await read();

		expect(before.settings).toEqual({ from_name: 'Class' });
		expect(before.features).toEqual({ typing: true });
		expect(before.effective_settings).toMatchObject({ from_name: 'Class', history: 'joined' });
		expect(after.effective_settings).toMatchObject({ from_name: 'Class', history: 'all' });
	});

	test('are the tenant’s own to read and change, with settings:manage', async () => {
		const tenant = await createTenant(used.server);
		const { api_key } = await createKey(tenant, ['settings:manage']);
		const client = httpClient(used.server, { key: api_key });

		const changed = await client.patch<Tenant>('/settings', { live_receipts: false });
		const stale = await client.patch('/settings', { history: 'all' }, { 'If-Match': '"1"' });
		const read = await client.get<Tenant>('/settings');

		const again = await client.patch('/settings', { live_receipts: false });
		expect([again.status, again.text, again.headers.get('ETag')]).toEqual([200, read.text, '"2"']);
		expect(bodyOf(changed, 200)).toMatchObject({ settings: { live_receipts: false }, version: 2 });
		expect(stale.status).toBe(412);
		expect(read.text).toBe(changed.text);
		expect(read.headers.get('ETag')).toBe('"2"');
		const refused = await client.patch('/settings', { plan_id: null });
		expect(errorOf(refused)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'plan_id' });
	});

	test('history: joined hides from who joins later what was said before, over every way to read', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		for (const text of ['one', 'two', 'three']) await sendMessage(tenant, 'alice', room_id, text);
		const path = `/rooms/${room_id}/messages`;
		await change(tenant, { settings: { history: 'joined' } });
		await tenant.as('alice').post(`/rooms/${room_id}/members`, { members: ['bob'] });

		const nothing = await tenant.as('bob').get<Messages>(path);
		const room = await tenant.as('bob').get<Room>(`/rooms/${room_id}`);
		const rooms = await tenant.as('bob').get<{ rooms: Room[] }>('/rooms');
		const socket = await tenant.socket('bob');
		await sendMessage(tenant, 'alice', room_id, 'four');
		const page = await tenant.as('bob').get<Messages>(`${path}?after_seq=1`);
		const before = await tenant.as('bob').get<Messages>(`${path}?before_seq=4`);
		const frame = await socket.request({ type: 'messages.list', room_id, after_seq: 0 });
		await socket.close();

		expect(nothing.body).toMatchObject({ messages: [], has_more: false });
		expect(room.body.last_message).toBeUndefined();
		expect(rooms.body.rooms[0]?.last_message).toBeUndefined();
		expect(page.body.messages.map(({ content }) => content)).toEqual(['four']);
		expect(before.body.messages).toEqual([]);
		expect(JSON.stringify(frame)).toContain('four');
		for (const { text } of [nothing, room, rooms, page, before]) {
			expect(text).not.toMatch(/"(one|two|three)"/);
		}
		expect(JSON.stringify(frame)).not.toMatch(/"(one|two|three)"/);
		const alices = await tenant.as('alice').get<Messages>(path);
		expect(alices.body.messages).toHaveLength(4);
		await change(tenant, { settings: { history: 'all' } });
		expect((await tenant.as('bob').get<Messages>(path)).body.messages).toHaveLength(4);
	});

	test('live_receipts: false tells a room of no positions and no typing, on open sockets too', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await sendMessage(tenant, 'alice', room_id);
		const [alice, bob, bobs] = [
			await tenant.socket('alice'),
			await tenant.socket('bob'),
			await tenant.socket('bob'),
		];

		await change(tenant, { settings: { live_receipts: false } });
		await bob.request({ type: 'typing.start', room_id });
		await bob.request({ type: 'read', room_id, seq: 1 });
		await bobs.next('typing');
		await bobs.next('read.updated');
		await alice.settle();

		expect(alice.all('typing')).toEqual([]);
		expect(alice.all('read.updated')).toEqual([]);
		await change(tenant, { settings: { live_receipts: null } });
		await alice.request({ type: 'typing.start', room_id });
		expect(await bob.next('typing')).toMatchObject({ user_id: 'bob' });
		expect(await bobs.next('typing')).toMatchObject({ user_id: 'alice' });
		await Promise.all([alice, bob, bobs].map((socket) => socket.close()));
	});
});

describe('the document', () => {
	test('has the schema of the settings, with no room for others', async () => {
		const answer = await fetch(`${used.server.url}/swagger/json`);
		const document = (await answer.json()) as {
			paths: Record<string, { patch: { requestBody: { content: Record<string, unknown> } } }>;
		};

		const body = document.paths['/settings']?.patch.requestBody.content['application/json'];
		expect(body).toMatchObject({
			schema: {
				additionalProperties: false,
				properties: { from_name: {}, reply_to: {}, history: {}, live_receipts: {} },
			},
		});
	});
});

test('a user’s token reads by the tenant’s settings as well', async () => {
	const tenant = await createTenant(used.server, { settings: { history: 'joined' } });
	const { room_id } = await createGroup(tenant, 'alice');
	await sendMessage(tenant, 'alice', room_id, 'early');
	await tenant.as('alice').post(`/rooms/${room_id}/members`, { members: ['bob'] });
	const made = await tenant.as().post<{ token: string }>('/users/bob/tokens', {});

	const page = await withToken(used.server, made.body.token).get<Messages>(
		`/rooms/${room_id}/messages`,
	);

	expect(bodyOf(page, 200).messages).toEqual([]);
});
