/**
 * The isolation tests can fail: a handful of mutants, each without one tenant predicate, and the
 * sources as they are beside them. All mutants: see mutants.ts.
 */
import { describe, expect, test } from 'bun:test';
import { runMutants } from './mutant-runs.ts';
import { EQUIVALENT, findMutants } from './mutations.ts';

interface Caught {
	mutant: string;
	/** The test that must notice, by its file and what its name says: that one is run. */
	file: string;
	claim: string;
}

/** One of each kind, caught by different tests. */
const HANDFUL: readonly Caught[] = [
	{
		mutant: 'src/db/event-log.ts head: without tenant = ?',
		file: 'oversight',
		claim: 'a cursor from the pages of one tenant is none in those of another',
	},
	{
		mutant: "src/features/keys/store.ts ofTenant: without eq(apiKeys.tenant, p('tenant'))",
		file: 'matrix',
		claim: 'keys.update of foreign_key',
	},
	{
		mutant: 'src/features/members/store.ts access: without m.tenant = r.tenant',
		file: 'noninterference',
		claim: 'seed 1',
	},
	{
		mutant: 'src/features/members/store.ts touchHead: without tenant = $tenant',
		file: 'resume',
		claim: 'a resume from anywhere',
	},
	{
		mutant: 'src/features/messages/store.ts access: without r.tenant = ?',
		file: 'frames-matrix',
		claim: 'send_message of foreign',
	},
	{
		mutant: 'src/features/rooms/store.ts page: without m.tenant = $tenant',
		file: 'lookalikes',
		claim: 'a dm that is hidden in one tenant',
	},
];

const RUN_TIMEOUT_MS = 240_000;

const mutants = findMutants();

test('the sources have predicates to take out, and every exception is one of them', () => {
	const names = mutants.map(({ name }) => name);

	expect(names.length).toBeGreaterThan(40);
	expect(new Set(names).size).toBe(names.length);
	expect(Object.keys(EQUIVALENT).filter((name) => !names.includes(name))).toEqual([]);
});

for (const { mutant: name, file, claim } of HANDFUL) {
	describe(`${file}: ${claim}`, () => {
		test(
			'passes with the sources as they are',
			async () => {
				const { failed, isCaught, output } = await runMutants([], [file], claim);

				expect({ isCaught, failed, output: isCaught ? output : '' }).toEqual({
					isCaught: false,
					failed: [],
					output: '',
				});
				expect(output).toMatch(/^ *[1-9]\d* pass$/m);
			},
			RUN_TIMEOUT_MS,
		);

		test(
			`fails: ${name}`,
			async () => {
				const mutant = mutants.find((each) => each.name === name);
				if (mutant === undefined) throw new Error('The sources have no such predicate');

				const { isCaught, failed } = await runMutants([mutant], [file], claim);

				expect(isCaught).toBe(true);
				expect(failed.join('\n')).toContain(claim);
			},
			RUN_TIMEOUT_MS,
		);
	});
}
