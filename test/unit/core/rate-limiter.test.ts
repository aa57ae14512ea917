import { describe, expect, test } from 'bun:test';
import { createRateLimiter } from '../../../src/core/rate-limiter.ts';
import { createFakeClock } from './fake-clock.ts';

const RATE = { per_second: 10, burst: 2 };

describe('rate limiter', () => {
	test('keeps one bucket per key: an empty one leaves the others full', () => {
		const limiter = createRateLimiter(createFakeClock());
		limiter.take('a', RATE, 2);

		expect(limiter.take('a', RATE, 1)).toBe(100);
		expect(limiter.take('b', RATE, 1)).toBe(0);
	});

	test('takes nothing when asked for the state', () => {
		const limiter = createRateLimiter(createFakeClock());

		for (let look = 0; look < 10; look++) limiter.state('a', RATE);

		expect(limiter.state('a', RATE).remaining).toBe(2);
	});

	test('follows the monotonic clock and not the wall clock', () => {
		const clock = createFakeClock();
		const limiter = createRateLimiter(clock);
		limiter.take('a', RATE, 2);

		clock.jump(3_600_000);
		const forward = limiter.take('a', RATE, 1);
		clock.jump(-7_200_000);
		const back = limiter.take('a', RATE, 1);
		clock.advance(100);

		expect([forward, back]).toEqual([100, 100]);
		expect(limiter.take('a', RATE, 1)).toBe(0);
	});

	test('applies a changed rate at once', () => {
		const limiter = createRateLimiter(createFakeClock());
		limiter.take('a', RATE, 2);

		const waitMs = limiter.take('a', { per_second: 1, burst: 2 }, 1);

		expect(waitMs).toBe(1000);
	});

	test('drops buckets that are full again, so that memory follows the active keys', () => {
		const clock = createFakeClock();
		const limiter = createRateLimiter(clock);

		for (let index = 0; index < 100_000; index++) {
			limiter.take(`key-${index}`, RATE, 1);
			clock.advance(1);
		}

		// A bucket is full again after 100 ms, so about 100 of them tell anything at any time.
		expect(limiter.size).toBeLessThanOrEqual(2048);
	});

	test('never drops a bucket that still owes, however many come', () => {
		const limiter = createRateLimiter(createFakeClock());
		limiter.take('debtor', RATE, 2);

		for (let index = 0; index < 10_000; index++) limiter.take(`key-${index}`, RATE, 1);

		expect(limiter.take('debtor', RATE, 1)).toBe(100);
		expect(limiter.size).toBe(10_001);
	});

	test('takes any string for a key, names of Object.prototype too', () => {
		const limiter = createRateLimiter(createFakeClock());
		const keys = ['', '__proto__', 'constructor', 'toString', '\0', '\ud800', 'x'.repeat(100_000)];

		for (const key of keys) limiter.take(key, RATE, 2);

		expect(keys.map((key) => limiter.take(key, RATE, 1))).toEqual(keys.map(() => 100));
	});
});
