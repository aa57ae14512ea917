import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dayOf, dayText, monthOf } from '../../../src/core/calendar.ts';
import type { TenantCaller } from '../../../src/core/caller.ts';
import { AppError } from '../../../src/core/errors.ts';
import type { RoomId } from '../../../src/core/ids.ts';
import { type App, codeOf, ids, openApp, type TestTenant } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

const ROOT = join(import.meta.dir, '../../..');
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

const usage = (tenant: TestTenant, period?: string) =>
	app.usage.get(tenant.itself, period === undefined ? {} : { period });
const today = () => dayText(dayOf(app.clock.now()));
const month = () => today().slice(0, 7);
const groupOf = async (tenant: TestTenant, ...members: string[]) =>
	(await app.rooms.create(tenant.as('ann'), { type: 'group', members: ids(...members) })).room_id;
const send = (caller: TenantCaller, room_id: RoomId, client_msg_id?: string) =>
	app.messages.send(caller, {
		room_id,
		content: 'hello',
		...(client_msg_id === undefined ? {} : { client_msg_id }),
	});

/** The messages of a tenant by day, from the rows themselves. */
const sentByDay = (tenant: TestTenant) =>
	new Map(
		app
			.rows<{ day: number; count: number }>(
				`SELECT created_at / ${DAY_MS} AS day, count(*) AS count FROM messages
				WHERE tenant = ${tenant.itself.tenant} GROUP BY 1`,
			)
			.map(({ day, count }) => [dayText(day), count]),
	);

/** Sets the clock to noon of some day after the tests before. */
function noonOfAnotherMonth(): void {
	const day = dayOf(app.clock.now());
	const next = Array.from({ length: 32 }, (_, ahead) => day + ahead).find(
		(each) => monthOf(each) !== monthOf(day),
	);
	app.clock.jump(((next ?? day) + 9.5) * DAY_MS - app.clock.now());
}

describe('messages sent', () => {
	test('are the rows by their day, whatever the clock does', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant, 'bob');
		const jumps = [0, DAY_MS, -DAY_MS, 0, 31 * DAY_MS, 1, -30 * DAY_MS, -5 * DAY_MS, 40 * DAY_MS];
		// At last to a day that was over already.
		jumps.push(-35 * DAY_MS);
		for (const ms of jumps) {
			app.clock.jump(ms);
			await send(tenant.as('ann'), room_id);
			await Promise.all([send(tenant.as('bob'), room_id), send(tenant.itself, room_id)]);
		}

		const byDay = sentByDay(tenant);
		expect(byDay.size).toBe(5);
		for (const [day, count] of byDay) {
			expect({ day, count: (await usage(tenant, day)).messages_sent }).toEqual({ day, count });
		}
		for (const period of new Set([...byDay.keys()].map((day) => day.slice(0, 7)))) {
			const count = [...byDay].reduce(
				(sum, [day, sent]) => sum + (day.startsWith(period) ? sent : 0),
				0,
			);
			expect({ period, count: (await usage(tenant, period)).messages_sent }).toEqual({
				period,
				count,
			});
		}
	});

	test('do not count a repeat, a refusal, or what was undone beside it in the batch', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant);
		const { itself } = tenant;
		const undone = (at: number) =>
			app.writer.commit(itself, async (tx) => {
				await tx.usage.putStorage(itself.tenant, dayOf(at), 1);
				throw new AppError('CONFLICT', 'undone');
			});
		const outcomes = await Promise.all(
			[
				send(tenant.as('ann'), room_id, 'once'),
				send(tenant.as('ann'), room_id, 'once'),
				send(tenant.as('stranger'), room_id),
				undone(app.clock.now()),
				send(tenant.as('ann'), room_id),
			].map(codeOf),
		);

		expect(outcomes).toEqual(['done', 'done', 'NOT_FOUND', 'CONFLICT', 'done']);
		expect((await usage(tenant)).messages_sent).toBe(2);
		expect(sentByDay(tenant)).toEqual(new Map([[today(), 2]]));
	});

	test('are known inside a change, those of the same batch too', async () => {
		noonOfAnotherMonth();
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant);
		const at = app.clock.now();
		const seen: [number, number, number][] = [];
		const look = () =>
			app.writer.commit(tenant.itself, (_tx, { messages }) => {
				const next = messages.onDayOf(at + DAY_MS);
				seen.push([messages.onDayOf(at), messages.inMonthOf(at), next]);
				return { value: undefined };
			});
		const sent = () => send(tenant.as('ann'), room_id);
		await Promise.all([look(), sent(), look(), sent(), sent(), look()]);
		app.clock.jump(DAY_MS);
		await Promise.all([look(), sent(), look()]);

		expect(seen).toEqual([
			[0, 0, 0],
			[1, 1, 0],
			[3, 3, 0],
			[3, 3, 0],
			[3, 4, 1],
		]);
	});

	test('of before the upgrade are counted by it, and counting goes on from there', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant);
		for (const ms of [0, DAY_MS]) {
			app.clock.jump(ms);
			await send(tenant.as('ann'), room_id);
			await send(tenant.as('ann'), room_id);
		}
		const [path = ''] = [...new Bun.Glob('drizzle/*_usage.sql').scanSync({ cwd: ROOT })];
		const upgrade = readFileSync(join(ROOT, path), 'utf8').split('--> statement-breakpoint').at(-1);
		app.write('UPDATE tenant_heads SET message_day = 0, day_messages = 0, month_messages = 0');
		app.write('DELETE FROM usage_days');
		app.write(upgrade ?? '');
		await send(tenant.as('ann'), room_id);

		const byDay = sentByDay(tenant);
		expect([...byDay.values()]).toEqual([2, 3]);
		for (const [day, count] of byDay) {
			expect((await usage(tenant, day)).messages_sent).toBe(count);
		}
	});

	test('are not counted by a batch that is rolled back', async () => {
		const tenant = await app.tenant();
		const room_id = await groupOf(tenant);
		await send(tenant.as('ann'), room_id);
		app.clock.jump(DAY_MS);
		const full = () =>
			app.writer.commit(tenant.itself, () => {
				throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_IOERR' });
			});
		const outcomes = await Promise.allSettled([send(tenant.as('ann'), room_id), full()]);

		expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
		expect((await usage(tenant, today())).messages_sent).toBe(0);
		expect(sentByDay(tenant).size).toBe(1);
		await send(tenant.as('ann'), room_id);
		expect((await usage(tenant, today())).messages_sent).toBe(1);
	});
});

describe('connections', () => {
	test('are counted over midnight, each part for its day, with the peak that was carried over', async () => {
		noonOfAnotherMonth();
		const tenant = await app.tenant();
		const [ann, bob] = [tenant.as('ann'), tenant.as('bob')];
		const first = today();
		app.meter.countOpened(ann);
		app.meter.countOpened(bob);
		app.clock.advance(12 * 60 * MINUTE_MS + 3 * MINUTE_MS);
		const second = today();
		app.meter.countClosed(ann);
		app.clock.advance(10 * MINUTE_MS);

		const before = await usage(tenant, first);
		const after = await usage(tenant, second);
		expect([before.connection_minutes, after.connection_minutes]).toEqual([2 * 12 * 60, 6 + 10]);
		expect([before.peak_connections, after.peak_connections]).toEqual([2, 2]);
		expect(before.peak_connections_at).toStartWith(`${first}T12:00:00`);
		expect(after.peak_connections_at).toBe(`${second}T00:00:00.000Z`);
		// Nobody acted on the second day.
		expect([before.active_users, after.active_users]).toEqual([2, 0]);
		app.meter.countClosed(bob);
	});

	test('never count for less than nothing when the clock is set back', async () => {
		noonOfAnotherMonth();
		const tenant = await app.tenant();
		app.meter.countOpened(tenant.as('ann'));
		app.clock.advance(5 * MINUTE_MS);
		app.clock.jump(-3 * DAY_MS);
		app.clock.advance(MINUTE_MS);
		app.meter.countClosed(tenant.as('ann'));
		app.meter.countClosed(tenant.as('ann'));
		app.meter.countOpened(tenant.as('ann'));

		const days = await app.usage.get(tenant.itself, { explain: 'days' });
		expect(days.connection_minutes).toBe(6);
		expect(days.peak_connections).toBe(1);
		app.clock.advance(MINUTE_MS);
		expect((await usage(tenant)).connection_minutes).toBe(7);
		for (const day of days.explained?.items ?? []) {
			for (const value of Object.values(day)) {
				if (typeof value === 'number') expect(value).toBeGreaterThanOrEqual(0);
			}
		}
		app.meter.countClosed(tenant.as('ann'));
	});
});

describe('what is written in the background', () => {
	test('comes back when it could not be written, and is written once', async () => {
		noonOfAnotherMonth();
		const tenant = await app.tenant();
		app.meter.countRequest(tenant.as('ann'));
		const [tally] = app.meter.take(tenant.itself.tenant);
		if (tally === undefined) throw new Error('Nothing was counted');
		app.meter.countRequest(tenant.as('bob'));
		app.meter.putBack([tally]);
		app.clock.jump(DAY_MS);
		app.meter.putBack(app.meter.take(tenant.itself.tenant));
		app.clock.jump(-DAY_MS);

		expect(await usage(tenant)).toMatchObject({ api_requests: 2, active_users: 2 });
		expect(await usage(tenant)).toMatchObject({ api_requests: 2, active_users: 2 });
	});

	test('is nothing of a tenant that is gone by then', async () => {
		const tenant = await app.tenant();
		const { tenant: number } = tenant.itself;
		app.meter.countRequest(tenant.as('ann'));
		for (const table of ['tenant_heads', 'api_keys', 'tenants']) {
			app.write(`DELETE FROM ${table} WHERE tenant = ${number}`);
		}
		await app.flush();

		expect(app.rows(`SELECT day FROM usage_days WHERE tenant = ${number}`)).toEqual([]);
		expect(app.rows(`SELECT user_id FROM usage_users WHERE tenant = ${number}`)).toEqual([]);
	});

	test('keeps nothing of tenants who are idle, and lets sockets alone wait a minute', async () => {
		await app.flush();
		const size = app.meter.size;
		const tenant = await app.tenant();
		app.meter.countOpened(tenant.as('ann'));
		await app.flush();
		expect(app.meter.size).toBe(size + 1);
		const stored = () =>
			app.rows<{ ms: number }>(
				`SELECT connection_ms AS ms FROM usage_days WHERE tenant = ${tenant.itself.tenant}`,
			)[0]?.ms;
		app.clock.advance(59_000);
		await app.flush();
		expect(stored()).toBe(0);
		app.clock.advance(1000);
		await app.flush();
		expect(stored()).toBe(60_000);
		app.meter.countClosed(tenant.as('ann'));
		await app.flush();

		expect(app.meter.size).toBe(size);
	});
});

describe('active users', () => {
	test('are listed in pages, each once, of a day those of the day', async () => {
		noonOfAnotherMonth();
		const tenant = await app.tenant();
		const users = Array.from({ length: 450 }, (_, index) => `u${String(index).padStart(3, '0')}`);
		for (const user of users) app.meter.countRequest(tenant.as(user));
		const first = today();
		await usage(tenant);
		app.clock.jump(DAY_MS);
		for (const user of users.slice(0, 7)) app.meter.countRequest(tenant.as(user));

		expect((await usage(tenant)).active_users).toBe(450);
		expect((await usage(tenant, first)).active_users).toBe(450);
		expect((await usage(tenant, today())).active_users).toBe(7);
		for (const [period, expected] of [
			[month(), users],
			[today(), users.slice(0, 7)],
		] as const) {
			const listed: string[] = [];
			for (let cursor: string | undefined; ; ) {
				const { explained } = await app.usage.get(tenant.itself, {
					...{ period, explain: 'active_users' as const, limit: 100 },
					...(cursor === undefined ? {} : { cursor }),
				});
				for (const item of explained?.items ?? []) if ('user_id' in item) listed.push(item.user_id);
				if (explained?.next_cursor == null) break;
				cursor = explained.next_cursor;
			}
			expect(listed).toEqual([...expected]);
		}
	});
});

test('what is refused: a day there never is', async () => {
	const tenant = await app.tenant();

	for (const period of ['2026-02-30', '2026-13', '1969-12']) {
		expect(await codeOf(app.usage.get(tenant.itself, { period }))).toBe('VALIDATION_ERROR');
	}
	expect(await usage(tenant, '9999-12')).toMatchObject({ messages_sent: 0, storage_bytes: 0 });
});
