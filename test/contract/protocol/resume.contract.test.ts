/** docs/protocol.md, "Resume": what a socket is sent that says where its client left off. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../../helpers/http.ts';
import type { Socket } from '../../helpers/socket.ts';
import { isOwn, testWith, useTarget } from '../../helpers/target.ts';
import { createGroup, sendMessage, type TestTenant } from '../../helpers/tenants.ts';
import type { Frame } from '../../helpers/wire.ts';

/** The server's own where it is another's: docs/protocol.md, "Resume". */
const ROOM_MAX = isOwn ? 5 : 1000;
const used = useTarget({
	RESUME_ROOM_MAX: String(ROOM_MAX),
	WS_FRAMES_PER_SECOND: '0',
});

const resumed = (tenant: TestTenant, user: string, cursor: unknown) =>
	tenant.socket(user, { query: `cursor=${cursor}` });

/** What the log of a tenant holds, as it is told. */
const STORED = /^(message|room\.(created|updated|deleted)|member\.(added|updated|removed))$/;
const storedOf = (frames: readonly Frame[]) => frames.filter(({ type }) => STORED.test(type));

/** The frames between `connected` and `replay.done` but for `positions`, and the latter. */
async function replayOf(socket: Socket) {
	const done = await socket.next<{ cursor: string; count: number }>('replay.done');
	const at = socket.frames.findIndex(({ type }) => type === 'replay.done');
	const frames = socket.frames.slice(1, at).filter(({ type }) => type !== 'positions');
	return { frames, done };
}

describe('a socket that resumes', () => {
	test('is sent byte for byte what another heard meanwhile, in order and once, and goes on live', async () => {
		const { tenant, who } = await used.stage();
		const one = await createGroup(tenant, who.alice, [who.bob]);
		const two = await createGroup(tenant, who.bob, [who.alice]);
		const witness = await tenant.socket(who.bob);
		const cursor = witness.connected.cursor;

		await sendMessage(tenant, who.alice, one.room_id, 'a1');
		await sendMessage(tenant, who.bob, two.room_id, 'b1');
		await sendMessage(tenant, undefined, one.room_id, 'from the tenant');
		await createGroup(tenant, who.carol, [who.bob]);
		bodyOf(await tenant.as(who.alice).patch(`/rooms/${one.room_id}`, { name: 'New' }), 200);
		await sendMessage(tenant, who.alice, two.room_id, 'b2');
		await witness.settle();
		const missed = storedOf(witness.frames);
		expect(missed).toHaveLength(6);

		const bob = await resumed(tenant, who.bob, cursor);
		const { frames, done } = await replayOf(bob);

		expect(bob.connected).toMatchObject({ resumed: true, cursor });
		expect(frames).toEqual(missed);
		expect(done).toMatchObject({ count: 6, cursor: missed.at(-1)?.cursor });
		await sendMessage(tenant, who.alice, one.room_id, 'live');
		expect(await bob.next<{ content: string }>('message')).toMatchObject({ content: 'a1' });
		await Promise.all([bob.settle(), witness.settle()]);
		expect(storedOf(bob.frames)).toEqual(storedOf(witness.frames));
		await Promise.all([bob.close(), witness.close()]);
	});

	test('is told the positions that changed, before the rest; what follows moves them on', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob, who.carol]);
		const quiet = await createGroup(tenant, who.carol, [who.alice]);
		const witness = await tenant.socket(who.bob);
		await sendMessage(tenant, who.alice, room_id, 'one');
		await sendMessage(tenant, who.alice, room_id, 'two');
		const cursor = witness.connected.cursor;
		const positionsOf = (socket: Socket) =>
			socket.all<{ room_id: string; positions: object[] }>('positions');
		bodyOf(await tenant.as(who.carol).post(`/rooms/${room_id}/read`, { seq: 2 }), 200);
		bodyOf(await tenant.as(who.bob).post('/acks', { room_id, seq: 1 }), 200);

		const bob = await resumed(tenant, who.bob, cursor);
		await bob.next('replay.done');
		const [told] = positionsOf(bob);

		expect(bob.frames.slice(0, 4).map(({ type }) => type)).toEqual([
			...['connected', 'positions', 'message', 'message'],
		]);
		expect(bob.connected.unread_count).toBe(2);
		expect(told).toEqual({
			type: 'positions',
			room_id,
			positions: [
				{ user_id: who.alice, last_read_seq: 2, last_delivered_seq: 2 },
				{ user_id: who.bob, last_read_seq: 0, last_delivered_seq: 1 },
				{ user_id: who.carol, last_read_seq: 2, last_delivered_seq: 2 },
			].sort((one, other) => (one.user_id < other.user_id ? -1 : 1)),
		});
		expect(positionsOf(bob)).toHaveLength(1);
		bodyOf(await tenant.as(who.bob).post(`/rooms/${room_id}/read`, { seq: 2 }), 200);
		expect(await bob.next('read.updated')).toMatchObject({ user_id: who.bob, seq: 2 });

		// Not of a room that he is not in, and not of one that is only listened to: no resume.
		expect(JSON.stringify(bob.frames)).not.toContain(quiet.room_id);
		expect(positionsOf(witness)).toEqual([]);
		await Promise.all([bob.close(), witness.close()]);
	});

	test('by a frame, with no event missed, is told the positions all the same', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const { cursor } = await sendMessage(tenant, who.alice, room_id, 'one');
		bodyOf(await tenant.as(who.bob).post('/acks', { room_id, seq: 1 }), 200);
		const alice = await tenant.socket(who.alice);

		await alice.request({ type: 'resume', cursor });

		const positions = alice.all<{ positions: object[] }>('positions');
		expect(positions.flatMap((frame) => frame.positions)).toContainEqual({
			user_id: who.bob,
			last_read_seq: 0,
			last_delivered_seq: 1,
		});
		await alice.close();
	});

	test('with nothing missed is told so, and is live', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const first = await tenant.socket(who.bob);
		await first.close();

		const bob = await resumed(tenant, who.bob, first.connected.cursor);
		const { frames, done } = await replayOf(bob);
		await sendMessage(tenant, who.alice, room_id, 'live');

		expect(frames).toEqual([]);
		expect(done).toMatchObject({ count: 0, cursor: String(first.connected.cursor) });
		expect(await bob.next('message')).toMatchObject({ content: 'live' });
		await bob.close();
	});

	test('hears of rooms as they were: from joining to leaving, one’s own removal and a room’s end included', async () => {
		const { tenant, who } = await used.stage();
		const left = await createGroup(tenant, who.alice, [who.bob]);
		const deleted = await createGroup(tenant, who.alice, [who.bob]);
		const joined = await createGroup(tenant, who.alice, [who.carol]);
		const foreign = await createGroup(tenant, who.alice, [who.carol]);
		const witness = await tenant.socket(who.bob);
		const alice = tenant.as(who.alice);

		await sendMessage(tenant, who.alice, left.room_id, 'still there');
		await sendMessage(tenant, who.alice, joined.room_id, 'before bob');
		await sendMessage(tenant, who.alice, foreign.room_id, 'never for bob');
		bodyOf(await alice.post(`/rooms/${joined.room_id}/members`, { members: [who.bob] }), 201);
		bodyOf(await alice.delete(`/rooms/${left.room_id}/members/${who.bob}`), 200);
		await sendMessage(tenant, who.alice, left.room_id, 'after bob');
		await sendMessage(tenant, who.alice, joined.room_id, 'with bob');
		await sendMessage(tenant, who.alice, deleted.room_id, 'last words');
		bodyOf(await alice.delete(`/rooms/${deleted.room_id}`), 200);
		await witness.settle();

		const bob = await resumed(tenant, who.bob, witness.connected.cursor);
		const { frames } = await replayOf(bob);

		expect(frames).toEqual(storedOf(witness.frames));
		expect(frames.map(({ type }) => type)).toEqual([
			'message',
			'member.added',
			'member.removed',
			'message',
			'message',
			'room.deleted',
		]);
		await sendMessage(tenant, who.alice, left.room_id, 'nothing for bob');
		await bob.settle();
		expect(JSON.stringify(bob.frames)).not.toMatch(
			/nothing for bob|after bob|before bob|never for/,
		);
		await Promise.all([bob.close(), witness.close()]);
	});

	test('hears of every stay in a room that it was removed from and added to again', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const alice = tenant.as(who.alice);
		const witness = await tenant.socket(who.bob);
		for (const stay of ['first', 'second', 'third']) {
			await sendMessage(tenant, who.alice, room_id, `in the ${stay}`);
			bodyOf(await alice.delete(`/rooms/${room_id}/members/${who.bob}`), 200);
			await sendMessage(tenant, who.alice, room_id, `after the ${stay}`);
			bodyOf(await alice.post(`/rooms/${room_id}/members`, { members: [who.bob] }), 201);
		}
		await witness.settle();

		const bob = await resumed(tenant, who.bob, witness.connected.cursor);
		const { frames } = await replayOf(bob);

		expect(frames).toEqual(storedOf(witness.frames));
		expect(frames).toHaveLength(9);
		expect(JSON.stringify(frames)).not.toContain('after the');
		await Promise.all([bob.close(), witness.close()]);
	});

	test('gets room.gap in the place of more messages than are replayed, at the cursor of the first of them', async () => {
		const { tenant, who } = await used.stage();
		const busy = await createGroup(tenant, who.alice, [who.bob]);
		const quiet = await createGroup(tenant, who.alice, [who.bob]);
		const first = await tenant.socket(who.bob);
		await first.close();
		for (let n = 1; n <= ROOM_MAX; n++)
			await sendMessage(tenant, who.alice, quiet.room_id, `q${n}`);
		const left = await sendMessage(tenant, who.alice, busy.room_id, 'one too many');
		for (let n = 1; n <= ROOM_MAX; n++) await sendMessage(tenant, who.alice, busy.room_id, `b${n}`);
		bodyOf(await tenant.as(who.alice).patch(`/rooms/${busy.room_id}`, { name: 'New' }), 200);

		const bob = await resumed(tenant, who.bob, first.connected.cursor);
		const { frames, done } = await replayOf(bob);

		expect(frames.map(({ type }) => type)).toEqual([
			...Array.from({ length: ROOM_MAX }, () => 'message'),
			'room.gap',
			'room.updated',
		]);
		expect(frames.at(-2)).toEqual({
			type: 'room.gap',
			cursor: left.cursor,
			room_id: busy.room_id,
			last_seq: ROOM_MAX + 1,
		});
		expect(done.count).toBe(ROOM_MAX + 2);
		await bob.close();
	});

	testWith(
		'own server',
		'while others send is sent every message once, in order',
		async () => {
			const { tenant, who } = await used.stage();
			const rooms = await Promise.all(
				Array.from({ length: 40 }, () => createGroup(tenant, who.alice, [who.bob])),
			);
			const witness = await tenant.socket(who.bob);
			let isSending = true;
			const senders = Array.from({ length: 4 }, async (_, sender) => {
				for (let n = 0; isSending; n++) {
					const room = rooms[(sender * 10 + n) % rooms.length];
					await sendMessage(tenant, who.alice, room?.room_id ?? '', `${sender} ${n}`);
					// No faster than this process reads.
					await witness.settle();
				}
			});
			const resuming: Socket[] = [];
			for (let round = 0; round < 10; round++) {
				while (storedOf(witness.frames).length < (round + 1) * 10) await witness.settle();
				const from = storedOf(witness.frames).at(-8)?.cursor;
				resuming.push(await resumed(tenant, who.bob, from));
				if (resuming.length > 4) await resuming.shift()?.close();
			}
			for (const socket of resuming) await socket.next('replay.done');
			isSending = false;
			await Promise.all(senders);
			await Promise.all([witness, ...resuming].map((socket) => socket.settle()));

			const all = storedOf(witness.frames);
			for (const socket of resuming) {
				const told = storedOf(socket.frames);
				const from = all.findIndex(({ cursor }) => cursor === told[0]?.cursor);
				expect(from).toBeGreaterThan(0);
				expect(all[from - 1]?.cursor).toBe(socket.connected.cursor as string);
				expect(told).toEqual(all.slice(from));
			}
			await Promise.all([witness, ...resuming].map((socket) => socket.close()));
		},
		30_000,
	);
});

describe('a cursor that cannot be gone on from', () => {
	testWith(
		'operator',
		'of another life of the log, or ahead of it, is answered with resync on a live socket',
		async () => {
			const { tenant, who } = await used.stage();
			const { tenant: other } = await used.stage();
			const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
			const here = await tenant.socket(who.bob);
			const there = await other.socket(who.bob);
			const ahead = `${String(here.connected.cursor).slice(0, 5)}0000000zzzz`.replaceAll('z', 'v');

			for (const cursor of [there.connected.cursor, ahead]) {
				const bob = await resumed(tenant, who.bob, cursor);
				expect(bob.connected).toMatchObject({ resumed: false, cursor: here.connected.cursor });
				expect(await bob.next('resync')).toEqual({ type: 'resync', reason: 'unknown' });
				await bob.close();
			}
			const bob = await resumed(tenant, who.bob, ahead);
			await sendMessage(tenant, who.alice, room_id, 'live');
			expect(await bob.next('message')).toMatchObject({ content: 'live' });
			await Promise.all([bob, here, there].map((socket) => socket.close()));
		},
	);

	for (const [what, query] of [
		['no cursor', 'cursor=abc'],
		['an empty one', 'cursor='],
		['two', 'cursor=0000000000000000&cursor=0000000000000000'],
		['a huge one', `cursor=${'0'.repeat(4000)}`],
		['another case', 'cursor=AAAAA00000000000'],
	] as const) {
		test(`that is ${what} is refused before the upgrade`, async () => {
			const { tenant, who } = await used.stage();
			const answer = await tenant.as(who.bob).get(`/ws?${query}`);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'cursor' });
		});
	}
});

describe('the resume frame', () => {
	test('as the first one brings what ?cursor= would have brought, and then the reply', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const first = await tenant.socket(who.bob);
		await first.close();
		await sendMessage(tenant, who.alice, room_id, 'missed');
		const bob = await tenant.socket(who.bob);

		const reply = await bob.request({ type: 'resume', cursor: first.connected.cursor });
		await sendMessage(tenant, who.alice, room_id, 'live');
		await bob.settle();

		expect(reply).toMatchObject({ type: 'reply', data: { success: true } });
		const types = bob.frames.slice(1).map(({ type }) => type);
		expect(types.filter((type) => type !== 'positions')).toEqual([
			'message',
			'replay.done',
			'reply',
			'message',
			'pong',
		]);
		await bob.close();
	});

	test('after an event is refused, for cursors would fall; from the latest one it brings nothing', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const old = await tenant.socket(who.bob);
		await sendMessage(tenant, who.alice, room_id, 'one');
		const bob = await tenant.socket(who.bob);
		await sendMessage(tenant, who.alice, room_id, 'two');
		const two = await bob.next<{ cursor: string }>('message');

		const refused = await bob.request({ type: 'resume', cursor: old.connected.cursor });
		const taken = await bob.request({ type: 'resume', cursor: two.cursor });

		expect(refused).toMatchObject({ type: 'error', code: 'CONFLICT', field: 'cursor' });
		expect(taken).toMatchObject({ type: 'reply' });
		expect(await bob.next('replay.done')).toMatchObject({ count: 0, cursor: two.cursor });
		await sendMessage(tenant, who.alice, room_id, 'three');
		await bob.settle();
		expect(bob.all('message')).toMatchObject([{ content: 'two' }, { content: 'three' }]);
		await Promise.all([bob.close(), old.close()]);
	});

	test('with a cursor of another log is answered with resync', async () => {
		const { tenant, who } = await used.stage();
		const bob = await tenant.socket(who.bob);
		const reply = await bob.request({ type: 'resume', cursor: '0000000000000000' });
		expect(reply.type).toBe('reply');
		expect(await bob.next('resync')).toEqual({ type: 'resync', reason: 'unknown' });
		await bob.close();
	});
});
