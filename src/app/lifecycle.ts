import type { Log } from '../core/log.ts';
import type { Container } from './container.ts';
import type { RunningServer } from './server.ts';

const POLL_MS = 10;

/** Waits for a condition of our own, at most until `deadlineMs` on the monotonic clock. */
async function waitUntil(
	isDone: () => boolean,
	deadlineMs: number,
	monotonic: () => number,
): Promise<boolean> {
	while (!isDone()) {
		if (monotonic() >= deadlineMs) return false;
		await Bun.sleep(POLL_MS);
	}
	return true;
}

/**
 * Stops in the order in which nothing is lost: no new connections; every socket told, its frames
 * answered, and closed; running requests answered, within SHUTDOWN_DRAIN_TIMEOUT; what was used
 * written; the writer emptied; the file in order.
 *
 * Bun's `stop()` resolves only when the last socket is gone, so it is not waited for; `stop(true)` cuts
 * whatever the deadline left.
 */
export async function stopServer(
	{ server, metricsServer, gateway }: RunningServer,
	{ settings, connections, writer, clock, close, presenceWorker, usageWriter }: Container,
	log: Log,
): Promise<void> {
	const deadlineMs = clock.monotonic() + settings.SHUTDOWN_DRAIN_TIMEOUT;
	log.info({ connections: connections.size, requests: server.pendingRequests }, 'Draining');
	void server.stop();
	await gateway.drain(() => {
		let isWritten = false;
		void writer.drain().then(() => {
			isWritten = true;
		});
		return waitUntil(() => isWritten, deadlineMs, clock.monotonic);
	});
	const isQuiet = () => server.pendingRequests === 0 && connections.size === 0;
	const isInTime = await waitUntil(isQuiet, deadlineMs, clock.monotonic);
	if (!isInTime) log.warn({ requests: server.pendingRequests }, 'Deadline: cutting what is left');
	await presenceWorker.end();
	await usageWriter.stop();
	await writer.drain();
	await server.stop(true);
	await metricsServer?.stop(true);
	await close();
	log.info({}, 'Stopped');
}
