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

/**
 * Epoch milliseconds of an RFC 3339 time, or undefined for a moment there never is: `Date.parse`
 * takes February 31 for March 3.
 */
export function parseTimestamp(text: string): number | undefined {
	const ms = Date.parse(text);
	const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number);
	const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
	return Number.isNaN(ms) || day > daysInMonth ? undefined : ms;
}
