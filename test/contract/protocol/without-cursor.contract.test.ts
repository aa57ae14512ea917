/** docs/protocol.md, "Without a cursor": its four steps, taken to the letter, while others go on. */
import { expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import type { Socket } from '../../helpers/socket.ts';
import { useTarget } from '../../helpers/target.ts';
import { createGroup, sendMessage, type TestTenant } from '../../helpers/tenants.ts';
import type { Message, MessagesPage, Room, RoomsPage } from '../../helpers/wire.ts';

const used = useTarget();

/** Small pages, so that there are several of each. */
const PAGE = 3;

/** What a client knows: the seqs of each room, in the order in which it took them. */
type Known = Map<string, number[]>;

/** A client without a cursor, as the document tells its author to write it. */
function createReader(tenant: TestTenant, user: string) {
	const known: Known = new Map();
	const http = tenant.as(user);

	/** Step 2. */
	async function readRooms(): Promise<Room[]> {
		const rooms: Room[] = [];
		let query = `?limit=${PAGE}`;
		for (;;) {
			const page = bodyOf(await http.get<RoomsPage>(`/rooms${query}`), 200);
			rooms.push(...page.rooms);
			if (page.next_cursor === null) return rooms;
			query = `?limit=${PAGE}&cursor=${encodeURIComponent(page.next_cursor)}`;
		}
	}

	/** Step 3, for one room. */
	async function readMessages(room_id: string): Promise<void> {
		for (;;) {
			const after = known.get(room_id)?.at(-1) ?? 0;
			const path = `/rooms/${room_id}/messages?after_seq=${after}&limit=${PAGE}`;
			const page = bodyOf(await http.get<MessagesPage>(path), 200);
			known.set(room_id, [...(known.get(room_id) ?? []), ...page.messages.map(({ seq }) => seq)]);
			if (!page.has_more) return;
		}
	}

	/** Step 4, for one frame. */
	async function apply({ room_id, seq }: Message): Promise<void> {
		const last = known.get(room_id)?.at(-1) ?? 0;
		if (seq <= last) return;
		if (seq === last + 1) known.set(room_id, [...(known.get(room_id) ?? []), seq]);
		else await readMessages(room_id);
	}

	return {
		known,
		async catchUp(): Promise<void> {
			for (const { room_id, last_seq } of await readRooms()) {
				if (last_seq > (known.get(room_id)?.at(-1) ?? 0)) await readMessages(room_id);
			}
		},
		async applyAll(socket: Socket): Promise<void> {
			for (const frame of socket.all<Message>('message')) await apply(frame);
		},
	};
}

test('its four steps bring every message of every room once and in order, while others send', async () => {
	const { tenant, who } = await used.stage();
	const rooms = await Promise.all(
		Array.from({ length: 7 }, () => createGroup(tenant, who.alice, [who.bob])),
	);
	const ids = rooms.map(({ room_id }) => room_id);
	const count = 12;
	const reader = createReader(tenant, who.bob);
	const sendRounds = async (from: number, to: number) => {
		for (let n = from; n < to; n++) {
			for (const room_id of ids) await sendMessage(tenant, who.alice, room_id, `${n}`);
		}
	};
	await sendRounds(0, 4);

	const bob = await tenant.socket(who.bob);
	const sending = sendRounds(4, count);
	await reader.catchUp();
	await sending;
	await bob.settle();
	await reader.applyAll(bob);

	// Some came by a page and some by a frame, or this shows nothing.
	const live = bob.all('message').length;
	expect(live).toBeGreaterThan(0);
	expect(live).toBeLessThan(ids.length * count);
	const whole = Array.from({ length: count }, (_, n) => n + 1);
	for (const room_id of ids) expect(reader.known.get(room_id)).toEqual(whole);
	expect([...reader.known.keys()].toSorted()).toEqual(ids.toSorted());
	await bob.close();
});

test('rooms that were left, hidden or deleted are no longer in the list', async () => {
	const { tenant, who } = await used.stage();
	const [kept, left, deleted] = [
		await createGroup(tenant, who.alice, [who.bob]),
		await createGroup(tenant, who.alice, [who.bob]),
		await createGroup(tenant, who.alice, [who.bob]),
	];
	const dm = { type: 'dm', members: [who.alice, who.bob] };
	const hidden = bodyOf(await tenant.as(who.alice).post<Room>('/rooms', dm), 201);
	const bob = tenant.as(who.bob);
	for (const { room_id } of [left, hidden]) {
		bodyOf(await bob.delete(`/rooms/${room_id}/members/${who.bob}`), 200);
	}
	bodyOf(await tenant.as(who.alice).delete(`/rooms/${deleted.room_id}`), 200);

	const { rooms } = bodyOf(await bob.get<RoomsPage>('/rooms'), 200);

	expect(rooms.map(({ room_id }) => room_id)).toEqual([kept.room_id]);
});
