/** The binary as somebody sees it who sits at a terminal: a real one, with line editing and signals. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BINARY, type Environment } from './server.ts';
import { eventually, within } from './wait.ts';

export interface TerminalRun {
	/** All that was shown so far, with carriage returns as a terminal is sent them. */
	shown(): string;
	/** Resolves once this is shown. */
	sees(text: string): Promise<void>;
	/** As if it were typed. */
	type(keys: string): void;
	/** As if the window were closed. */
	hangUp(): void;
	/** Ends by itself, with a code or by a signal. */
	ended(): Promise<{ exitCode: number | null; signal: NodeJS.Signals | number | null }>;
}

export const ENTER = '\r';
export const CTRL_C = '\u0003';
export const CTRL_D = '\u0004';

const DEADLINE_MS = 15_000;

/**
 * Runs a line of the shell, in which `$CHATAPI` is the binary, at a terminal of its own; for `use`, behind which nothing of
 * it is left.
 */
export async function atTerminal<T>(
	line: string,
	env: Environment,
	use: (run: TerminalRun) => Promise<T>,
): Promise<T> {
	const cwd = mkdtempSync(join(tmpdir(), 'chatapi-terminal-'));
	let text = '';
	const decoder = new TextDecoder();
	const child = Bun.spawn(['sh', '-c', `exec ${line}`], {
		cwd,
		env: { PATH: process.env.PATH, TERM: 'xterm', CHATAPI: BINARY, ...env },
		terminal: {
			cols: 200,
			data: (_, bytes) => {
				text += decoder.decode(bytes, { stream: true });
			},
		},
	});
	const { terminal } = child;
	if (terminal === undefined) throw new Error('There is no terminal');
	try {
		return await use({
			shown: () => text,
			sees: async (what) => {
				await eventually(() => text.includes(what), DEADLINE_MS, `"${what}" in ${text}`);
			},
			type: (keys) => terminal.write(keys),
			hangUp: () => terminal.close(),
			async ended() {
				await within(child.exited, () => `an end of ${line}: ${text}`, DEADLINE_MS);
				return { exitCode: child.exitCode, signal: child.signalCode };
			},
		});
	} finally {
		child.kill('SIGKILL');
		await child.exited;
		terminal.close();
		rmSync(cwd, { recursive: true, force: true });
	}
}
