import type { Latencies, Problems } from './checks.ts';

/** One kind of traffic: opened once, started and stopped once per round. */
export interface Load {
	/** Operations finished since it was opened; the unit is the scenario's. */
	readonly done: number;
	/** Begun and not finished: 0 means that every answer and delivery has arrived. */
	readonly outstanding: number;
	readonly latencies: Latencies;
	readonly problems: Problems;
	/** How many sends were answered per room, to compare with what the server has stored. */
	answered(): Record<string, number>;
	start(): void;
	/** Begins nothing more; what is under way still arrives. */
	stop(): void;
	close(): void;
}

/** Where the traffic goes, and as whom. */
export interface Endpoint {
	readonly port: number;
	readonly server_pid: number;
	readonly api_key: string;
}

export type Job = { readonly endpoint: Endpoint } & (
	| {
			readonly kind: 'rest_send';
			readonly room_id: string;
			/** One connection each. */
			readonly users: readonly string[];
	  }
	| {
			readonly kind: 'history';
			readonly room_id: string;
			readonly users: readonly string[];
			/** The room holds the messages 1..last_seq. */
			readonly last_seq: number;
			readonly page: number;
	  }
	| {
			readonly kind: 'socket_send';
			/** One socket each, alone in its room. */
			readonly senders: readonly SocketSeat[];
			readonly in_flight: number;
	  }
	| {
			readonly kind: 'fan_out';
			/** Sockets of one room; the first of them sends. */
			readonly receivers: readonly SocketSeat[];
			/** Messages per second, or 0 for as many as `in_flight` allows. */
			readonly pace: number;
			/** Messages that were sent and have not reached every receiver. */
			readonly in_flight: number;
	  }
	| { readonly kind: 'idle'; readonly sockets: readonly SocketSeat[] }
);

export interface SocketSeat {
	readonly room_id: string;
	readonly user_id: string;
	/** The request target of the upgrade. */
	readonly path: string;
}

/** The head lines that say who is asking; the same bytes for both servers. */
export const credentialLines = (endpoint: Endpoint, userId: string): string =>
	`Host: 127.0.0.1:${endpoint.port}\r\nX-API-Key: ${endpoint.api_key}\r\nX-User-Id: ${userId}\r\n`;

/** Message content is 100 bytes: a number that makes it unique, and filling. */
export const CONTENT_DIGITS = 14;
export const CONTENT = '0'.repeat(CONTENT_DIGITS).padEnd(100, ' the quick brown fox');
