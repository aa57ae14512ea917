import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { RoomId, UserId } from '../../../src/core/ids.ts';
import { type App, codeOf, ids, openApp, type TestTenant } from './app.ts';

const DAY_MS = 86_400_000;

let app: App;
beforeAll(async () => {
	app = await openApp({ EVENT_RETENTION: '7d' });
});
afterAll(() => app.end());

const groupOf = async (tenant: TestTenant, ...users: [string, ...string[]]) => {
	const [owner, ...members] = users;
	const input = { type: 'group' as const, members: ids(...members) };
	return (await app.rooms.create(tenant.as(owner), input)).room_id;
};

const sendMany = (tenant: TestTenant, room_id: RoomId, count: number) =>
	Promise.all(
		Array.from({ length: count }, (_, index) =>
			app.messages.send(tenant.as('ann'), { room_id, content: `n${index}` }),
		),
	);

/** How many rows of a tenant a table has. */
const count = ({ itself }: TestTenant, table: string, where = '1'): number =>
	app.rows<{ count: number }>(
		`SELECT count(*) AS count FROM ${table} WHERE tenant = ${itself.tenant} AND ${where}`,
	)[0]?.count ?? -1;

const prunedThrough = ({ itself }: TestTenant): number =>
	app.rows<{ pruned_through: number }>(
		`SELECT pruned_through FROM tenant_heads WHERE tenant = ${itself.tenant}`,
	)[0]?.pruned_through ?? -1;

describe('events older than the retention', () => {
	test('are pruned in slices, those that are younger are not, nor is any message', async () => {
		const [tenant, other] = [await app.tenant(), await app.tenant()];
		const room_id = await groupOf(tenant, 'ann');
		await sendMany(tenant, room_id, 1200);
		app.clock.advance(DAY_MS);
		const { cursor } = await app.messages.send(tenant.as('ann'), { room_id, content: 'young' });
		await groupOf(other, 'ann');
		app.clock.advance(6 * DAY_MS + 1);
		const { changes } = app.writer.counters;

		await app.pruner.prune();

		expect(app.writer.counters.changes - changes).toBe(3);
		expect(prunedThrough(tenant)).toBe(1201);
		expect([count(tenant, 'events'), count(tenant, 'messages')]).toEqual([1, 1201]);
		const { events } = await app.events.list(tenant.itself, {});
		expect(events).toMatchObject([{ type: 'message', cursor, content: 'young' }]);
		expect([prunedThrough(other), count(other, 'events')]).toEqual([0, 1]);
	});

	test('make a cursor before them one that cannot be gone on from, and no other', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'ann');
		const sent = await sendMany(tenant, room_id, 3);
		app.clock.advance(7 * DAY_MS + 1);
		const last = await app.messages.send(tenant.as('ann'), { room_id, content: 'last' });
		const from = (after: string) => codeOf(app.events.list(tenant.itself, { after }));
		expect(await from(sent[0]?.cursor ?? '')).toBe('done');

		await app.pruner.prune();

		expect(await from(sent[0]?.cursor ?? '')).toBe('CONFLICT');
		expect(await from(sent[2]?.cursor ?? '')).toBe('done');
		expect(await from(last.cursor)).toBe('done');
	});

	test('are pruned from the front only, also when the clock was set back', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'ann');
		app.clock.jump(-30 * DAY_MS);
		await sendMany(tenant, room_id, 2);
		app.clock.jump(30 * DAY_MS);

		await app.pruner.prune();

		expect([prunedThrough(tenant), count(tenant, 'events')]).toEqual([0, 3]);
	});

	test('do not hold sends up, which go on between the slices', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'ann');
		await sendMany(tenant, room_id, 3000);
		app.clock.advance(7 * DAY_MS + 1);
		const left: number[] = [];

		const pruning = app.pruner.prune();
		for (let isPruning = true; isPruning; ) {
			await app.messages.send(tenant.as('ann'), { room_id, content: 'meanwhile' });
			left.push(count(tenant, 'events', `created_at <= ${app.clock.now() - 7 * DAY_MS}`));
			isPruning = left.at(-1) !== 0;
		}
		await pruning;

		expect(new Set(left).size).toBeGreaterThan(3);
		expect(prunedThrough(tenant)).toBe(3001);
	});

	test('cost nothing where there are none: not one change', async () => {
		await app.pruner.prune();
		for (let made = 0; made < 300; made++) await groupOf(await app.tenant(), 'ann');
		const before = { ...app.writer.counters };

		await app.pruner.prune();

		expect(app.writer.counters).toEqual(before);
	});
});

describe('with the event that tells of it goes', () => {
	test('a stay that ended, and not the one that began since, nor one that ended since', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'ann', 'bob', 'cat', 'dan');
		const [bob, cat, dan] = ids('bob', 'cat', 'dan') as [UserId, UserId, UserId];
		const remove = (user_id: UserId) => app.members.remove(tenant.itself, { room_id, user_id });
		for (const user of [bob, cat, dan]) await remove(user);
		await app.members.add(tenant.itself, { room_id, members: [cat, dan] });
		app.clock.advance(7 * DAY_MS + 1);
		await remove(dan);

		await app.pruner.prune();

		const usersOf = (table: string) =>
			app
				.rows<{ user_id: string }>(
					`SELECT user_id FROM ${table} WHERE tenant = ${tenant.itself.tenant} ORDER BY user_id`,
				)
				.map(({ user_id }) => user_id);
		expect(usersOf('memberships')).toEqual(['ann', 'cat']);
		expect(usersOf('positions')).toEqual(['ann', 'cat']);
		expect(usersOf('ended_memberships')).toEqual(['dan']);
		app.clock.advance(7 * DAY_MS + 1);
		await app.pruner.prune();
		expect(usersOf('memberships')).toEqual(['ann', 'cat']);
		expect(usersOf('ended_memberships')).toEqual([]);
	});

	test('a deleted room with all it held, in slices, and not the room beside it', async () => {
		const [tenant, other] = [await app.tenant(), await app.tenant()];
		const members = Array.from({ length: 600 }, (_, index) => `u${index}`);
		const room_id = await groupOf(tenant, 'ann', ...members);
		const kept = await groupOf(tenant, 'ann', 'bob');
		const twin = await groupOf(other, 'ann', 'bob');
		await sendMany(tenant, room_id, 1100);
		await sendMany(tenant, kept, 5);
		await sendMany(other, twin, 5);
		await app.rooms.remove(tenant.as('ann'), { room_id });
		const after = await app.messages.send(tenant.as('ann'), { room_id: kept, content: 'after' });
		app.clock.advance(7 * DAY_MS);
		await app.pruner.prune();
		expect(count(tenant, 'rooms')).toBe(2);
		expect(count(tenant, 'ended_memberships')).toBe(601);
		const { changes } = app.writer.counters;
		app.clock.advance(1);

		await app.pruner.prune();

		// Slices of events, of messages, of positions, of memberships.
		expect(app.writer.counters.changes - changes).toBeGreaterThan(3 + 3 + 2 + 2);
		const tables = [
			...['rooms', 'room_heads', 'messages', 'memberships', 'ended_memberships', 'positions'],
			'events',
		];
		expect(tables.map((table) => count(tenant, table))).toEqual([1, 1, 6, 2, 0, 2, 0]);
		expect(tables.map((table) => count(other, table))).toEqual([1, 1, 5, 2, 0, 2, 0]);
		const { messages } = await app.messages.list(tenant.as('bob'), { room_id: kept });
		expect(messages.at(-1)).toEqual(after);
	});
});
