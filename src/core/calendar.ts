/**
 * Days and months of UTC as numbers: a day counts from 1970-01-01, a month is year * 12 + month, from 0.
 * UTC knows neither daylight saving nor, in epoch time, leap seconds: every day is as long.
 */
export const DAY_MS = 86_400_000;

/** Of a moment in epoch milliseconds. */
export const dayOf = (ms: number): number => Math.floor(ms / DAY_MS);

export const monthOf = (day: number): number => {
	const date = new Date(day * DAY_MS);
	return date.getUTCFullYear() * 12 + date.getUTCMonth();
};

export const firstDayOf = (month: number): number =>
	dayOf(Date.UTC(Math.floor(month / 12), month % 12, 1));

export const lastDayOf = (month: number): number => firstDayOf(month + 1) - 1;

/** `2026-11-21` */
export const dayText = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** `2026-11` */
export const monthText = (month: number): string => dayText(firstDayOf(month)).slice(0, 7);

/** Days from the first to the last, both included. */
export interface Days {
	from: number;
	through: number;
}

/** The days of `2026-11` or `2026-11-21`; undefined for what is no month or day that there is. */
export function parsePeriod(text: string): Days | undefined {
	const [, year, month, day] = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(text) ?? [];
	const number = Number(year) * 12 + Number(month) - 1;
	if (!(Number(year) >= 1970 && Number(month) >= 1 && Number(month) <= 12)) return undefined;
	if (day === undefined) return { from: firstDayOf(number), through: lastDayOf(number) };
	const one = firstDayOf(number) + Number(day) - 1;
	return dayText(one) === text ? { from: one, through: one } : undefined;
}

/** Milliseconds from a moment to the beginning of the next UTC day: above 0. */
export const untilNextDay = (ms: number): number => (dayOf(ms) + 1) * DAY_MS - ms;
