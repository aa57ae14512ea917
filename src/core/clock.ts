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

let lastMinute = Number.NaN;
let lastMinuteText = '';

/**
 * An RFC 3339 UTC time with milliseconds, from epoch milliseconds. The minute is written once and
 * remembered: messages of one page are mostly of few minutes, and a page has up to a hundred.
 */
export function toTimestamp(ms: number): string {
	const minute = Math.floor(ms / 60_000);
	if (minute !== lastMinute) {
		lastMinuteText = new Date(minute * 60_000).toISOString().slice(0, 17);
		lastMinute = minute;
	}
	const rest = ms - minute * 60_000 + 100_000;
	const digits = String(rest);
	return `${lastMinuteText}${digits.slice(1, 3)}.${digits.slice(3)}Z`;
}

/** The last one that RFC 3339 can write: an offset may lead beyond it. */
export const LAST_MOMENT_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * Epoch milliseconds of an RFC 3339 time, or undefined for a moment there never is: `Date.parse`
 * takes February 31 for March 3.
 */
export function parseTimestamp(text: string): number | undefined {
	const ms = Date.parse(text);
	const [year = 0, month = 0, day = 0] = text.slice(0, 10).split('-').map(Number);
	const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
	const isMoment = day <= daysInMonth && ms >= 0 && ms <= LAST_MOMENT_MS;
	return isMoment ? ms : undefined;
}
