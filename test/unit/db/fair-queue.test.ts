import { expect, test } from 'bun:test';
import { createFairQueue } from '../../../src/db/fair-queue.ts';

const drained = <Item>(queue: { shift(): Item | undefined }): Item[] => {
	const items: Item[] = [];
	for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
	return items;
};

test('is empty at first, and again when everything was taken', () => {
	const queue = createFairQueue<string, number>();
	expect([queue.size, queue.shift(), queue.size]).toEqual([0, undefined, 0]);
	queue.push('a', 1);
	expect([queue.size, queue.shift(), queue.shift(), queue.size]).toEqual([1, 1, undefined, 0]);
});

test('keeps the order of one owner', () => {
	const queue = createFairQueue<string, number>();
	for (let item = 0; item < 10; item++) queue.push('a', item);

	expect(drained(queue)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('lets owners take turns, in the order in which they came', () => {
	const queue = createFairQueue<string, string>();
	for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2']) queue.push(item.charAt(0), item);

	expect(drained(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
});

test('gives a newcomer its turn within one round, however long the others’ lines are', () => {
	const queue = createFairQueue<string, string>();
	for (let index = 0; index < 1000; index++) {
		queue.push('a', 'a');
		queue.push('b', 'b');
	}
	queue.shift();
	queue.push('c', 'c');

	expect([queue.shift(), queue.shift(), queue.shift()]).toContain('c');
});

test('puts what is given back in front of its owner’s others', () => {
	const queue = createFairQueue<string, string>();
	for (const item of ['a1', 'a2', 'a3']) queue.push('a', item);
	const [first, second] = [queue.shift(), queue.shift()];
	for (const item of [second, first]) queue.unshift('a', item ?? '');
	queue.unshift('b', 'b1');

	expect(queue.size).toBe(4);
	expect(drained(queue).filter((item) => item.startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
});

test('counts what waits, also while lines grow and shrink by thousands', () => {
	const queue = createFairQueue<number, number>();
	let next = 0;
	const taken: number[] = [];
	for (let round = 0; round < 20; round++) {
		for (let count = 0; count < 1000; count++) queue.push(0, next++);
		for (let count = 0; count < 700; count++) taken.push(queue.shift() ?? -1);
		expect(queue.size).toBe((round + 1) * 300);
	}

	expect([...taken, ...drained(queue)]).toEqual(
		Array.from({ length: 20_000 }, (_, index) => index),
	);
});

test('lets go of what was taken from a line that is never empty', () => {
	const queue = createFairQueue<string, object>();
	const taken: WeakRef<object>[] = [];
	queue.push('a', {});
	for (let count = 0; count < 20_000; count++) {
		queue.push('a', {});
		taken.push(new WeakRef(queue.shift() ?? {}));
	}

	Bun.gc(true);

	const held = taken.filter((reference) => reference.deref() !== undefined).length;
	expect(queue.size).toBe(1);
	// The last ones may still be held; without the rule it is every one of the 20,000.
	expect(held).toBeLessThan(5_000);
});
