import { expect, test } from 'bun:test';
import {
	dayOf,
	dayText,
	firstDayOf,
	lastDayOf,
	monthOf,
	monthText,
	parsePeriod,
} from '../../../src/core/calendar.ts';

test('days and months begin at midnight UTC', () => {
	const midnight = Date.UTC(2026, 11, 1);
	const day = dayOf(midnight);

	expect([dayText(day), dayText(dayOf(midnight - 1))]).toEqual(['2026-12-01', '2026-11-30']);
	expect([monthText(monthOf(day)), monthText(monthOf(day - 1))]).toEqual(['2026-12', '2026-11']);
	expect(dayOf(-1)).toBe(-1);
});

test('a month has the days that it has, leap years too', () => {
	const lengthOf = (year: number, month: number) => {
		const number = year * 12 + month - 1;
		return lastDayOf(number) - firstDayOf(number) + 1;
	};

	expect([lengthOf(2026, 11), lengthOf(2026, 12), lengthOf(2028, 2), lengthOf(2100, 2)]).toEqual([
		30, 31, 29, 28,
	]);
	expect(lengthOf(9999, 12)).toBe(31);
});

test('a period is a month or a day that there is, and nothing else', () => {
	const day = dayOf(Date.UTC(2028, 1, 29));

	expect(parsePeriod('2028-02-29')).toEqual({ from: day, through: day });
	expect(parsePeriod('2028-02')).toEqual({ from: day - 28, through: day });
	const none = [
		...['', '2028', '2028-2', '2028-00', '2028-13', '2028-02-30', '2027-02-29', '2028-02-00'],
		...['1969-12', '0000-01', '2028-02-1', '2028-02-29 ', '-2028-02', '2028-02-32', '2028/02'],
	];
	for (const text of none)
		expect({ text, days: parsePeriod(text) }).toEqual({ text, days: undefined });
});
