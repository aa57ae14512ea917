/**
 * The isolation tests can fail: a handful of mutants, each without one tenant predicate, and the
 * sources as they are beside them. All mutants: see mutants.ts.
 */
import { describe, expect, test } from 'bun:test';
import { runMutants } from './mutant-runs.ts';
import { EQUIVALENT, findMutants } from './mutations.ts';

/** One of each kind, caught by different tests. */
const HANDFUL = [
	'src/db/event-log.ts head: without tenant = ?',
	"src/features/keys/store.ts ofTenant: without eq(apiKeys.tenant, p('tenant'))",
	'src/features/members/store.ts access: without m.tenant = r.tenant',
	'src/features/members/store.ts touchHead: without tenant = $tenant',
	'src/features/messages/store.ts access: without r.tenant = ?',
	'src/features/rooms/store.ts page: without m.tenant = $tenant',
];

const RUN_TIMEOUT_MS = 240_000;

const mutants = findMutants();

test('the sources have predicates to take out, and every exception is one of them', () => {
	const names = mutants.map(({ name }) => name);

	expect(names.length).toBeGreaterThan(40);
	expect(new Set(names).size).toBe(names.length);
	expect(Object.keys(EQUIVALENT).filter((name) => !names.includes(name))).toEqual([]);
});

describe('the isolation tests', () => {
	test(
		'pass with the sources as they are',
		async () => {
			const { failed, isCaught, output } = await runMutants([]);

			expect({ isCaught, failed, output: isCaught ? output : '' }).toEqual({
				isCaught: false,
				failed: [],
				output: '',
			});
		},
		RUN_TIMEOUT_MS,
	);

	for (const name of HANDFUL) {
		test(
			`fail: ${name}`,
			async () => {
				const mutant = mutants.find((each) => each.name === name);
				if (mutant === undefined) throw new Error('The sources have no such predicate');

				const { isCaught, failed } = await runMutants([mutant]);

				expect(isCaught).toBe(true);
				expect(failed.length).toBeGreaterThan(0);
			},
			RUN_TIMEOUT_MS,
		);
	}
});
