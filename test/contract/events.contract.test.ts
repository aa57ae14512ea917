import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { type Server, startServer } from '../helpers/server.ts';
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
import type { EventsPage, MessagesPage, Room } from '../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

const page = async (tenant: TestTenant, query = '') =>
	bodyOf(await tenant.as().get<EventsPage>(`/events${query && `?${query}`}`), 200);

/** The text of every frame that a user's socket is sent, as it came. */
async function rawFrames(tenant: TestTenant, user: string) {
	const ws = new WebSocket(`${tenant.server.url.replace('http', 'ws')}/ws`, {
		headers: { 'X-API-Key': tenant.api_key, 'X-User-Id': user },
	});
	const texts: string[] = [];
	ws.onmessage = ({ data }) => void texts.push(String(data));
	const has = (type: string) => () => texts.some((text) => text.startsWith(`{"type":"${type}"`));
	await eventually(has('connected'));
	return {
		/** Those with a cursor, once all that was sent by now is here. */
		async settled(): Promise<string[]> {
			ws.send('{"type":"ping"}');
			await eventually(has('pong'));
			ws.close();
			return texts.filter((text) => /^\{"type":"[a-z.]+","cursor":/.test(text));
		},
	};
}

/** One of every event, all of them in front of alice. */
async function everything(tenant: TestTenant): Promise<void> {
	const metadata = { '2': 'two', '1': [1.5, null, 'é 🎉 \u2028'], z: {} };
	const { room_id } = await createGroup(tenant, 'alice', ['bob'], { metadata });
	const alice = tenant.as('alice');
	for (const body of [
		{ content: 'plain' },
		{ content: '"quoted" \\ \n </script> 🎉', meta: metadata, client_msg_id: 'c-1' },
		{ content: 'with a text', meta: 'a text' },
	]) {
		bodyOf(await alice.post(`/rooms/${room_id}/messages`, body), 201);
	}
	await sendMessage(tenant, undefined, room_id, 'from the tenant');
	bodyOf(await alice.post(`/rooms/${room_id}/members`, { members: ['carol', 'dan'] }), 201);
	bodyOf(await alice.put(`/rooms/${room_id}/members/carol`, { role: 'admin' }), 200);
	bodyOf(await alice.patch(`/rooms/${room_id}`, { name: 'Renamed', metadata: { z: null } }), 200);
	bodyOf(await alice.delete(`/rooms/${room_id}/members/dan`), 200);
	bodyOf(await alice.delete(`/rooms/${room_id}`), 200);
	const dm = { type: 'dm', members: ['alice', 'a:b'] };
	bodyOf(await tenant.as().post<Room>('/rooms', dm), 201);
}

describe('GET /events', () => {
	for (const limit of [1, 4, 100]) {
		test(`in pages of ${limit} gives every frame that a socket heard, to the byte`, async () => {
			const tenant = await createTenant(used.server);
			const alice = await rawFrames(tenant, 'alice');
			await everything(tenant);
			const heard = await alice.settled();

			const texts: string[] = [];
			for (let query = `limit=${limit}`; ; ) {
				const answer = await tenant.as().get<EventsPage>(`/events?${query}`);
				const { events, next_cursor, as_of } = bodyOf(answer, 200);
				expect(events.length).toBeWithin(1, limit + 1);
				const list = `{"events":[${events.map((event) => JSON.stringify(event)).join(',')}]`;
				expect(answer.text).toStartWith(list);
				texts.push(...events.map((event) => JSON.stringify(event)));
				expect(as_of >= (events.at(-1)?.cursor ?? '')).toBe(true);
				if (next_cursor === null) break;
				query = `limit=${limit}&after=${next_cursor}`;
			}

			expect(texts).toEqual(heard);
			expect(texts).toHaveLength(11);
		});
	}

	test('begins behind any cursor: of an event, of an as_of, of a message', async () => {
		const tenant = await createTenant(used.server);
		const empty = await page(tenant);
		const { room_id } = await createGroup(tenant, 'alice');
		const [one, two] = [
			await sendMessage(tenant, 'alice', room_id, 'one'),
			await sendMessage(tenant, 'alice', room_id, 'two'),
		];
		const history = bodyOf(await tenant.as().get<MessagesPage>(`/rooms/${room_id}/messages`), 200);

		expect(empty).toEqual({ events: [], next_cursor: null, as_of: empty.as_of });
		const typesAfter = async (cursor: string) =>
			(await page(tenant, `after=${cursor}`)).events.map(({ type }) => type);
		expect(await typesAfter(empty.as_of)).toEqual(['room.created', 'message', 'message']);
		expect(await typesAfter(one.cursor)).toEqual(['message']);
		expect(await typesAfter(two.cursor)).toEqual([]);
		expect(await typesAfter(history.as_of)).toEqual([]);
		expect((await page(tenant, `after=${one.cursor}`)).events).toEqual([
			{ type: 'message', ...two },
		]);
	});

	for (const [query, field] of [
		['after=', 'after'],
		['after=abc', 'after'],
		['after=00000000000000000', 'after'],
		['after=zzzzzzzzzzzzzzzz', 'after'],
		['limit=0', 'limit'],
		['limit=101', 'limit'],
		['wait=-1', 'wait'],
		['wait=51', 'wait'],
		['wait=1.5', 'wait'],
		['cursor=0000000000000000', 'cursor'],
	] as const) {
		test(`refuses ?${query} by name`, async () => {
			const tenant = await createTenant(used.server);
			const answer = await tenant.as().get(`/events?${query}`);

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
		});
	}

	test('answers 409 to a cursor of another log, of the future, and of another life', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		await createGroup(other, 'alice');
		const { as_of } = await page(tenant);
		const foreign = (await page(other)).as_of;

		for (const after of [foreign, `${as_of.slice(0, 15)}1`, `vvvvv${as_of.slice(5)}`]) {
			const answer = await tenant.as().get(`/events?after=${after}&wait=50`);
			expect(answer.status).toBe(409);
			expect(errorOf(answer)).toMatchObject({
				code: 'CONFLICT',
				field: 'after',
				retryable: false,
			});
		}
	});

	test('is for the tenant itself with events:read, and for no user', async () => {
		const tenant = await createTenant(used.server);
		const { api_key } = await createKey(tenant, ['messages:*', 'rooms:*']);
		const reader = await createKey(tenant, ['events:read']);
		const asKey = (key: string) => tenant.as().get('/events', { 'X-API-Key': key });

		expect((await asKey(api_key)).status).toBe(403);
		expect((await asKey(reader.api_key)).status).toBe(200);
		const asUser = await tenant.as('alice').get('/events');
		expect(asUser.status).toBe(400);
		expect(errorOf(asUser)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'X-User-Id' });
	});
});

describe('GET /events?wait=', () => {
	/** A request that waits, once the server has it. */
	async function beginWait(tenant: TestTenant, seconds = 50) {
		const { as_of } = await page(tenant);
		const answer = tenant.as().get<EventsPage>(`/events?after=${as_of}&wait=${seconds}`);
		// Requests of one moment are taken in turn: a later one's answer shows that it has begun.
		await page(tenant);
		return { as_of, answer };
	}

	test('is answered by the next send, with it', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const { answer } = await beginWait(tenant);

		const sent = await sendMessage(tenant, 'alice', room_id, 'at last');

		const { events, as_of } = bodyOf(await within(answer, 'the answer', 2_000), 200);
		expect(events).toEqual([{ type: 'message', ...sent }]);
		expect(as_of).toBe(sent.cursor);
	});

	test('is empty at its end, which another tenant does not bring about', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const startedAt = performance.now();
		const { as_of, answer } = await beginWait(tenant, 1);

		await createGroup(other, 'alice');

		expect(bodyOf(await answer, 200)).toEqual({ events: [], next_cursor: null, as_of });
		expect(performance.now() - startedAt).toBeGreaterThan(950);
	});

	test('ends with 401 as soon as its key is revoked', async () => {
		const tenant = await createTenant(used.server);
		const { api_key, key_id } = await createKey(tenant, ['events:read']);
		const { as_of } = await page(tenant);
		const query = `/events?after=${as_of}&wait=50`;
		const answer = tenant.as().get(query, { 'X-API-Key': api_key });
		await page(tenant);

		const path = `/admin/tenants/${tenant.tenant_id}/api-keys/${key_id}`;
		bodyOf(await operator(used.server).delete(path), 200);

		expect((await within(answer, 'the answer', 1_000)).status).toBe(401);
	});

	test('waits for a hundred requests of a tenant; one more is told when to come again', async () => {
		const [tenant, other] = [await createTenant(used.server), await createTenant(used.server)];
		const { as_of } = await page(tenant);
		const client = new AbortController();
		const waiting = Array.from({ length: 100 }, () =>
			fetch(`${used.server.url}/events?after=${as_of}&wait=3`, {
				headers: { 'X-API-Key': tenant.api_key },
				signal: client.signal,
			}).then((answer) => answer.json() as Promise<EventsPage>),
		);

		const refused = await eventually(async () => {
			const answer = await tenant.as().get(`/events?after=${as_of}&wait=1`);
			return answer.status === 429 ? answer : undefined;
		});

		expect(errorOf(refused).code).toBe('RATE_LIMIT_EXCEEDED');
		expect(errorOf(refused).retry_after_ms).toBeWithin(1, 3_001);
		expect(Number(refused.headers.get('Retry-After'))).toBeWithin(1, 4);
		expect((await page(other, 'wait=1')).events).toEqual([]);
		await createGroup(tenant, 'alice');
		const pages = await Promise.all(waiting);
		expect(pages.map(({ events }) => events.length)).toEqual(pages.map(() => 1));
		expect((await page(tenant, `wait=1`)).events).toHaveLength(1);
	});
});

test('a stop answers at once whoever waits, and is not held up', async () => {
	const server: Server = await startServer({ env: { SHUTDOWN_DRAIN_TIMEOUT: '30s' } });
	const tenant = await createTenant(server);
	const { as_of } = await page(tenant);
	const answers = Array.from({ length: 5 }, () =>
		tenant.as().get<EventsPage>(`/events?after=${as_of}&wait=50`),
	);
	await page(tenant);

	server.signal('SIGTERM');

	expect(await within(server.exited, 'the exit', 5_000)).toBe(0);
	for (const answer of answers) expect(bodyOf(await answer, 200).events).toEqual([]);
});

test('events older than EVENT_RETENTION go, and with them cursors before them; messages stay', async () => {
	const server = await startServer({ env: { EVENT_RETENTION: '1s' } });
	const tenant = await createTenant(server);
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	const first = await sendMessage(tenant, 'alice', room_id, 'to be kept');
	const isGone = async () => (await page(tenant)).events.length === 0;

	await eventually(isGone, 10_000, 'the events to go');

	const expired = await tenant.as().get(`/events?after=${first.cursor.slice(0, 15)}0`);
	expect(expired.status).toBe(409);
	expect((await page(tenant, `after=${first.cursor}`)).events).toEqual([]);
	const history = await tenant.as('bob').get<MessagesPage>(`/rooms/${room_id}/messages`);
	expect(bodyOf(history, 200).messages).toEqual([first]);
	const next = await sendMessage(tenant, 'alice', room_id, 'goes on');
	expect(next.seq).toBe(2);
	expect((await page(tenant, `after=${first.cursor}`)).events).toEqual([
		{ type: 'message', ...next },
	]);
	expect(await server.stop()).toBe(0);
});

test('clients that go while they wait leave their places free', async () => {
	const tenant = await createTenant(used.server);
	const { as_of } = bodyOf(await tenant.as().get<EventsPage>('/events'), 200);
	const path = `/events?after=${as_of}`;
	const client = new AbortController();
	const waiting = Array.from({ length: 100 }, () =>
		fetch(`${used.server.url}${path}&wait=50`, {
			headers: { 'X-API-Key': tenant.api_key },
			signal: client.signal,
		}).catch(() => 'gone'),
	);
	const one = async () => (await tenant.as().get(`${path}&wait=1`)).status;
	await eventually(async () => (await one()) === 429);

	client.abort();

	expect(await Promise.all(waiting)).toEqual(waiting.map(() => 'gone'));
	await eventually(async () => (await one()) === 200);
});
