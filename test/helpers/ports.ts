import { createServer } from 'node:net';

/**
 * Below the ports that systems hand out for port 0, from 32768 or from 49152: what listens on those
 * comes and goes beside the tests.
 */
const FIRST = 20_000;
const COUNT = 12_000;

/** A port that nobody listens on at this moment; few would before it is used. */
export async function freePort(): Promise<number> {
	for (;;) {
		const port = FIRST + Math.floor(Math.random() * COUNT);
		if (await isFree(port)) return port;
	}
}

/** Whether nobody listens there, on any address. */
export const isFree = (port: number): Promise<boolean> =>
	new Promise((resolve) => {
		const probe = createServer();
		probe.once('error', () => resolve(false));
		probe.listen(port, () => probe.close(() => resolve(true)));
	});
