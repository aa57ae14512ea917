import { describe, expect, test } from 'bun:test';
import { createGenerations } from '../../../src/core/generations.ts';

describe('generations', () => {
	test('keep a stamp current until its tenant or its key is bumped', () => {
		const generations = createGenerations();
		const byTenant = generations.stamp('tenant_1', 'key_1');
		const byKey = generations.stamp('tenant_2', 'key_2');

		generations.bump('tenant', 'tenant_1');
		generations.bump('key', 'key_2');

		expect(generations.isCurrent(byTenant)).toBe(false);
		expect(generations.isCurrent(byKey)).toBe(false);
	});

	test('leave the stamps of others alone', () => {
		const generations = createGenerations();
		const other = generations.stamp('tenant_1', 'key_1');

		generations.bump('key', 'key_2');
		generations.bump('tenant', 'tenant_2');

		expect(generations.isCurrent(other)).toBe(true);
	});

	test('make a stamp that is taken after a bump current', () => {
		const generations = createGenerations();
		generations.bump('key', 'key_1');

		const stamp = generations.stamp('tenant_1', 'key_1');

		expect(generations.isCurrent(stamp)).toBe(true);
	});

	test('never make an old stamp current again by bumping further', () => {
		const generations = createGenerations();
		const stamp = generations.stamp('tenant_1', 'key_1');

		for (let round = 0; round < 5; round++) {
			generations.bump('key', 'key_1');
			expect(generations.isCurrent(stamp)).toBe(false);
		}
	});

	test('do not confuse a tenant and a key of the same name', () => {
		const generations = createGenerations();
		const stamp = generations.stamp('tenant_1', 'same');

		generations.bump('tenant', 'same');

		expect(generations.isCurrent(stamp)).toBe(true);
	});

	test('take any string for an id', () => {
		const generations = createGenerations();

		for (const id of ['', '__proto__', 'constructor', '\0', '\ud800']) {
			const stamp = generations.stamp('tenant_1', id);
			expect(generations.isCurrent(stamp)).toBe(true);
			generations.bump('key', id);
			expect(generations.isCurrent(stamp)).toBe(false);
		}
	});
});
