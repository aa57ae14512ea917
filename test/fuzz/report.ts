/** What a run has found, told so that it can be had again: the seed, the input, and a small one. */
import type { Problem } from './checker.ts';
import { DEFAULT_LIMITS, type Fails, type Limits, minimise, type Shrink } from './minimise.ts';
import { literalOf } from './names.ts';
import { FUZZ_SEED } from './settings.ts';

/** A problem, and the input that brought it. */
export interface Finding<Input> {
	problem: Problem;
	input: Input;
}

/** After so many, a run has failed enough. */
export const FINDINGS_MAX = 20;

/** How an input is tried again and made smaller. */
export interface Replay<Input> {
	/** What is wrong when this is tried by itself. */
	problems(input: Input): Promise<readonly Problem[]>;
	shrink: Shrink<Input>;
	/** The texts of the input, with names in the place of ids. */
	texts(input: Input): readonly string[];
}

/** Kinds of problems that are made small, and how many inputs of each are tried until one fails. */
const KINDS_MAX = 3;
const INPUTS_MAX = 8;

/** The longest that `explain` takes, but for an input that makes the server slow. */
export const EXPLAIN_MAX_MS = KINDS_MAX * DEFAULT_LIMITS.timeMaxMs;

/** Tells of the findings, one paragraph for each kind of problem, with the smallest input found. */
export async function explain<Input>(
	findings: readonly Finding<Input>[],
	replay: Replay<Input>,
	limits: Limits = DEFAULT_LIMITS,
): Promise<string> {
	const kinds = Map.groupBy(findings, ({ problem }) => problem.kind);
	const paragraphs: string[] = [];
	for (const [kind, ofKind] of [...kinds].slice(0, KINDS_MAX)) {
		paragraphs.push(await explainKind(kind, ofKind, replay, limits));
	}
	return paragraphs.join('\n\n');
}

/** Of several requests that were under way, one may have been the cause: the first that fails again. */
async function explainKind<Input>(
	kind: string,
	findings: readonly Finding<Input>[],
	replay: Replay<Input>,
	limits: Limits,
): Promise<string> {
	const fails: Fails<Input> = async (input) =>
		(await replay.problems(input)).some((problem) => problem.kind === kind);
	const written = (input: Input) => replay.texts(input).map(literalOf).join(',\n             ');
	const heading = (finding: Finding<Input>) => [
		`FUZZ_SEED=${FUZZ_SEED} ${kind} (${findings.length} found)`,
		`  problem:   ${finding.problem.text.slice(0, 600)}`,
		`  original:  ${written(finding.input)}`,
	];
	const tried = findings.slice(0, INPUTS_MAX);
	for (const finding of tried) {
		const { input, isReproduced, attempts } = await minimise(
			finding.input,
			fails,
			replay.shrink,
			limits,
		);
		if (!isReproduced) continue;
		const minimised = `  minimised: ${written(input)}`;
		return [...heading(finding), minimised, `  after ${attempts} attempts`].join('\n');
	}
	const [first] = tried;
	if (first === undefined) return '';
	const why = `it did not fail again by itself, nor did ${tried.length - 1} others: it needs what came before`;
	return [...heading(first), `  not minimised: ${why}`].join('\n');
}
