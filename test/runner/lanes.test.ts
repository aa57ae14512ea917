import { expect, test } from 'bun:test';
import { inLanes } from './lanes.ts';

/** Work that is done when the test says so. */
function createWork() {
	const begun: string[] = [];
	const ends = new Map<string, (error?: Error) => void>();
	return {
		begun,
		work: (item: string) =>
			new Promise<string>((resolve, reject) => {
				begun.push(item);
				ends.set(item, (error) => (error ? reject(error) : resolve(item.toUpperCase())));
			}),
		async end(item: string, error?: Error) {
			ends.get(item)?.(error);
			// Everything that follows from it is in microtasks.
			await new Promise(setImmediate);
		},
	};
}

test('begins items in order, no more at once than there are lanes, as one gets free', async () => {
	const { begun, work, end } = createWork();

	const all = inLanes(['a', 'b', 'c', 'd'], 2, work);

	expect(begun).toEqual(['a', 'b']);
	await end('b');
	expect(begun).toEqual(['a', 'b', 'c']);
	await end('c');
	expect(begun).toEqual(['a', 'b', 'c', 'd']);
	await end('d');
	await end('a');
	expect(await all).toEqual(['A', 'B', 'C', 'D']);
});

test('begins nothing more after a failure, and fails with it', async () => {
	const { begun, work, end } = createWork();

	const all = inLanes(['a', 'b', 'c', 'd'], 2, work);
	const failure = all.catch((error: Error) => error.message);
	await end('a', new Error('no'));
	await end('b');

	expect(await failure).toBe('no');
	expect(begun).toEqual(['a', 'b']);
});

test('does nothing for no item, in more lanes than there are items too', async () => {
	const { begun, work, end } = createWork();

	expect(await inLanes([], 3, work)).toEqual([]);
	const one = inLanes(['a'], 3, work);
	await end('a');

	expect(await one).toEqual(['A']);
	expect(begun).toEqual(['a']);
});
