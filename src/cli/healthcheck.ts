import { readFileSync } from 'node:fs';
import { readSettings } from '../config/settings.ts';
import { localUrl, parseListenAddress } from '../core/address.ts';
import { CommandFailed } from './failure.ts';

const TIMEOUT_MS = 3000;

/** Asks the server of the same settings for its health. Exit code 0 is healthy: for containers. */
export async function healthcheck(): Promise<number> {
	const { LISTEN_ADDR } = readSettings(process.env, (path) => readFileSync(path, 'utf8'));
	const url = `${localUrl(parseListenAddress(LISTEN_ADDR))}/health`;
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
