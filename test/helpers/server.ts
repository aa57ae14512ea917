/**
 * The compiled binary as a test sees it: a process with an address. Nothing here looks inside.
 *
 * Every server gets an empty working directory, a data directory of its own and a free port, and
 * no variable of the caller's environment but PATH. Whatever a test leaves running is killed when
 * the test process ends.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { within } from './wait.ts';

/** The executable under test. */
export const BINARY = resolve(
	process.env.CHATAPI_BIN ?? join(import.meta.dir, '..', '..', 'chatapi'),
);

/** Cold caches and busy cores; the promise of a fast start is the benchmark's to check. */
const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 15_000;

/** Variables for the server; undefined takes one of the defaults below away. */
export type Environment = Record<string, string | undefined>;

export interface ServerOptions {
	env?: Environment;
	/** A data directory to be kept: for restarts. Default: a fresh one, removed at the end. */
	dataDir?: string;
	args?: readonly string[];
	/** What is run in the place of the binary, for controls: see `sabotaged`. */
	instead?: { command: readonly string[]; cwd: string };
}

export type LogLine = Record<string, unknown> & { level: string; msg: string };

export interface Server {
	/** `http://127.0.0.1:<port>`, without a slash at the end. */
	readonly url: string;
	/** As given in the environment, else what the server wrote to `master.key`. */
	readonly masterKey: string;
	readonly dataDir: string;
	readonly pid: number;
	/** What it logged so far, parsed. A line that is no JSON object is a failure. */
	log(): LogLine[];
	stderr(): string;
	signal(name: 'SIGTERM' | 'SIGINT' | 'SIGKILL' | 'SIGHUP'): void;
	/** Asks it to end (SIGTERM) and returns its exit code. Safe to call again. */
	stop(): Promise<number>;
	/** Ends it as a crash would (SIGKILL). Safe to call again. */
	kill(): Promise<void>;
	/** Resolves with the exit code; 128 + number for a signal. */
	readonly exited: Promise<number>;
}

/** The binary ended, or said nothing, before it listened. */
export class StartFailure extends Error {
	override readonly name = 'StartFailure';

	constructor(
		readonly exitCode: number | null,
		readonly stdout: string,
		readonly stderr: string,
	) {
		super(`The server did not start (exit ${exitCode}).\n${stdout}${stderr}`.trim());
	}
}

const running = new Set<Bun.Subprocess>();
process.on('exit', () => {
	for (const child of running) child.kill('SIGKILL');
});

/**
 * Starts the binary and waits until it listens.
 *
 * @throws StartFailure when it ends before that, or takes too long.
 */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-test-'));
	const cwd = mkdtempSync(join(folder, 'cwd-'));
	const dataDir = options.dataDir ?? join(folder, 'data');
	const env = definedOf({
		PATH: process.env.PATH,
		LISTEN_ADDR: '127.0.0.1:0',
		DATA_DIR: dataDir,
		MASTER_API_KEY: randomSecret(),
		...options.env,
	});
	const { command, ...place } = options.instead ?? { command: [BINARY], cwd };
	const child = Bun.spawn([...command, ...(options.args ?? [])], {
		...place,
		env,
		stdin: 'ignore',
		stdout: 'pipe',
		stderr: 'pipe',
	});
	running.add(child);
	const exited = child.exited.then((code) => {
		running.delete(child);
		rmSync(folder, { recursive: true, force: true });
		return code;
	});
	const stdout = collect(child.stdout);
	const stderr = collect(child.stderr);
	const url = await listening(stdout, exited).catch(async (error: Error) => {
		child.kill('SIGKILL');
		await Promise.all([exited, stdout.ended, stderr.ended]);
		throw new StartFailure(child.exitCode, stdout.text(), stderr.text() || error.message);
	});
	return {
		url,
		masterKey: env.MASTER_API_KEY ?? readFileSync(join(dataDir, 'master.key'), 'utf8').trim(),
		dataDir,
		pid: child.pid,
		log: () => stdout.lines().map(parseLine),
		stderr: stderr.text,
		signal: (name) => child.kill(name),
		async stop() {
			child.kill('SIGTERM');
			try {
				return await within(exited, 'the server to stop', STOP_DEADLINE_MS);
			} finally {
				child.kill('SIGKILL');
			}
		},
		async kill() {
			child.kill('SIGKILL');
			await within(exited, 'the server to die', STOP_DEADLINE_MS);
		},
		exited,
	};
}

export interface RunResult {
	exitCode: number;
	stdout: string;
	stderr: string;
}

/** Runs the binary to its end in an empty directory: for commands, and for starts that must fail. */
export async function runBinary(
	args: readonly string[],
	env: Environment = {},
	deadlineMs: number = STOP_DEADLINE_MS,
): Promise<RunResult> {
	const cwd = mkdtempSync(join(tmpdir(), 'chatapi-run-'));
	const child = Bun.spawn([BINARY, ...args], {
		cwd,
		env: definedOf({ PATH: process.env.PATH, ...env }),
		stdin: 'ignore',
		stdout: 'pipe',
		stderr: 'pipe',
	});
	running.add(child);
	const stdout = collect(child.stdout);
	const stderr = collect(child.stderr);
	try {
		const exitCode = await within(child.exited, `chatapi ${args.join(' ')} to end`, deadlineMs);
		await Promise.all([stdout.ended, stderr.ended]);
		return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
	} finally {
		child.kill('SIGKILL');
		running.delete(child);
		rmSync(cwd, { recursive: true, force: true });
	}
}

/** A key of 256 random bits, as `openssl rand -hex 32` makes one. */
export const randomSecret = (): string =>
	Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex');

const definedOf = (env: Environment): Record<string, string> =>
	Object.fromEntries(
		Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
	);

interface Collected {
	text(): string;
	/** Whole lines so far. */
	lines(): string[];
	/** Resolves at the first line that `find` finds something in; undefined at the end. */
	first<T>(find: (line: string) => T | undefined): Promise<T | undefined>;
	ended: Promise<void>;
}

function collect(stream: ReadableStream<Uint8Array>): Collected {
	let text = '';
	let wake = () => {};
	let isEnded = false;
	async function drain() {
		const decoder = new TextDecoder();
		for await (const chunk of stream) {
			text += decoder.decode(chunk, { stream: true });
			wake();
		}
		isEnded = true;
		wake();
	}
	const ended = drain();
	const lines = () => text.split('\n').slice(0, -1);
	return {
		text: () => text,
		lines,
		ended,
		async first(find) {
			for (let seen = 0; ; ) {
				const all = lines();
				for (; seen < all.length; seen++) {
					const found = find(all[seen] ?? '');
					if (found !== undefined) return found;
				}
				if (isEnded) return undefined;
				await new Promise<void>((resolve) => {
					wake = resolve;
				});
			}
		},
	};
}

async function listening(stdout: Collected, exited: Promise<number>): Promise<string> {
	const url = await within(
		Promise.race([
			stdout.first((line) => {
				const entry = parseLine(line);
				return entry.msg === 'Listening' ? String(entry.url) : undefined;
			}),
			exited.then(() => undefined),
		]),
		'the log line that says "Listening"',
		START_DEADLINE_MS,
	);
	if (url === undefined) throw new Error('It ended before it listened');
	return url.replace(/\/$/, '');
}

function parseLine(line: string): LogLine {
	try {
		return JSON.parse(line);
	} catch {
		throw new Error(`A log line is no JSON: ${line}`);
	}
}
