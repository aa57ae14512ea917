/** Messages a month, over the real writer and a clock of our own. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { TenantCaller } from '../../../src/core/caller.ts';
import { AppError } from '../../../src/core/errors.ts';
import type { PlanId, RoomId } from '../../../src/core/ids.ts';
import { type App, codeOf, ids, OPERATOR, openApp, type TestTenant } from './app.ts';

let app: App;
beforeEach(async () => {
	app = await openApp();
});
afterEach(() => app.end());

const DAY_MS = 86_400_000;

const planOf = async (messages_per_month: number | null): Promise<PlanId> =>
	(await app.plans.create(OPERATOR, { name: 'Pool', quotas: { messages_per_month } })).plan_id;

interface Sender {
	tenant: TestTenant;
	room_id: RoomId;
}

async function senderOf(input: Parameters<App['tenant']>[0]): Promise<Sender> {
	const tenant = await app.tenant(input);
	const group = { type: 'group' as const, members: ids('bob') };
	return { tenant, room_id: (await app.rooms.create(tenant.as('ann'), group)).room_id };
}

const send = (
	{ tenant, room_id }: Sender,
	{ caller, id }: { caller?: TenantCaller; id?: string } = {},
) =>
	app.messages.send(caller ?? tenant.as('ann'), {
		room_id,
		content: 'hello',
		...(id === undefined ? {} : { client_msg_id: id }),
	});

/** How many of these were stored, and how many refused for the quota. @throws for any other refusal. */
async function outcomesOf(sends: readonly Promise<unknown>[]) {
	const codes = await Promise.all(sends.map(codeOf));
	const count = (code: string) => codes.filter((each) => each === code).length;
	expect(count('done') + count('QUOTA_EXCEEDED')).toBe(codes.length);
	return { stored: count('done'), refused: count('QUOTA_EXCEEDED') };
}

const stored = ({ tenant }: Sender) =>
	app.rows<{ count: number }>(
		`SELECT count(*) AS count FROM messages WHERE tenant = ${tenant.itself.tenant}`,
	)[0]?.count;

const times = <Value>(count: number, make: () => Value): Value[] =>
	Array.from({ length: count }, make);

/** To noon of the first day of the next month. */
function nextMonth(): void {
	const now = new Date(app.clock.now());
	app.clock.jump(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1, 12) - now.getTime());
}

describe('the pool of a plan', () => {
	test('gives each of its messages once, to whichever tenant asks first', async () => {
		const plan_id = await planOf(50);
		const all = [await senderOf({ plan_id }), await senderOf({ plan_id }), await senderOf({})];
		const [one, two, other] = all as [Sender, Sender, Sender];

		const sends = times(40, () => [send(one), send(two), send(other)]).flat();
		await Promise.all(sends.map(codeOf));

		expect((stored(one) ?? 0) + (stored(two) ?? 0)).toBe(50);
		expect(stored(other)).toBe(40);
		expect(await outcomesOf([send(one), send(two)])).toEqual({ stored: 0, refused: 2 });
	});

	test('says which quota it is, whose, and until when', async () => {
		const sender = await senderOf({ plan_id: await planOf(0) });
		const now = app.clock.now();
		const at = new Date(now);
		const end = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + 1);

		const error = await send(sender).catch((reason: unknown) => reason);

		expect(error).toBeInstanceOf(AppError);
		expect(error).toMatchObject({
			errorCode: 'QUOTA_EXCEEDED',
			message: `Quota exceeded: messages_per_month of this tenant's plan is used up (0), until ${new Date(end).toISOString()}`,
			details: { retry_after_ms: end - now },
		});
		const own = await senderOf({ quotas: { messages_per_month: 0 } });
		const refused = await send(own).catch((reason: unknown) => reason);
		expect(refused).toMatchObject({ errorCode: 'QUOTA_EXCEEDED' });
		expect((refused as Error).message).toContain('messages_per_month of this tenant is used up');
	});

	test('counts system messages, and no repeat, refusal or undone change', async () => {
		const sender = await senderOf({ plan_id: await planOf(4) });
		const { tenant } = sender;
		const undone = () =>
			app.writer.commit(tenant.itself, () => {
				throw new AppError('CONFLICT', 'undone');
			});
		const codes = await Promise.all(
			[
				send(sender, { id: 'a' }),
				send(sender, { id: 'a' }),
				send(sender, { caller: tenant.as('stranger') }),
				undone(),
				send(sender, { caller: tenant.itself }),
				send(sender, { id: 'b' }),
				send(sender, { id: 'c' }),
				send(sender, { id: 'd' }),
				send(sender, { id: 'c' }),
			].map(codeOf),
		);

		expect(codes).toEqual([
			...['done', 'done', 'NOT_FOUND', 'CONFLICT', 'done'],
			...['done', 'done', 'QUOTA_EXCEEDED', 'done'],
		]);
		expect(await send(sender, { id: 'a' })).toMatchObject({ duplicate: true });
		expect(stored(sender)).toBe(4);
	});

	test('is as full as before after a batch that was rolled back', async () => {
		const sender = await senderOf({ plan_id: await planOf(5) });
		await outcomesOf(times(3, () => send(sender)));
		const broken = () =>
			app.writer.commit(sender.tenant.itself, () => {
				throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR' });
			});

		const lost = await Promise.allSettled([send(sender), send(sender), broken()]);

		expect(lost.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
		expect(await outcomesOf(times(4, () => send(sender)))).toEqual({ stored: 2, refused: 2 });
	});

	test('is as full as before after a change that waited for something else', async () => {
		const sender = await senderOf({ plan_id: await planOf(5) });
		await outcomesOf(times(3, () => send(sender)));
		const first = codeOf(send(sender));
		const stuck = app.writer.commit(sender.tenant.itself, () => new Promise<never>(() => {}));

		const codes = await Promise.all([
			first,
			stuck.catch(() => 'abandoned'),
			codeOf(send(sender)),
			codeOf(send(sender)),
		]);

		expect(codes).toEqual(['done', 'abandoned', 'done', 'QUOTA_EXCEEDED']);
		expect(stored(sender)).toBe(5);
	});

	test('is full again with the new month, and was with the one before when the clock goes back', async () => {
		const sender = await senderOf({ plan_id: await planOf(3) });
		expect(await outcomesOf(times(5, () => send(sender)))).toEqual({ stored: 3, refused: 2 });
		const before = app.clock.now();

		nextMonth();
		expect(await outcomesOf(times(4, () => send(sender)))).toEqual({ stored: 3, refused: 1 });
		app.clock.jump(before - app.clock.now() - DAY_MS);
		expect(await outcomesOf([send(sender)])).toEqual({ stored: 0, refused: 1 });
	});

	test('is larger, smaller or none from the moment on that the plan says so, in the same batch too', async () => {
		const plan_id = await planOf(2);
		const sender = await senderOf({ plan_id });
		const update = (messages_per_month: number | null) =>
			app.plans.update(OPERATOR, { plan_id, quotas: { messages_per_month } });
		expect(await outcomesOf(times(3, () => send(sender)))).toEqual({ stored: 2, refused: 1 });

		await update(4);
		expect(await outcomesOf(times(3, () => send(sender)))).toEqual({ stored: 2, refused: 1 });
		await update(1);
		expect(await outcomesOf([send(sender)])).toEqual({ stored: 0, refused: 1 });
		await update(null);
		expect(await outcomesOf(times(20, () => send(sender)))).toEqual({ stored: 20, refused: 0 });
		// What was sent while there was no limit is counted by the one that comes.
		await update(30);
		await Promise.all([...times(40, () => codeOf(send(sender))), update(25), update(27)]);
		expect(stored(sender)).toBeLessThanOrEqual(30);
		await update(40);
		await Promise.all(times(40, () => codeOf(send(sender))));
		expect(stored(sender)).toBe(40);
	});

	test('has in it what its tenants had sent before anybody asked', async () => {
		const plan_id = await planOf(null);
		const [one, two] = [await senderOf({ plan_id }), await senderOf({ plan_id })];
		await outcomesOf(times(3, () => [send(one), send(two)]).flat());
		app.clock.advance(60_000);

		// Those in front of the change are in no row yet when the sum is asked for.
		const outcomes = await Promise.all([
			codeOf(send(one)),
			codeOf(send(two)),
			app.plans.update(OPERATOR, { plan_id, quotas: { messages_per_month: 10 } }),
			...times(3, () => codeOf(send(one))),
			...times(3, () => codeOf(send(two))),
		]);

		expect(outcomes.filter((code) => code === 'QUOTA_EXCEEDED').length).toBe(4);
		expect((stored(one) ?? 0) + (stored(two) ?? 0)).toBe(10);
	});
});

describe('a tenant that moves', () => {
	test('takes what it used this month along, from the one pool into the other', async () => {
		const [from, to] = [await planOf(6), await planOf(6)];
		const [mover, stays, there] = [
			await senderOf({ plan_id: from }),
			await senderOf({ plan_id: from }),
			await senderOf({ plan_id: to }),
		];
		await outcomesOf([...times(4, () => send(mover)), send(stays), send(there)]);
		const move = (plan_id: PlanId | null) =>
			app.tenants.update(OPERATOR, { tenant_id: mover.tenant.tenant_id, plan_id });

		await move(to);
		expect(await outcomesOf(times(3, () => send(there)))).toEqual({ stored: 1, refused: 2 });
		expect(await outcomesOf([send(mover)])).toEqual({ stored: 0, refused: 1 });
		expect(await outcomesOf(times(7, () => send(stays)))).toEqual({ stored: 5, refused: 2 });
		await move(null);
		expect(await outcomesOf(times(7, () => send(mover)))).toEqual({ stored: 7, refused: 0 });
		expect(await outcomesOf(times(5, () => send(there)))).toEqual({ stored: 4, refused: 1 });
		// It comes back with more than there is room for: nothing is taken away, nothing more stored.
		await move(from);
		expect(await outcomesOf([send(mover), send(stays)])).toEqual({ stored: 0, refused: 2 });
	});

	test('is in the new pool for what stands behind the move in the same batch', async () => {
		const [from, to] = [await planOf(100), await planOf(2)];
		const mover = await senderOf({ plan_id: from });
		await outcomesOf([send(mover)]);

		const outcomes = await Promise.all([
			codeOf(send(mover)),
			app.tenants.update(OPERATOR, { tenant_id: mover.tenant.tenant_id, plan_id: to }),
			codeOf(send(mover)),
			codeOf(send(mover)),
		]);

		// The control plane and the tenant take turns: one message is in front of the move, one or two behind it.
		expect(outcomes.filter((code) => code === 'done').length).toBeGreaterThan(0);
		expect(stored(mover)).toBe(2);
	});

	test('has its own quota changed with the next message', async () => {
		const mover = await senderOf({ quotas: { messages_per_month: 1 } });
		const { tenant_id } = mover.tenant;
		const set = (quotas: { messages_per_month: number | null } | null) =>
			app.tenants.update(OPERATOR, { tenant_id, quotas });
		expect(await outcomesOf(times(2, () => send(mover)))).toEqual({ stored: 1, refused: 1 });
		await set({ messages_per_month: 2 });
		expect(await outcomesOf(times(2, () => send(mover)))).toEqual({ stored: 1, refused: 1 });
		await set({ messages_per_month: null });
		expect(await outcomesOf(times(2, () => send(mover)))).toEqual({ stored: 2, refused: 0 });
		await set({ messages_per_month: 4 });
		expect(await outcomesOf([send(mover)])).toEqual({ stored: 0, refused: 1 });
		await set(null);
		expect(await outcomesOf([send(mover)])).toEqual({ stored: 1, refused: 0 });
	});
});

describe("a tenant's own quota", () => {
	test('is a limit inside the pool', async () => {
		const plan_id = await planOf(10);
		const [one, two] = [
			await senderOf({ plan_id, quotas: { messages_per_month: 3 } }),
			await senderOf({ plan_id }),
		];

		expect(await outcomesOf(times(5, () => send(one)))).toEqual({ stored: 3, refused: 2 });
		expect(await outcomesOf(times(9, () => send(two)))).toEqual({ stored: 7, refused: 2 });
	});

	test('limits a tenant without a plan', async () => {
		const sender = await senderOf({ quotas: { messages_per_month: 3 } });

		expect(await outcomesOf(times(5, () => send(sender)))).toEqual({ stored: 3, refused: 2 });
		nextMonth();
		expect(await outcomesOf(times(5, () => send(sender)))).toEqual({ stored: 3, refused: 2 });
	});
});
