import { localUrl, parseListenAddress } from '../core/address.ts';
import { command } from './arguments.ts';
import { CommandFailed } from './failure.ts';
import { settingsOf } from './settings.ts';

const TIMEOUT_MS = 3000;

const usage = {
	help: `Usage: chatapi healthcheck

Asks the server at LISTEN_ADDR of this machine for /health, and waits for at most 3 seconds.
Exit code 0: it can do its work; 1: it cannot, or does not answer.`,
	options: {},
	words: 0,
} as const;

/** Asks the server of the same settings for its health. Exit code 0 is healthy: for containers. */
export const healthcheck = command(usage, async () => {
	const { LISTEN_ADDR } = settingsOf();
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
});
