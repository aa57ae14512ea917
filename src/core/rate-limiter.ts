import type { Clock } from './clock.ts';
import { type BucketRate, type BucketState, TokenBucket } from './token-bucket.ts';

/** Buckets by key, each made full when first asked for. One limiter per purpose. */
export interface RateLimiter {
	/** As `TokenBucket.take`, on the key's bucket; a rate that changed takes effect at once. */
	take(key: string, rate: BucketRate, cost: number): number;
	/** The key's bucket as it is now, without taking from it. */
	state(key: string, rate: BucketRate): BucketState;
	/** Drops the key's bucket. */
	forget(key: string): void;
	/** How many buckets are held. */
	readonly size: number;
}

/** A sweep every so many new buckets keeps its cost at O(1) per bucket. */
const SWEEP_EVERY_MIN = 1024;

/** A full bucket tells no more than an absent one, so full ones are dropped as new ones come. */
export function createRateLimiter(clock: Clock): RateLimiter {
	const buckets = new Map<string, TokenBucket>();
	let sweepAt = SWEEP_EVERY_MIN;

	function sweep(now: number): void {
		for (const [key, bucket] of buckets) {
			if (bucket.state(now).full_after_ms === 0) buckets.delete(key);
		}
		sweepAt = Math.max(SWEEP_EVERY_MIN, buckets.size * 2);
	}

	function bucketOf(key: string, rate: BucketRate, now: number): TokenBucket {
		let bucket = buckets.get(key);
		if (bucket === undefined) {
			if (buckets.size >= sweepAt) sweep(now);
			bucket = new TokenBucket(rate, now);
			buckets.set(key, bucket);
		} else if (bucket.rate !== rate) {
			bucket.setRate(rate, now);
		}
		return bucket;
	}

	return {
		take(key, rate, cost) {
			const now = clock.monotonic();
			return bucketOf(key, rate, now).take(cost, now);
		},
		state(key, rate) {
			const now = clock.monotonic();
			return bucketOf(key, rate, now).state(now);
		},
		forget: (key) => void buckets.delete(key),
		get size() {
			return buckets.size;
		},
	};
}
