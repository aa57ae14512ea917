import { describe, test } from 'bun:test';
import fc from 'fast-check';
import { createRateLimiter } from '../../src/core/rate-limiter.ts';
import { TokenBucket } from '../../src/core/token-bucket.ts';
import { createFakeClock } from '../unit/core/fake-clock.ts';

const RATE = { per_second: 100, burst: 5 };

const steps = fc.array(
	fc.record({
		key: fc.integer({ min: 0, max: 40 }),
		cost: fc.integer({ min: 0, max: 6 }),
		elapsedMs: fc.integer({ min: 0, max: 30 }),
		/** Strangers that come in between, enough of them now and then to set off a sweep. */
		strangers: fc.oneof(
			{ weight: 9, arbitrary: fc.constant(0) },
			{ weight: 1, arbitrary: fc.constant(1500) },
		),
	}),
	{ maxLength: 120, size: 'max' },
);

describe('rate limiter', () => {
	test('answers as one bucket per key that is never dropped would, sweeps or not', () => {
		fc.assert(
			fc.property(steps, (taken) => {
				const clock = createFakeClock(0, 0);
				const limiter = createRateLimiter(clock);
				const model = new Map<number, TokenBucket>();
				let stranger = 0;
				for (const { key, cost, elapsedMs, strangers } of taken) {
					clock.advance(elapsedMs);
					for (let index = 0; index < strangers; index++) {
						limiter.take(`stranger-${stranger++}`, RATE, 1);
					}
					const bucket = model.get(key) ?? new TokenBucket(RATE, clock.monotonic());
					model.set(key, bucket);
					const expected = bucket.take(cost, clock.monotonic());
					const answered = limiter.take(`key-${key}`, RATE, cost);
					if (Math.abs(answered - expected) > 1e-6 && answered !== expected) return false;
				}
				return true;
			}),
			{ numRuns: 200 },
		);
	});

	test('holds no more than twice the buckets that owe something, and a fixed number', () => {
		fc.assert(
			fc.property(
				fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 50, size: 'max' }),
				fc.integer({ min: 1, max: 400 }),
				(pausesMs, perPause) => {
					const clock = createFakeClock(0, 0);
					const limiter = createRateLimiter(clock);
					const owesUntil: number[] = [];
					let mostOwing = 0;
					let made = 0;
					for (const pauseMs of pausesMs) {
						clock.advance(pauseMs);
						for (let index = 0; index < perPause; index++) {
							limiter.take(`key-${made++}`, RATE, 1);
							owesUntil.push(clock.monotonic() + 10);
						}
						const owing = owesUntil.filter((untilMs) => untilMs > clock.monotonic()).length;
						mostOwing = Math.max(mostOwing, owing);
						if (limiter.size > Math.max(1024, 2 * mostOwing) + perPause) return false;
					}
					return true;
				},
			),
			{ numRuns: 100 },
		);
	});
});
