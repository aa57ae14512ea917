/** Numbers that look random and come again with the same seed. */
export interface Randomness {
	readonly seed: number;
	/** A whole number from `from` up to and with `to`. */
	between(from: number, to: number): number;
	/** True this often, of 1. */
	chance(of: number): boolean;
	/** One of these. */
	pick<T>(items: readonly [T, ...T[]] | readonly T[]): T;
}

/** The seed of `SEED`, or one of the moment: it is printed, so that a failure can be run again. */
export const seedOfRun = (): number =>
	process.env.SEED === undefined ? Date.now() % 2 ** 31 : Number(process.env.SEED);

/** @see https://github.com/bryc/code/blob/master/jshash/PRNGs.md mulberry32 */
export function createRandomness(seed: number): Randomness {
	let state = seed >>> 0;
	function next(): number {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	}
	const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
	return {
		seed,
		between,
		chance: (of) => next() < of,
		pick: <T>(items: readonly T[]) => items[between(0, items.length - 1)] as T,
	};
}
