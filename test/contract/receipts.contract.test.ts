import { describe, expect, test } from 'bun:test';
import { accepted, FACES, refused } from '../helpers/faces.ts';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { typesOf } from '../helpers/socket.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';
import type { MembersPage, Room } from '../helpers/wire.ts';

const used = useServer();

for (const face of FACES) {
	describe(`positions over ${face.name}`, () => {
		test('an ack says delivered up to, and is told to the members without a cursor', async () => {
			const { tenant, room_id } = await roomOf(3);
			const alice = await tenant.socket('alice');
			const bob = await face.as(tenant, 'bob');

			expect(accepted(await bob.ack(room_id, 2))).toMatchObject({ success: true });
			const told = await alice.next('ack.received');

			expect(told).toEqual({ type: 'ack.received', room_id, seq: 2, user_id: 'bob' });
			expect(await positionsOf(tenant, room_id)).toEqual({ delivered: 2, read: 0, unread: 3 });
			await Promise.all([alice.close(), bob.close()]);
		});

		test('read implies delivered, and what is unread follows', async () => {
			const { tenant, room_id } = await roomOf(3);
			const alice = await tenant.socket('alice');
			const bob = await face.as(tenant, 'bob');

			accepted(await bob.read(room_id, 2));
			const told = await alice.next('read.updated');
			const after = await positionsOf(tenant, room_id);
			await sendMessage(tenant, 'alice', room_id);

			expect(told).toEqual({ type: 'read.updated', room_id, seq: 2, user_id: 'bob' });
			expect(after).toEqual({ delivered: 2, read: 2, unread: 1 });
			expect((await positionsOf(tenant, room_id)).unread).toBe(2);
			await Promise.all([alice.close(), bob.close()]);
		});

		test('one lower than before, or the same, is accepted, changes nothing and is told to nobody', async () => {
			const { tenant, room_id } = await roomOf(3);
			const bob = await face.as(tenant, 'bob');
			accepted(await bob.read(room_id, 3));
			const alice = await tenant.socket('alice');

			for (const seq of [3, 2, 1]) {
				accepted(await bob.read(room_id, seq));
				accepted(await bob.ack(room_id, seq));
			}
			await alice.settle();

			expect(typesOf(alice)).toEqual(['connected', 'pong']);
			expect(await positionsOf(tenant, room_id)).toEqual({ delivered: 3, read: 3, unread: 0 });
			await Promise.all([alice.close(), bob.close()]);
		});

		test('one above the head counts as the head, and does not reach into the future', async () => {
			const { tenant, room_id } = await roomOf(3);
			const alice = await tenant.socket('alice');
			const bob = await face.as(tenant, 'bob');

			accepted(await bob.ack(room_id, Number.MAX_SAFE_INTEGER));
			accepted(await bob.read(room_id, 99));

			expect((await alice.next('ack.received')).seq).toBe(3);
			expect((await alice.next('read.updated')).seq).toBe(3);
			await sendMessage(tenant, 'alice', room_id);
			expect(await positionsOf(tenant, room_id)).toEqual({ delivered: 3, read: 3, unread: 1 });
			await Promise.all([alice.close(), bob.close()]);
		});

		test('in a room where nothing was said there is nothing to ack, and nothing is told', async () => {
			const { tenant, room_id } = await roomOf(0);
			const alice = await tenant.socket('alice');
			const bob = await face.as(tenant, 'bob');

			accepted(await bob.ack(room_id, 1));
			accepted(await bob.read(room_id, 1));
			await alice.settle();

			expect(typesOf(alice)).toEqual(['connected', 'pong']);
			expect(await positionsOf(tenant, room_id)).toEqual({ delivered: 0, read: 0, unread: 0 });
			await Promise.all([alice.close(), bob.close()]);
		});

		test('below 1, or no integer, is refused by name, and moves nothing', async () => {
			const { tenant, room_id } = await roomOf(3);

			for (const seq of [0, -1, 1.5, '2', null, undefined, 2 ** 53]) {
				// Anew each time: ten bad frames would close the socket.
				const bob = await face.as(tenant, 'bob');
				for (const outcome of [await bob.ack(room_id, seq), await bob.read(room_id, seq)]) {
					expect(refused(outcome)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'seq' });
				}
				await bob.close();
			}

			expect(await positionsOf(tenant, room_id)).toEqual({ delivered: 0, read: 0, unread: 3 });
		});

		test('is NOT_FOUND for who is no member', async () => {
			const { tenant, room_id } = await roomOf(1);
			const mallory = await face.as(tenant, 'mallory');

			for (const outcome of [await mallory.ack(room_id, 1), await mallory.read(room_id, 1)]) {
				expect(refused(outcome)).toMatchObject({ code: 'NOT_FOUND' });
			}
			await mallory.close();
		});

		test('needs messages:read, and says so', async () => {
			const { tenant, room_id } = await roomOf(1);
			const bob = await face.as(tenant, 'bob', ['rooms:read', 'messages:write']);

			for (const outcome of [await bob.ack(room_id, 1), await bob.read(room_id, 1)]) {
				expect(refused(outcome).code).toBe('AUTHORIZATION_ERROR');
				expect(refused(outcome).message).toContain('messages:read');
			}
			expect(await positionsOf(tenant, room_id)).toEqual({ delivered: 0, read: 0, unread: 1 });
			await bob.close();
		});

		test('the state survives: another socket, and the list, see the same', async () => {
			const { tenant, room_id } = await roomOf(5);
			const bob = await face.as(tenant, 'bob');
			accepted(await bob.read(room_id, 4));
			await bob.close();

			const list = await tenant.as('bob').get('/rooms');

			expect(list.body).toMatchObject({ rooms: [{ room_id, unread_count: 1, last_read_seq: 4 }] });
		});
	});
}

test("the sender's own messages are not unread to the sender", async () => {
	const { tenant, room_id } = await roomOf(3);
	const room = bodyOf(await tenant.as('alice').get<Room>(`/rooms/${room_id}`), 200);

	expect(room).toMatchObject({ unread_count: 0, last_read_seq: 3 });
});

test('system messages between others leave the unread count exact', async () => {
	const { tenant, room_id } = await roomOf(2);
	await sendMessage(tenant, undefined, room_id, 'system');
	await sendMessage(tenant, 'alice', room_id, 'fourth');

	expect((await positionsOf(tenant, room_id)).unread).toBe(3);
	await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 3 });
	expect((await positionsOf(tenant, room_id)).unread).toBe(1);
});

test('over HTTP both answer 200 {"success": true}, and need a user', async () => {
	const { tenant, room_id } = await roomOf(1);
	for (const [path, body] of [
		['/acks', { room_id, seq: 1 }],
		[`/rooms/${room_id}/read`, { seq: 1 }],
	] as const) {
		const done = await tenant.as('bob').post(path, body);
		const userless = await tenant.as().post(path, body);

		expect({ status: done.status, body: done.body }).toEqual({
			status: 200,
			body: { success: true },
		});
		expect(userless.status).toBe(400);
		expect(errorOf(userless)).toMatchObject({
			message: 'Missing X-User-Id header',
			field: 'X-User-Id',
		});
	}
});

/** Alice's room with bob, and so many messages of hers. */
async function roomOf(messages: number): Promise<{ tenant: TestTenant; room_id: string }> {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	for (let seq = 1; seq <= messages; seq++) await sendMessage(tenant, 'alice', room_id, `${seq}`);
	return { tenant, room_id };
}

/** Where bob is. */
async function positionsOf(tenant: TestTenant, room_id: string) {
	const path = `/rooms/${room_id}`;
	const room = bodyOf(await tenant.as('bob').get<Room>(path), 200);
	const { members } = bodyOf(await tenant.as('bob').get<MembersPage>(`${path}/members`), 200);
	const bob = members.find(({ user_id }) => user_id === 'bob');
	expect(bob?.last_read_seq).toBe(room.last_read_seq);
	return {
		delivered: bob?.last_delivered_seq,
		read: bob?.last_read_seq,
		unread: room.unread_count,
	};
}

describe('receipts that come fast', () => {
	const fast = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });
	const BURST = 1000;

	/** Alice's room with these members, and so many messages of hers. */
	async function fastRoom(members: readonly string[], messages: number) {
		const tenant = await createTenant(fast.server);
		const { room_id } = await createGroup(tenant, 'alice', [...members]);
		for (let sent = 0; sent < messages; sent += 50) {
			const batch = Array.from({ length: Math.min(50, messages - sent) });
			await Promise.all(batch.map(() => sendMessage(tenant, 'alice', room_id)));
		}
		return { tenant, room_id };
	}

	test('a burst of 1,000 acks in a room of 100 is two frames a second to whoever watches, and all stored', async () => {
		const users = Array.from({ length: 99 }, (_, index) => `user${index}`);
		const { tenant, room_id } = await fastRoom(users, BURST);
		const watchers = await Promise.all(
			['alice', 'user1', 'user98'].map((user) => tenant.socket(user)),
		);
		const bob = await tenant.socket('user0');

		const startedAt = performance.now();
		for (let seq = 1; seq <= BURST; seq += 50) {
			await Promise.all(
				Array.from({ length: 50 }, (_, index) =>
					bob.request({ type: 'ack', room_id, seq: seq + index }),
				),
			);
		}
		const last = () =>
			watchers.every((watcher) => watcher.all('ack.received').at(-1)?.seq === BURST);
		await eventually(last, 10_000, 'the last ack');
		const seconds = (performance.now() - startedAt) / 1000;

		for (const watcher of watchers) {
			const seqs = watcher.all('ack.received').map(({ seq }) => Number(seq));
			expect(seqs.length).toBeLessThanOrEqual(2 * Math.ceil(seconds));
			expect(seqs).toEqual([...seqs].sort((one, next) => one - next));
			await watcher.close();
		}
		const { members } = bodyOf(
			await tenant.as('alice').get<MembersPage>(`/rooms/${room_id}/members?limit=100`),
			200,
		);
		expect(members.find(({ user_id }) => user_id === 'user0')).toMatchObject({
			last_delivered_seq: BURST,
			last_read_seq: 0,
		});
		await bob.close();
	}, 60_000);

	test('of a member who was removed meanwhile are not told after that', async () => {
		const { tenant, room_id } = await fastRoom(['bob', 'carol'], 3);
		const alice = await tenant.socket('alice');
		for (const user of ['bob', 'carol']) {
			for (const seq of [1, 2]) {
				bodyOf(await tenant.as(user).post('/acks', { room_id, seq }), 200);
			}
		}
		bodyOf(await tenant.as('alice').delete(`/rooms/${room_id}/members/bob`), 200);

		const acks = () => alice.all('ack.received').map(({ user_id, seq }) => `${user_id} ${seq}`);
		// Hers waited no less than his.
		await eventually(() => acks().includes('carol 2'), 5_000, 'the last ack');
		await alice.settle();

		expect(acks()).toEqual(['bob 1', 'carol 1', 'carol 2']);
		await alice.close();
	});
});
