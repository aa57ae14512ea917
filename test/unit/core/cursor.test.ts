import { describe, expect, test } from 'bun:test';
import { createEpoch, decodeCursor, encodeCursor } from '../../../src/core/cursor.ts';

describe('cursor', () => {
	test('is 16 characters, the epoch first', () => {
		expect(encodeCursor('abc01', 0)).toBe('abc0100000000000');
		expect(encodeCursor('abc01', 33)).toBe('abc0100000000011');
		expect(encodeCursor('abc01', Number.MAX_SAFE_INTEGER)).toBe('abc017vvvvvvvvvv');
	});

	test('gives its parts back', () => {
		const cursor = decodeCursor('abc0100000000011');

		expect(cursor).toEqual({ epoch: 'abc01', number: 33 });
	});

	test.each([
		['nothing', ''],
		['one character short', 'abc010000000001'],
		['one too many', 'abc01000000000111'],
		['a letter beyond v', 'abc010000000000w'],
		['capitals', 'ABC0100000000011'],
		['a newline at the end', 'abc0100000000011\n'],
		['a NUL', 'abc01000000000\x001'],
		['a sign', 'abc01-0000000011'],
		['a lone surrogate', 'abc010000000001\ud800'],
		['digits of another script', 'abc010000000001١'],
		['__proto__', '__proto__'],
		['a hundred thousand characters', '0'.repeat(100_000)],
		['a number no double holds exactly', 'abc0180000000000'],
	])('refuses %s', (_, text) => {
		expect(decodeCursor(text)).toBeUndefined();
	});

	test('names an epoch in five characters, whatever the random bytes', () => {
		const lowest = createEpoch(new Uint8Array(4));
		const highest = createEpoch(new Uint8Array(4).fill(255));

		expect(lowest).toBe('00000');
		expect(highest).toBe('vvvvv');
	});

	test('reads the random bytes where the view begins', () => {
		const view = new Uint8Array([9, 9, 9, 9, 0, 0, 0, 1]).subarray(4);

		expect(createEpoch(view)).toBe('00001');
	});
});
