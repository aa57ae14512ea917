/**
 * Random traffic of two tenants over weeks, written down by the test as it happens; then every figure of
 * every day and month is computed anew from what was written down, or from the stored rows.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { dayOf, dayText } from '../../../src/core/calendar.ts';
import type { RoomId } from '../../../src/core/ids.ts';
import { type App, ids, openApp, type TestTenant } from './app.ts';

const DAY_MS = 86_400_000;
const STEPS = 1200;
const USERS = ['ann', 'bob', 'cat', 'dan', 'eve'];

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

/** The same numbers for the same seed. */
function createRandom(seed: number) {
	let state = seed;
	return (below: number): number => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * below);
	};
}

interface Observed {
	tenant: TestTenant;
	room_id: RoomId;
	/** Sockets that are sent the messages of the room. */
	listeners: number;
	acts: { at: number; user: string }[];
	requests: number[];
	delivered: { at: number; frames: number }[];
	/** When how many sockets were open from then on. */
	levels: { at: number; open: number }[];
	open: string[];
}

async function observe(): Promise<Observed> {
	const tenant = await app.tenant();
	const input = { type: 'group' as const, members: ids(...USERS.slice(1)) };
	const { room_id } = await app.rooms.create(tenant.as('ann'), input);
	const nothing = { acts: [], requests: [], delivered: [], levels: [], open: [], listeners: 0 };
	return { tenant, room_id, ...nothing };
}

/** One thing happens, and is written down. */
async function step(one: Observed, pick: (below: number) => number): Promise<void> {
	const { tenant, room_id } = one;
	const user = USERS[pick(USERS.length)] ?? 'ann';
	const at = app.clock.now();
	switch (pick(8)) {
		case 0:
		case 1: {
			const client_msg_id = `c${pick(300)}`;
			const input = { room_id, content: 'hello', client_msg_id };
			const sent = await app.messages.send(tenant.as(user), input);
			if (sent.duplicate !== true) one.delivered.push({ at, frames: one.listeners });
			return;
		}
		case 2:
		case 3:
			app.meter.countRequest(tenant.as(user));
			one.requests.push(at);
			one.acts.push({ at, user });
			return;
		case 4:
			if (one.open.length > 20) return;
			app.meter.countOpened(tenant.as(user));
			one.open.push(user);
			one.acts.push({ at, user });
			one.levels.push({ at, open: one.open.length });
			return;
		case 5: {
			const [gone] = one.open.splice(pick(one.open.length), 1);
			if (gone === undefined) return;
			app.meter.countClosed(tenant.as(gone));
			one.levels.push({ at, open: one.open.length });
			return;
		}
		case 6:
			if (one.listeners < 3) {
				await tenant.listen(user);
				one.listeners++;
			}
			return;
		default:
			await app.flush();
	}
}

/** What the log of the test says of the days from `from` to before `until`. */
function recompute(one: Observed, from: number, until: number) {
	const isIn = (at: number) => at >= from && at < until;
	let [connectionMs, peak, peakAt] = [0, 0, 0];
	for (const [index, { at, open }] of one.levels.entries()) {
		const end = one.levels[index + 1]?.at ?? app.clock.now();
		const [start, stop] = [Math.max(at, from), Math.min(end, until)];
		const isThere = isIn(at) || (start < stop && open > 0);
		if (stop > start) connectionMs += open * (stop - start);
		if (isThere && open > peak) [peak, peakAt] = [open, start];
	}
	return {
		messages_sent: app.rows<{ count: number }>(
			`SELECT count(*) AS count FROM messages WHERE tenant = ${one.tenant.itself.tenant}
				AND created_at >= ${from} AND created_at < ${until}`,
		)[0]?.count,
		messages_delivered: one.delivered
			.filter(({ at }) => isIn(at))
			.reduce((sum, { frames }) => sum + frames, 0),
		api_requests: one.requests.filter(isIn).length,
		active_users: new Set(one.acts.filter(({ at }) => isIn(at)).map(({ user }) => user)).size,
		peak_connections: peak,
		peak_connections_at: peak === 0 ? null : new Date(peakAt).toISOString(),
		connection_minutes: Math.floor(connectionMs / 60_000),
	};
}

for (const seed of [1, 2, 3]) {
	test(`every day and month comes out as what happened (seed ${seed})`, async () => {
		const pick = createRandom(seed);
		const both = [await observe(), await observe()] as const;
		const first = dayOf(app.clock.now());
		for (let count = 0; count < STEPS; count++) {
			await step(both[pick(3) === 0 ? 1 : 0], pick);
			// From nothing to three hours; now and then days.
			if (pick(2) === 0) app.clock.advance(pick(100) === 0 ? pick(4 * DAY_MS) : pick(DAY_MS / 8));
		}
		const last = dayOf(app.clock.now());

		const periods: [string, number, number][] = [];
		for (let day = first; day <= last; day++) {
			periods.push([dayText(day), day * DAY_MS, (day + 1) * DAY_MS]);
		}
		for (const month of new Set(periods.map(([day]) => day.slice(0, 7)))) {
			const [year, number] = month.split('-').map(Number) as [number, number];
			periods.push([month, Date.UTC(year, number - 1), Date.UTC(year, number)]);
		}
		expect(periods.length).toBeGreaterThan(40);
		for (const one of both) {
			for (const [period, from, until] of periods) {
				const expected = { period, ...recompute(one, from, until) };
				expect(await app.usage.get(one.tenant.itself, { period })).toMatchObject(expected);
			}
		}
		for (const { open, tenant } of both) {
			for (const user of open) app.meter.countClosed(tenant.as(user));
		}
	}, 60_000);
}
