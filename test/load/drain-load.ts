/**
 * Clients that a stop meets in the middle of their work: senders over REST and WebSocket, sockets that
 * only listen, and backends that wait for events. Each notes what it was told, and how it ended.
 */

import { acknowledge, type History, type Send } from '../crash/history.ts';
import { type Ground, userOf } from '../crash/load.ts';
import type { Randomness } from '../crash/randomness.ts';
import { openConnection, requestText } from '../helpers/raw-http.ts';
import { within } from '../helpers/wait.ts';
import type { Frame, Message } from '../helpers/wire.ts';

export interface DrainLoadOptions {
	url: string;
	grounds: readonly Ground[];
	/** A tenant that nobody sends to. */
	quiet: Ground;
	history: History;
	random: Randomness;
	/** Per tenant; of those who wait, in all. */
	clients: { http: number; sockets: number; listeners: number; waiting: number };
}

export interface DrainLoad {
	/** Resolves when all are connected. */
	readonly ready: Promise<unknown>;
	/** Resolves when each has ended: its connection is gone, or was refused. */
	readonly ended: Promise<unknown>;
	/** Sends that a frame or request took along, and that had no answer in the end. */
	readonly unanswered: readonly Send[];
	readonly counts: { answered: number; refused: number; sockets: number };
}

/** What a stopping server may answer a send with. */
const REFUSED = 503;
const SERVER_SHUTDOWN = 4001;
const IN_FLIGHT_PER_SOCKET = 4;
const WAIT_S = 20;
const END_DEADLINE_MS = 30_000;

/** Starts the clients; they go on until the server ends their connections. */
export function startDrainLoad(options: DrainLoadOptions): DrainLoad {
	const { grounds, quiet, clients } = options;
	const run: Run = {
		...options,
		unanswered: [],
		counts: { answered: 0, refused: 0, sockets: 0 },
		number: options.history.sends.length,
	};
	const started = [
		...grounds.flatMap((ground) => [
			...times(clients.http, (user) => sendOverHttp(run, ground, user)),
			...times(clients.sockets, (user) => sendOverSocket(run, ground, user)),
			...times(clients.listeners, (user) => listen(run, ground, user)),
		]),
		...times(clients.waiting, () => waitForEvents(run, quiet)),
	];
	return {
		ready: Promise.all(started.map(({ ready }) => ready)),
		ended: within(
			Promise.all(started.map(({ ended }) => ended)),
			'the clients to end',
			END_DEADLINE_MS,
		),
		unanswered: run.unanswered,
		counts: run.counts,
	};
}

const times = <T>(count: number, make: (user: string) => T): T[] =>
	Array.from({ length: count }, (_, index) => make(userOf(index)));

interface Run extends DrainLoadOptions {
	unanswered: Send[];
	counts: { answered: number; refused: number; sockets: number };
	number: number;
}

interface Client {
	ready: Promise<unknown>;
	ended: Promise<unknown>;
}

function nextSend(run: Run, { tenant_id, room_ids }: Ground, sender: string): Send {
	const number = run.number++;
	const room_id = run.random.pick(room_ids);
	const send: Send = {
		tenant_id,
		room_id,
		sender,
		content: `${tenant_id} ${room_id} ${sender} ${number}`,
		client_msg_id: `d${number}`,
	};
	run.history.sends.push(send);
	return send;
}

const headersOf = (api_key: string, user: string | undefined): Record<string, string> => ({
	'X-API-Key': api_key,
	...(user === undefined ? {} : { 'X-User-Id': user }),
	'Content-Type': 'application/json',
});

/** One connection, one request after the other; what begins to be answered must be answered in full. */
function sendOverHttp(run: Run, ground: Ground, sender: string): Client {
	const opening = openConnection(run);
	const ended = opening.then(async (connection) => {
		for (;;) {
			const send = nextSend(run, ground, sender);
			const { content, client_msg_id } = send;
			const body = JSON.stringify({ content, client_msg_id });
			const line = `POST /rooms/${send.room_id}/messages`;
			connection.write(requestText(run, line, headersOf(ground.api_key, sender), body));
			const answer = await connection.answer(END_DEADLINE_MS).catch((error: Error) => {
				if (!error.message.endsWith('without an answer: ')) {
					run.history.violations.push(`an answer was cut short: ${error.message}`);
				}
			});
			if (answer === undefined) return void run.unanswered.push(send);
			if (answer.status === 200 || answer.status === 201) {
				acknowledge(run.history, send, answer.body as Message);
				run.counts.answered++;
			} else if (answer.status === REFUSED) run.counts.refused++;
			else run.history.violations.push(`a send was answered ${answer.status}: ${answer.text}`);
			if (answer.status === REFUSED || answer.headers.get('Connection') === 'close') {
				return connection.close();
			}
		}
	});
	return { ready: opening, ended };
}

/** A socket that must be told of the end, and be closed with its code. */
function openWatched(run: Run, { api_key }: Ground, user: string, onFrame: (frame: Frame) => void) {
	const ws = new WebSocket(`${run.url.replace('http', 'ws')}/ws`, {
		headers: { 'X-API-Key': api_key, 'X-User-Id': user },
	});
	const { violations } = run.history;
	const connected = Promise.withResolvers<void>();
	let isTold = false;
	const seqs = new Map<string, number>();
	ws.onmessage = ({ data }) => {
		const frame = JSON.parse(String(data)) as Frame;
		if (frame.type === 'connected') connected.resolve();
		if (frame.type === 'server.shutdown') isTold = true;
		if (frame.type === 'message') {
			const message = frame as unknown as Message;
			const before = seqs.get(message.room_id) ?? message.seq - 1;
			if (message.seq !== before + 1) {
				violations.push(`a socket was told seq ${message.seq} after ${before}`);
			}
			seqs.set(message.room_id, message.seq);
			run.history.seen.set(message.message_id, message);
		}
		onFrame(frame);
	};
	ws.onerror = () => {};
	const ended = new Promise<void>((resolve) => {
		ws.onclose = ({ code }) => {
			connected.resolve();
			run.counts.sockets++;
			if (!isTold) violations.push('a socket was not told of the shutdown');
			if (code !== SERVER_SHUTDOWN) violations.push(`a socket was closed with ${code}`);
			resolve();
		};
	});
	return { ws, ready: connected.promise, ended };
}

const listen = (run: Run, ground: Ground, user: string): Client =>
	openWatched(run, ground, user, () => {});

/** A socket with a few sends in flight at all times. */
function sendOverSocket(run: Run, ground: Ground, sender: string): Client {
	const inFlight = new Map<string, Send>();
	const { ws, ready, ended } = openWatched(run, ground, sender, (frame) => {
		const send = frame.request_id === undefined ? undefined : inFlight.get(frame.request_id);
		if (frame.request_id === undefined || send === undefined) return;
		inFlight.delete(frame.request_id);
		if (frame.type === 'reply') {
			acknowledge(run.history, send, frame.data as Message);
			run.counts.answered++;
			write();
		} else if (frame.code === 'UNAVAILABLE') run.counts.refused++;
		else run.history.violations.push(`a frame was answered ${JSON.stringify(frame)}`);
	});
	function write(): void {
		const send = nextSend(run, ground, sender);
		const { room_id, content, client_msg_id } = send;
		const request_id = client_msg_id ?? '';
		inFlight.set(request_id, send);
		ws.send(JSON.stringify({ type: 'send_message', request_id, room_id, content, client_msg_id }));
	}
	void ready.then(() => {
		for (let lane = 0; lane < IN_FLIGHT_PER_SOCKET; lane++) write();
	});
	return { ready, ended: ended.then(() => run.unanswered.push(...inFlight.values())) };
}

/** The backend of a tenant in which nothing happens: only the stop answers it. */
function waitForEvents(run: Run, { api_key }: Ground): Client {
	const headers = headersOf(api_key, undefined);
	const opening = openConnection(run).then(async (connection) => {
		connection.write(requestText(run, 'GET /events?limit=100', headers));
		const { as_of } = (await connection.answer()).body as { as_of: string };
		const line = `GET /events?after=${as_of}&wait=${WAIT_S}`;
		connection.write(requestText(run, line, headers));
		return connection;
	});
	const ended = opening.then(async (connection) => {
		const answer = await connection.answer(END_DEADLINE_MS).catch(() => undefined);
		if (answer?.status !== 200) {
			run.history.violations.push(`a wait for events ended with ${answer?.status}`);
		}
		connection.close();
	});
	return { ready: opening, ended };
}
