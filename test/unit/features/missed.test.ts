import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { decodeCursor } from '../../../src/core/cursor.ts';
import type { RoomId, UserId } from '../../../src/core/ids.ts';
import { EventsPruned } from '../../../src/features/events/service/logged.ts';
import { missedBy } from '../../../src/features/events/service/missed.ts';
import { type App, ids, openApp, type TestTenant, type Told } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp({ EVENT_RETENTION: '7d' });
});
afterAll(() => app.end());

const numberOf = (cursor: unknown): number => decodeCursor(String(cursor))?.number ?? -1;

/** What bob is sent who comes back with a cursor: the same from the log as from the streams. */
async function missedFrom(tenant: TestTenant, after: number, roomMax = 0): Promise<Told[]> {
	const bob = tenant.as('bob');
	const { epoch, last_cursor: through } = await app.events.endsOf(bob.tenant);
	const readFrom = async (options: { logEventsMax?: number }): Promise<string[]> => {
		const cursors = { epoch, after, through };
		const pages = missedBy(app.read, bob, cursors, { roomMax, ...options });
		return (await Array.fromAsync(pages)).flat();
	};
	const frames = await readFrom({ logEventsMax: 0 });
	expect(await readFrom({})).toEqual(frames);
	return frames.map((frame) => JSON.parse(frame));
}

const storedOf = (told: readonly Told[]) => told.filter(({ cursor }) => cursor !== undefined);

async function scene(...members: string[]) {
	const tenant = await app.tenant();
	const ann = tenant.as('ann');
	const [bob] = ids('bob') as [UserId];
	const input = { type: 'group' as const, members: ids(...members) };
	const { room_id } = await app.rooms.create(ann, input);
	const told = (await tenant.listen('bob')).told;
	return {
		...{ tenant, ann, bob, room_id, told },
		say: (content: string, to: RoomId = room_id) =>
			app.messages.send(ann, { room_id: to, content }),
		add: (to: RoomId = room_id) => app.members.add(ann, { room_id: to, members: [bob] }),
		remove: (from: RoomId = room_id) => app.members.remove(ann, { room_id: from, user_id: bob }),
	};
}

/** From wherever bob comes back, he is sent what he heard from there on, and nothing else. */
async function expectAllHeard(tenant: TestTenant, told: readonly Told[], step = 1): Promise<void> {
	const heard = storedOf(told);
	expect(await missedFrom(tenant, 0)).toEqual(heard);
	for (let at = 0; at < heard.length; at += step) {
		const rest = await missedFrom(tenant, numberOf(heard[at]?.cursor));
		expect(rest).toEqual(heard.slice(at + 1));
	}
}

describe('who comes back is sent every stay in a room', () => {
	test('joined, left and joined within one absence: what was said in each, and not between', async () => {
		const { tenant, told, say, add, remove } = await scene();
		await say('before');
		await add();
		await say('first stay');
		await remove();
		await say('between');
		await add();
		await say('second stay');

		expect((await missedFrom(tenant, 0)).map(({ content, type }) => content ?? type)).toEqual([
			...['member.added', 'first stay', 'member.removed'],
			...['member.added', 'second stay'],
		]);
		await expectAllHeard(tenant, told);
	});

	test('a hundred of them, to the byte, in order and once, from anywhere', async () => {
		const { tenant, told, say, add, remove } = await scene();
		const other = await app.rooms.create(tenant.as('ann'), { type: 'group', members: ids('bob') });
		for (let stay = 0; stay < 100; stay++) {
			await add();
			await say(`in ${stay}`);
			await say(`beside ${stay}`, other.room_id);
			await remove();
			await say(`out ${stay}`);
		}

		expect(storedOf(told)).toHaveLength(1 + 100 * 4);
		await expectAllHeard(tenant, told, 37);
		const rows = app.rows(
			`SELECT count(*) AS count FROM ended_memberships WHERE tenant = ${tenant.itself.tenant}`,
		);
		expect(rows).toEqual([{ count: 100 }]);
	});

	test('of a room that was deleted after he left, and of one that was deleted around him', async () => {
		const { tenant, ann, told, room_id, say, remove } = await scene('bob');
		const around = await app.rooms.create(ann, { type: 'group', members: ids('bob') });
		await say('there');
		await remove();
		await say('gone');
		await app.rooms.remove(ann, { room_id });
		await say('last words', around.room_id);
		await app.rooms.remove(ann, { room_id: around.room_id });

		expect((await missedFrom(tenant, 1)).map(({ content, type }) => content ?? type)).toEqual([
			...['room.created', 'there', 'member.removed', 'last words', 'room.deleted'],
		]);
		// He came to listen after the first room was made.
		expect(await missedFrom(tenant, 1)).toEqual(storedOf(told));
	});

	test('with roles that changed in it, and a dm that he hid goes on', async () => {
		const { tenant, ann, bob, told, room_id, say, add, remove } = await scene('bob');
		const dm = await app.rooms.create(ann, { type: 'dm', members: ids('ann', 'bob') });
		await app.members.update(ann, { room_id, user_id: bob, role: 'admin' });
		await remove();
		await add();
		await app.members.update(ann, { room_id, user_id: bob, role: 'moderator' });
		await app.members.remove(tenant.as('bob'), { room_id: dm.room_id, user_id: bob });
		await say('still told', dm.room_id);

		const missed = await missedFrom(tenant, 1);
		expect(missed).toEqual(storedOf(told));
		expect(missed.map(({ content, role, type }) => content ?? role ?? type)).toEqual([
			...['room.created', 'admin', 'member.removed', 'member.added', 'moderator', 'still told'],
		]);
	});

	test('and nothing of another’s stays, nor of another tenant’s', async () => {
		const { tenant, add, remove, ann, room_id } = await scene('cat');
		const twin = await scene('bob');
		await add();
		await remove();
		await app.members.remove(ann, { room_id, user_id: ids('cat')[0] as UserId });
		await twin.say('of the twin');
		await twin.remove();

		const missed = await missedFrom(tenant, 0);

		expect(missed.map(({ type }) => type)).toEqual(['member.added', 'member.removed']);
	});
});

describe('a room with more missed messages than are replayed', () => {
	const MAX = 4;

	test('is counted over all stays, and has a gap in each, where its first message would be', async () => {
		const { tenant, say, add, remove } = await scene('bob');
		const firsts: string[] = [];
		for (let stay = 0; stay < 3; stay++) {
			firsts.push((await say('1')).cursor);
			await say('2');
			await remove();
			await add();
		}

		const missed = await missedFrom(tenant, 1, MAX);

		const gaps = missed.filter(({ type }) => type === 'room.gap');
		expect(gaps.map(({ cursor }) => String(cursor))).toEqual(firsts);
		expect(gaps.map(({ last_seq }) => last_seq)).toEqual([2, 4, 6]);
		expect(missed.some(({ type }) => type === 'message')).toBe(false);
		expect((await missedFrom(tenant, 1, 6)).some(({ type }) => type === 'room.gap')).toBe(false);
	});

	test('is told of in full, wherever the replay breaks off', async () => {
		const { tenant, ann, room_id, say, add, remove } = await scene('bob');
		const other = await app.rooms.create(ann, { type: 'group', members: ids('bob') });
		const seqs: number[] = [];
		for (let n = 1; n <= 12; n++) {
			const { seq } = await say(`n${n}`);
			seqs.push(seq);
			if (n % 3 === 0) await say(`beside ${n}`, other.room_id);
			if (n === 7) {
				await remove();
				await add();
			}
		}

		const first = await missedFrom(tenant, 1, MAX);

		/** Messages of the room that these frames tell of: themselves, or as part of a gap. */
		const toldBy = (frames: readonly Told[]): number[] =>
			frames
				.filter((frame) => frame.room_id === room_id)
				.flatMap(({ type, seq, last_seq }) => {
					if (type === 'message') return [Number(seq)];
					if (type !== 'room.gap') return [];
					return Array.from({ length: Number(last_seq) }, (_, index) => index + 1);
				});
		expect(first.some(({ type }) => type === 'room.gap')).toBe(true);
		for (let broken = 0; broken <= first.length; broken++) {
			const taken = first.slice(0, broken);
			const cursor = taken.length === 0 ? 1 : numberOf(taken.at(-1)?.cursor);
			const rest = await missedFrom(tenant, cursor, MAX);
			const told = new Set(toldBy([...taken, ...rest]));
			expect([broken, [...told].sort((one, next) => one - next)]).toEqual([broken, seqs]);
			const cursors = [...taken, ...rest].map((frame) => numberOf(frame.cursor));
			expect(cursors.every((one, index) => index === 0 || one > (cursors[index - 1] ?? 0))).toBe(
				true,
			);
		}
	});
});

test('what is pruned while the log is walked for a slow client ends the replay: nothing is left out in silence', async () => {
	const { tenant, ann, bob, say } = await scene('bob');
	for (let room = 0; room < 12; room++) {
		await app.rooms.create(ann, { type: 'group', members: [bob] });
	}
	for (let n = 0; n < 300; n++) await say(`n${n}`);
	const of = tenant.as('bob');
	const { epoch, last_cursor: through } = await app.events.endsOf(of.tenant);
	const pages = missedBy(app.read, of, { epoch, after: 0, through }, { roomMax: 0 });
	const first = await pages.next();
	await app.writer.commit(tenant.itself, (tx) => {
		tx.events.removeThrough(of.tenant, 290);
		return { value: null };
	});

	const rest = Array.fromAsync(pages);

	expect(first.value).not.toBeEmpty();
	await expect(rest).rejects.toThrow(EventsPruned);
});
