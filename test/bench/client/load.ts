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
	/** Of a server that has tenants to manage. */
	readonly master_key?: string;
}

export type Job = { readonly endpoint: Endpoint } & (
	| {
			readonly kind: 'rest_send';
			readonly room_id: string;
			/** One connection each. */
			readonly users: readonly string[];
			/** Sends per second in all, or 0 for as many as get answered. */
			readonly pace: number;
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
	| {
			readonly kind: 'requests';
			readonly ask: Ask;
			/** Each request goes to one of them, at random. */
			readonly seats: readonly Seat[];
			/** Connections, with one request at a time each. */
			readonly clients: number;
			/**
			 * Of how many of the first seats a socket hears what is sent, from the first message on. A
			 * mixed load also sends over them.
			 */
			readonly listeners: number;
			/** The request target of those sockets' upgrades, up to a room's id where it ends with `=`. */
			readonly socket_path: string;
	  }
	| {
			readonly kind: 'connects';
			/** Each of these opens a socket, waits for `connected`, closes it, and begins anew. */
			readonly sockets: readonly SocketSeat[];
			/** Connections per second in all; absent for as many as there can be. */
			readonly pace?: number;
	  }
	| {
			readonly kind: 'flood';
			readonly clients: number;
			readonly room_id: string;
			readonly user_id: string;
			/** Messages of a page; 0 for sends. */
			readonly page: number;
	  }
);

/**
 * What is asked of a seat. `send_once` is a send with a client_msg_id; `mixed` are two sends for
 * each page of what was sent last, every other send over a socket.
 */
export type Ask = 'send' | 'send_once' | 'history' | 'rooms' | 'members' | 'tenants' | 'mixed';

/** A user in a room, and the key of its tenant. */
export interface Seat {
	readonly api_key: string;
	readonly user_id: string;
	readonly room_id: string;
	/** How many messages the room holds before anything is sent. */
	readonly stored: number;
}

export interface SocketSeat {
	readonly room_id: string;
	readonly user_id: string;
	/** The request target of the upgrade. */
	readonly path: string;
}

/** The head lines that say who is asking; the same bytes for both servers. */
export const credentialLines = (endpoint: Endpoint, userId: string): string =>
	`Host: 127.0.0.1:${endpoint.port}\r\nX-API-Key: ${endpoint.api_key}\r\nX-User-Id: ${userId}\r\n`;

export const operatorLines = ({ port, master_key }: Endpoint): string =>
	`Host: 127.0.0.1:${port}\r\nX-Master-Key: ${master_key}\r\n`;

/** Message content is 100 bytes: a number that makes it unique, and filling. */
export const CONTENT_DIGITS = 14;
export const CONTENT = '0'.repeat(CONTENT_DIGITS).padEnd(100, ' the quick brown fox');
