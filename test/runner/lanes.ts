/**
 * Does `work` for every item, at most `lanes` at a time: whichever lane is free takes the next one,
 * in the order of the items. Resolves with the results in that order; rejects with the first failure,
 * after which no further item is begun.
 */
export async function inLanes<Item, Result>(
	items: readonly Item[],
	lanes: number,
	work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
	const results: Result[] = [];
	const waiting = items.entries();
	let hasFailed = false;

	async function lane(): Promise<void> {
		for (const [index, item] of waiting) {
			if (hasFailed) return;
			try {
				results[index] = await work(item, index);
			} catch (error) {
				hasFailed = true;
				throw error;
			}
		}
	}

	await Promise.all(Array.from({ length: Math.max(1, lanes) }, lane));
	return results;
}
