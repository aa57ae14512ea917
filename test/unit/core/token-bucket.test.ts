import { describe, expect, test } from 'bun:test';
import { TokenBucket } from '../../../src/core/token-bucket.ts';

const RATE = { per_second: 10, burst: 20 };

describe('token bucket', () => {
	test('starts full, gives its burst at once, and then nothing', () => {
		const bucket = new TokenBucket(RATE, 0);

		const waits = Array.from({ length: 21 }, () => bucket.take(1, 0));

		expect(waits.slice(0, 20)).toEqual(new Array(20).fill(0));
		expect(waits[20]).toBe(100);
	});

	test('says after how many milliseconds the cost is there, and keeps that promise', () => {
		const bucket = new TokenBucket(RATE, 0);
		bucket.take(20, 0);

		const waitMs = bucket.take(3, 0);

		expect(waitMs).toBe(300);
		expect(bucket.take(3, waitMs - 1)).toBeGreaterThan(0);
		expect(bucket.take(3, waitMs)).toBe(0);
	});

	test('takes all of a cost or none of it', () => {
		const bucket = new TokenBucket(RATE, 0);
		bucket.take(18, 0);

		const waitMs = bucket.take(5, 0);

		expect(waitMs).toBeGreaterThan(0);
		expect(bucket.state(0).remaining).toBe(2);
	});

	test('never holds more than its burst, however long nobody asks', () => {
		const bucket = new TokenBucket(RATE, 0);

		const state = bucket.state(1e12);

		expect(state).toEqual({ limit: 20, remaining: 20, full_after_ms: 0 });
	});

	test('says Infinity for a cost above the burst, and takes nothing', () => {
		const bucket = new TokenBucket(RATE, 0);

		const waitMs = bucket.take(21, 0);

		expect(waitMs).toBe(Number.POSITIVE_INFINITY);
		expect(bucket.state(0).remaining).toBe(20);
	});

	test('takes a cost of nothing even when it is empty', () => {
		const bucket = new TokenBucket(RATE, 0);
		bucket.take(20, 0);

		expect(bucket.take(0, 0)).toBe(0);
	});

	test('is unmoved by a clock that stands still or goes back', () => {
		const bucket = new TokenBucket(RATE, 10_000);
		bucket.take(20, 10_000);

		const still = bucket.take(1, 10_000);
		const back = bucket.take(1, 0);
		const later = bucket.take(1, 10_099);

		expect(still).toBe(100);
		expect(back).toBe(100);
		expect(later).toBeGreaterThan(0);
	});

	test('counts no stretch of time twice after the clock went back and came again', () => {
		const bucket = new TokenBucket(RATE, 10_000);
		bucket.take(20, 10_000);

		for (let round = 0; round < 50; round++) {
			bucket.state(9_000);
			bucket.state(10_000);
		}

		expect(bucket.state(10_000).remaining).toBe(0);
	});

	test('reports whole tokens and the time until it is full', () => {
		const bucket = new TokenBucket(RATE, 0);
		bucket.take(20, 0);

		const state = bucket.state(250);

		expect(state).toEqual({ limit: 20, remaining: 2, full_after_ms: 1750 });
	});

	test('keeps its tokens at a change of rate, cut to the new burst', () => {
		const bucket = new TokenBucket(RATE, 0);
		bucket.take(8, 0);

		bucket.setRate({ per_second: 1, burst: 5 }, 0);
		const lowered = bucket.state(0);
		bucket.setRate({ per_second: 1, burst: 100 }, 0);
		const raised = bucket.state(0);

		expect(lowered.remaining).toBe(5);
		expect(raised).toMatchObject({ limit: 100, remaining: 5 });
	});

	test('pays out the time before a change at the old rate', () => {
		const bucket = new TokenBucket(RATE, 0);
		bucket.take(20, 0);

		bucket.setRate({ per_second: 1000, burst: 20 }, 500);

		expect(bucket.state(500).remaining).toBe(5);
	});
});
