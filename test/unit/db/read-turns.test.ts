import { expect, test } from 'bun:test';
import type { TenantNo } from '../../../src/core/ids.ts';
import { createReadTurns } from '../../../src/db/read-turns.ts';
import { within } from '../../helpers/wait.ts';

const [one, two] = [1 as TenantNo, 2 as TenantNo];

test('lets reads in at once, until a turn of the event loop has had its milliseconds', () => {
	let now = 0;
	const turns = createReadTurns(() => now);

	expect(turns.enter(one)).toBeUndefined();
	now = 0.4;
	expect(turns.enter(one)).toBeUndefined();
	now = 0.5;
	expect(turns.enter(one)).toBeInstanceOf(Promise);
	expect(turns.enter(two)).toBeInstanceOf(Promise);
	// Nor is anybody let in before who waits.
	now = 0.1;
	expect(turns.enter(two)).toBeInstanceOf(Promise);
});

test('lets who waits in by turns of the tenants, and looks at the rest of the world in between', async () => {
	let now = 0;
	const turns = createReadTurns(() => now);
	const order: string[] = [];
	const read = async (name: string, tenant: TenantNo) => {
		await turns.enter(tenant);
		order.push(name);
		now += 5;
	};
	void read('first', one);
	now = 4;
	const all = [read('a', one), read('b', one), read('c', one), read('other', two)];
	const elsewhere = new Promise<void>((resolve) => {
		setImmediate(() =>
			setImmediate(() => {
				order.push('elsewhere');
				resolve();
			}),
		);
	});

	await within(Promise.all([...all, elsewhere]), 'everybody');

	const reads = order.filter((name) => name !== 'elsewhere');
	expect(reads).toEqual(['first', 'a', 'other', 'b', 'c']);
	expect(order.indexOf('elsewhere')).toBeLessThan(order.indexOf('c'));
});

test('lets reads in at once again when nobody waits any more', async () => {
	let now = 0;
	const turns = createReadTurns(() => now);
	turns.enter(one);
	now = 10;
	await within(turns.enter(one) ?? Promise.reject(new Error('not waited')), 'its turn');
	await new Promise((resolve) => setImmediate(resolve));

	expect(turns.enter(two)).toBeUndefined();
});
