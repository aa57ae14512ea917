/**
 * The negative control: these tests, run as they are against the server with one defect planted
 * into its sources, must fail, and print the few bytes that matter.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sabotaged } from '../crash/sabotage.ts';

const ROOT = join(import.meta.dir, '..', '..');
const RUN_DEADLINE_MS = 90_000;
const SEED = '7';

type Patches = Parameters<typeof sabotaged>[1];

const PLAIN = {
	file: 'src/core/json.ts',
	before: 'if (problem === undefined) return;',
};
/** Whatever reads JSON throws on NUL. */
const THROWS_ON_NUL: Patches = [
	{ ...PLAIN, after: `if (problem === 'NUL') throw new Error('planted'); ${PLAIN.before}` },
];
const REFUSE = 'refuse(connection, error, requestIdIn(frame));';
/** A frame with NUL is dropped in silence. */
const IGNORES_NUL: Patches = [
	{
		file: 'src/ws/dispatch.ts',
		before: REFUSE,
		after: String.raw`if (!frame.includes('\\u0000')) ${REFUSE}`,
	},
];
/** A lone surrogate ends the process. */
const DIES_OF_SURROGATE: Patches = [
	{ ...PLAIN, after: `if (problem === 'a lone surrogate') process.exit(9); ${PLAIN.before}` },
];

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-fuzz-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
	exitCode: number;
	output: string;
	/** Every report of this kind of problem: what was made small of it, as a template literal. */
	minimised(kind: string): string[];
}

/** Runs one of the test files against the patched server. */
async function runAgainst(patches: Patches, file: string, count: number): Promise<Outcome> {
	const { command, cwd } = sabotaged(folder, patches);
	const binary = join(cwd, 'chatapi');
	const [bun, entry = ''] = command;
	writeFileSync(binary, `#!/bin/sh\nexec "${bun}" "${join(cwd, entry)}" "$@"\n`, { mode: 0o755 });
	const child = Bun.spawn([process.execPath, 'test', `./test/fuzz/${file}.fuzz.test.ts`], {
		cwd: ROOT,
		env: {
			PATH: process.env.PATH ?? '',
			CHATAPI_BIN: binary,
			FUZZ_SEED: SEED,
			FUZZ_COUNT: String(count),
		},
		stdin: 'ignore',
		stdout: 'pipe',
		stderr: 'pipe',
		timeout: RUN_DEADLINE_MS,
		killSignal: 'SIGKILL',
		// A process group of its own, servers included.
		detached: true,
	});
	try {
		const [stdout, stderr, exitCode] = await Promise.all([
			child.stdout.text(),
			child.stderr.text(),
			child.exited,
		]);
		const output = stdout + stderr;
		const paragraphs = output.split(`FUZZ_SEED=${SEED} `);
		return {
			exitCode,
			output,
			minimised: (kind) =>
				paragraphs
					.filter((paragraph) => paragraph.startsWith(`${kind} (`))
					.flatMap((paragraph) => /^ {2}minimised: (.*)$/m.exec(paragraph)?.[1] ?? []),
		};
	} finally {
		endGroup(child.pid);
	}
}

function endGroup(pid: number): void {
	try {
		process.kill(-pid, 'SIGKILL');
	} catch {
		// Nobody is left of it.
	}
}

/** The body of a request that was printed. */
const bodyIn = (literal: string | undefined): string | undefined =>
	literal?.split(String.raw`\r\n\r\n`)[1]?.slice(0, -1);

test.concurrent(
	'a server that throws on NUL is found by its requests, and the one with little but NUL is printed',
	async () => {
		const { exitCode, output, minimised } = await runAgainst(THROWS_ON_NUL, 'http', 1_000);

		expect({ exitCode, output }).toMatchObject({ exitCode: 1 });
		const [literal, ...others] = minimised('status 500');
		expect({ others, output }).toMatchObject({ others: [] });
		// As a text, or as the name of a field.
		expect(bodyIn(literal)).toContain(String.raw`"\\u0000"`);
		expect(literal?.length).toBeLessThan(260);
	},
	RUN_DEADLINE_MS,
);

test.concurrent(
	'a server that never answers a frame with NUL is found, and the NUL alone is printed',
	async () => {
		const { exitCode, output, minimised } = await runAgainst(IGNORES_NUL, 'frames', 200);

		expect({ exitCode, output }).toMatchObject({ exitCode: 1 });
		expect({ found: minimised('unanswered'), output }).toMatchObject({
			found: ['`\\\\u0000`'],
		});
	},
	RUN_DEADLINE_MS,
);

test.concurrent(
	'a server that dies is started again until the request that it dies of is small',
	async () => {
		const { exitCode, output, minimised } = await runAgainst(DIES_OF_SURROGATE, 'http', 1_000);

		expect({ exitCode, output }).toMatchObject({ exitCode: 1 });
		const [literal, ...others] = minimised('no answer');
		expect({ others, output }).toMatchObject({ others: [] });
		expect(bodyIn(literal)).toMatch(/^"\\\\u[dD][\dabcdefABCDEF]{3}"$/);
	},
	RUN_DEADLINE_MS,
);
