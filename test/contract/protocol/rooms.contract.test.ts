import { describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { typesOf } from '../../helpers/socket.ts';
import { useTarget } from '../../helpers/target.ts';
import { createGroup, sendMessage } from '../../helpers/tenants.ts';
import type { Message, Room } from '../../helpers/wire.ts';

const used = useTarget();

describe('a new room', () => {
	test('is told to the sockets of its members as room.created, and to nobody else', async () => {
		const { tenant, who } = await used.stage();
		const sockets = await Promise.all(
			[who.alice, who.bob, who.bob, who.mallory].map((user) => tenant.socket(user)),
		);
		const [alice, bob, alsoBob, mallory] = sockets;

		const room = await createGroup(tenant, who.alice, [who.bob], {
			name: 'New',
			metadata: { a: 1 },
		});
		await Promise.all(sockets.map((socket) => socket.settle()));

		for (const socket of [alice, bob, alsoBob]) {
			const told = socket?.frames.filter(({ type }) => !['connected', 'pong'].includes(type));
			expect(told).toHaveLength(1);
			expect(told?.[0]).toMatchObject({
				type: 'room.created',
				room: {
					room_id: room.room_id,
					type: 'group',
					name: 'New',
					metadata: { a: 1 },
					member_count: 2,
				},
			});
			// Nothing of one member's own state in a frame that goes to all.
			expect(told?.[0]?.room).not.toHaveProperty('unread_count');
		}
		expect(typesOf(mallory)).toEqual(['connected', 'pong']);
		await Promise.all(sockets.map((socket) => socket.close()));
	});

	test('delivers from its first message on, to sockets that were open before it', async () => {
		const { tenant, who } = await used.stage();
		const bob = await tenant.socket(who.bob);

		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		await sendMessage(tenant, who.alice, room_id, 'first');
		await bob.settle();

		expect(typesOf(bob)).toEqual(['connected', 'room.created', 'message', 'pong']);
		await bob.close();
	});

	test('that is a dm which was there already is not told again', async () => {
		const { tenant, who } = await used.stage();
		const body = { type: 'dm', members: [who.alice, who.bob] };
		bodyOf(await tenant.as(who.alice).post<Room>('/rooms', body), 201);
		const bob = await tenant.socket(who.bob);

		bodyOf(await tenant.as(who.alice).post<Room>('/rooms', body), 200);
		await bob.settle();

		expect(bob.all('room.created')).toEqual([]);
		await bob.close();
	});
});

describe('who is added', () => {
	test('is subscribed in the same moment: told first, then every message, from the very next one', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const [bob, carol, stranger] = await Promise.all(
			[who.bob, who.carol, who.mallory].map((user) => tenant.socket(user)),
		);
		const alice = tenant.as(who.alice);
		await sendMessage(tenant, who.alice, room_id, 'before');

		// Both are on their way at once: whichever comes first, no message after the joining is missed.
		const [, ...sent] = await Promise.all([
			alice.post(`/rooms/${room_id}/members`, { members: [who.carol] }),
			...Array.from({ length: 10 }, () => sendMessage(tenant, who.alice, room_id, 'during')),
		]);
		await sendMessage(tenant, who.alice, room_id, 'after');
		await Promise.all([bob?.settle(), carol?.settle(), stranger?.settle()]);

		const added = carol?.all('member.added') ?? [];
		expect(added).toHaveLength(1);
		expect(added[0]).toMatchObject({
			room_id,
			members: [{ user_id: who.carol, role: 'member', joined_at: expect.any(String) }],
		});
		expect(bob?.all('member.added')).toEqual(added);
		const joinedAt = added[0]?.cursor ?? '';
		const cursorsAfter = sent.map(({ cursor }) => cursor).filter((cursor) => cursor > joinedAt);
		const seen = carol?.all<Message>('message') ?? [];
		expect(seen.map(({ cursor }) => cursor).slice(0, -1)).toEqual(cursorsAfter.sort());
		expect(seen.at(-1)?.content).toBe('after');
		expect(seen.some(({ content }) => content === 'before')).toBe(false);
		expect(typesOf(stranger)).toEqual(['connected', 'pong']);
		await Promise.all([bob, carol, stranger].map((socket) => socket?.close()));
	});

	test('can send and is heard over the same socket', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice);
		const [alice, bob] = [await tenant.socket(who.alice), await tenant.socket(who.bob)];

		await tenant.as(who.alice).post(`/rooms/${room_id}/members`, { members: [who.bob] });
		await bob.next('member.added');
		const reply = await bob.request({ type: 'send_message', room_id, content: 'hi' });

		expect(reply).toMatchObject({ type: 'reply', ok: true });
		expect((await alice.next('message')).content).toBe('hi');
		await Promise.all([alice.close(), bob.close()]);
	});

	test('an addition that adds nobody is told to nobody', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const bob = await tenant.socket(who.bob);

		await tenant.as(who.alice).post(`/rooms/${room_id}/members`, { members: [who.bob] });
		await bob.settle();

		expect(typesOf(bob)).toEqual(['connected', 'pong']);
		await bob.close();
	});
});

describe('who is removed', () => {
	for (const [how, actor] of [
		['by the owner', 'alice'],
		['by leaving', 'bob'],
		['by the tenant', undefined],
	] as const) {
		test(`${how} is told so on every socket, and nothing of the room after that`, async () => {
			const { tenant, who } = await used.stage();
			const { room_id } = await createGroup(tenant, who.alice, [who.bob, who.carol]);
			const [bob, alsoBob, carol] = await Promise.all(
				[who.bob, who.bob, who.carol].map((user) => tenant.socket(user)),
			);

			bodyOf(
				await tenant.as(actor && who[actor]).delete(`/rooms/${room_id}/members/${who.bob}`),
				200,
			);
			await sendMessage(tenant, who.alice, room_id, 'secret');
			await tenant.as(who.carol).post(`/rooms/${room_id}/read`, { seq: 1 });
			await tenant.as(who.alice).patch(`/rooms/${room_id}`, { name: 'Without bob' });
			await Promise.all([bob?.settle(), alsoBob?.settle(), carol?.settle()]);

			for (const socket of [bob, alsoBob]) {
				expect(typesOf(socket)).toEqual(['connected', 'member.removed', 'pong']);
				expect(socket?.all('member.removed')).toMatchObject([{ room_id, user_id: who.bob }]);
			}
			expect(carol?.all('member.removed')).toHaveLength(1);
			expect(carol?.all('message')).toHaveLength(1);
			const refused = await bob?.request({ type: 'send_message', room_id, content: 'x' });
			expect(refused).toMatchObject({ type: 'error', code: 'NOT_FOUND' });
			await Promise.all([bob, alsoBob, carol].map((socket) => socket?.close()));
		});
	}

	test('and added again hears what comes then, once', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const bob = await tenant.socket(who.bob);

		for (let round = 0; round < 3; round++) {
			await tenant.as(who.alice).delete(`/rooms/${room_id}/members/${who.bob}`);
			await sendMessage(tenant, who.alice, room_id, 'away');
			await tenant.as(who.alice).post(`/rooms/${room_id}/members`, { members: [who.bob] });
			await sendMessage(tenant, who.alice, room_id, 'back');
		}
		await bob.settle();

		expect(bob.all('message').map(({ content }) => content)).toEqual(['back', 'back', 'back']);
		expect(bob.all('member.removed')).toHaveLength(3);
		expect(bob.all('member.added')).toHaveLength(3);
		await bob.close();
	});
});

test('cursors rise strictly over every kind of event, whoever causes it', async () => {
	const { tenant, who } = await used.stage();
	const bob = await tenant.socket(who.bob);
	const rooms = await Promise.all(
		Array.from({ length: 5 }, () => createGroup(tenant, who.alice, [who.bob])),
	);

	await Promise.all(
		rooms.flatMap(({ room_id }, index) => [
			sendMessage(tenant, who.alice, room_id),
			sendMessage(tenant, undefined, room_id),
			tenant.as(who.alice).patch(`/rooms/${room_id}`, { name: `r${index}` }),
			tenant.as(who.alice).post(`/rooms/${room_id}/members`, { members: [who.carol] }),
			tenant.as(who.alice).put(`/rooms/${room_id}/members/${who.bob}`, { role: 'admin' }),
		]),
	);
	await Promise.all(rooms.map(({ room_id }) => tenant.as(who.alice).delete(`/rooms/${room_id}`)));
	await bob.settle();

	const cursors = bob.frames.map(({ cursor }) => cursor).filter((cursor) => cursor !== undefined);
	// connected, and per room: created, two messages, updated, added, role, deleted.
	expect(cursors).toHaveLength(1 + 5 * 7);
	expect(cursors).toEqual([...new Set(cursors)].sort());
	await bob.close();
});
