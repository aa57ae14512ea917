/**
 * The control of the isolation tests: the server with one tenant predicate taken out, one at a time.
 * Every such mutant must be caught by the tests in this folder.
 *
 *     bun test/contract/isolation/mutants.ts                 all of them, half an hour
 *     bun test/contract/isolation/mutants.ts --list          only names them
 *     bun test/contract/isolation/mutants.ts members heir    those with all these words in their name
 *     bun test/contract/isolation/mutants.ts 'keys|users'    those with one of these words
 *     … --results FILE     adds each verdict to the file, and believes those that it has already
 *
 * It wants the machine for itself, or `MUTANTS_AT_ONCE=1` and patience.
 *
 * Who survives has faced every test. Those that are argued to be equal face them together; where a test
 * fails then, each of them faces the tests alone.
 */
import { parseArgs } from 'node:util';
import { type Kept, openResults, type Results } from './mutant-results.ts';
import { runMutants, testsFor } from './mutant-runs.ts';
import { EQUIVALENT, findMutants, type Mutant } from './mutations.ts';

/** How many runs of the tests there are at the same time. */
const RUNS_AT_ONCE = Number(process.env.MUTANTS_AT_ONCE ?? 2);

/** The sources as they are, which must pass. */
const UNTOUCHED = { name: 'the sources as they are', path: '' };

const isArgued = ({ name }: Mutant) => Object.hasOwn(EQUIVALENT, name);

/** The tests against these mutations at once. */
async function judge(mutants: readonly Mutant[], results: Results) {
	const startedAt = performance.now();
	const tests = testsFor(mutants, results.catches());
	let verdict = await runMutants(mutants, tests);
	if (verdict.hasWaited) {
		// Once more: what is caught by waiting in vain is so every time.
		const { by = '' } = verdict;
		verdict = await runMutants(mutants, [by, ...tests.filter((name) => name !== by)]);
	}
	return { ...verdict, seconds: Math.round((performance.now() - startedAt) / 1000) };
}

/** Whether the verdict is the one that the mutant should get. Says it. */
function isAsWanted(mutant: Mutant, { isCaught, failed, hasWaited, by, seconds }: Kept): boolean {
	// One that is argued away and caught all the same: the argument is wrong.
	const isWanted = isCaught !== isArgued(mutant);
	const what = isWanted ? (isCaught ? 'caught  ' : 'equal   ') : isCaught ? 'ARGUED? ' : 'SURVIVED';
	const why = `${hasWaited ? 'waited: ' : ''}${by}: ${failed[0] ?? 'no answer'}`;
	console.log(`${what} ${mutant.name} (${seconds} s${isCaught ? `, ${why}` : ''})`);
	return isWanted;
}

/** Runs the jobs in their order, so many at the same time, until one says that the rest is for nothing. */
async function runJobs(jobs: readonly (() => Promise<boolean>)[]): Promise<boolean> {
	const queue = [...jobs];
	let isOver = false;
	const work = async () => {
		for (let job = queue.shift(); job !== undefined && !isOver; job = queue.shift()) {
			if (!(await job())) isOver = true;
		}
	};
	await Promise.all(Array.from({ length: RUNS_AT_ONCE }, work));
	return !isOver;
}

/** All verdicts on the mutants; returns the names of those that did not get the one they should. */
async function judgeAll(mutants: readonly Mutant[], results: Results): Promise<string[]> {
	const wrong: string[] = [];
	const isKnown = ({ name }: { name: string }) => results.find(name) !== undefined;

	async function settle(mutant: Mutant): Promise<boolean> {
		if (!isKnown(mutant)) results.add(mutant, await judge([mutant], results));
		const verdict = results.find(mutant.name);
		if (verdict === undefined || !isAsWanted(mutant, verdict)) wrong.push(mutant.name);
		return true;
	}

	async function passUntouched(): Promise<boolean> {
		if (isKnown(UNTOUCHED)) return true;
		const verdict = await judge([], results);
		if (verdict.isCaught) wrong.push(UNTOUCHED.name);
		else results.add(UNTOUCHED, verdict);
		if (verdict.isCaught) console.log(`${UNTOUCHED.name} do not pass:\n${verdict.output}`);
		return !verdict.isCaught;
	}

	async function settleArgued(): Promise<boolean> {
		const argued = mutants.filter(isArgued);
		const unknown = argued.filter((mutant) => !isKnown(mutant));
		if (unknown.length > 1) {
			const verdict = await judge(unknown, results);
			// Together they are not what they are alone.
			if (!verdict.isCaught) for (const mutant of unknown) results.add(mutant, verdict);
		}
		for (const mutant of argued) await settle(mutant);
		return true;
	}

	const others = mutants.filter((mutant) => !isArgued(mutant));
	await runJobs([passUntouched, settleArgued, ...others.map((mutant) => () => settle(mutant))]);
	return wrong;
}

async function main(): Promise<number> {
	const { values, positionals } = parseArgs({
		options: { list: { type: 'boolean' }, results: { type: 'string' } },
		allowPositionals: true,
	});
	const isNamed = ({ name }: Mutant) =>
		positionals.every((word) => word.split('|').some((part) => name.includes(part)));
	const mutants = findMutants().filter(isNamed);
	if (values.list) {
		for (const { name } of mutants) console.log(name);
		return 0;
	}
	const startedAt = performance.now();
	const wrong = await judgeAll(mutants, openResults(values.results));
	const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
	const { length: count } = mutants;
	const rest = `${wrong.length} survived unargued or were caught though argued`;
	console.log(`\n${count} mutants in ${minutes} minutes, ${rest}`);
	return wrong.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main());
