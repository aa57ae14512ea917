/** What is enforced from what usage has written: over the real parts, each review where the test says so. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { TenantCaller } from '../../../src/core/caller.ts';
import { AppError } from '../../../src/core/errors.ts';
import type { PlanId } from '../../../src/core/ids.ts';
import type { Quotas } from '../../../src/core/quota.ts';
import { listRooms } from '../../../src/features/rooms/schema.ts';
import { getUsage } from '../../../src/features/usage/schema.ts';
import { type App, codeOf, ids, OPERATOR, openApp, type TestTenant } from './app.ts';

let app: App;
beforeEach(async () => {
	app = await openApp();
});
afterEach(() => app.end());

const planOf = async (quotas: Quotas): Promise<PlanId> =>
	(await app.plans.create(OPERATOR, { name: 'Pool', quotas })).plan_id;

/** What the usage worker does every few seconds. */
const review = async () => app.quotas.review(await app.flush());

const codeFrom = (act: () => unknown): string => {
	try {
		act();
		return 'done';
	} catch (error) {
		if (error instanceof AppError) return error.errorCode;
		throw error;
	}
};
/** A request, as a face lets it through. */
async function request(
	caller: TenantCaller,
	operation: typeof listRooms | typeof getUsage = listRooms,
) {
	const code = codeFrom(() => app.quotas.requireRequest(caller, operation as never));
	if (code !== 'done') return code;
	const known = await codeOf(Promise.resolve().then(() => app.quotas.requireUser(caller)));
	if (known === 'done') app.meter.countRequest(caller);
	return known;
}
const warningsOf = async ({ itself }: TestTenant) =>
	(
		await app.events.list(itself, { limit: 100 }, { signal: new AbortController().signal } as never)
	).events.filter(({ type }) => type === 'quota.warning') as unknown as Record<string, unknown>[];

function nextMonth(): void {
	const now = new Date(app.clock.now());
	app.clock.jump(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1, 12) - now.getTime());
}

describe('requests a month', () => {
	test('are refused to all tenants of the plan once used up, but not those that show usage', async () => {
		const plan_id = await planOf({ api_requests_per_month: 10 });
		const [one, two, other] = [
			await app.tenant({ plan_id }),
			await app.tenant({ plan_id }),
			await app.tenant(),
		];
		for (let count = 0; count < 6; count++) {
			expect(await request(one.as('ann'))).toBe('done');
			expect(await request(two.itself)).toBe('done');
		}
		await review();

		expect(await request(one.as('ann'))).toBe('QUOTA_EXCEEDED');
		expect(await request(two.itself)).toBe('QUOTA_EXCEEDED');
		expect(await request(other.itself)).toBe('done');
		expect(codeFrom(() => app.quotas.requireRequest(one.itself, getUsage as never))).toBe('done');
		nextMonth();
		expect(await request(one.as('ann'))).toBe('done');
	});

	test('are free again after a review once the quota is raised, though nobody was let through', async () => {
		const plan_id = await planOf({ api_requests_per_month: 1 });
		const tenant = await app.tenant({ plan_id });
		await request(tenant.itself);
		await review();
		expect(await request(tenant.itself)).toBe('QUOTA_EXCEEDED');

		await app.plans.update(OPERATOR, { plan_id, quotas: { api_requests_per_month: 5 } });
		await review();
		expect(await request(tenant.itself)).toBe('done');
		await app.plans.update(OPERATOR, { plan_id, quotas: { api_requests_per_month: 2 } });
		await review();
		expect(await request(tenant.itself)).toBe('QUOTA_EXCEEDED');
		await app.plans.update(OPERATOR, { plan_id, quotas: null });
		await review();
		expect(await request(tenant.itself)).toBe('done');
	});

	test('of who asks for its usage all the time are reviewed too', async () => {
		const tenant = await app.tenant({ quotas: { api_requests_per_month: 1 } });
		await request(tenant.itself);
		await app.usage.get(tenant.itself, {});
		await review();

		expect(await request(tenant.itself)).toBe('QUOTA_EXCEEDED');
	});
});

describe('active users', () => {
	test('of the month go on, and a new one is refused', async () => {
		const tenant = await app.tenant({ quotas: { monthly_active_users: 2 } });
		await request(tenant.as('ann'));
		await request(tenant.as('bob'));
		await review();

		expect(await request(tenant.as('cat'))).toBe('QUOTA_EXCEEDED');
		expect(await request(tenant.as('ann'))).toBe('done');
		expect(await request(tenant.itself)).toBe('done');
		expect((await app.usage.get(tenant.itself, {})).active_users).toBe(2);
		nextMonth();
		expect(await request(tenant.as('cat'))).toBe('done');
	});
});

describe('connections', () => {
	test('are refused while as many are open in all of the plan', async () => {
		const plan_id = await planOf({ peak_connections: 2 });
		const [one, two] = [await app.tenant({ plan_id }), await app.tenant({ plan_id })];
		const connect = (tenant: TestTenant) =>
			codeFrom(() => app.quotas.requireConnection(tenant.as('ann')));
		await request(one.itself);
		await request(two.itself);
		await review();
		expect(connect(one)).toBe('done');
		const first = await one.listen('ann');
		expect(connect(two)).toBe('done');
		const second = await two.listen('ann');
		expect([connect(one), connect(two)]).toEqual(['QUOTA_EXCEEDED', 'QUOTA_EXCEEDED']);
		first.connection.close(1000, '');
		app.clock.advance(100);
		expect(connect(two)).toBe('done');
		second.connection.close(1000, '');
	});

	test('count from when they may be opened: no more at once than there is room for', async () => {
		const plan_id = await planOf({ peak_connections: 5 });
		const tenants = await Promise.all(Array.from({ length: 8 }, () => app.tenant({ plan_id })));
		for (const { itself } of tenants) await request(itself);
		await review();
		const connectAll = () =>
			tenants.map(({ itself }) => codeFrom(() => app.quotas.requireConnection(itself)));

		const admitted = connectAll();
		app.clock.advance(100);
		const again = connectAll();

		// None of them was opened after all.
		for (const codes of [admitted, again]) {
			expect(codes.filter((code) => code === 'done')).toHaveLength(5);
			expect(codes.filter((code) => code === 'QUOTA_EXCEEDED')).toHaveLength(3);
		}
	});
});

describe('storage', () => {
	test('that is used up refuses the send, and no repeat', async () => {
		const tenant = await app.tenant({ quotas: { storage_bytes: 50_000 } });
		const group = { type: 'group' as const, members: ids('bob') };
		const { room_id } = await app.rooms.create(tenant.as('ann'), group);
		const send = (client_msg_id: string) =>
			codeOf(
				app.messages.send(tenant.as('ann'), {
					room_id,
					content: 'x'.repeat(10_000),
					client_msg_id,
				}),
			);
		for (const id of ['a', 'b', 'c', 'd', 'e']) {
			await request(tenant.as('ann'));
			expect(await send(id)).toBe('done');
		}
		await review();

		expect(await send('f')).toBe('QUOTA_EXCEEDED');
		expect(await send('a')).toBe('done');
	});
});

describe('a warning', () => {
	test('comes at 80 and at 100 per cent, once a month each, to the backend alone', async () => {
		const plan_id = await planOf({ messages_per_month: 10 });
		const tenant = await app.tenant({ plan_id });
		const group = { type: 'group' as const, members: ids('bob') };
		const { room_id } = await app.rooms.create(tenant.as('ann'), group);
		const ann = await tenant.listen('ann');
		const send = async (count: number) => {
			for (let sent = 0; sent < count; sent++) {
				await app.messages.send(tenant.as('ann'), { room_id, content: 'x' });
			}
			app.meter.countRequest(tenant.as('ann'));
			await review();
			await review();
		};
		await send(7);
		expect(await warningsOf(tenant)).toEqual([]);
		await send(1);
		await send(1);
		expect((await warningsOf(tenant)).map(({ percent }) => percent)).toEqual([80]);
		await send(1);
		const warnings = await warningsOf(tenant);
		const period = new Date(app.clock.now()).toISOString().slice(0, 7);
		expect(warnings).toEqual([
			expect.objectContaining({ percent: 80, used: 8, limit: 10 }),
			expect.objectContaining({
				...{ type: 'quota.warning', quota: 'messages_per_month', scope: 'plan', percent: 100 },
				...{ used: 10, limit: 10, period },
			}),
		]);
		expect(ann.told.filter(({ type }) => type === 'quota.warning')).toEqual([]);
		nextMonth();
		await send(9);
		expect((await warningsOf(tenant)).map(({ percent }) => percent)).toEqual([80, 100, 80]);
	});

	test('that was given is not given again by who knows nothing of it', async () => {
		const tenant = await app.tenant({ quotas: { api_requests_per_month: 1 } });
		await request(tenant.itself);
		await review();
		expect((await warningsOf(tenant)).length).toBe(1);
		// What is remembered goes with the quota, as with a restart; the row stays.
		const { tenant_id } = tenant;
		await app.tenants.update(OPERATOR, { tenant_id, quotas: null });
		await review();
		await app.tenants.update(OPERATOR, { tenant_id, quotas: { api_requests_per_month: 1 } });
		await request(tenant.itself);
		await review();

		expect((await warningsOf(tenant)).length).toBe(1);
	});
});
