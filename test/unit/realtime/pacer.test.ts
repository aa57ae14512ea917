import { afterEach, describe, expect, test } from 'bun:test';
import type { Paced } from '../../../src/core/event.ts';
import type { RoomId, TenantId, UserId } from '../../../src/core/ids.ts';
import { createPacer, PACE_MS, type Pacer } from '../../../src/realtime/pacer.ts';
import { createFakeClock } from '../core/fake-clock.ts';

const [ACME, GLOBEX] = ['tenant_a', 'tenant_b'] as string[] as [TenantId, TenantId];
const [ROOM, OTHER] = ['room_1', 'room_2'] as string[] as [RoomId, RoomId];
const [ann, bob] = ['ann', 'bob'] as string[] as [UserId, UserId];

const pacers: Pacer[] = [];
afterEach(() => {
	for (const pacer of pacers.splice(0)) pacer.close();
});

function setUp(sizeMax?: number) {
	const clock = createFakeClock();
	/** When, and what. */
	const told: [number, string][] = [];
	const startedAt = clock.monotonic();
	const pacer = createPacer({
		clock,
		tell: (_tenant, { frame }) => told.push([clock.monotonic() - startedAt, frame]),
		...(sizeMax === undefined ? {} : { sizeMax }),
	});
	pacers.push(pacer);
	const say = (at: number, given: Partial<Paced & { tenant_id: TenantId }> = {}) => {
		const { tenant_id = ACME, ...rest } = given;
		const paced: Paced = { room_id: ROOM, user_id: ann, kind: 'delivered', at, ...rest };
		const frame = `${paced.user_id} ${paced.kind} ${at}`;
		pacer.publish(tenant_id, { streams: [{ key: 'r/1', topic: 'r/1' }], frame, paced });
	};
	/** Time passes, and the timer with it. */
	const pass = (ms: number, stepMs = 10) => {
		for (let passed = 0; passed < ms; passed += stepMs) {
			clock.advance(stepMs);
			pacer.sweep();
		}
	};
	return { clock, pacer, told, say, pass, frames: () => told.map(([, frame]) => frame) };
}

describe('a position', () => {
	test('is told at once, and what follows within the second as its latest, at its end', () => {
		const { told, say, pass } = setUp();
		for (let at = 1; at <= 50; at++) {
			say(at);
			pass(10);
		}
		expect(told).toEqual([[0, 'ann delivered 1']]);
		pass(490);
		expect(told).toHaveLength(1);
		pass(10);
		expect(told).toEqual([
			[0, 'ann delivered 1'],
			[PACE_MS, 'ann delivered 50'],
		]);
		pass(5000);
		expect(told).toHaveLength(2);
	});

	test('is told at most once a second for as long as it goes on, and the last one is told', () => {
		const { told, say, pass } = setUp();
		for (let at = 1; at <= 1000; at++) {
			say(at);
			pass(10);
		}
		pass(PACE_MS);
		for (const [index, [when]] of told.entries()) {
			const before = told[index - 1]?.[0] ?? Number.NEGATIVE_INFINITY;
			expect(when - before).toBeGreaterThanOrEqual(PACE_MS);
		}
		expect(told).toHaveLength(11);
		expect(told.at(-1)?.[1]).toBe('ann delivered 1000');
	});

	test('is told at once again after a second of silence, and nothing is remembered then', () => {
		const { pacer, say, pass, frames } = setUp();
		say(1);
		expect(pacer.size).toBe(1);
		pass(PACE_MS);
		expect(pacer.size).toBe(0);
		say(2);
		expect(frames()).toEqual(['ann delivered 1', 'ann delivered 2']);
	});

	test('does not wait for those of others: of another kind, user, room or tenant', () => {
		const { say, frames } = setUp();
		say(1);
		say(2, { kind: 'read' });
		say(3, { user_id: bob });
		say(4, { room_id: OTHER });
		say(5, { tenant_id: GLOBEX });
		expect(frames()).toHaveLength(5);
	});

	test('that a read implies is not told after it; one that is further is', () => {
		const { say, pass, frames } = setUp();
		say(1);
		say(1, { kind: 'read', implies: 'delivered' });
		say(4);
		say(5, { kind: 'read', implies: 'delivered' });
		pass(PACE_MS);
		expect(frames().slice(2)).toEqual(['ann read 5']);
		pass(PACE_MS);
		say(6);
		say(7);
		say(6, { kind: 'read', implies: 'delivered' });
		pass(PACE_MS);
		expect(frames().slice(3)).toEqual(['ann delivered 6', 'ann read 6', 'ann delivered 7']);
	});

	test('is not held up by a wall clock that is set back', () => {
		const { clock, told, say, pass } = setUp();
		say(1);
		say(2);
		clock.jump(-3_600_000);
		pass(PACE_MS);
		expect(told.map(([when]) => when)).toEqual([0, PACE_MS]);
	});
});

describe('what waits', () => {
	test('of a member who leaves is not told, that of others and of other rooms and tenants is', () => {
		const { pacer, say, pass, frames } = setUp();
		const all: Partial<Paced & { tenant_id: TenantId }>[] = [
			...[{}, { kind: 'read' as const }, { user_id: bob }, { room_id: OTHER }],
			{ tenant_id: GLOBEX },
		];
		for (const given of all) say(1, given);
		for (const given of all) say(2, given);
		pacer.forget(ACME, ROOM, ann);
		pass(PACE_MS);
		expect(frames().slice(all.length)).toEqual([
			'bob delivered 2',
			...['ann delivered 2', 'ann delivered 2'],
		]);
	});

	test('in a room that is closed is not told, that of other rooms and tenants is', () => {
		const { pacer, say, pass, frames } = setUp();
		const all = [{}, { user_id: bob }, { room_id: OTHER }, { tenant_id: GLOBEX }];
		for (const given of all) say(1, given);
		for (const given of all) say(2, given);
		pacer.forget(ACME, ROOM);
		pass(PACE_MS);
		expect(frames().slice(all.length)).toEqual(['ann delivered 2', 'ann delivered 2']);
	});

	test('at the end is dropped, and what comes then is told at once', () => {
		const { pacer, say, pass, frames } = setUp();
		say(1);
		say(2);
		pacer.close();
		pass(PACE_MS);
		say(3);
		say(4);
		expect(frames()).toEqual(['ann delivered 1', 'ann delivered 3', 'ann delivered 4']);
		expect(pacer.size).toBe(0);
	});

	test('is bounded: beyond it all are told at once, and those who wait are told in their time', () => {
		const { pacer, say, pass, frames } = setUp(2);
		for (const user of ['ann', 'bob', 'cat', 'cat']) say(1, { user_id: user as UserId });
		say(2);
		expect(pacer.size).toBe(2);
		expect(frames()).toHaveLength(4);
		pass(PACE_MS);
		expect(frames().at(-1)).toBe('ann delivered 2');
	});

	test('is told in slices where there is much of it, all of it', () => {
		const { clock, pacer, say, told } = setUp();
		const users = Array.from({ length: 450 }, (_, index) => `u${index}` as UserId);
		for (const at of [1, 2]) for (const user_id of users) say(at, { user_id });
		clock.advance(PACE_MS);
		const counts = [1, 2, 3, 4].map(() => {
			pacer.sweep();
			return told.length - users.length;
		});
		expect(counts).toEqual([200, 400, 450, 450]);
	});
});

test('the timer tells by itself what waits', async () => {
	const { promise, resolve } = Promise.withResolvers<string>();
	const pacer = createPacer({
		clock: { monotonic: () => performance.now() },
		tell: (_tenant, { frame }) => frame === 'second' && resolve(frame),
	});
	pacers.push(pacer);
	const paced: Paced = { room_id: ROOM, user_id: ann, kind: 'read', at: 1 };
	const streams = [{ key: 'r/1', topic: 'r/1' }];
	for (const frame of ['first', 'second']) pacer.publish(ACME, { streams, frame, paced });

	expect(await promise).toBe('second');
});
