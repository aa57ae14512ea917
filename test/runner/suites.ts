/** What `npm test` runs, in this order. */

/** A command that passes or fails as a whole: it counts as one test. */
export interface Check {
	kind: 'check';
	name: string;
	summary: string;
	script: string;
	deadlineMs: number;
}

/** Test files, each run by a `bun test` of its own. */
export interface Suite {
	kind: 'suite';
	name: string;
	summary: string;
	/** Globs below the repository's root. Every test file belongs to one suite; a test sees to it. */
	files: readonly string[];
	/** Whether its tests start ./chatapi. */
	needsBuild: boolean;
	/** Whether there may be no such tests at all. */
	isOptional?: boolean;
	/** Those that begin first, for they take longest: else one of them would be waited for at the end. */
	first?: readonly string[];
	/** Those that measure the machine itself (memory, CPU, speed) or want all of it. */
	alone: readonly string[] | 'all';
	deadlineMs: number;
}

export type Step = Check | Suite;

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** All of it, on two cores. */
export const RUN_DEADLINE_MS = 19 * MINUTE;

export const STEPS: readonly Step[] = [
	{
		kind: 'check',
		name: 'typecheck',
		summary: 'strict TypeScript',
		script: 'typecheck',
		deadlineMs: 2 * MINUTE,
	},
	{
		kind: 'check',
		name: 'lint',
		summary: 'format and lint',
		script: 'lint',
		deadlineMs: MINUTE,
	},
	{
		kind: 'check',
		name: 'build',
		summary: 'compile ./chatapi',
		script: 'build',
		deadlineMs: 2 * MINUTE,
	},
	{
		kind: 'suite',
		name: 'unit',
		summary: 'house style, units and properties, in process',
		files: ['test/tidy.test.ts', 'test/{tidy,runner,helpers,unit,property}/**/*.test.ts'],
		needsBuild: false,
		first: ['test/property/model.test.ts', 'test/tidy.test.ts'],
		alone: [],
		deadlineMs: 4 * MINUTE,
	},
	{
		kind: 'suite',
		name: 'contract',
		summary: 'the binary, over HTTP and WebSocket',
		files: ['test/contract/**/*.test.ts'],
		needsBuild: true,
		first: [
			'test/contract/isolation/mutants.contract.test.ts',
			'test/contract/protocol-faults.contract.test.ts',
			'test/contract/protocol/presence.contract.test.ts',
			'test/contract/isolation/matrix.contract.test.ts',
			'test/contract/isolation/presence.contract.test.ts',
			'test/contract/docs-page.test.ts',
			'test/contract/quotas.contract.test.ts',
			'test/contract/presence.contract.test.ts',
		],
		// They hold waits, rates or sizes of a server against a figure.
		alone: [
			'test/contract/bad-input/bodies.contract.test.ts',
			'test/contract/kick.contract.test.ts',
			'test/contract/tenant-import.contract.test.ts',
			'test/contract/tenants-delete.contract.test.ts',
		],
		deadlineMs: 10 * MINUTE,
	},
	{
		kind: 'suite',
		name: 'crash',
		summary: 'the binary, killed under load',
		files: ['test/crash/**/*.test.ts'],
		needsBuild: true,
		alone: 'all',
		deadlineMs: 6 * MINUTE,
	},
	{
		kind: 'suite',
		name: 'load',
		summary: 'the binary, stopped, starved and crowded under load',
		files: ['test/load/**/*.test.ts'],
		needsBuild: true,
		alone: 'all',
		deadlineMs: 5 * MINUTE,
	},
	{
		kind: 'suite',
		name: 'fuzz',
		summary: 'the binary, fed with nonsense',
		files: ['test/fuzz/**/*.test.ts'],
		needsBuild: true,
		isOptional: true,
		alone: 'all',
		deadlineMs: 4 * MINUTE,
	},
	{
		kind: 'suite',
		name: 'examples',
		summary: 'the scripts in examples/, as they stand there',
		files: ['test/examples/**/*.test.ts'],
		needsBuild: true,
		isOptional: true,
		alone: 'all',
		deadlineMs: 2 * MINUTE,
	},
];

/**
 * Skips that continuous integration may see (CI=true), by the start of the test's full name. Any
 * other skip fails there: the machine has everything the tests need, `.ci/run` sees to it.
 */
export const ALLOWED_SKIPS: readonly { name: string; why: string }[] = [
	{ name: 'a full disk', why: 'mounting a file system is a right that a container may not give' },
	{ name: 'a crowd of', why: 'the descriptors that a process may have are a limit of the machine' },
	{ name: 'power cuts under load', why: 'loop devices are a right that a container may not give' },
];
