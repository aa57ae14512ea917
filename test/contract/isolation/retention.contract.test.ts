/**
 * What is pruned in one tenant leaves another alone that has the same rooms, users and cursors: its
 * events that are young, and all that the other's deleted room took with it.
 */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf } from '../../helpers/http.ts';
import { randomSecret, startServer } from '../../helpers/server.ts';
import { openSocket } from '../../helpers/socket.ts';
import {
	createGroup,
	createTenant,
	sendMessage,
	type TestTenant,
	tenantOf,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';
import type {
	EventsPage,
	Member,
	MembersPage,
	Message,
	MessagesPage,
	Room,
} from '../../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', EVENT_RETENTION: '2s' });

const DEADLINE_MS = 15_000;

const eventsOf = async (tenant: TestTenant, query: string) =>
	bodyOf(await tenant.as().get<EventsPage>(`/events?${query}`), 200).events;

/** The cursors of a room's messages after one. */
const cursorsOf = async (tenant: TestTenant, room_id: string, after: string) =>
	(await eventsOf(tenant, `after=${after}`))
		.filter((event) => event.type === 'message' && event.room_id === room_id)
		.map(({ cursor }) => cursor);

/** The first room of a tenant, with ann, bob, cat and dan in it and so many messages. */
async function firstRoom(tenant: TestTenant, messages: number): Promise<string> {
	const { room_id } = await createGroup(tenant, 'ann', ['bob', 'cat', 'dan']);
	const contents = Array.from({ length: messages }, (_, index) => `n${index}`);
	await Promise.all(contents.map((content) => sendMessage(tenant, 'ann', room_id, content)));
	return room_id;
}

const secondRoom = async (tenant: TestTenant) => (await createGroup(tenant, 'ann')).room_id;

const removeMember = async (tenant: TestTenant, room_id: string, user_id: string) =>
	bodyOf(await tenant.as('ann').delete(`/rooms/${room_id}/members/${user_id}`), 200);

const deleteRoom = async (tenant: TestTenant, room_id: string) =>
	bodyOf(await tenant.as('ann').delete(`/rooms/${room_id}`), 200);

/** The one before that of a message: five characters of epoch, then the number in base 32. */
function cursorBefore(message: Message | undefined): string {
	const cursor = message?.cursor ?? '';
	const number = Number.parseInt(cursor.slice(5), 32) - 1;
	return cursor.slice(0, 5) + number.toString(32).padStart(11, '0');
}

test('another tenant’s log and rooms stay as they are while one is pruned', async () => {
	const [twin, aging] = [await createTenant(used.server), await createTenant(used.server)];
	// More events than the twin will have: what forgets the tenant reaches all of the twin's.
	const old = await firstRoom(aging, 600);
	await removeMember(aging, old, 'cat');
	await removeMember(aging, old, 'dan');
	await deleteRoom(aging, old);
	await deleteRoom(aging, await secondRoom(aging));
	const kept = await firstRoom(twin, 5);
	const gone = await secondRoom(twin);
	let inGone: Message | undefined;
	const cursors: string[] = [];

	let sentAt = 0;
	const startedAt = performance.now();
	for (let isOver = false; !isOver; ) {
		// Seldom enough to stay behind the aging tenant's events.
		if (performance.now() > sentAt + 20) {
			cursors.push((await sendMessage(twin, 'bob', kept, 'young')).cursor);
			sentAt = performance.now();
		}
		// Each time: what is lost now is not missed among those that come after it.
		const [after = '', ...young] = cursors.slice(-6);
		expect(await cursorsOf(twin, kept, after)).toEqual(young);
		isOver = (await eventsOf(aging, 'limit=1')).length === 0;
		const passedMs = performance.now() - startedAt;
		expect(passedMs).toBeLessThan(DEADLINE_MS);
		if (passedMs > 1000 && inGone === undefined) {
			inGone = await sendMessage(twin, 'ann', gone, 'young too');
			await deleteRoom(twin, gone);
			await removeMember(twin, kept, 'dan');
		}
	}

	expect(cursors.length).toBeWithin(7, 590);
	const [after = '', ...young] = cursors.slice(-6);
	expect(await cursorsOf(twin, kept, after)).toEqual(young);
	const late = await eventsOf(twin, `after=${cursorBefore(inGone)}&limit=2`);
	expect(late[0]).toMatchObject({ type: 'message', room_id: gone, content: 'young too' });
	expect(late[1]).toMatchObject({ type: 'room.deleted', room_id: gone });
	const query = `cursor=${cursorBefore(inGone)}`;
	const dan = await openSocket(twin.server, { key: twin.api_key, user: 'dan', query });
	expect(await dan.next('member.removed')).toMatchObject({ room_id: kept, user_id: 'dan' });
	await dan.close();
	const path = `/rooms/${kept}`;
	const { members } = bodyOf(await twin.as('cat').get<MembersPage>(`${path}/members`), 200);
	expect(members.map(({ user_id }: Member) => user_id)).toEqual(['ann', 'bob', 'cat']);
	const room = bodyOf(await twin.as('cat').get<Room>(path), 200);
	expect(room).toMatchObject({ member_count: 3, last_seq: 5 + cursors.length });
	const first = await twin.as('cat').get<MessagesPage>(`${path}/messages?after_seq=0&limit=5`);
	expect(bodyOf(first, 200).messages.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
});

/** Dan is removed from a room, and one that eve is in ends. Returns the cursor that both of them last saw. */
async function endStays(tenant: TestTenant): Promise<string> {
	const left = (await createGroup(tenant, 'ann', ['dan'])).room_id;
	const ended = (await createGroup(tenant, 'ann', ['eve'])).room_id;
	const { cursor } = await sendMessage(tenant, 'ann', left, 'seen');
	await sendMessage(tenant, 'ann', left, 'missed');
	await sendMessage(tenant, 'ann', ended, 'missed');
	await removeMember(tenant, left, 'dan');
	await deleteRoom(tenant, ended);
	return cursor;
}

/** What a user is told who comes back with a cursor, up to the frame that says that this is all. */
async function toldTo(tenant: TestTenant, user: string, cursor: string, end = 'replay.done') {
	const query = `cursor=${cursor}`;
	const socket = await openSocket(tenant.server, { key: tenant.api_key, user, query });
	await socket.next(end);
	await socket.close();
	const told = socket.frames.map(({ type }) => type);
	return told.filter((type) => type === 'resync' || /^(message|member|room)/.test(type));
}

test('a stay that is forgotten in one tenant is told of in another, though it ended under the same cursor', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-stays-'));
	const env = { MASTER_API_KEY: randomSecret() };
	const first = await startServer({ dataDir, env });
	const tenants = [await createTenant(first), await createTenant(first)] as const;
	const cursors = [await endStays(tenants[0]), await endStays(tenants[1])] as const;
	// Five characters of epoch before the number.
	expect(cursors[0].slice(5)).toBe(cursors[1].slice(5));
	expect(await first.stop()).toBe(0);
	// As if a day had passed for the one, and the clock had been set back a day for the other.
	const disk = new Database(join(dataDir, 'chatapi.db'));
	disk.run('UPDATE events SET created_at = created_at + iif(tenant = 1, -1, 1) * 86400000');
	disk.close();

	const second = await startServer({ dataDir, env: { ...env, EVENT_RETENTION: '1s' } });
	const [aging, twin] = [tenantOf(second, tenants[0]), tenantOf(second, tenants[1])];
	const isPruned = async () => (await eventsOf(aging, 'limit=1')).length === 0;
	await eventually(isPruned, DEADLINE_MS, 'one tenant to be pruned');
	expect(await toldTo(twin, 'dan', cursors[1])).toEqual(['message', 'member.removed']);
	expect(await toldTo(twin, 'eve', cursors[1])).toEqual(['message', 'room.deleted']);
	for (const user of ['dan', 'eve']) {
		expect(await toldTo(aging, user, cursors[0], 'resync')).toEqual(['resync']);
	}
	expect(await second.stop()).toBe(0);
	rmSync(dataDir, { recursive: true });
}, 40_000);
