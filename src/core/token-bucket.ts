/** How fast and how high a bucket fills. */
export interface BucketRate {
	/** Tokens per second, > 0. */
	per_second: number;
	/** The most tokens it holds, ≥ 1. */
	burst: number;
}

/** A bucket's state after a look at it, for rate-limit headers. */
export interface BucketState {
	limit: number;
	/** Whole tokens left. */
	remaining: number;
	/** Milliseconds until it is full again. */
	full_after_ms: number;
}

/** What rounding may cost: who waited as long as it was told to must not be told to wait again. */
const ROUNDING_TOKENS = 1e-6;

/**
 * A token bucket on a monotonic clock. Starts full. Refilled by looking, never by a timer, so an
 * idle one costs nothing.
 *
 * @see https://en.wikipedia.org/wiki/Token_bucket
 */
export class TokenBucket {
	#tokens: number;
	#checkedAt: number;
	#rate: BucketRate;

	constructor(rate: BucketRate, monotonicMs: number) {
		this.#rate = rate;
		this.#tokens = rate.burst;
		this.#checkedAt = monotonicMs;
	}

	/**
	 * Takes `cost` tokens, all or none. Returns 0 when taken, else after how many milliseconds they
	 * will be there (`Infinity` for a cost above the burst).
	 */
	take(cost: number, monotonicMs: number): number {
		this.#refill(monotonicMs);
		if (this.#tokens >= cost - ROUNDING_TOKENS) {
			this.#tokens = Math.max(0, this.#tokens - cost);
			return 0;
		}
		if (cost > this.#rate.burst) return Number.POSITIVE_INFINITY;
		return ((cost - this.#tokens) / this.#rate.per_second) * 1000;
	}

	/** Another rate from now on. Tokens are kept, cut to the new burst: a change is no free refill. */
	setRate(rate: BucketRate, monotonicMs: number): void {
		this.#refill(monotonicMs);
		this.#rate = rate;
		this.#tokens = Math.min(this.#tokens, rate.burst);
	}

	get rate(): BucketRate {
		return this.#rate;
	}

	state(monotonicMs: number): BucketState {
		this.#refill(monotonicMs);
		return {
			limit: this.#rate.burst,
			remaining: Math.floor(this.#tokens),
			full_after_ms: ((this.#rate.burst - this.#tokens) / this.#rate.per_second) * 1000,
		};
	}

	#refill(monotonicMs: number): void {
		const elapsedMs = Math.max(0, monotonicMs - this.#checkedAt);
		this.#checkedAt = Math.max(this.#checkedAt, monotonicMs);
		this.#tokens = Math.min(
			this.#rate.burst,
			this.#tokens + (elapsedMs / 1000) * this.#rate.per_second,
		);
	}
}
