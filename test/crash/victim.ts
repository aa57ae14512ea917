/** A server to be killed: the binary, or a copy of the sources with a defect put into it. */
import { appendFileSync } from 'node:fs';
import { within } from '../helpers/wait.ts';

export interface Victim {
	url: string;
	pid: number;
	/** From the start of the process to the line that says it listens. */
	startMs: number;
	/** SIGKILL. Resolves when the process is gone. */
	kill(): Promise<void>;
	/** SIGTERM. Resolves with the exit code. */
	stop(): Promise<number>;
}

export interface VictimOptions {
	command: readonly [string, ...string[]];
	cwd: string;
	dataDir: string;
	/** Absent: the server makes its own, in a file. */
	masterKey?: string;
	/** More variables. */
	env?: Readonly<Record<string, string>>;
}

const START_DEADLINE_MS = 20_000;
const END_DEADLINE_MS = 15_000;

const running = new Set<Bun.Subprocess>();
process.on('exit', () => {
	for (const child of running) child.kill('SIGKILL');
});

/**
 * Starts a server without limits and waits until it listens.
 *
 * @throws with all that it said when it ends before.
 */
export async function startVictim(options: VictimOptions): Promise<Victim> {
	const startedAt = performance.now();
	const child = Bun.spawn([...options.command], {
		cwd: options.cwd,
		env: {
			PATH: process.env.PATH ?? '',
			LISTEN_ADDR: '127.0.0.1:0',
			DATA_DIR: options.dataDir,
			...(options.masterKey === undefined ? {} : { MASTER_API_KEY: options.masterKey }),
			DEFAULT_RATE_LIMIT: '0',
			WS_FRAMES_PER_SECOND: '0',
			...options.env,
		},
		stdin: 'ignore',
		stdout: 'pipe',
		stderr: 'pipe',
	});
	running.add(child);
	const exited = child.exited.then((code) => {
		running.delete(child);
		return code;
	});
	let said = '';
	let tellUrl = (_: string) => {};
	const listening = new Promise<string>((resolve) => {
		tellUrl = resolve;
	});
	const listen = async (stream: ReadableStream<Uint8Array>) => {
		const decoder = new TextDecoder();
		for await (const chunk of stream) {
			said += decoder.decode(chunk, { stream: true });
			const url = /"url":"([^"]+)"[^\n]*"msg":"Listening"/.exec(said)?.[1];
			if (url !== undefined) tellUrl(url);
		}
	};
	const ended = Promise.all([listen(child.stdout), listen(child.stderr)]);
	try {
		const url = await within(
			Promise.race([
				listening,
				exited.then(async (code) => {
					await ended;
					throw new Error(`The server ended with ${code} instead of listening:\n${said}`);
				}),
			]),
			() => `a server that listens; it said:\n${said}`,
			START_DEADLINE_MS,
		);
		return {
			url: url.replace(/\/$/, ''),
			pid: child.pid,
			startMs: performance.now() - startedAt,
			async kill() {
				child.kill('SIGKILL');
				await within(exited, 'the server to die', END_DEADLINE_MS);
			},
			async stop() {
				child.kill('SIGTERM');
				return within(exited, 'the server to stop', END_DEADLINE_MS);
			},
		};
	} catch (error) {
		child.kill('SIGKILL');
		throw error;
	}
}

/** Adds a line to the file that a long run is followed by, where one is named. */
export function report(line: string): void {
	console.log(line);
	if (process.env.CRASH_REPORT !== undefined) appendFileSync(process.env.CRASH_REPORT, `${line}\n`);
}
