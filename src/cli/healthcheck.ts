import { readFileSync } from 'node:fs';
import { parseAddress } from '../app/server.ts';
import { readSettings } from '../config/settings.ts';
import { CommandFailed } from './failure.ts';

const TIMEOUT_MS = 3000;

/** Asks the server of the same settings for its health. Exit code 0 is healthy: for containers. */
export async function healthcheck(): Promise<number> {
	const { LISTEN_ADDR } = readSettings(process.env, (path) => readFileSync(path, 'utf8'));
	const { hostname, port } = parseAddress(LISTEN_ADDR);
	const isAny = hostname === '0.0.0.0' || hostname === '::';
	const host = isAny ? '127.0.0.1' : hostname.includes(':') ? `[${hostname}]` : hostname;
	const url = `http://${host}:${port}/health`;
	let response: Response;
	try {
		response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
	} catch {
		throw new CommandFailed(`${url} does not answer`);
	}
	if (!response.ok) throw new CommandFailed(`${url} answers ${response.status}`);
	console.log('ok');
	return 0;
}
