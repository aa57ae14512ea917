import { describe, expect, test } from 'bun:test';
import { systemClock, toTimestamp } from '../../../src/core/clock.ts';

describe('system clock', () => {
	test('gives epoch milliseconds, whole ones', () => {
		const before = Date.now();

		const now = systemClock.now();

		expect(Number.isInteger(now)).toBe(true);
		expect(now).toBeWithin(before, Date.now() + 1);
	});

	test('never goes back on its monotonic side', () => {
		let last = systemClock.monotonic();
		for (let round = 0; round < 10_000; round++) {
			const next = systemClock.monotonic();
			expect(next).toBeGreaterThanOrEqual(last);
			last = next;
		}
	});
});

describe('toTimestamp', () => {
	test.each([
		[0, '1970-01-01T00:00:00.000Z'],
		[1_795_233_900_123, '2026-11-21T04:05:00.123Z'],
		[951_782_400_000, '2000-02-29T00:00:00.000Z'],
	])('writes %d as RFC 3339 in UTC with milliseconds', (ms, text) => {
		expect(toTimestamp(ms)).toBe(text);
	});
});
