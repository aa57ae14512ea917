import { describe, expect, test } from 'bun:test';
import { createGenerations } from '../../../src/core/generations.ts';

describe('generations', () => {
	test('keep a stamp current until its tenant or its key is bumped', () => {
		const generations = createGenerations();
		const byTenant = generations.stamp('tenant_1', 'key_1');
		const byKey = generations.stamp('tenant_2', 'key_2');

		generations.bumpTenant('tenant_1');
		generations.bumpKey('tenant_2', 'key_2');

		expect(generations.isCurrent(byTenant)).toBe(false);
		expect(generations.isCurrent(byKey)).toBe(false);
	});

	test('leave the stamps of others alone', () => {
		const generations = createGenerations();
		const other = generations.stamp('tenant_1', 'key_1');

		generations.bumpKey('tenant_1', 'key_2');
		generations.bumpTenant('tenant_2');

		expect(generations.isCurrent(other)).toBe(true);
	});

	test('make a stamp that is taken after a bump current', () => {
		const generations = createGenerations();
		generations.bumpKey('tenant_1', 'key_1');

		const stamp = generations.stamp('tenant_1', 'key_1');

		expect(generations.isCurrent(stamp)).toBe(true);
	});

	test('of a user void the stamps of that user of that tenant, and not the tenant’s own', () => {
		const generations = createGenerations();
		const itself = generations.stamp('tenant_1', 'key_1');
		const alice = generations.stampUser(itself, 'alice');
		const bob = generations.stampUser(itself, 'bob');
		const other = generations.stampUser(generations.stamp('tenant_2', 'key_2'), 'alice');

		generations.bumpUser('tenant_1', 'alice');

		expect(generations.isCurrent(alice)).toBe(false);
		for (const stamp of [itself, bob, other]) expect(generations.isCurrent(stamp)).toBe(true);
		expect(generations.isCurrent(generations.stampUser(itself, 'alice'))).toBe(true);
	});

	test('of users are remembered within a bound: beyond, older stamps of that tenant are void', () => {
		const generations = createGenerations(2);
		const tenant = generations.stamp('tenant_1', 'key_1');
		const old = generations.stampUser(tenant, 'bystander');
		const other = generations.stampUser(generations.stamp('tenant_2', 'key_2'), 'bystander');
		generations.bumpUser('tenant_1', 'a');
		const young = generations.stampUser(tenant, 'bystander');
		const revoked = generations.stampUser(tenant, 'b');

		generations.bumpUser('tenant_1', 'b');
		expect(generations.isCurrent(old)).toBe(true);
		generations.bumpUser('tenant_1', 'c');

		expect(generations.isCurrent(old)).toBe(false);
		expect(generations.isCurrent(revoked)).toBe(false);
		for (const stamp of [tenant, other, young]) expect(generations.isCurrent(stamp)).toBe(true);
	});

	test('of keys are remembered within a bound, and keys of other tenants are not touched', () => {
		const generations = createGenerations(2);
		const revoked = generations.stamp('tenant_1', 'a');
		const old = generations.stamp('tenant_1', 'bystander');
		const other = generations.stamp('tenant_2', 'a');
		generations.bumpKey('tenant_1', 'a');
		const young = generations.stamp('tenant_1', 'bystander');
		generations.bumpKey('tenant_1', 'b');
		expect(generations.isCurrent(old)).toBe(true);

		for (const key of ['c', 'd', 'e']) {
			generations.bumpKey('tenant_1', key);
			expect(generations.isCurrent(revoked)).toBe(false);
		}

		expect(generations.isCurrent(old)).toBe(false);
		expect(generations.isCurrent(young)).toBe(false);
		expect(generations.isCurrent(other)).toBe(true);
		expect(generations.isCurrent(generations.stamp('tenant_1', 'bystander'))).toBe(true);
	});

	test('void the stamps of users with their key and their tenant', () => {
		const generations = createGenerations();
		const byKey = generations.stampUser(generations.stamp('tenant_1', 'key_1'), 'alice');
		const byTenant = generations.stampUser(generations.stamp('tenant_2', 'key_2'), 'alice');

		generations.bumpKey('tenant_1', 'key_1');
		generations.bumpTenant('tenant_2');

		expect([byKey, byTenant].map(generations.isCurrent)).toEqual([false, false]);
		expect(generations.bumps).toBe(2);
	});

	test('never make an old stamp current again by bumping further', () => {
		const generations = createGenerations();
		const stamp = generations.stamp('tenant_1', 'key_1');

		for (let round = 0; round < 5; round++) {
			generations.bumpKey('tenant_1', 'key_1');
			expect(generations.isCurrent(stamp)).toBe(false);
		}
	});

	test('do not confuse a tenant and a key of the same name', () => {
		const generations = createGenerations();
		const stamp = generations.stamp('tenant_1', 'same');

		generations.bumpTenant('same');

		expect(generations.isCurrent(stamp)).toBe(true);
	});

	test('take any string for an id', () => {
		const generations = createGenerations();

		for (const id of ['', '__proto__', 'constructor', '\0', '\ud800']) {
			const stamp = generations.stamp('tenant_1', id);
			expect(generations.isCurrent(stamp)).toBe(true);
			generations.bumpKey('tenant_1', id);
			expect(generations.isCurrent(stamp)).toBe(false);
		}
	});
});

describe('a halted tenant', () => {
	test('voids what was stamped before, with its reason, also once it goes on', () => {
		const generations = createGenerations();
		const stamp = generations.stamp('tenant_1', 'key_1');
		const other = generations.stamp('tenant_2', 'key_1');

		generations.halt('tenant_1', 'suspended');
		const meanwhile = generations.stamp('tenant_1', 'key_1');
		generations.bumpTenant('tenant_1');
		const after = generations.stamp('tenant_1', 'key_1');

		expect(generations.refusalOf(stamp)).toMatchObject({ errorCode: 'AUTHORIZATION_ERROR' });
		expect(generations.haltOf(stamp)).toBe('suspended');
		expect(generations.isCurrent(meanwhile)).toBe(false);
		expect(generations.refusalOf(after)).toBeUndefined();
		expect(generations.refusalOf(other)).toBeUndefined();
	});
});
