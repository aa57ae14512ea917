import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Room, RoomsPage } from '../helpers/wire.ts';

const used = useServer();
const CURSOR = /^[0-9a-v]{16}$/;

describe('GET /rooms', () => {
	test('lists the rooms of the caller only, most recent activity first', async () => {
		const tenant = await createTenant(used.server);
		const first = await createGroup(tenant, 'alice', ['bob'], { name: 'first' });
		const second = await createGroup(tenant, 'alice', ['bob'], { name: 'second' });
		const third = await createGroup(tenant, 'alice', ['bob'], { name: 'third' });
		await createGroup(tenant, 'carol', ['dave'], { name: 'others' });

		expect(await namesFor(tenant, 'bob')).toEqual(['third', 'second', 'first']);
		await sendMessage(tenant, 'alice', first.room_id);
		expect(await namesFor(tenant, 'bob')).toEqual(['first', 'third', 'second']);
		await sendMessage(tenant, 'bob', second.room_id);
		expect(await namesFor(tenant, 'bob')).toEqual(['second', 'first', 'third']);
		expect(await namesFor(tenant, 'nobody')).toEqual([]);
		expect(third.last_seq).toBe(0);
	});

	test('tells the last message, the head, what is unread and what was read', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const silent = await createGroup(tenant, 'alice', ['bob']);
		await sendMessage(tenant, 'alice', room_id, 'one');
		await sendMessage(tenant, 'alice', room_id, 'two');
		const last = await sendMessage(tenant, 'alice', room_id, 'three');
		await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 1 });

		const rooms = await roomsFor(tenant, 'bob');

		const room = rooms.find((each) => each.room_id === room_id);
		expect(room).toMatchObject({ last_seq: 3, unread_count: 2, last_read_seq: 1, member_count: 2 });
		expect(room?.last_message).toMatchObject({
			message_id: last.message_id,
			seq: 3,
			content: 'three',
			sender_id: 'alice',
		});
		const quiet = rooms.find((each) => each.room_id === silent.room_id);
		expect(quiet).toMatchObject({ last_seq: 0, unread_count: 0, last_read_seq: 0 });
		expect(quiet?.last_message ?? null).toBeNull();
	});

	test('gives each room once over its pages, in the one order', async () => {
		const tenant = await createTenant(used.server);
		for (let index = 0; index < 7; index++) {
			await createGroup(tenant, 'alice', [], { name: `r${index}` });
		}

		const pages = [await page(tenant, '?limit=3')];
		for (let next = pages[0]?.next_cursor; next; next = pages.at(-1)?.next_cursor) {
			pages.push(await page(tenant, `?limit=3&cursor=${encodeURIComponent(next)}`));
		}

		expect(pages.map(({ rooms }) => rooms.length)).toEqual([3, 3, 1]);
		expect(pages.flatMap(({ rooms }) => rooms.map(({ name }) => name))).toEqual([
			'r6',
			'r5',
			'r4',
			'r3',
			'r2',
			'r1',
			'r0',
		]);
		for (const { as_of } of pages) expect(as_of).toMatch(CURSOR);
	});

	test('ends with next_cursor null also when the last page is exactly full', async () => {
		const tenant = await createTenant(used.server);
		await createGroup(tenant, 'alice');
		await createGroup(tenant, 'alice');

		expect((await page(tenant, '?limit=2')).next_cursor).toBeNull();
	});

	test('its as_of rises with every change', async () => {
		const tenant = await createTenant(used.server);
		const room = await createGroup(tenant, 'alice');
		const before = (await page(tenant, '')).as_of;
		const message = await sendMessage(tenant, 'alice', room.room_id);
		const after = (await page(tenant, '')).as_of;

		expect(after > before).toBe(true);
		expect(after).toBe(message.cursor);
	});

	for (const [query, field] of [
		['limit=0', 'limit'],
		['limit=101', 'limit'],
		['limit=-1', 'limit'],
		['limit=1e1', 'limit'],
		['cursor=', 'cursor'],
		['type=dm', 'type'],
	] as const) {
		test(`refuses ?${query} by name`, async () => {
			const tenant = await createTenant(used.server);
			const answer = await tenant.as('alice').get(`/rooms?${query}`);

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
		});
	}

	test('a cursor that no page gave is refused, not guessed at', async () => {
		const tenant = await createTenant(used.server);
		const answer = await tenant.as('alice').get('/rooms?cursor=made-up');

		expect(answer.status).toBe(400);
		expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'cursor' });
	});

	test('needs a user: the tenant itself has no rooms of its own', async () => {
		const tenant = await createTenant(used.server);
		const answer = await tenant.as().get('/rooms');

		expect(answer.status).toBe(400);
		expect(errorOf(answer)).toMatchObject({
			code: 'VALIDATION_ERROR',
			message: 'Missing X-User-Id header',
			field: 'X-User-Id',
		});
	});
});

describe('GET /rooms/{room_id}', () => {
	test('gives members the room with their state, the tenant without', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob'], { name: 'Plans' });
		await sendMessage(tenant, 'alice', room_id);

		const forBob = bodyOf(await tenant.as('bob').get<Room>(`/rooms/${room_id}`), 200);
		const forTenant = bodyOf(await tenant.as().get<Room>(`/rooms/${room_id}`), 200);

		expect(forBob).toMatchObject({ name: 'Plans', last_seq: 1, unread_count: 1, last_read_seq: 0 });
		expect(forTenant).toMatchObject({ name: 'Plans', last_seq: 1 });
		expect(forTenant).not.toHaveProperty('unread_count');
		expect(forTenant).not.toHaveProperty('last_read_seq');
	});

	test('to one who is no member it answers the very bytes of a room that does not exist', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const headers = { 'X-Request-Id': 'same-for-both' };
		const stranger = tenant.as('mallory');

		const hidden = await stranger.get(`/rooms/${room_id}`, headers);
		const missing = await stranger.get(`/rooms/room_${'0'.repeat(26)}`, headers);

		expect(hidden.status).toBe(404);
		expect(hidden.text).toBe(missing.text);
	});
});

async function page(tenant: TestTenant, query: string): Promise<RoomsPage> {
	return bodyOf(await tenant.as('alice').get<RoomsPage>(`/rooms${query}`), 200);
}

const roomsFor = async (tenant: TestTenant, user: string): Promise<Room[]> =>
	bodyOf(await tenant.as(user).get<RoomsPage>('/rooms'), 200).rooms;

const namesFor = async (tenant: TestTenant, user: string) =>
	(await roomsFor(tenant, user)).map(({ name }) => name);
