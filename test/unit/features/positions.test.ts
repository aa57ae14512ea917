import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { RoomId, UserId } from '../../../src/core/ids.ts';
import { POSITIONS_MAX } from '../../../src/features/receipts/schema.ts';
import { createPositionsReplay } from '../../../src/features/receipts/service/positions.ts';
import { type App, ids, openApp, type TestTenant } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

interface Frame {
	type: string;
	room_id: string;
	positions: { user_id: string; last_read_seq: number; last_delivered_seq: number }[];
}

const headOf = async (tenant: TestTenant) =>
	(await app.events.endsOf(tenant.itself.tenant)).last_cursor;

async function collect(pages: AsyncIterable<readonly string[]>): Promise<Frame[]> {
	const all: Frame[] = [];
	for await (const page of pages) all.push(...page.map((frame) => JSON.parse(frame)));
	return all;
}

/** As `user read/delivered`, by room. */
const shortOf = (frames: readonly Frame[]) =>
	frames.map(({ positions }) =>
		positions.map((row) => `${row.user_id} ${row.last_read_seq}/${row.last_delivered_seq}`).join(),
	);

const replayFor = (tenant: TestTenant, user: string, sizeMax = 100) =>
	createPositionsReplay(app.read, tenant.as(user), sizeMax);

const changedFor = async (tenant: TestTenant, user: string, after: number, sizeMax = 100) =>
	collect(replayFor(tenant, user, sizeMax).since(after, await headOf(tenant)));

async function scene(...members: string[]) {
	const tenant = await app.tenant();
	const ann = tenant.as('ann');
	const { room_id } = await app.rooms.create(ann, { type: 'group', members: ids(...members) });
	const say = (to: RoomId = room_id) =>
		app.messages.send(ann, { room_id: to, content: 'something' });
	const ack = (user: string, seq: number, to: RoomId = room_id) =>
		app.receipts.ack(tenant.as(user), { room_id: to, seq });
	const read = (user: string, seq: number, to: RoomId = room_id) =>
		app.receipts.read(tenant.as(user), { room_id: to, seq });
	return { tenant, ann, room_id, say, ack, read };
}

describe('who resumes is told the positions', () => {
	test('that changed since the cursor: acked, read, by sending and by joining; and no others', async () => {
		const { tenant, ann, room_id, say, ack, read } = await scene('bob', 'cat', 'dan');
		for (let n = 0; n < 3; n++) await say();
		await ack('dan', 1);
		await say();
		const after = await headOf(tenant);
		const quiet = await scene('bob');
		expect(shortOf(await changedFor(tenant, 'bob', after))).toEqual(['ann 4/4']);
		await ack('bob', 2);
		await read('cat', 3);
		await app.members.add(ann, { room_id, members: ids('eve') });
		await quiet.ack('bob', 1);

		const frames = await changedFor(tenant, 'bob', after);

		expect(frames).toEqual([
			{
				type: 'positions',
				room_id,
				positions: [
					{ user_id: 'ann', last_read_seq: 4, last_delivered_seq: 4 },
					{ user_id: 'bob', last_read_seq: 0, last_delivered_seq: 2 },
					{ user_id: 'cat', last_read_seq: 3, last_delivered_seq: 3 },
					{ user_id: 'eve', last_read_seq: 4, last_delivered_seq: 4 },
				],
			},
		]);
		expect(shortOf(await changedFor(tenant, 'bob', after + 1))).toEqual(['eve 4/4']);
	});

	test('one frame a room, of rooms that the user is in and that are there', async () => {
		const { tenant, ann, room_id, say, ack } = await scene('bob', 'cat');
		const [left, gone, foreign, quiet] = await Promise.all(
			[['bob'], ['bob'], ['cat'], ['bob']].map(async (users) => {
				const made = await app.rooms.create(ann, { type: 'group', members: ids(...users) });
				return made.room_id;
			}),
		);
		const after = (await headOf(tenant)) + 1;
		for (const room of [room_id, left, gone, foreign]) await say(room as RoomId);
		await ack('cat', 1);
		await app.members.remove(ann, { room_id: left as RoomId, user_id: 'bob' as UserId });
		await app.rooms.remove(ann, { room_id: gone as RoomId });

		const frames = await changedFor(tenant, 'bob', after);

		expect(frames.map((frame) => frame.room_id)).toEqual([room_id]);
		expect(shortOf(frames)).toEqual(['ann 1/1,cat 0/1']);
		expect(quiet).toBeDefined();
	});

	test('in a room that is too large only its own, if that changed', async () => {
		const { tenant, say, ack } = await scene('bob', 'cat');
		await say();
		const after = await headOf(tenant);
		await ack('cat', 1);
		expect(await changedFor(tenant, 'bob', after, 2)).toEqual([]);
		await ack('bob', 1);
		expect(shortOf(await changedFor(tenant, 'bob', after, 2))).toEqual(['bob 0/1']);
		expect(shortOf(await changedFor(tenant, 'bob', after, 3))).toEqual(['ann 1/1,bob 0/1,cat 0/1']);
		expect(shortOf(await changedFor(tenant, 'bob', after, 0))).toEqual(['ann 1/1,bob 0/1,cat 0/1']);
	});

	test('at most a hundred a frame, each once', async () => {
		const users = Array.from({ length: 250 }, (_, index) => `u${index}`);
		const { tenant, say, ack } = await scene('bob', ...users);
		await say();
		const after = await headOf(tenant);
		await Promise.all(users.map((user) => ack(user, 1)));

		const frames = await changedFor(tenant, 'bob', after, 0);

		expect(frames.map(({ positions }) => positions.length)).toEqual([
			POSITIONS_MAX,
			POSITIONS_MAX,
			51,
		]);
		expect(
			new Set(frames.flatMap(({ positions }) => positions.map((row) => row.user_id))).size,
		).toBe(251);
	});

	test('a second round tells what changed since the first one, and nothing twice', async () => {
		const { tenant, say, ack } = await scene('bob', 'cat', 'dan');
		await say();
		await say();
		const through = await headOf(tenant);
		await ack('cat', 1);
		const replay = replayFor(tenant, 'bob');
		expect(shortOf(await collect(replay.since(0, through)))).toEqual([
			'ann 2/2,bob 0/0,cat 0/1,dan 0/0',
		]);
		await ack('dan', 1);
		expect(shortOf(await collect(replay.since(through, through)))).toEqual(['dan 0/1']);
		expect(await collect(replay.since(through, through))).toEqual([]);
		await ack('cat', 2);
		expect(shortOf(await collect(replay.since(through, through)))).toEqual(['cat 0/2']);
	});

	test('of its own tenant alone, where another has the same rooms, users and cursors', async () => {
		const [one, twin] = [await scene('bob', 'cat'), await scene('bob', 'cat')];
		for (const each of [one, twin]) {
			await each.say();
			await each.say();
		}
		const after = (await headOf(one.tenant)) + 1;
		await twin.ack('cat', 2);
		await twin.say();
		await twin.read('bob', 2);

		expect(await changedFor(one.tenant, 'bob', after)).toEqual([]);
		expect(await changedFor(one.tenant, 'bob', after, 2)).toEqual([]);
		await one.ack('cat', 1);
		expect(shortOf(await changedFor(one.tenant, 'bob', after - 1))).toEqual(['ann 2/2,cat 0/1']);
	});
});

describe('what a client may not have been told by a cursor', () => {
	test('goes back by the time that receipts wait, and never beyond twice as many events', async () => {
		const { tenant, say } = await scene('bob');
		const { tenant: number } = tenant.itself;
		for (let n = 0; n < 20; n++) {
			await say();
			app.clock.advance(1000);
		}
		const head = await headOf(tenant);
		const before = (cursor: number) => app.events.cursorBefore(number, cursor, 5000);
		const starts = await Promise.all([head, 12, 3, 1].map(before));

		for (const [index, cursor] of [head, 12].entries()) {
			expect(starts[index]).toBeLessThanOrEqual(cursor - 5);
			expect(starts[index]).toBeGreaterThanOrEqual(cursor - 11);
		}
		expect(starts.slice(2)).toEqual([0, 0]);
	});

	test('is everything where the log does not tell any more, or not yet', async () => {
		const { tenant } = await scene('bob');
		const { tenant: number } = tenant.itself;
		expect(await app.events.cursorBefore(number, 0, 5000)).toBe(0);
		app.write(`DELETE FROM events WHERE tenant = ${number}`);
		expect(await app.events.cursorBefore(number, 1, 5000)).toBe(0);
	});
});
