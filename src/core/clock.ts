/** The two times there are. Handed in everywhere, so that tests own them. */
export interface Clock {
	/** Epoch milliseconds, an integer. May jump: for stamps on stored rows only. */
	now(): number;
	/** Milliseconds since some fixed moment; never goes back. For durations and buckets. */
	monotonic(): number;
}

export const systemClock: Clock = {
	now: () => Date.now(),
	monotonic: () => performance.now(),
};

/** An RFC 3339 UTC time with milliseconds, from epoch milliseconds. */
export const toTimestamp = (ms: number): string => new Date(ms).toISOString();
