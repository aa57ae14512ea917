import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../helpers/wait.ts';
import { run } from './command.ts';

describe('a command', () => {
	const cwd = tmpdir();

	test('gives what it wrote, line by line too, and its exit code', async () => {
		const lines: string[] = [];

		const finished = await run(['sh', '-c', 'echo one; echo two >&2; printf three; exit 3'], {
			cwd,
			deadlineMs: 30_000,
			onLine: (line) => lines.push(line),
		});

		expect(finished).toMatchObject({ exitCode: 3, isLate: false });
		expect(finished.output).toContain('three');
		expect(lines.sort()).toEqual(['one', 'two']);
	});

	test('is ended at its deadline, with everything that it started', async () => {
		const finished = await run(['sh', '-c', 'sleep 600 & echo $!; wait'], { cwd, deadlineMs: 500 });

		const grandchild = Number(finished.output.trim());
		expect(finished).toMatchObject({ exitCode: 137, isLate: true });
		expect(grandchild).toBeGreaterThan(1);
		await hasEnded(grandchild);
	});

	test('is ended with all others when this process is asked to end', async () => {
		const folder = mkdtempSync(join(tmpdir(), 'chatapi-command-'));
		try {
			const script = join(folder, 'two.ts');
			writeFileSync(script, twoCommands(folder));
			const child = Bun.spawn([process.execPath, script], { stdout: 'ignore', stderr: 'inherit' });
			const pids = await eventually(() => pidsIn(folder, ['a', 'b']), 20_000, 'both commands');

			child.kill('SIGTERM');

			expect(await child.exited).toBe(130);
			for (const pid of pids) await hasEnded(pid);
		} finally {
			rmSync(folder, { recursive: true });
		}
	});

	test('that does not exist fails with a sentence', async () => {
		const finished = await run(['./there-is-no-such-program'], { cwd, deadlineMs: 30_000 });

		expect(finished.exitCode).toBe(127);
		expect(finished.output).toContain('there-is-no-such-program');
	});
});

/** A script that runs two commands at once; each writes its number into a file and stays. */
const twoCommands = (folder: string): string => `
	import { run } from ${JSON.stringify(join(import.meta.dir, 'command.ts'))};
	const stay = (name) =>
		run(['sh', '-c', 'echo $$ > ' + name + '; sleep 600'], {
			cwd: ${JSON.stringify(folder)},
			deadlineMs: 60_000,
		});
	await Promise.all([stay('a'), stay('b')]);`;

/** The numbers in these files, once all of them are there. */
function pidsIn(folder: string, names: readonly string[]): number[] | undefined {
	const pids = names.map((name) => Number(readFileSync(join(folder, name), 'utf8')));
	return pids.every((pid) => pid > 1) ? pids : undefined;
}

/** Waits until no process answers to this number, or it is a zombie nobody has fetched yet. */
async function hasEnded(pid: number): Promise<void> {
	const deadline = performance.now() + 10_000;
	while (performance.now() < deadline) {
		try {
			const [, state] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
			if (state?.startsWith('Z')) return;
		} catch {
			return;
		}
		await Bun.sleep(10);
	}
	throw new Error(`process ${pid} still runs`);
}
