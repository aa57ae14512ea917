/**
 * Clients that write as fast as they are answered, over REST and WebSocket, and note every answer.
 * When the server dies they end; what had no answer by then is unknown.
 */
import { bodyOf, httpClient } from '../helpers/http.ts';
import type { Frame, Message, Room, Tenant } from '../helpers/wire.ts';
import { acknowledge, type History, keyOf, type Send } from './history.ts';
import type { Randomness } from './randomness.ts';

/** A tenant and its rooms. Users, room names and client_msg_ids are the same in every tenant. */
export interface Ground {
	tenant_id: string;
	api_key: string;
	room_ids: readonly string[];
}

const USERS = ['alice', 'bob', 'carol'] as const;

/** Makes a tenant with rooms in which every user of the load may send. */
export async function prepare(url: string, masterKey: string, history: History): Promise<Ground> {
	const admin = httpClient({ url }, { master: masterKey });
	const tenant = bodyOf(await admin.post<Tenant>('/admin/tenants', { name: 'Acme' }), 201);
	const { tenant_id, api_key = '' } = tenant;
	const alice = httpClient({ url }, { key: api_key, user: 'alice' });
	const room_ids: string[] = [];
	for (const name of ['one', 'two', 'three']) {
		const body = { type: 'group', name, members: USERS.slice(1) };
		room_ids.push(bodyOf(await alice.post<Room>('/rooms', body), 201).room_id);
	}
	history.tenants.add(tenant_id);
	for (const room_id of room_ids) history.rooms.set(room_id, tenant_id);
	return { tenant_id, api_key, room_ids };
}

export interface LoadOptions {
	url: string;
	grounds: readonly Ground[];
	history: History;
	random: Randomness;
	/** Senders over REST, and sockets with so many sends in flight each, per tenant. */
	senders?: { http: number; sockets: number; inFlight?: number };
	/** Waited for before each send: how a load is kept from being as fast as it can be. */
	pace?: () => Promise<void>;
	/** Told of every answered send, once it is noted. */
	onAnswer?: (send: Send) => void;
}

export interface Load {
	/** Resolves when every client has noticed that the server is gone, or was told to end. */
	readonly ended: Promise<void>;
	/** Lets what is in flight be answered, and starts nothing new. */
	finish(): Promise<void>;
}

/** Sends one message; undefined when the connection ended before the answer. */
type Transport = (send: Send) => Promise<Message | undefined>;

/** Of a socket. */
const IN_FLIGHT = 4;
const REPEAT_CHANCE = 0.1;
const WITHOUT_ID_CHANCE = 0.2;
const PADDING_MAX = 1500;

/** Starts the clients. Sends that are unknown from before are repeated first. */
export function startLoad(options: LoadOptions): Load {
	const { grounds, history, random, url, onAnswer = () => {}, pace = async () => {} } = options;
	const { http, sockets, inFlight = IN_FLIGHT } = options.senders ?? { http: 6, sockets: 2 };
	let isFinishing = false;
	const isOver = () => isFinishing;
	const clients = grounds.flatMap((ground) => {
		const toRepeat = history.sends.filter(
			(send) => send.tenant_id === ground.tenant_id && send.client_msg_id !== null && !send.ack,
		);
		const next = (sender: string) => nextSend({ ground, history, random, toRepeat }, sender);
		const overHttp = Array.from({ length: http }, (_, index) =>
			sendOver(httpTransport(url, ground, history), userOf(index), {
				next,
				history,
				isOver,
				onAnswer,
				pace,
			}),
		);
		const overSockets = Array.from({ length: sockets }, async (_, index) => {
			const sender = userOf(index);
			const socket = await openTransport(url, ground, sender, history);
			if (socket === undefined) return;
			const each = { next, history, isOver, onAnswer, pace };
			const lanes = Array.from({ length: inFlight }, () =>
				sendOver(socket.transport, sender, each),
			);
			await Promise.all(lanes);
			socket.close();
		});
		return [...overHttp, ...overSockets, churn(url, ground, history, isOver)];
	});
	const ended = Promise.all(clients).then(() => {});
	return {
		ended,
		async finish() {
			isFinishing = true;
			await ended;
		},
	};
}

export const userOf = (index: number): string => USERS[index % USERS.length] ?? 'alice';

interface Source {
	ground: Ground;
	history: History;
	random: Randomness;
	toRepeat: Send[];
}

/** What a sender sends next: a repeat of what is unknown, now and then one of what is not, or new. */
function nextSend({ ground, history, random, toRepeat }: Source, sender: string): Send {
	const at = toRepeat.findIndex((send) => send.sender === sender);
	const [unknown] = at === -1 ? [] : toRepeat.splice(at, 1);
	if (unknown !== undefined) return unknown;
	if (random.chance(REPEAT_CHANCE)) {
		const earlier = random.pick(history.sends.slice(-50));
		const isOwn =
			earlier?.ack !== undefined &&
			earlier.client_msg_id !== null &&
			earlier.sender === sender &&
			earlier.tenant_id === ground.tenant_id;
		if (isOwn) return earlier;
	}
	const room_id = random.pick(ground.room_ids);
	const number = history.sends.length;
	const send: Send = {
		tenant_id: ground.tenant_id,
		room_id,
		sender,
		content: `${ground.tenant_id} ${room_id} ${sender} ${number} ${'.'.repeat(random.between(0, PADDING_MAX))}`,
		// The same in all rooms, of all senders and tenants, as far as the lines go.
		client_msg_id: random.chance(WITHOUT_ID_CHANCE)
			? null
			: `c${countOf(history, keyOf(room_id, sender))}`,
	};
	history.sends.push(send);
	return send;
}

const counts = new WeakMap<History, Map<string, number>>();

function countOf(history: History, key: string): number {
	const own = counts.get(history) ?? new Map<string, number>();
	counts.set(history, own);
	own.set(key, (own.get(key) ?? 0) + 1);
	return own.get(key) ?? 0;
}

async function sendOver(
	transport: Transport,
	sender: string,
	line: {
		next(sender: string): Send;
		history: History;
		isOver(): boolean;
		onAnswer(send: Send): void;
		pace(): Promise<void>;
	},
): Promise<void> {
	while (!line.isOver()) {
		await line.pace();
		const send = line.next(sender);
		const message = await transport(send);
		if (message === undefined) {
			line.history.cut++;
			return;
		}
		acknowledge(line.history, send, message);
		line.onAnswer(send);
	}
}

function httpTransport(url: string, { api_key }: Ground, history: History): Transport {
	return async ({ room_id, sender, content, client_msg_id }) => {
		const body = client_msg_id === null ? { content } : { content, client_msg_id };
		const answer = await ask(url, 'POST', `/rooms/${room_id}/messages`, { api_key, sender, body });
		if (answer === undefined) return undefined;
		if (answer.status !== 200 && answer.status !== 201) {
			history.violations.push(`a send was answered ${answer.status}: ${answer.text}`);
			return undefined;
		}
		return JSON.parse(answer.text) as Message;
	};
}

/** An answer, or undefined when the server was gone before it was whole. */
async function ask(
	url: string,
	method: string,
	path: string,
	{ api_key, sender, body }: { api_key: string; sender: string; body?: unknown },
): Promise<{ status: number; text: string } | undefined> {
	const headers = {
		'X-API-Key': api_key,
		'X-User-Id': sender,
		'Content-Type': 'application/json',
	};
	try {
		const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) };
		const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(15_000) });
		return { status: response.status, text: await response.text() };
	} catch (error) {
		// A server that hangs is another thing than one that was killed.
		if (error instanceof DOMException && error.name === 'TimeoutError') throw error;
		return undefined;
	}
}

/** A socket that takes sends, and notes what it is told. undefined when the server is gone already. */
async function openTransport(url: string, { api_key }: Ground, sender: string, history: History) {
	const ws = new WebSocket(`${url.replace('http', 'ws')}/ws`, {
		headers: { 'X-API-Key': api_key, 'X-User-Id': sender },
	});
	const waiting = new Map<string, (message: Message | undefined) => void>();
	const isOpen = await new Promise<boolean>((resolve) => {
		ws.onopen = () => resolve(true);
		ws.onclose = () => resolve(false);
		ws.onerror = () => resolve(false);
	});
	if (!isOpen) return undefined;
	const follow = createFollower(history);
	ws.onmessage = ({ data }) => {
		const frame = JSON.parse(String(data)) as Frame;
		follow(frame);
		if (frame.request_id === undefined) return;
		if (frame.type !== 'reply') history.violations.push(`a frame was answered ${data}`);
		waiting.get(frame.request_id)?.(frame.type === 'reply' ? (frame.data as Message) : undefined);
		waiting.delete(frame.request_id);
	};
	ws.onclose = () => {
		for (const resolve of waiting.values()) resolve(undefined);
		waiting.clear();
	};
	let requests = 0;
	const transport: Transport = ({ room_id, content, client_msg_id }) => {
		if (ws.readyState !== WebSocket.OPEN) return Promise.resolve(undefined);
		const request_id = `r${++requests}`;
		const fields = client_msg_id === null ? { content } : { content, client_msg_id };
		return new Promise((resolve) => {
			waiting.set(request_id, resolve);
			ws.send(JSON.stringify({ type: 'send_message', room_id, request_id, ...fields }));
		});
	};
	return { transport, close: () => ws.close() };
}

/** Holds what one socket is told against the promises: rising cursors, and per room seq after seq. */
function createFollower(history: History): (frame: Frame) => void {
	const seqs = new Map<string, number>();
	let last = '';
	return (frame) => {
		if (frame.cursor !== undefined) {
			if (frame.cursor <= last) history.violations.push(`cursor ${frame.cursor} after ${last}`);
			last = frame.cursor;
		}
		if (frame.type !== 'message') return;
		const message = frame as unknown as Message;
		const before = seqs.get(message.room_id);
		if (before !== undefined && message.seq !== before + 1) {
			history.violations.push(`a socket was told seq ${message.seq} after ${before}`);
		}
		seqs.set(message.room_id, message.seq);
		history.seen.set(message.message_id, message);
	};
}

let guests = 0;

/** One client that adds and removes members, makes rooms and reads, one after the other. */
async function churn(
	url: string,
	{ tenant_id, api_key, room_ids }: Ground,
	history: History,
	isOver: () => boolean,
): Promise<void> {
	const [room_id = ''] = room_ids;
	const as = (sender: string, method: string, path: string, body?: unknown) =>
		ask(url, method, path, { api_key, sender, body });
	const isDone = (answer: { status: number; text: string } | undefined) => {
		if (answer === undefined) return false;
		if (answer.status < 300) return true;
		history.violations.push(`a change was answered ${answer.status}: ${answer.text}`);
		return false;
	};
	while (!isOver()) {
		const number = ++guests;
		const guest = `guest${number}`;
		const key = keyOf(tenant_id, room_id, guest);
		const noteMembership = (fate: 'done' | 'unknown', isMember: boolean) =>
			history.memberships.set(key, { fate, isMember });

		noteMembership('unknown', true);
		const members = `/rooms/${room_id}/members`;
		if (!isDone(await as('alice', 'POST', members, { members: [guest] }))) return;
		noteMembership('done', true);

		if (number % 4 < 2) {
			noteMembership('unknown', false);
			if (!isDone(await as('alice', 'DELETE', `${members}/${guest}`))) return;
			noteMembership('done', false);
		}

		const made = await as('bob', 'POST', '/rooms', { type: 'group', name: guest });
		if (made === undefined || !isDone(made)) return;
		history.rooms.set((JSON.parse(made.text) as Room).room_id, tenant_id);

		const seq = Math.max(1, ...lastSeqs(history, room_id));
		const read = await as('carol', 'POST', `/rooms/${room_id}/read`, { seq });
		if (!isDone(read)) return;
		const known = lastSeqs(history, room_id).length > 0;
		if (known) history.reads.set(keyOf(tenant_id, room_id, 'carol'), seq);
	}
}

const lastSeqs = (history: History, room_id: string): number[] =>
	history.sends
		.slice(-100)
		.flatMap((send) => (send.room_id === room_id && send.ack !== undefined ? [send.ack.seq] : []));
