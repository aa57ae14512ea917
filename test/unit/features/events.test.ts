import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { encodeCursor } from '../../../src/core/cursor.ts';
import type { RoomId, RoomNo, UserId } from '../../../src/core/ids.ts';
import { LOGGED } from '../../../src/features/events/schema.ts';
import { EventsPruned, loggedBy } from '../../../src/features/events/service/logged.ts';
import { readStreams } from '../../../src/features/events/service/replay.ts';
import { frameOf, startAt } from '../../../src/features/events/service.ts';
import type { LogRow } from '../../../src/features/events/store.ts';
import { declarationsOf } from '../../tidy/operations.ts';
import { type App, codeOf, ids, OPERATOR, openApp, type TestTenant } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

const groupOf = async (tenant: TestTenant, ...users: [string, ...string[]]) => {
	const [owner, ...members] = users;
	const input = {
		type: 'group' as const,
		members: ids(...members),
		metadata: { '10': 1, a: ['ü'] },
	};
	const { room_id } = await app.rooms.create(tenant.as(owner), input);
	return room_id;
};

/** One of everything that the log holds, in front of ann. */
async function everything(tenant: TestTenant): Promise<void> {
	const ann = tenant.as('ann');
	const room_id = await groupOf(tenant, 'ann', 'bob');
	for (const input of [
		{ content: 'plain' },
		{ content: '"quotes", \\, \n, \u2028, 🎉', meta: { z: 1, '7': [null, 1e21, -0.5] } },
		{ content: 'x', meta: 'a text', client_msg_id: 'c:1' },
		{ content: 'x', meta: null },
	]) {
		await app.messages.send(ann, { room_id, ...input });
	}
	await app.messages.send(tenant.itself, { room_id, content: 'by the tenant' });
	await app.members.add(ann, { room_id, members: ids('cat', 'dan'), role: 'admin' });
	const [cat, dan] = ids('cat', 'dan') as [UserId, UserId];
	await app.members.update(ann, { room_id, user_id: cat, role: 'member' });
	await app.rooms.update(ann, { room_id, name: 'Renamed', metadata: { a: null, b: 'é' } });
	await app.members.remove(tenant.as('dan'), { room_id, user_id: dan });
	await app.notifications.send(ann, {
		topic: 'orders',
		payload: { '9': ['ü', 1e21], a: null },
		targets: { room_id, user_ids: ids('ann', 'zoe') },
	});
	await app.notifications.send(tenant.itself, {
		topic: 'news',
		payload: 'for everybody',
		targets: { all: true, room_id },
	});
	await app.rooms.remove(ann, { room_id });
	await app.rooms.create(tenant.itself, { type: 'dm', members: ids('ann', 'a:b') });
}

/** The whole log, page by page. */
async function readAll(tenant: TestTenant, limit: number) {
	const events: { type: string; cursor: string }[] = [];
	for (let after: string | undefined; ; ) {
		const page = await app.events.list(tenant.itself, {
			limit,
			...(after === undefined ? {} : { after }),
		});
		expect(page.events.length).toBeLessThanOrEqual(limit);
		events.push(...page.events);
		if (page.next_cursor === null) return { events, as_of: page.as_of };
		after = page.next_cursor;
	}
}

test('every event that is declared is in the list of those the log holds, but for those told live', async () => {
	const root = join(import.meta.dir, '../../..');
	const paths = [...new Bun.Glob('src/features/*/schema.ts').scanSync({ cwd: root })];
	const modules = await Promise.all(paths.map((path) => import(join(root, path))));
	const live = [
		'ack.received',
		'positions.changed',
		'read.updated',
		'typing.changed',
		'presence.changed',
	];

	const declared = declarationsOf(modules).events.map(({ type }) => type);

	expect(LOGGED.map(({ type }) => type).sort()).toEqual(
		declared.filter((type) => !live.includes(type)).sort(),
	);
});

describe('the log that is read back', () => {
	for (const limit of [1, 3, 100]) {
		test(`in pages of ${limit} is what a socket was told, in its order and to the byte`, async () => {
			const tenant = await app.tenant();
			const ann = await tenant.listen('ann');
			await everything(tenant);

			const { events, as_of } = await readAll(tenant, limit);

			expect(events.map((event) => JSON.stringify(event))).toEqual(
				ann.told.map((frame) => JSON.stringify(frame)),
			);
			// All but the warning of a quota, which no user's socket is told.
			expect(new Set(events.map(({ type }) => type)).size).toBe(LOGGED.length - 1);
			expect(as_of).toBe(events.at(-1)?.cursor ?? '');
		});
	}

	test('is what a backend missed, from any cursor; a hole in it is an error, not silence', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'ann');
		for (let n = 0; n < 150; n++)
			await app.messages.send(tenant.as('ann'), { room_id, content: `${n}` });
		const { events } = await readAll(tenant, 100);
		const through = events.length;
		const epoch = events[0]?.cursor.slice(0, 5) ?? '';
		const missed = async (after: number) => {
			const frames: unknown[] = [];
			const cursors = { epoch, after, through };
			for await (const page of loggedBy(app.read, tenant.itself.tenant, cursors)) {
				frames.push(...page.map((frame) => JSON.parse(frame)));
			}
			return frames;
		};

		for (const after of [0, 1, 64, 128, through - 1, through]) {
			expect(await missed(after)).toEqual(events.slice(after));
		}
		await app.writer.commit(tenant.itself, (tx) => {
			tx.events.removeThrough(tenant.itself.tenant, 70);
			return { value: null };
		});

		await expect(missed(0)).rejects.toThrow(EventsPruned);
		await expect(missed(69)).rejects.toThrow(EventsPruned);
		expect(await missed(70)).toEqual(events.slice(70));
	});

	test('passes over a message that is gone, and pages go on behind it', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'ann');
		for (const content of ['one', 'two', 'three']) {
			await app.messages.send(tenant.as('ann'), { room_id, content });
		}
		app.write(`DELETE FROM messages WHERE tenant = ${tenant.itself.tenant} AND seq < 3`);

		const { events } = await readAll(tenant, 1);

		expect(events.map(({ type }) => type)).toEqual(['room.created', 'message']);
	});

	test('is the tenant’s own: another tenant’s events are not in it', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];
		await everything(one);

		expect((await app.events.list(two.itself, {})).events).toEqual([]);
	});

	test('begins anew for who comes with a cursor of another log, or from the future', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];
		await everything(one);
		await everything(two);
		const { as_of } = await app.events.list(one.itself, {});
		const ahead = encodeCursor(as_of.slice(0, 5), Number.parseInt(as_of.slice(5), 32) + 1);

		expect(await codeOf(app.events.list(two.itself, { after: as_of }))).toBe('CONFLICT');
		expect(await codeOf(app.events.list(one.itself, { after: ahead }))).toBe('CONFLICT');
		expect(await codeOf(app.events.list(one.itself, { after: as_of }))).toBe('done');
	});
});

test('a cursor is good from the last pruned event to the end, and says why not elsewhere', () => {
	const ends = { epoch: 'aaaaa', last_cursor: 9, pruned_through: 4 };
	const start = (number: number, epoch = 'aaaaa') => startAt(ends, encodeCursor(epoch, number));

	expect([3, 4, 9, 10].map((number) => start(number))).toEqual([
		{ reason: 'expired' },
		{ after: 4 },
		{ after: 9 },
		{ reason: 'unknown' },
	]);
	expect(start(5, 'bbbbb')).toEqual({ reason: 'unknown' });
	expect(startAt(ends, 'no cursor')).toEqual({ reason: 'unknown' });
});

describe('a wait for events', () => {
	test('is answered by the next event of the tenant, with all of its batch', async () => {
		const [tenant, other] = [await app.tenant(), await app.tenant()];
		const room_id = await groupOf(tenant, 'ann');
		const { as_of: after } = await app.events.list(tenant.itself, {});
		const waiting = app.events.list(tenant.itself, { after, wait: 50 });
		await everything(other);

		const sent = await Promise.all(
			['one', 'two'].map((content) => app.messages.send(tenant.as('ann'), { room_id, content })),
		);

		const { events, as_of } = await waiting;
		expect(events.map(({ cursor }) => cursor)).toEqual(sent.map(({ cursor }) => cursor));
		expect(as_of).toBe(sent.at(-1)?.cursor ?? '');
	});

	test('does not begin where there is something to tell', async () => {
		const tenant = await app.tenant();
		await groupOf(tenant, 'ann');

		const { events } = await app.events.list(tenant.itself, { wait: 50 });

		expect(events).toHaveLength(1);
	});

	test('misses nothing that is published while it begins', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'ann');
		let { as_of: after } = await app.events.list(tenant.itself, {});
		const seen: string[] = [];

		const sending = (async () => {
			const sent: string[] = [];
			for (let count = 0; count < 300; count++) {
				const { cursor } = await app.messages.send(tenant.as('ann'), { room_id, content: 'x' });
				sent.push(cursor);
			}
			return sent;
		})();
		while (seen.length < 300) {
			const { events, as_of } = await app.events.list(tenant.itself, {
				after,
				wait: 50,
				limit: 100,
			});
			expect(events.length).toBeGreaterThan(0);
			seen.push(...events.map(({ cursor }) => cursor));
			after = seen.at(-1) ?? as_of;
		}

		expect(seen).toEqual(await sending);
	});

	test('ends empty when its client has gone, and with a 401 when its key is revoked', async () => {
		const tenant = await app.tenant();
		const { as_of: after } = await app.events.list(tenant.itself, {});
		const client = new AbortController();
		const left = app.events.list(tenant.itself, { after, wait: 50 }, client);
		const revoked = codeOf(app.events.list(tenant.itself, { after, wait: 50 }));

		client.abort();
		expect(await left).toEqual({ events: [], next_cursor: null, as_of: after });
		const { tenant_id, key_id } = tenant;
		await app.keys.revoke(OPERATOR, { tenant_id, key_id });

		expect(await revoked).toBe('AUTHENTICATION_ERROR');
	});
});

describe('streams read for a resume', () => {
	test('are the tenant’s log without the other streams, in any size of page', async () => {
		const tenant = await app.tenant();
		const { tenant: number } = tenant.itself;
		const rooms: RoomId[] = [];
		for (let count = 0; count < 6; count++) rooms.push(await groupOf(tenant, 'ann', 'bob'));
		for (let index = 0; index < 400; index++) {
			const room_id = rooms[(index * index) % 6] as RoomId;
			if (index % 9 === 0) await app.rooms.update(tenant.as('ann'), { room_id, name: `N${index}` });
			else await app.messages.send(tenant.as('bob'), { room_id, content: `${index}` });
		}
		const { epoch, last_cursor: through } = await app.events.endsOf(number);
		const frames = (rows: LogRow[]) => rows.map((row) => frameOf(epoch, row) ?? '');
		const all = frames(app.read.events.readTenant(number, { after: 0, through }, 1000));

		for (const after of [0, 5, 6, 77, 300, through - 1, through]) {
			const parts = [];
			for (const room of [1, 2, 4, 6] as RoomNo[]) {
				const seqs = app.read.events.findSeqsAfter(number, room, after);
				const messages = seqs === undefined ? {} : { messages: { room, seq: seqs.first } };
				parts.push({ stream: `r/${room}`, after, through, ...messages });
			}
			const read: string[] = [];
			for await (const rows of readStreams(app.read.events, number, parts, 70)) {
				expect(rows.length).toBeLessThanOrEqual(70);
				read.push(...frames(rows));
			}

			const wanted = [0, 1, 3, 5].map((index) => rooms[index] ?? '');
			const isAfter = (frame: string) => JSON.parse(frame).cursor > encodeCursor(epoch, after);
			const expected = all.filter(
				(frame) => isAfter(frame) && wanted.some((id) => frame.includes(id)),
			);
			expect(read).toEqual(expected);
		}
	});

	test('find the first seq after any cursor', async () => {
		const tenant = await app.tenant();
		const ann = tenant.as('ann');
		const [one, two] = [await groupOf(tenant, 'ann'), await groupOf(tenant, 'ann')];
		const cursors: number[] = [];
		for (let index = 0; index < 90; index++) {
			const room_id = index % 3 === 0 ? two : one;
			const { cursor } = await app.messages.send(ann, { room_id, content: 'x' });
			if (room_id === one) cursors.push(Number.parseInt(cursor.slice(5), 32));
		}

		for (let after = 0; after <= 92; after++) {
			const index = cursors.findIndex((cursor) => cursor > after);
			const expected = index === -1 ? undefined : { first: index + 1, last: cursors.length };
			expect(app.read.events.findSeqsAfter(tenant.itself.tenant, 1 as RoomNo, after)).toEqual(
				expected,
			);
		}
	});
});
