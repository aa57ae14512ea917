/** Names of one kind that read like those of another, and twins of them in the other tenant. */
import { describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { typesOf } from '../../helpers/socket.ts';
import {
	createGroup,
	createTenant,
	createToken,
	sendMessage,
	type TestTenant,
	withToken,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { Message, MessagesPage, Room, RoomsPage } from '../../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', LIVE_RECEIPTS_MAX: '2' });

const dm = async (tenant: TestTenant, caller: string | undefined, members: string[]) =>
	bodyOf(await tenant.as(caller).post<Room>('/rooms', { type: 'dm', members }), 201, 200);

describe('a user id that is the id of a room', () => {
	test('opens nothing of the room, and its socket hears nothing of it', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const lookalike = await tenant.socket(room_id);
		const alice = await tenant.socket('alice');

		await sendMessage(tenant, 'alice', room_id, 'not for the lookalike');
		bodyOf(await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 1 }), 200);
		bodyOf(await tenant.as('alice').patch(`/rooms/${room_id}`, { name: 'Renamed' }), 200);
		await Promise.all([lookalike.settle(), alice.settle()]);

		expect(alice.all('message')).toHaveLength(1);
		expect(typesOf(lookalike)).toEqual(['connected', 'pong']);
		const refused = await lookalike.request<{ code: string }>({
			type: 'send_message',
			room_id,
			content: 'x',
		});
		expect(refused.code).toBe('NOT_FOUND');
		expect((await tenant.as(room_id).get(`/rooms/${room_id}`)).status).toBe(404);
		expect(bodyOf(await tenant.as(room_id).get<RoomsPage>('/rooms'), 200).rooms).toEqual([]);
		await Promise.all([lookalike.close(), alice.close()]);
	});

	test('is told of its own removal, and the room of that id is not', async () => {
		const tenant = await createTenant(used.server);
		const bystander = await createGroup(tenant, 'bystander');
		const user = bystander.room_id;
		const { room_id } = await createGroup(tenant, 'alice', [user]);
		const [own, other] = [await tenant.socket(user), await tenant.socket('bystander')];

		bodyOf(await tenant.as('alice').delete(`/rooms/${room_id}/members/${user}`), 200);
		await Promise.all([own.settle(), other.settle()]);

		expect(own.all('member.removed')).toHaveLength(1);
		expect(typesOf(other)).toEqual(['connected', 'pong']);
		await Promise.all([own.close(), other.close()]);
	});
});

describe('a topic that is called like a room, a user or the tenant', () => {
	test('brings nothing of them', async () => {
		const tenant = await createTenant(used.server);
		const other = await createTenant(used.server);
		const rooms = await Promise.all(
			[tenant, other].map((each) => createGroup(each, 'alice', ['bob', 'carol'])),
		);
		const listener = await tenant.socket('mallory');
		for (const { room_id } of rooms) {
			for (const topic of [room_id, `r:${room_id}`, 'alice', 'u:alice', 't', tenant.tenant_id]) {
				expect((await listener.request({ type: 'subscribe', topic })).type).toBe('reply');
			}
		}
		for (const topic of [`r/${rooms[0]?.room_id}`, 'u/alice', '../t', `${other.tenant_id}/t`]) {
			const refused = await listener.request({ type: 'subscribe', topic });
			expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', field: 'topic' });
		}
		const seen = listener.frames.length;

		for (const [index, each] of [tenant, other].entries()) {
			const room_id = rooms[index]?.room_id ?? '';
			await sendMessage(each, 'alice', room_id, 'not for topics');
			// Three members, so this goes to the reader's own sockets only.
			bodyOf(await each.as('alice').post(`/rooms/${room_id}/read`, { seq: 1 }), 200);
			bodyOf(await each.as('bob').delete(`/rooms/${room_id}/members/bob`), 200);
		}
		await listener.settle();

		expect(listener.frames.slice(seen).map(({ type }) => type)).toEqual(['pong']);
		await listener.close();
	});
});

describe('dm pairs that read alike', () => {
	const PAIRS = [
		['a:b', 'c'],
		['a', 'b:c'],
		['a%3Ab', 'c'].map((user) => user.replace('%', '|')),
		['dm', 'a:b:c'],
		['a|b', 'c'],
		['a', 'b|c'],
		['room_x', 'x'],
	] as const;

	test('are rooms of their own, in each tenant', async () => {
		const tenants = [await createTenant(used.server), await createTenant(used.server)];
		const rooms: Room[] = [];
		for (const tenant of tenants) {
			for (const pair of PAIRS) {
				const room = await dm(tenant, pair[0], [...pair]);
				expect(room.duplicate).toBeUndefined();
				rooms.push(room);
				await sendMessage(tenant, pair[0], room.room_id, `${tenant.tenant_id} ${pair}`);
			}
		}

		expect(new Set(rooms.map(({ room_id }) => room_id)).size).toBe(2 * PAIRS.length);
		const keys = rooms.map(({ unique_key }) => unique_key);
		expect(new Set(keys).size).toBe(PAIRS.length);
		expect(keys[0]).toBe('dm:a%3Ab:c');
		expect(keys[1]).toBe('dm:a:b%3Ac');
		for (const [side, tenant] of tenants.entries()) {
			for (const [index, pair] of PAIRS.entries()) {
				const again = await dm(tenant, pair[1], [...pair].reverse());
				expect(again).toMatchObject({
					duplicate: true,
					room_id: rooms[side * PAIRS.length + index]?.room_id,
				});
				const page = await tenant.as(pair[1]).get<MessagesPage>(`/rooms/${again.room_id}/messages`);
				const contents = bodyOf(page, 200).messages.map(({ content }) => content);
				expect(contents).toEqual([`${tenant.tenant_id} ${pair}`]);
			}
		}
	});
});

test('a dm that is hidden in one tenant stays in the list of the same user of another', async () => {
	const [one, two] = [await createTenant(used.server), await createTenant(used.server)];
	// The first room of each tenant; what happens in one goes far beyond what happens in the other.
	const hidden = await dm(one, 'ann', ['ann', 'bob']);
	const shown = await dm(two, 'ann', ['ann', 'bob']);
	for (let seq = 1; seq <= 5; seq++) await sendMessage(one, 'bob', hidden.room_id);

	bodyOf(await one.as('ann').delete(`/rooms/${hidden.room_id}/members/ann`), 200);

	const roomsOf = async (tenant: TestTenant) =>
		bodyOf(await tenant.as('ann').get<RoomsPage>('/rooms'), 200).rooms.map((room) => room.room_id);
	expect(await roomsOf(one)).toEqual([]);
	expect(await roomsOf(two)).toEqual([shown.room_id]);
});

describe('a socket', () => {
	test('sees no byte of another tenant that is busy with the same names', async () => {
		const quiet = await createTenant(used.server, { name: 'Same' });
		const busy = await createTenant(used.server, { name: 'Same' });
		const setUp = async (tenant: TestTenant) => {
			const group = await createGroup(tenant, 'alice', ['bob'], { name: 'General' });
			const pair = await dm(tenant, 'alice', ['alice', 'bob']);
			return [group.room_id, pair.room_id];
		};
		const [quietRooms, busyRooms] = [await setUp(quiet), await setUp(busy)];
		const listener = await quiet.socket('alice');
		const counterpart = await busy.socket('alice');
		for (const socket of [listener, counterpart]) {
			await socket.request({ type: 'subscribe', topic: 'orders' });
		}

		const sent = await beBusy(busy, busyRooms);
		for (const room_id of quietRooms) await sendMessage(quiet, 'bob', room_id, 'quiet');
		await Promise.all([listener.settle(), counterpart.settle()]);

		const text = JSON.stringify(listener.frames);
		const marks = [busy.tenant_id, ...busyRooms, ...sent.flatMap((one) => Object.values(one))];
		expect(marks.filter((mark) => text.includes(mark))).toEqual([]);
		expect(listener.all<Message>('message').map(({ room_id }) => room_id)).toEqual(quietRooms);
		expect(counterpart.all('message')).toHaveLength(sent.length);
		expect(counterpart.all('member.removed').length).toBeGreaterThan(0);
		await Promise.all([listener.close(), counterpart.close()]);
	});
});

/** Everything that publishes, in rooms that are called like the other tenant's. */
async function beBusy(tenant: TestTenant, rooms: string[]) {
	const [group = ''] = rooms;
	const sent: Pick<Message, 'message_id' | 'content'>[] = [];
	for (let round = 0; round < 5; round++) {
		for (const room_id of rooms) {
			const message = await sendMessage(tenant, 'bob', room_id, `BUSY ${round} ${room_id}`);
			sent.push({ message_id: message.message_id, content: message.content });
			bodyOf(await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: message.seq }), 200);
			const ack = { room_id, seq: message.seq };
			bodyOf(await tenant.as('alice').post('/acks', ack), 200);
		}
		const user = `guest-${round}`;
		bodyOf(await tenant.as('alice').patch(`/rooms/${group}`, { metadata: { round } }), 200);
		bodyOf(await tenant.as('alice').post(`/rooms/${group}/members`, { members: [user] }), 201, 200);
		bodyOf(await tenant.as('alice').delete(`/rooms/${group}/members/${user}`), 200);
		const made = await createGroup(tenant, 'bob', ['alice'], { name: 'General' });
		bodyOf(await tenant.as('bob').delete(`/rooms/${made.room_id}/members/alice`), 200);
		bodyOf(await tenant.as('bob').delete(`/rooms/${made.room_id}`), 200);
	}
	return sent;
}

describe('a user of the same id in another tenant', () => {
	const twoTenants = async () =>
		[await createTenant(used.server), await createTenant(used.server)] as const;

	test('goes on acting, on open sockets too, when one is revoked and deactivated', async () => {
		const [own, foreign] = await twoTenants();
		const { room_id } = await createGroup(foreign, 'uma');
		const socket = await foreign.socket('uma');
		// Not shown before: it is looked for in the database, and in no cache.
		const token = await createToken(foreign, 'uma');

		bodyOf(await own.as().post('/users/uma/revoke'), 200);
		bodyOf(await own.as().post('/users/uma/deactivate'), 200);

		const sent = await socket.request({ type: 'send_message', room_id, content: 'still here' });
		expect(sent.type).toBe('reply');
		expect((await own.as('uma').get('/rooms')).status).toBe(403);
		expect((await foreign.as('uma').get('/rooms')).status).toBe(200);
		expect((await withToken(used.server, token).get('/rooms')).status).toBe(200);
		await socket.close();
	});

	test('has tokens of its own: their number does not count for the other', async () => {
		const [own, foreign] = await twoTenants();
		for (let made = 0; made < 1000; made += 50) {
			await Promise.all(Array.from({ length: 50 }, () => createToken(foreign, 'uma')));
		}
		const full = await foreign.as().post('/users/uma/tokens');

		const token = await createToken(own, 'uma');

		expect(full.status).toBe(409);
		expect((await withToken(used.server, token).get('/rooms')).status).toBe(200);
	});
});

test('history begins with the own joining, whatever cursors the same seqs have in the other tenant', async () => {
	const settings = { history: 'joined' };
	const late = await createTenant(used.server, { settings });
	const early = await createTenant(used.server, { settings });
	for (const [tenant, events] of [
		[late, 30],
		[early, 0],
	] as const) {
		const { room_id } = await createGroup(tenant, 'alice');
		for (let n = 0; n < events; n++) {
			bodyOf(await tenant.as('alice').patch(`/rooms/${room_id}`, { metadata: { n } }), 200);
		}
		for (let n = 0; n < 4; n++) await sendMessage(tenant, 'alice', room_id, 'not for bob');
		const path = `/rooms/${room_id}/members`;
		bodyOf(await tenant.as('alice').post(path, { members: ['bob'] }), 201);
		for (let n = 0; n < 4; n++) await sendMessage(tenant, 'alice', room_id, 'for bob');
	}

	for (const tenant of [early, late]) {
		const [room] = bodyOf(await tenant.as('bob').get<RoomsPage>('/rooms'), 200).rooms;
		const path = `/rooms/${room?.room_id}/messages`;
		const seqs = async (query: string) =>
			bodyOf(await tenant.as('bob').get<MessagesPage>(path + query), 200).messages.map(
				({ seq }) => seq,
			);
		expect(await seqs('')).toEqual([5, 6, 7, 8]);
		expect(await seqs('?after_seq=0')).toEqual([5, 6, 7, 8]);
	}
});

test('what is left unread is counted in the own room, where the same seqs count for less in the other tenant', async () => {
	const tenants = [await createTenant(used.server), await createTenant(used.server)];
	for (const [index, tenant] of tenants.entries()) {
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		for (let n = 0; n < 5; n++) {
			// What the tenant itself says counts for no unread.
			const sender = n < 3 && index === 0 ? undefined : 'alice';
			await sendMessage(tenant, sender, room_id, `${n}`);
		}
	}

	for (const tenant of tenants) {
		const [room] = bodyOf(await tenant.as('bob').get<RoomsPage>('/rooms'), 200).rooms;
		bodyOf(await tenant.as('bob').post(`/rooms/${room?.room_id}/read`, { seq: 4 }), 200);
		const [seen] = bodyOf(await tenant.as('bob').get<RoomsPage>('/rooms'), 200).rooms;
		expect(seen).toMatchObject({ last_seq: 5, last_read_seq: 4, unread_count: 1 });
	}
});
