/** docs/protocol.md, "Order and delivery", as far as a client can see it; "Resume" has a file of its own. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../../helpers/http.ts';
import { useTarget } from '../../helpers/target.ts';
import { createGroup, sendMessage } from '../../helpers/tenants.ts';
import type { Message, MessagesPage, RoomsPage } from '../../helpers/wire.ts';

const used = useTarget();

test('one order per room: seq is 1, 2, 3… without gaps, for senders on either face', async () => {
	const { tenant, who } = await used.stage();
	const { room_id } = await createGroup(tenant, who.alice, [who.bob, who.carol]);
	const sockets = await Promise.all([who.alice, who.bob].map((user) => tenant.socket(user)));
	const witness = await tenant.socket(who.carol);
	const count = 10;
	const overSocket = sockets.map(async (socket, sender) => {
		const replies = Array.from({ length: count }, (_, n) =>
			socket.request<{ data: Message }>({
				type: 'send_message',
				room_id,
				content: `${sender} ${n}`,
			}),
		);
		return (await Promise.all(replies)).map(({ data }) => data);
	});
	const overHttp = [who.alice, who.carol].map((user, sender) =>
		Promise.all(
			Array.from({ length: count }, (_, n) =>
				sendMessage(tenant, user, room_id, `${sender + 2} ${n}`),
			),
		),
	);

	const sent = (await Promise.all([...overSocket, ...overHttp])).flat();
	await witness.settle();

	const bySeq = sent.toSorted((left, right) => left.seq - right.seq);
	expect(bySeq.map(({ seq }) => seq)).toEqual(Array.from({ length: 4 * count }, (_, n) => n + 1));
	const told = witness.all<Message>('message');
	expect(told.map(({ message_id }) => message_id)).toEqual(
		bySeq.map(({ message_id }) => message_id),
	);
	const page = await tenant.as(who.bob).get<MessagesPage>(`/rooms/${room_id}/messages?limit=100`);
	expect(bodyOf(page, 200).messages.map(({ message_id }) => message_id)).toEqual(
		told.map(({ message_id }) => message_id),
	);
	// Each sender's own come in the order in which it sent them over its socket.
	for (const sender of [0, 1]) {
		const own = told.filter(({ content }) => content.startsWith(`${sender} `));
		expect(own.map(({ content }) => content)).toEqual(
			Array.from({ length: count }, (_, n) => `${sender} ${n}`),
		);
	}
	await Promise.all([witness, ...sockets].map((socket) => socket.close()));
});

test('every stored event has a cursor of 16 characters that rises as text, and no other frame has one', async () => {
	const { tenant, who } = await used.stage();
	const bob = await tenant.socket(who.bob);
	const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
	const alice = tenant.as(who.alice);
	await sendMessage(tenant, who.alice, room_id);
	await alice.patch(`/rooms/${room_id}`, { name: 'New' });
	await alice.post(`/rooms/${room_id}/members`, { members: [who.carol] });
	await alice.put(`/rooms/${room_id}/members/${who.carol}`, { role: 'admin' });
	await bob.request({ type: 'read', room_id, seq: 1 });
	await bob.request({ type: 'typing.start', room_id });
	await alice.delete(`/rooms/${room_id}/members/${who.carol}`);
	await alice.delete(`/rooms/${room_id}`);
	await bob.settle();

	const withCursor = bob.frames.filter((frame) => 'cursor' in frame);
	const cursors = withCursor.map(({ cursor }) => String(cursor));
	expect(withCursor.map(({ type }) => type)).toEqual([
		...['connected', 'room.created', 'message', 'room.updated', 'member.added'],
		...['member.updated', 'member.removed', 'room.deleted'],
	]);
	expect(cursors.every((cursor) => /^[0-9a-v]{16}$/.test(cursor))).toBe(true);
	expect(cursors).toEqual([...new Set(cursors)].toSorted());
	expect(bob.all('read.updated')).toHaveLength(1);
	await bob.close();
});

describe('a retry', () => {
	test('with the same client_msg_id is answered with the first message, on either face, and published to nobody', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const [alice, bob] = [await tenant.socket(who.alice), await tenant.socket(who.bob)];
		const message = { content: 'once', meta: { mood: 'sunny' }, client_msg_id: 'c-1' };
		const path = `/rooms/${room_id}/messages`;
		const first = bodyOf(await tenant.as(who.alice).post<Message>(path, message), 201);

		const overHttp = bodyOf(await tenant.as(who.alice).post<Message>(path, message), 200);
		const overSocket = await alice.request({ type: 'send_message', room_id, ...message });
		await bob.settle();

		expect(overHttp).toEqual({ ...first, duplicate: true });
		expect(overSocket.data).toEqual({ ...first, duplicate: true });
		expect(bob.all('message')).toHaveLength(1);
		const page = await tenant.as(who.bob).get<MessagesPage>(path);
		expect(page.body.messages).toHaveLength(1);
		await Promise.all([alice.close(), bob.close()]);
	});

	test('twenty at once store one message', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const bob = await tenant.socket(who.bob);
		const message = { content: 'once', client_msg_id: 'c-1' };
		const ask = () => tenant.as(who.alice).post<Message>(`/rooms/${room_id}/messages`, message);

		const answers = await Promise.all(Array.from({ length: 20 }, ask));
		await bob.settle();

		expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
		expect(new Set(answers.map(({ body }) => body.message_id)).size).toBe(1);
		expect(bob.all('message')).toHaveLength(1);
		await bob.close();
	});

	test('with another content is CONFLICT; another sender or room has the client_msg_id for itself', async () => {
		const { tenant, who } = await used.stage();
		const [one, two] = [
			await createGroup(tenant, who.alice, [who.bob]),
			await createGroup(tenant, who.alice, [who.bob]),
		];
		const send = (user: string, room_id: string, content: string) =>
			tenant.as(user).post(`/rooms/${room_id}/messages`, { content, client_msg_id: 'c-1' });
		bodyOf(await send(who.alice, one.room_id, 'first'), 201);

		const other = await send(who.alice, one.room_id, 'second');

		expect(errorOf(other)).toMatchObject({ code: 'CONFLICT', retryable: false });
		bodyOf(await send(who.bob, one.room_id, 'second'), 201);
		bodyOf(await send(who.alice, two.room_id, 'second'), 201);
	});
});

test('the sender’s sockets get its own message twice, in the reply and as "message", with one seq', async () => {
	const { tenant, who } = await used.stage();
	const { room_id } = await createGroup(tenant, who.alice);
	const alice = await tenant.socket(who.alice);

	const reply = await alice.request<{ data: Message }>({
		type: 'send_message',
		room_id,
		content: 'mine',
	});
	const told = await alice.next<Message>('message');

	const { type: _, ...message } = told;
	expect(reply.data).toEqual(message as unknown as Message);
	expect(alice.all('message')).toHaveLength(1);
	await alice.close();
});

describe('a page says its moment', () => {
	test('as_of of a page: the page has what was before it, a resume from there what came after', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		let isSending = true;
		const sending = (async () => {
			while (isSending) await sendMessage(tenant, who.alice, room_id);
		})();
		const bob = tenant.as(who.bob);
		const pages: MessagesPage[] = [];
		for (let count = 0; count < 5; count++) {
			const path = `/rooms/${room_id}/messages?limit=100`;
			pages.push(bodyOf(await bob.get<MessagesPage>(path), 200));
		}
		const rooms = bodyOf(await bob.get<RoomsPage>('/rooms'), 200);
		isSending = false;
		await sending;
		const { last_seq = 0 } = rooms.rooms[0] ?? {};

		for (const { as_of, last } of [
			...pages.map(({ as_of, messages }) => ({ as_of, last: messages.at(-1)?.seq ?? 0 })),
			{ as_of: rooms.as_of, last: last_seq },
		]) {
			const socket = await tenant.socket(who.bob, { query: `cursor=${as_of}` });
			await socket.next('replay.done');
			const [next] = socket.all<Message>('message');
			if (next !== undefined) expect(next.seq).toBe(last + 1);
			await socket.close();
		}
	});
});
