import { afterAll, beforeAll, expect } from 'bun:test';
import { type Environment, type Server, startServer } from './server.ts';

/** The server of a test file. */
export interface UsedServer {
	readonly server: Server;
}

/**
 * One server for all tests of the file (or `describe`) that calls this. It must end well: exit 0
 * when asked to, with nothing on stderr and not one error in its log.
 *
 * Failed authentications are not slowed here: every test has the same address.
 */
export function useServer(env: Environment = {}): UsedServer {
	let server: Server | undefined;
	const current = () => {
		if (server === undefined) throw new Error('The server is not started yet');
		return server;
	};
	beforeAll(async () => {
		server = await startServer({ env: { AUTH_FAILURES_PER_MINUTE: '0', ...env } });
	});
	afterAll(async () => {
		const used = current();
		const exitCode = await used.stop();
		const complaints = used.log().filter(({ level }) => level === 'error');
		expect({ exitCode, stderr: used.stderr(), complaints }).toEqual({
			exitCode: 0,
			stderr: '',
			complaints: [],
		});
	});
	return {
		get server() {
			return current();
		},
	};
}
