/**
 * Runs the isolation tests against a server whose sources are mutated: a copy of them in a folder of its
 * own, run by Bun without compiling, which costs less than a compiler for each mutant.
 */
import {
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mutant, ROOT } from './mutations.ts';

/** What became of the tests against a mutant. */
export interface Verdict {
	isCaught: boolean;
	/** The file with the tests that failed. */
	by: string | undefined;
	/** Names of the tests that failed. */
	failed: string[];
	/** It failed by waiting in vain, for which a busy machine may be the reason. */
	hasWaited: boolean;
	output: string;
}

/** A mutant that was caught before: where its predicate stood, and the file with the tests that failed. */
export interface Catch {
	path: string;
	by: string;
}

const RUN_DEADLINE_MS = 180_000;
/** Of one test: a slow machine must not be taken for a mutant that was caught. */
const TEST_DEADLINE_MS = 60_000;

/** The tests that every mutant has to face, and the seconds that each takes when nothing fails. */
export const TESTS: Readonly<Record<string, number>> = {
	resume: 6,
	lookalikes: 3,
	retention: 4,
	notifications: 5,
	oversight: 3,
	audit: 2,
	tenants: 2,
	plans: 5,
	'frames-ended': 2,
	'frames-matrix': 11,
	usage: 13,
	quotas: 15,
	matrix: 33,
	noninterference: 24,
	presence: 24,
};

/** What exports and imports whole tenants. */
const FILE_TESTS: Readonly<Record<string, number>> = {
	'../tenant-file': 25,
	'../tenant-import': 48,
};

/** What has caught most mutants of a file of sources, as far as its name does not say so. */
const LIKELY: Readonly<Record<string, readonly string[]>> = {
	'src/db/event-log.ts': ['oversight', 'plans', 'retention', 'usage'],
	'src/db/quota-rows.ts': ['plans'],
	'src/db/tenant-export.ts': ['../tenant-file'],
	'src/db/tenant-rows.ts': ['tenants', '../tenant-file'],
	'src/features/audit/store.ts': ['tenants'],
	'src/features/events/store.ts': ['resume', 'retention'],
	'src/features/keys/store.ts': ['noninterference', 'matrix'],
	'src/features/members/store.ts': ['resume', 'presence', 'noninterference'],
	'src/features/messages/store.ts': ['oversight', 'resume', 'frames-matrix'],
	'src/features/rooms/store.ts': ['oversight', 'noninterference'],
	'src/features/subscriptions/store.ts': ['notifications', 'noninterference'],
	'src/features/users/store.ts': ['oversight', 'lookalikes', 'matrix'],
};

/** What tests are worth that are not likely to catch the mutant, where likely ones count 1. */
const UNLIKELY = 0.05;

/**
 * The tests in the order that most likely catches the mutant soonest: by how many they caught among the
 * statements of the same file, and how long they take. Those that are likely to count as one catch more.
 */
export function testsFor(mutants: readonly Mutant[], before: readonly Catch[]): string[] {
	const paths = mutants.map(({ path }) => path);
	const isOfFiles = paths.some((path) => path.startsWith('src/db/tenant-'));
	const seconds = isOfFiles ? { ...TESTS, ...FILE_TESTS } : TESTS;
	const worth = (name: string) => {
		const isLikely = paths.some(
			(path) => path.includes(`/${name}/`) || LIKELY[path]?.includes(name),
		);
		const count = before.filter(({ path, by }) => by === name && paths.includes(path)).length;
		return (UNLIKELY + Number(isLikely) + count) / (seconds[name] ?? 1);
	};
	return Object.keys(seconds).toSorted((left, right) => worth(right) - worth(left));
}

/**
 * Runs the tests against the sources with these mutations; without any, against the sources as they
 * are. The tests run one file after the other, until one fails; of each file those with the claim in
 * their name, or without one all.
 */
export async function runMutants(
	mutants: readonly Mutant[],
	tests: readonly string[] = testsFor(mutants, []),
	claim = '',
): Promise<Verdict> {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-mutant-'));
	try {
		const binary = writeSources(folder, mutants);
		let output = '';
		for (const name of tests) {
			const run = await runTests(name, binary, claim);
			output = run.output;
			if (run.exitCode === 0) continue;
			const failed = [...output.matchAll(/^\(fail\) (.*?)(?: \[[\d.]+m?s\])?$/gm)];
			const names = [...new Set(failed.map(([, failedName = '']) => failedName))];
			const hasWaited = run.wasKilled || /timed out after|in vain for/.test(output);
			return { isCaught: true, by: name, failed: names, hasWaited, output };
		}
		return { isCaught: false, by: undefined, failed: [], hasWaited: false, output };
	} finally {
		endServersOf(folder);
		rmSync(folder, { recursive: true, force: true });
	}
}

/** Runs the tests of one file with this claim against a binary, up to the first failure. */
async function runTests(name: string, binary: string, claim: string) {
	const child = Bun.spawn(
		[
			...[process.execPath, 'test', '--bail', '--timeout', String(TEST_DEADLINE_MS)],
			...(claim === '' ? [] : ['-t', claim.replaceAll(/[^\w ]/g, '.')]),
			`./test/contract/isolation/${name}.contract.test.ts`,
		],
		{
			cwd: ROOT,
			env: { PATH: process.env.PATH ?? '', CHATAPI_BIN: binary },
			stdin: 'ignore',
			stdout: 'pipe',
			stderr: 'pipe',
			timeout: RUN_DEADLINE_MS,
			killSignal: 'SIGKILL',
		},
	);
	const [stdout, stderr, exitCode] = await Promise.all([
		child.stdout.text(),
		child.stderr.text(),
		child.exited,
	]);
	return { output: stdout + stderr, exitCode, wasKilled: child.signalCode !== null };
}

/** Ends what a run has left: `--bail` ends the tests at once, before they end their servers. */
function endServersOf(folder: string): void {
	const pids = join(folder, 'pids');
	if (!existsSync(pids)) return;
	for (const pid of readFileSync(pids, 'utf8').trim().split('\n')) {
		const commandLine = `/proc/${pid}/cmdline`;
		const isOurs = existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(folder);
		if (isOurs) process.kill(Number(pid), 'SIGKILL');
	}
}

/** Writes the sources into the folder and returns a script there that runs them as the binary. */
function writeSources(folder: string, mutants: readonly Mutant[]): string {
	for (const name of ['src', 'drizzle', 'package.json', 'tsconfig.json']) {
		cpSync(join(ROOT, name), join(folder, name), { recursive: true });
	}
	symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
	// From the last one on: what stands before it keeps its place.
	for (const { path, start, end, replacement } of mutants.toSorted((a, b) => b.start - a.start)) {
		const file = join(folder, path);
		const text = readFileSync(file, 'utf8');
		writeFileSync(file, text.slice(0, start) + replacement + text.slice(end));
	}
	mkdirSync(join(folder, 'bin'));
	const binary = join(folder, 'bin', 'chatapi');
	const entry = join(folder, 'src', 'main.ts');
	const script = `echo $$ >> "${join(folder, 'pids')}"\nexec "${process.execPath}" "${entry}" "$@"`;
	writeFileSync(binary, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
	return binary;
}
