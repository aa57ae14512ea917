/** The binary in a directory of the test's choice, for what `startServer` leaves no room for. */
import { readFileSync } from 'node:fs';
import { BINARY, type LogLine } from '../helpers/server.ts';
import { within } from '../helpers/wait.ts';

export interface Process {
	url: string;
	/** What it logged until it listened. */
	log: readonly LogLine[];
	pid: number;
	stop(): Promise<number>;
}

/**
 * Starts the binary in this working directory with these variables only, and waits until it
 * listens.
 *
 * @throws with everything that it said when it ends before.
 */
export async function serveIn(cwd: string, env: Record<string, string>): Promise<Process> {
	const child = Bun.spawn([BINARY], {
		cwd,
		env: { LISTEN_ADDR: '127.0.0.1:0', ...env },
		stdout: 'pipe',
		stderr: 'pipe',
	});
	const log: LogLine[] = [];
	let rest = '';
	const decoder = new TextDecoder();
	const reader = child.stdout.getReader();
	try {
		for (;;) {
			const { value, done } = await within(reader.read(), 'the server to listen', 20_000);
			if (done) throw new Error(`It ended: ${rest}${await new Response(child.stderr).text()}`);
			const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
			rest = lines.pop() ?? '';
			log.push(...lines.map((line) => JSON.parse(line) as LogLine));
			const listening = log.find(({ msg }) => msg === 'Listening');
			if (listening === undefined) continue;
			return {
				url: String(listening.url),
				log,
				pid: child.pid,
				async stop() {
					child.kill('SIGTERM');
					return within(child.exited, 'the server to stop', 15_000);
				},
			};
		}
	} catch (error) {
		child.kill('SIGKILL');
		throw error;
	}
}

/** Every file below a folder, with a hash of what it holds. */
export function contentsOf(folder: string): Record<string, string> {
	const paths = [...new Bun.Glob('**/*').scanSync({ cwd: folder, dot: true })].sort();
	return Object.fromEntries(paths.map((path) => [path, hashOf(`${folder}/${path}`)]));
}

const hashOf = (path: string): string =>
	new Bun.CryptoHasher('sha256').update(readFileSync(path)).digest('hex');
