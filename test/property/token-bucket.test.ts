import { describe, test } from 'bun:test';
import fc from 'fast-check';
import { type BucketRate, TokenBucket } from '../../src/core/token-bucket.ts';

const rates = fc.record({
	per_second: fc.double({ min: 0.01, max: 10_000, noNaN: true }),
	burst: fc.integer({ min: 1, max: 20_000 }),
});
/** When a process asks: a monotonic clock that began anywhere within its first eleven days. */
const starts = fc.double({ min: 0, max: 1e9, noNaN: true });
/** What a clock and a client do: time passes (or stands still, or goes back), tokens are wanted. */
const asks = fc.array(
	fc.record({
		elapsedMs: fc.oneof(
			fc.constant(0),
			fc.double({ min: 0, max: 2000, noNaN: true }),
			fc.integer({ min: -5000, max: 0 }),
		),
		cost: fc.integer({ min: 1, max: 50 }),
	}),
	{ maxLength: 200, size: 'max' },
);

/** Every take that was granted, and when on a clock that never goes back. */
function run(rate: BucketRate, startMs: number, wanted: { elapsedMs: number; cost: number }[]) {
	const bucket = new TokenBucket(rate, startMs);
	const granted: { atMs: number; cost: number }[] = [];
	let latestMs = startMs;
	for (const { elapsedMs, cost } of wanted) {
		const nowMs = latestMs + elapsedMs;
		if (bucket.take(cost, nowMs) === 0) granted.push({ atMs: Math.max(nowMs, latestMs), cost });
		latestMs = Math.max(latestMs, nowMs);
	}
	return { bucket, granted, latestMs };
}

describe('token bucket', () => {
	test('gives no more than its burst and its rate allow, in every stretch of time', () => {
		fc.assert(
			fc.property(rates, starts, asks, (rate, startMs, wanted) => {
				const { granted } = run(rate, startMs, wanted);
				for (let from = 0; from < granted.length; from++) {
					let taken = 0;
					for (let to = from; to < granted.length; to++) {
						const first = granted[from] as (typeof granted)[number];
						const last = granted[to] as (typeof granted)[number];
						taken += last.cost;
						const allowed = rate.burst + (rate.per_second * (last.atMs - first.atMs)) / 1000;
						if (taken > allowed * 1.01) return false;
					}
				}
				return true;
			}),
			{ numRuns: 300 },
		);
	});

	test('gives all that its rate allows to whoever asks without pause, exact to 1 %', () => {
		fc.assert(
			fc.property(
				fc.record({
					per_second: fc.integer({ min: 1, max: 2000 }),
					burst: fc.integer({ min: 1, max: 4000 }),
				}),
				starts,
				(rate, startMs) => {
					const bucket = new TokenBucket(rate, startMs);
					const floodMs = 30_000;
					let taken = 0;
					for (let ms = 0; ms <= floodMs; ms += 5) {
						while (bucket.take(1, startMs + ms) === 0) taken++;
					}
					const allowed = rate.burst + (rate.per_second * floodMs) / 1000;
					// Five milliseconds between asks waste what would overflow a bucket this small.
					const overflow = rate.burst < rate.per_second * 0.005 + 1;
					return taken <= allowed + 1 && (overflow || taken >= allowed * 0.99 - 1);
				},
			),
			{ numRuns: 50 },
		);
	});

	test('keeps its word: what it says to wait for is there then, and not a hundredth earlier', () => {
		fc.assert(
			fc.property(
				rates,
				starts,
				asks,
				fc.integer({ min: 1, max: 50 }),
				(rate, startMs, wanted, cost) => {
					const early = run(rate, startMs, wanted);
					const punctual = run(rate, startMs, wanted);
					const waitMs = early.bucket.take(cost, early.latestMs);
					punctual.bucket.take(cost, punctual.latestMs);
					if (waitMs === 0) return true;
					if (cost > rate.burst) return waitMs === Number.POSITIVE_INFINITY;
					// Below a hundredth of a token nothing can be told from rounding.
					const isMeasurable = (waitMs / 1000) * rate.per_second > 0.01;
					return (
						(!isMeasurable || early.bucket.take(cost, early.latestMs + waitMs * 0.99) > 0) &&
						punctual.bucket.take(cost, punctual.latestMs + Math.ceil(waitMs)) === 0
					);
				},
			),
			{ numRuns: 1000 },
		);
	});

	test('is moved by nothing while the clock stands still or goes back', () => {
		fc.assert(
			fc.property(
				rates,
				starts,
				asks,
				fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { maxLength: 50 }),
				(rate, startMs, wanted, backMs) => {
					const { bucket, latestMs } = run(rate, startMs, wanted);
					const before = bucket.state(latestMs);
					for (const ms of backMs) bucket.state(latestMs - ms);
					const after = bucket.state(latestMs);
					return (
						before.remaining === after.remaining && before.full_after_ms === after.full_after_ms
					);
				},
			),
			{ numRuns: 500 },
		);
	});

	test('always reports between nothing and its burst, and a wait that is no less than nothing', () => {
		fc.assert(
			fc.property(rates, rates, starts, asks, (rate, nextRate, startMs, wanted) => {
				const { bucket, latestMs } = run(rate, startMs, wanted);
				bucket.setRate(nextRate, latestMs);
				const { limit, remaining, full_after_ms } = bucket.state(latestMs);
				return (
					limit === nextRate.burst &&
					Number.isInteger(remaining) &&
					remaining >= 0 &&
					remaining <= limit &&
					full_after_ms >= 0 &&
					Number.isFinite(full_after_ms)
				);
			}),
			{ numRuns: 500 },
		);
	});
});
