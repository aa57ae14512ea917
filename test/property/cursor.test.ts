import { describe, test } from 'bun:test';
import fc from 'fast-check';
import { createEpoch, decodeCursor, encodeCursor } from '../../src/core/cursor.ts';

const epochs = fc.uint8Array({ minLength: 4, maxLength: 16 }).map(createEpoch);
const numbers = fc.maxSafeNat();

describe('cursor', () => {
	test('gives back what was put in', () => {
		fc.assert(
			fc.property(epochs, numbers, (epoch, number) => {
				const decoded = decodeCursor(encodeCursor(epoch, number));
				return decoded?.epoch === epoch && decoded.number === number;
			}),
			{ numRuns: 2000 },
		);
	});

	test('orders as text as its number does, within an epoch', () => {
		const near = fc.tuple(numbers, fc.integer({ min: -3, max: 3 })).map(([a, step]) => {
			const b = Math.min(Math.max(a + step, 0), Number.MAX_SAFE_INTEGER);
			return [a, b] as const;
		});
		fc.assert(
			fc.property(epochs, fc.oneof(near, fc.tuple(numbers, numbers)), (epoch, [a, b]) => {
				const [left, right] = [encodeCursor(epoch, a), encodeCursor(epoch, b)];
				return left < right === a < b && (left === right) === (a === b);
			}),
			{ numRuns: 2000 },
		);
	});

	test('reads any text without throwing, and only what it wrote itself', () => {
		const texts = fc.oneof(
			fc.string({ unit: 'binary', maxLength: 40 }),
			fc.string({ unit: fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvw'), maxLength: 18 }),
		);
		fc.assert(
			fc.property(texts, (text) => {
				const decoded = decodeCursor(text);
				return decoded === undefined || encodeCursor(decoded.epoch, decoded.number) === text;
			}),
			{ numRuns: 3000 },
		);
	});
});
