import { describe, expect, test } from 'bun:test';
import { systemRandom } from '../../../src/core/random.ts';

describe('the randomness of the system', () => {
	test('gives as many bytes as asked for, other ones each time', () => {
		const drawn = Array.from({ length: 100 }, () =>
			Buffer.from(systemRandom.bytes(16)).toString('hex'),
		);

		expect(systemRandom.bytes(0)).toHaveLength(0);
		expect(systemRandom.bytes(1000)).toHaveLength(1000);
		expect(new Set(drawn).size).toBe(100);
	});

	test('gives fractions from 0 up to but never 1, evenly', () => {
		const drawn = Array.from({ length: 10_000 }, () => systemRandom.fraction());

		const mean = drawn.reduce((sum, one) => sum + one, 0) / drawn.length;
		expect(drawn.every((one) => one >= 0 && one < 1)).toBe(true);
		// Seven standard deviations of the mean.
		expect(mean).toBeWithin(0.48, 0.52);
	});
});
