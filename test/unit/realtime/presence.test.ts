import { beforeEach, describe, expect, test } from 'bun:test';
import type { TenantId, TenantNo, UserId } from '../../../src/core/ids.ts';
import {
	createPresenceRegistry,
	GRACE_MS,
	type PresenceRegistry,
	type TenantUser,
	WAITING_MAX,
} from '../../../src/realtime/presence.ts';
import { createFakeClock, type FakeClock } from '../core/fake-clock.ts';

const userOf = (user_id: string, tenant = 1): TenantUser => ({
	tenant: tenant as TenantNo,
	tenant_id: `tenant_${tenant}` as TenantId,
	user_id: user_id as UserId,
});

const alice = userOf('alice');
let clock: FakeClock;
let connected: Set<string>;
let moves: { user_id: string; at: number }[];
let registry: PresenceRegistry;

beforeEach(() => {
	clock = createFakeClock();
	connected = new Set();
	moves = [];
	registry = createPresenceRegistry({
		clock,
		isConnected: (tenant_id, user_id) => connected.has(`${tenant_id} ${user_id}`),
		onMove: ({ user_id }, at) => moves.push({ user_id, at }),
	});
});

function come(user: TenantUser): void {
	connected.add(`${user.tenant_id} ${user.user_id}`);
	registry.came(user);
}

function go(user: TenantUser): void {
	connected.delete(`${user.tenant_id} ${user.user_id}`);
	registry.went(user);
}

const isOnline = ({ tenant_id, user_id }: TenantUser) => registry.isOnline(tenant_id, user_id);

/** Everything that is to be told now, after a sweep. */
function takeAll(): string[] {
	registry.sweep();
	const taken: string[] = [];
	for (let next = registry.take(); next !== undefined; next = registry.take()) {
		taken.push(`${next.tenant_id} ${next.user_id} ${next.status}`);
	}
	return taken;
}

describe('who is online', () => {
	test('is from the first socket until 5 seconds after the last, to the millisecond', () => {
		come(alice);
		expect([isOnline(alice), takeAll()]).toEqual([true, ['tenant_1 alice online']]);
		clock.advance(60_000);
		go(alice);
		clock.advance(GRACE_MS - 1);
		expect([isOnline(alice), takeAll()]).toEqual([true, []]);
		clock.advance(1);
		expect([takeAll(), isOnline(alice)]).toEqual([['tenant_1 alice offline'], false]);
	});

	test('is told with when the last socket went, not with when that was noticed', () => {
		come(alice);
		takeAll();
		clock.advance(1234);
		const wentAt = clock.now();
		go(alice);
		clock.advance(GRACE_MS + 3000);
		registry.sweep();

		expect(registry.take()).toEqual({ ...alice, status: 'offline', last_seen_at: wentAt });
		expect(moves.at(-1)).toEqual({ user_id: 'alice', at: wentAt });
	});

	test('was never away when back within 5 seconds, however often', () => {
		come(alice);
		takeAll();
		for (let count = 0; count < 20; count++) {
			go(alice);
			clock.advance(GRACE_MS - 1);
			expect(takeAll()).toEqual([]);
			come(alice);
		}
		clock.advance(10 * GRACE_MS);
		expect([takeAll(), isOnline(alice)]).toEqual([[], true]);
	});

	test('does not change as the wall clock does', () => {
		come(alice);
		takeAll();
		go(alice);
		clock.jump(3_600_000);
		expect([takeAll(), isOnline(alice)]).toEqual([[], true]);
		clock.jump(-7_200_000);
		clock.advance(GRACE_MS);
		expect(takeAll()).toEqual(['tenant_1 alice offline']);
	});
});

describe('what is to be told', () => {
	test('is nothing of who is gone before anybody heard of the coming', () => {
		come(alice);
		go(alice);
		expect(takeAll()).toEqual([]);
		clock.advance(2 * GRACE_MS);
		expect(takeAll()).toEqual([]);
	});

	test('is the coming of who went before it was told, and came back', () => {
		come(alice);
		go(alice);
		clock.advance(1000);
		come(alice);
		expect(takeAll()).toEqual(['tenant_1 alice online']);
	});

	test('is nothing of who came back before the going was told', () => {
		come(alice);
		takeAll();
		go(alice);
		clock.advance(GRACE_MS);
		registry.sweep();
		expect(registry.waiting).toBe(1);
		come(alice);
		expect(takeAll()).toEqual([]);
		go(alice);
		clock.advance(GRACE_MS);
		expect(takeAll()).toEqual(['tenant_1 alice offline']);
	});

	test('is at most one change a user', () => {
		for (let count = 0; count < 5; count++) {
			come(alice);
			go(alice);
			clock.advance(GRACE_MS);
			registry.sweep();
		}
		come(alice);
		expect(registry.waiting).toBe(1);
	});

	test('is one tenant’s as the other’s, by turns, and of the same user id apart', () => {
		for (const name of ['a', 'b', 'c']) come(userOf(name));
		come(userOf('a', 2));

		expect(takeAll()).toEqual([
			'tenant_1 a online',
			'tenant_2 a online',
			'tenant_1 b online',
			'tenant_1 c online',
		]);
		go(userOf('a'));
		clock.advance(GRACE_MS);
		expect(takeAll()).toEqual(['tenant_1 a offline']);
		expect([isOnline(userOf('a')), isOnline(userOf('a', 2))]).toEqual([false, true]);
	});

	test('is bounded, and what is remembered of who is offline ends', () => {
		for (let count = 0; count < WAITING_MAX + 10; count++) come(userOf(`user${count}`));
		expect(registry.waiting).toBe(WAITING_MAX);
		expect(takeAll()).toHaveLength(WAITING_MAX);
		for (let count = 0; count < WAITING_MAX; count++) go(userOf(`user${count}`));
		expect(registry.leaving).toBe(WAITING_MAX);
		clock.advance(GRACE_MS);
		takeAll();

		expect([registry.waiting, registry.leaving]).toEqual([0, 0]);
	});
});
