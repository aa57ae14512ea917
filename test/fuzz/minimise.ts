/**
 * Makes an input that fails small, by leaving out what it fails without.
 *
 * This is delta debugging by complements. Our inputs are texts made by hand, not values of an
 * arbitrary, so that the shrinking of the property tests' library has nothing to take hold of.
 *
 * @see Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002)
 */

/** Whether this input fails, and in the way that is looked for. */
export type Fails<Input> = (input: Input) => Promise<boolean>;

/** Returns a smaller input that still fails; it keeps nothing that it has not seen failing. */
export type Shrink<Input> = (input: Input, fails: Fails<Input>) => Promise<Input>;

export interface Limits {
	attemptsMax: number;
	timeMaxMs: number;
}

export interface Minimised<Input> {
	/** The last one that was seen failing; what was given when it did not fail again. */
	input: Input;
	/** Whether what was given failed again at all. */
	isReproduced: boolean;
	/** How often something was tried. */
	attempts: number;
}

export const DEFAULT_LIMITS: Limits = { attemptsMax: 300, timeMaxMs: 30_000 };

/**
 * Tries the input again and, if it fails again, smaller and smaller ones. The same input is tried
 * once. What is tried depends on the outcomes alone, unless the time runs out.
 */
export async function minimise<Input>(
	input: Input,
	fails: Fails<Input>,
	shrink: Shrink<Input>,
	{ attemptsMax, timeMaxMs }: Limits = DEFAULT_LIMITS,
): Promise<Minimised<Input>> {
	const until = performance.now() + timeMaxMs;
	const outcomes = new Map<string, boolean>();
	let smallest = input;
	let attempts = 0;

	async function attempt(candidate: Input): Promise<boolean> {
		const key = JSON.stringify(candidate);
		const known = outcomes.get(key);
		if (known !== undefined) return known;
		if (attempts >= attemptsMax || performance.now() > until) return false;
		attempts++;
		const isFailing = await fails(candidate);
		outcomes.set(key, isFailing);
		if (isFailing) smallest = candidate;
		return isFailing;
	}

	const isReproduced = await attempt(input);
	if (isReproduced) await shrink(input, attempt);
	return { input: smallest, isReproduced, attempts };
}

/**
 * The parts without which it no longer fails, in their order: leaves out all, halves, quarters and
 * so on, and at last single ones until none of them can go.
 */
export async function leaveOut<Part>(
	parts: readonly Part[],
	fails: Fails<readonly Part[]>,
): Promise<readonly Part[]> {
	let kept = parts;
	let size = parts.length;
	while (size >= 1) {
		const before = kept.length;
		for (let at = 0; at < kept.length; ) {
			const rest = [...kept.slice(0, at), ...kept.slice(at + size)];
			if (await fails(rest)) kept = rest;
			else at += size;
		}
		if (size > 1) size = Math.floor(size / 2);
		else if (kept.length === before) size = 0;
	}
	return kept;
}
