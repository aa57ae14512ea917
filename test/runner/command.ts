import { spawn } from 'node:child_process';

export interface Finished {
	/** As a shell has it: 128 + number after a signal. */
	exitCode: number;
	/** Whether it was ended for taking too long. */
	isLate: boolean;
	/** What it wrote, stdout and stderr as they came. */
	output: string;
}

/** How long a pipe that a stray grandchild still holds is listened to. */
const DRAIN_MS = 1000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What ends each command that runs, with everything that it started. */
const running = new Set<() => void>();

/** Asked to end, this process takes all of its commands along. */
function interrupted(): void {
	for (const kill of running) kill();
	process.exit(130);
}

function enter(kill: () => void): void {
	if (running.size === 0) for (const signal of SIGNALS) process.on(signal, interrupted);
	running.add(kill);
}

function leave(kill: () => void): void {
	running.delete(kill);
	if (running.size === 0) for (const signal of SIGNALS) process.off(signal, interrupted);
}

/**
 * Runs a command in a process group of its own and resolves when it has ended. At the deadline, and
 * when this process is asked to end, the whole group is killed. Several may run at once.
 */
export function run(
	command: readonly [string, ...string[]],
	options: { cwd: string; deadlineMs: number; onLine?: (line: string) => void },
): Promise<Finished> {
	const [program, ...args] = command;
	const child = spawn(program, args, {
		cwd: options.cwd,
		detached: true,
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let output = '';
	let isLate = false;

	function listen(stream: NodeJS.ReadableStream): void {
		let rest = '';
		stream.setEncoding('utf8');
		stream.on('data', (text: string) => {
			output += text;
			const lines = (rest + text).split('\n');
			rest = lines.pop() ?? '';
			for (const line of lines) options.onLine?.(line);
		});
	}

	function kill(): void {
		try {
			if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
		} catch {
			// The group has ended by itself meanwhile.
		}
	}

	listen(child.stdout);
	listen(child.stderr);
	enter(kill);
	const deadline = setTimeout(() => {
		isLate = true;
		kill();
	}, options.deadlineMs);

	return new Promise((resolve) => {
		let drain: NodeJS.Timeout | undefined;
		function finish(exitCode: number): void {
			clearTimeout(deadline);
			clearTimeout(drain);
			leave(kill);
			kill();
			resolve({ exitCode, isLate, output });
		}
		child.on('error', (error) => {
			output += `${program}: ${error.message}\n`;
			finish(127);
		});
		child.on('exit', (code) => {
			drain = setTimeout(() => finish(code ?? 137), DRAIN_MS);
		});
		child.on('close', (code) => finish(code ?? 137));
	});
}
