import { describe, expect, test } from 'bun:test';
import { pageOf } from '../../../src/core/page.ts';

const rows = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const cursorOf = (row: number) => `after-${row}`;

describe('a page', () => {
	test('goes on after its last row when there was one row more', () => {
		expect(pageOf(rows(4), 3, cursorOf)).toEqual({ items: [1, 2, 3], next_cursor: 'after-3' });
	});

	test('is the last one when it is just full, or less', () => {
		expect(pageOf(rows(3), 3, cursorOf)).toEqual({ items: [1, 2, 3], next_cursor: null });
		expect(pageOf(rows(1), 3, cursorOf)).toEqual({ items: [1], next_cursor: null });
	});

	test('of nothing is empty and the last one', () => {
		expect(pageOf([], 3, cursorOf)).toEqual({ items: [], next_cursor: null });
	});

	test('leaves the rows it was made from as they were', () => {
		const given = rows(4);

		pageOf(given, 3, cursorOf);

		expect(given).toEqual([1, 2, 3, 4]);
	});
});
