/** Chance that can be had again: everything below depends on the seed alone. */
export interface Random {
	/** An integer from 0 to `limit` - 1. */
	below(limit: number): number;
	chance(probability: number): boolean;
	pick<T>(from: readonly T[]): T;
	/** So many different ones. */
	some<T>(from: readonly T[], count: number): T[];
	weighted<T>(from: readonly (readonly [weight: number, value: T])[]): T;
}

/** Mulberry32: a small generator that a seed determines. */
export function createRandom(seed: number): Random {
	let state = seed | 0;
	function next(): number {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	}
	const below = (limit: number) => Math.floor(next() * limit);
	const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
	return {
		below,
		chance: (probability) => next() < probability,
		pick,
		some(from, count) {
			const left = [...from];
			return Array.from({ length: count }, () => left.splice(below(left.length), 1)).flat();
		},
		weighted(from) {
			let at = below(from.reduce((sum, [weight]) => sum + weight, 0));
			for (const [weight, value] of from) {
				at -= weight;
				if (at < 0) return value;
			}
			throw new Error('Nothing to choose from');
		},
	};
}
