/**
 * A TCP proxy that breaks connections: at once, or in the middle of what the server says, at any byte
 * of a frame. It outlives the server behind it, so clients have one address all the time.
 */
import { createServer, type Socket, connect as tcpConnect } from 'node:net';
import type { Randomness } from './randomness.ts';

const TAIL_BYTES_MAX = 400;

export interface CuttingProxy {
	/** `127.0.0.1:<port>` */
	readonly host: string;
	/** Connections that were broken on purpose. */
	readonly cuts: number;
	/** Where connections go from now on. */
	aim(url: string): void;
	/** Breaks one of the open connections. */
	cut(): void;
	/** Breaks every open connection, at once. */
	cutAll(): void;
	close(): Promise<void>;
}

export async function startProxy(random: Randomness): Promise<CuttingProxy> {
	interface Pair {
		client: Socket;
		server: Socket;
		/** What the server may say yet; then it is cut. */
		left: number;
	}
	const pairs = new Set<Pair>();
	let port = 0;
	let cuts = 0;

	function end(pair: Pair): void {
		pairs.delete(pair);
		pair.client.destroy();
		pair.server.destroy();
	}
	const listener = createServer((client) => {
		const server = tcpConnect(port, '127.0.0.1');
		const pair: Pair = { client, server, left: Number.POSITIVE_INFINITY };
		pairs.add(pair);
		for (const side of [client, server]) {
			side.setNoDelay(true);
			side.on('error', () => end(pair));
			side.on('close', () => end(pair));
		}
		client.on('data', (bytes) => server.write(bytes));
		server.on('data', (bytes) => {
			client.write((bytes as Buffer).subarray(0, pair.left));
			pair.left -= bytes.length;
			if (pair.left <= 0) end(pair);
		});
	});
	await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
	const address = listener.address();
	if (address === null || typeof address === 'string') throw new Error('The proxy has no port');
	return {
		host: `127.0.0.1:${address.port}`,
		get cuts() {
			return cuts;
		},
		aim(url) {
			port = Number(new URL(url).port);
		},
		cut() {
			if (pairs.size === 0) return;
			const pair = random.pick([...pairs]);
			cuts++;
			if (random.chance(0.5)) end(pair);
			else pair.left = Math.min(pair.left, random.between(1, TAIL_BYTES_MAX));
		},
		cutAll() {
			cuts += pairs.size;
			for (const pair of pairs) end(pair);
		},
		async close() {
			for (const pair of pairs) end(pair);
			await new Promise((resolve) => listener.close(resolve));
		},
	};
}
