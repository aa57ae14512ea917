/** What the operator may read of a tenant, and the list of all messages that the tenant has of its own. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import {
	createGroup,
	createManagementKey,
	createPlan,
	createTenant,
	operator,
	sendMessage,
	type TestTenant,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type {
	AuditPage,
	MembersPage,
	Message,
	MessagesPage,
	Page,
	Room,
	RoomsPage,
} from '../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0' });

type AllMessages = Page & { messages: Message[]; as_of: string };
type UsersPage = Page & { users: { user_id: string; name: string | null }[] };

/** A tenant with two rooms, in which others spoke than those who made them, and a user it told of. */
async function createWorld() {
	const tenant = await createTenant(used.server);
	const first = await createGroup(tenant, 'ann', ['bob']);
	const second = await createGroup(tenant, 'cat');
	const sent: Message[] = [];
	for (const [user, room] of [
		['bob', first],
		['cat', second],
		['ann', first],
		[undefined, second],
		['bob', first],
	] as const) {
		sent.push(await sendMessage(tenant, user, room.room_id, `message ${sent.length}`));
	}
	return { tenant, first, second, sent };
}

/** The operator's answer. */
async function read<Body>({ server, tenant_id }: TestTenant, path: string): Promise<Body> {
	return bodyOf(await operator(server).get<Body>(`/admin/tenants/${tenant_id}${path}`), 200);
}

/** Every page of a list, one after the other. */
async function pages<Item>(get: (query: string) => Promise<Page>, name: string) {
	const found: Item[][] = [];
	let cursor: string | null = '';
	while (cursor !== null) {
		const page: Page = await get(cursor && `&cursor=${cursor}`);
		found.push((page as unknown as Record<string, Item[]>)[name] ?? []);
		cursor = page.next_cursor;
		expect(found.length).toBeLessThan(100);
	}
	return found;
}

const idsOf = (messages: readonly Message[]) => messages.map(({ message_id }) => message_id);

describe('the operator is shown', () => {
	test('all rooms of a tenant, newest first, with their last messages', async () => {
		const { tenant, first, second, sent } = await createWorld();

		const { rooms, next_cursor, as_of } = await read<RoomsPage>(tenant, '/rooms');

		expect(rooms.map(({ room_id }) => room_id)).toEqual([second.room_id, first.room_id]);
		expect(rooms.map(({ last_message }) => last_message?.message_id)).toEqual(
			idsOf([sent[3], sent[4]] as Message[]),
		);
		expect(rooms[0]).not.toHaveProperty('unread_count');
		expect(next_cursor).toBeNull();
		expect(as_of).toBe(sent[4]?.cursor as string);
	});

	test('rooms page by page, each once, and none that was deleted', async () => {
		const tenant = await createTenant(used.server);
		const made: string[] = [];
		for (let count = 0; count < 7; count++) made.push((await createGroup(tenant, 'ann')).room_id);
		bodyOf(await tenant.as().delete(`/rooms/${made[3]}`), 200);

		const found = await pages<Room>((query) => read(tenant, `/rooms?limit=2${query}`), 'rooms');

		expect(found.map((page) => page.length)).toEqual([2, 2, 2]);
		expect(found.flat().map(({ room_id }) => room_id)).toEqual(
			made.filter((_, index) => index !== 3).reverse(),
		);
	});

	test('a room, its members and its messages as the tenant itself is', async () => {
		const { tenant, first } = await createWorld();
		const path = `/rooms/${first.room_id}`;

		for (const part of [
			'',
			'/members',
			'/messages',
			'/messages?limit=2',
			'/messages?after_seq=1',
		]) {
			const own = bodyOf(await tenant.as().get<unknown>(path + part), 200);
			expect(await read<unknown>(tenant, path + part)).toEqual(own);
		}
		expect((await read<MembersPage>(tenant, `${path}/members`)).members).toHaveLength(2);
		expect((await read<MessagesPage>(tenant, `${path}/messages`)).messages).toHaveLength(3);
	});

	test('users in the order of their ids, page by page, and one of them', async () => {
		const tenant = await createTenant(used.server);
		for (const user of ['zoe', 'a:b', 'mia', 'Bob', 'ann']) {
			bodyOf(await tenant.as().put(`/users/${user}`, { name: user }), 200);
		}

		const found = await pages<{ user_id: string }>(
			(query) => read(tenant, `/users?limit=2${query}`),
			'users',
		);

		expect(found.flat().map(({ user_id }) => user_id)).toEqual(['Bob', 'a:b', 'ann', 'mia', 'zoe']);
		expect(await read<unknown>(tenant, '/users/mia')).toEqual(
			bodyOf(await tenant.as().get<unknown>('/users/mia'), 200),
		);
		expect((await read<UsersPage>(tenant, '/users')).users).toHaveLength(5);
	});

	test('all messages as the tenant itself is, under both spellings of the path', async () => {
		const { tenant, sent } = await createWorld();
		const bearer = { Authorization: `Bearer ${used.server.masterKey}` };

		const shown = await read<AllMessages>(tenant, '/messages');
		const spelled = await httpClient(used.server, { headers: bearer }).get(
			`/v1/tenants/${tenant.tenant_id}/messages`,
		);

		expect(idsOf(shown.messages)).toEqual(idsOf(sent).reverse());
		expect(bodyOf(await tenant.as().get<unknown>('/messages'), 200)).toEqual(shown);
		expect(bodyOf(spelled, 200)).toEqual(shown);
	});

	test('nothing of a tenant that is not there, nor of one of another plan', async () => {
		const { tenant } = await createWorld();
		const { plan_id } = await createPlan(used.server);
		const management = await createManagementKey(used.server, plan_id);
		const confined = httpClient(used.server, { management });

		for (const part of ['rooms', 'messages', 'users']) {
			const answer = await confined.get(`/admin/tenants/${tenant.tenant_id}/${part}`);
			expect({ part, code: errorOf(answer).code }).toEqual({ part, code: 'NOT_FOUND' });
		}
		const { entries } = bodyOf(
			await operator(used.server).get<AuditPage>(`/admin/audit?tenant_id=${tenant.tenant_id}`),
			200,
		);
		expect(entries.map(({ action }) => action)).toEqual(['tenants.create']);
	});
});

test('a read is recorded with what was asked for, and nothing of what was found', async () => {
	const { tenant, first } = await createWorld();
	const { tenant_id } = tenant;
	await read(tenant, `/rooms/${first.room_id}/messages?after_seq=1&limit=2`);

	const { entries } = bodyOf(
		await operator(used.server).get<AuditPage>(`/admin/audit?tenant_id=${tenant_id}&limit=1`),
		200,
	);

	expect(entries).toMatchObject([
		{
			action: 'tenant_messages.list',
			credential: 'master',
			tenant_id,
			target: { tenant_id, room_id: first.room_id, after_seq: 1, limit: 2 },
			before: null,
			after: null,
		},
	]);
	expect(JSON.stringify(entries)).not.toContain('message 2');
});

test('a read of what is not there is 404, and shows and records nothing', async () => {
	const { tenant } = await createWorld();
	const { room_id } = await createGroup(await createTenant(used.server), 'ann');
	const path = `/admin/tenants/${tenant.tenant_id}`;

	for (const part of [`rooms/${room_id}`, `rooms/${room_id}/messages`, 'users/nobody']) {
		const answer = await operator(used.server).get(`${path}/${part}`);
		expect({ part, status: answer.status }).toEqual({ part, status: 404 });
	}

	const { entries } = bodyOf(
		await operator(used.server).get<AuditPage>(`/admin/audit?tenant_id=${tenant.tenant_id}`),
		200,
	);
	expect(entries.map(({ action }) => action)).toEqual(['tenants.create']);
});

describe('GET /messages', () => {
	test('lists the messages of all rooms, newest first, each once, page by page', async () => {
		const { tenant, sent } = await createWorld();
		const client = tenant.as();

		const found = await pages<Message>(
			async (query) => bodyOf(await client.get<AllMessages>(`/messages?limit=2${query}`), 200),
			'messages',
		);

		expect(found.map((page) => page.length)).toEqual([2, 2, 1]);
		expect(found.flat()).toEqual([...sent].reverse());
	});

	test('shows nothing new on a page that was begun before it came', async () => {
		const { tenant, first, sent } = await createWorld();
		const client = tenant.as();
		const start = bodyOf(await client.get<AllMessages>('/messages?limit=2'), 200);

		await sendMessage(tenant, 'ann', first.room_id, 'late');
		const rest = bodyOf(
			await client.get<AllMessages>(`/messages?cursor=${start.next_cursor}`),
			200,
		);

		expect(idsOf([...start.messages, ...rest.messages])).toEqual(idsOf(sent).reverse());
	});

	test('passes over rooms that were deleted, however much was said in them', async () => {
		const tenant = await createTenant(used.server);
		const kept = await createGroup(tenant, 'ann');
		const oldest = await sendMessage(tenant, 'ann', kept.room_id, 'oldest');
		const gone = await createGroup(tenant, 'ann');
		for (let count = 0; count < 150; count++) {
			await tenant.as('ann').call('POST', `/rooms/${gone.room_id}/messages`, {
				body: { content: 'gone' },
				isChecked: false,
			});
		}
		const newest = await sendMessage(tenant, 'ann', kept.room_id, 'newest');
		bodyOf(await tenant.as('ann').delete(`/rooms/${gone.room_id}`), 200);

		const found = await pages<Message>(
			async (query) => bodyOf(await tenant.as().get<AllMessages>(`/messages?limit=3${query}`), 200),
			'messages',
		);

		expect(idsOf(found.flat())).toEqual(idsOf([newest, oldest]));
	});

	test('is empty for a tenant without any', async () => {
		const tenant = await createTenant(used.server);
		expect(bodyOf(await tenant.as().get<AllMessages>('/messages'), 200)).toMatchObject({
			messages: [],
			next_cursor: null,
		});
	});

	test.each(['x', '0000000000000000', 'room_1', 'vvvvvvvvvvvvvvvv'])(
		'refuses the cursor %s, which it never gave',
		async (cursor) => {
			const { tenant } = await createWorld();
			for (const path of ['/messages', `/admin/tenants/${tenant.tenant_id}/messages`]) {
				const client = path === '/messages' ? tenant.as() : operator(used.server);
				const answer = await client.get(`${path}?cursor=${cursor}`);
				expect({ status: answer.status, field: errorOf(answer).field }).toEqual({
					status: 400,
					field: 'cursor',
				});
			}
		},
	);
});

test('a list of rooms refuses a cursor that it never gave, and that of another tenant', async () => {
	const { tenant } = await createWorld();
	const { room_id } = await createGroup(await createTenant(used.server), 'ann');

	for (const cursor of ['7', room_id]) {
		const path = `/admin/tenants/${tenant.tenant_id}/rooms?cursor=${cursor}`;
		const answer = await operator(used.server).get(path);
		expect({ status: answer.status, field: errorOf(answer).field }).toEqual({
			status: 400,
			field: 'cursor',
		});
	}
});
