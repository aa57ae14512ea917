/**
 * Random traffic of four tenants on two plans while limits, months and luck change; after every burst the
 * stored rows are counted anew: never one message over a limit, and none refused while there was room.
 */
import { expect, test } from 'bun:test';
import { dayOf, firstDayOf, lastDayOf, monthOf } from '../../../src/core/calendar.ts';
import { AppError } from '../../../src/core/errors.ts';
import type { PlanId, RoomId } from '../../../src/core/ids.ts';
import { type App, codeOf, ids, OPERATOR, openApp, type TestTenant } from './app.ts';

const BURSTS = 120;
const SENDERS = 64;
const DAY_MS = 86_400_000;

/** The same numbers for the same seed. */
function createRandom(seed: number) {
	let state = seed;
	return (below: number): number => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * below);
	};
}

interface Pool {
	plan_id: PlanId;
	limit: number | null;
	members: Member[];
}

interface Member {
	tenant: TestTenant;
	room_id: RoomId;
	own: number | null;
}

async function memberOf(app: App, plan_id: PlanId, own: number | null): Promise<Member> {
	const tenant = await app.tenant({ plan_id, quotas: { messages_per_month: own } });
	const group = { type: 'group' as const, members: ids('bob') };
	return { tenant, own, room_id: (await app.rooms.create(tenant.as('ann'), group)).room_id };
}

/** What is stored of the present month. */
function used(app: App, { tenant }: Member): number {
	const month = monthOf(dayOf(app.clock.now()));
	const [from, until] = [firstDayOf(month) * DAY_MS, (lastDayOf(month) + 1) * DAY_MS];
	const [row] = app.rows<{ count: number }>(
		`SELECT count(*) AS count FROM messages WHERE tenant = ${tenant.itself.tenant}
			AND created_at >= ${from} AND created_at < ${until}`,
	);
	return row?.count ?? 0;
}

/** One message of anybody, as a user or the tenant itself, some of them sent before. */
function sendOne(app: App, { tenant, room_id }: Member, pick: (below: number) => number) {
	const caller = [tenant.as('ann'), tenant.as('bob'), tenant.itself][pick(3)] ?? tenant.itself;
	const repeat = pick(5) === 0 ? { client_msg_id: `c${pick(40)}` } : {};
	return codeOf(app.messages.send(caller, { room_id, content: 'hello', ...repeat }));
}

/** What comes to nothing, and with it the batch or only itself. */
function breakOne(app: App, { tenant }: Member, pick: (below: number) => number): Promise<unknown> {
	const lost = Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR' });
	const error = pick(2) === 0 ? lost : new AppError('CONFLICT', 'undone');
	return app.writer
		.commit(tenant.itself, () => {
			throw error;
		})
		.catch(() => {});
}

for (const seed of [1, 2, 3]) {
	test(`no message over a limit, none refused below it (seed ${seed})`, async () => {
		const app = await openApp();
		const pick = createRandom(seed);
		const pools: Pool[] = [];
		for (const limit of [300, 500]) {
			const quotas = { messages_per_month: limit };
			const { plan_id } = await app.plans.create(OPERATOR, { name: 'Pool', quotas });
			const members = [await memberOf(app, plan_id, 120), await memberOf(app, plan_id, null)];
			pools.push({ plan_id, limit, members });
		}
		const all = pools.flatMap((pool) => pool.members.map((member) => ({ pool, member })));
		let [stored, refused] = [0, 0];
		for (let burst = 0; burst < BURSTS; burst++) {
			const pool = pools[pick(2)] as Pool;
			if (pick(6) === 0) {
				pool.limit = pick(5) === 0 ? null : pick(600);
				const quotas = { messages_per_month: pool.limit };
				await app.plans.update(OPERATOR, { plan_id: pool.plan_id, quotas });
			}
			if (pick(10) === 0) app.clock.jump((pick(3) - 1) * pick(40) * DAY_MS);
			const before = new Map(all.map(({ member }) => [member, used(app, member)]));

			const sends = Array.from({ length: 1 + pick(SENDERS) }, () => {
				const { member } = all[pick(all.length)] as (typeof all)[number];
				if (pick(60) === 0) void breakOne(app, member, pick);
				return sendOne(app, member, pick).then((code) => ({ member, code }));
			});
			const outcomes = await Promise.all(sends);

			for (const { plan_id, limit, members } of pools) {
				const now = members.map((member) => used(app, member));
				const sum = (counts: readonly number[]) => counts.reduce((total, one) => total + one, 0);
				const atFirst = sum(members.map((member) => before.get(member) ?? 0));
				if (limit !== null) expect(sum(now)).toBeLessThanOrEqual(Math.max(limit, atFirst));
				for (const [index, member] of members.entries()) {
					const own = member.own ?? Number.POSITIVE_INFINITY;
					const count = now[index] ?? 0;
					expect(count).toBeLessThanOrEqual(own);
					const codes = outcomes.filter((each) => each.member === member).map(({ code }) => code);
					const isRefused = codes.includes('QUOTA_EXCEEDED');
					const isFull = count >= own || (limit !== null && sum(now) >= limit);
					expect({ burst, plan_id, isFull: isFull || !isRefused }).toMatchObject({ isFull: true });
					stored += count - (before.get(member) ?? 0);
					refused += codes.filter((code) => code === 'QUOTA_EXCEEDED').length;
				}
			}
		}
		// It came to both, often.
		expect(stored).toBeGreaterThan(500);
		expect(refused).toBeGreaterThan(200);
		await app.end();
	}, 60_000);
}
