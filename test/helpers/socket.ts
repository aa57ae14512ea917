/**
 * A WebSocket client that remembers every frame, and fails on its own when the server breaks what
 * holds for every socket: cursors rise strictly, a request_id is answered once, a frame has a type
 * of the contract.
 */
import { type Credentials, headersOf } from './http.ts';
import type { Server } from './server.ts';
import { DEADLINE_MS, within } from './wait.ts';
import type { Frame } from './wire.ts';

export interface Closed {
	code: number;
	reason: string;
}

export interface SocketOptions extends Credentials {
	/** Without the question mark. */
	query?: string;
	path?: string;
}

export interface Socket {
	/** The `connected` frame. */
	readonly connected: Frame;
	/** Every frame so far, in order, `connected` first. */
	readonly frames: readonly Frame[];
	/** The first frame of this type that no `next` has returned yet; waits for it. */
	next<Fields = Record<string, unknown>>(
		type: string,
		deadlineMs?: number,
	): Promise<Frame & Fields>;
	/** Every frame of this type so far. */
	all<Fields = Record<string, unknown>>(type: string): (Frame & Fields)[];
	/** Sends with a fresh `request_id` and returns the `reply` or `error` that carries it. */
	request<Fields = Record<string, unknown>>(
		frame: { type: string } & Record<string, unknown>,
		deadlineMs?: number,
	): Promise<Frame & Fields>;
	/** An object as JSON; text and bytes as they are. */
	send(frame: object | string | Uint8Array): void;
	/** Returns once everything is here that the server sent before it sees a ping sent now. */
	settle(): Promise<void>;
	readonly closed: Promise<Closed>;
	readonly isOpen: boolean;
	close(): Promise<Closed>;
}

const FRAME_TYPES = new Set(
	`connected reply error message ack.received read.updated positions notification room.created room.updated room.deleted
	member.added member.updated member.removed room.gap replay.done resync typing
	presence.update quota.warning server.shutdown pong`.split(/\s+/),
);

/** The types of every frame so far, in order; but for presence, which is told in its own time. */
export const typesOf = (socket: Pick<Socket, 'frames'> | undefined): string[] =>
	(socket?.frames ?? []).map(({ type }) => type).filter((type) => type !== 'presence.update');

/**
 * Opens a socket and waits for `connected`.
 *
 * @throws when the upgrade is refused, or it closes first (the message has the code).
 */
export async function openSocket(
	server: Pick<Server, 'url'>,
	options: SocketOptions = {},
): Promise<Socket> {
	const address = `${server.url.replace(/^http/, 'ws')}${options.path ?? '/ws'}`;
	const url = options.query === undefined ? address : `${address}?${options.query}`;
	const socket = track(new WebSocket(url, { headers: headersOf(options) }));
	const connected = await Promise.race([
		socket.next('connected', DEADLINE_MS),
		socket.closed.then(({ code, reason }) => {
			throw new Error(`The socket closed before "connected": ${code} ${reason}`);
		}),
	]);
	return Object.assign(socket, { connected });
}

type Tracked = Omit<Socket, 'connected'>;

function track(ws: WebSocket): Tracked {
	const frames: Frame[] = [];
	const taken = new Set<Frame>();
	const violations: string[] = [];
	const waiting = new Set<() => void>();
	const rules = createRules((violation) => violations.push(violation));
	let requests = 0;

	const wake = () => {
		for (const look of [...waiting]) look();
	};
	ws.onmessage = ({ data }) => {
		const frame = parseFrame(data);
		rules.check(frame);
		frames.push(frame);
		wake();
	};
	// The close event that follows tells all there is to know.
	ws.onerror = () => {};
	const closed = new Promise<Closed>((resolve) => {
		ws.onclose = ({ code, reason }) => {
			resolve({ code, reason });
			wake();
		};
	});

	/** Waits for the first frame that `fits`; a frame is returned by one wait only. */
	async function take(fits: (frame: Frame) => boolean, what: string, deadlineMs: number) {
		let look = () => {};
		const found = new Promise<Frame>((resolve, reject) => {
			look = () => {
				const frame = frames.find((each) => fits(each) && !taken.has(each));
				if (violations.length > 0) reject(new Error(violations.join('\n')));
				else if (frame !== undefined) resolve(frame);
				else if (ws.readyState === WebSocket.CLOSED) {
					reject(new Error(`The socket closed before ${what}. ${seen()}`));
				}
			};
			waiting.add(look);
			look();
		});
		try {
			const frame = await within(found, () => `${what}. ${seen()}`, deadlineMs);
			taken.add(frame);
			return frame;
		} finally {
			waiting.delete(look);
		}
	}
	const seen = () => `Seen: ${JSON.stringify(frames.slice(-10)).slice(0, 2_000)}`;

	const send: Socket['send'] = (frame) => {
		const isRaw = typeof frame === 'string' || frame instanceof Uint8Array;
		if (!isRaw && 'type' in frame && frame.type === 'resume') rules.goBack();
		ws.send(isRaw ? frame : JSON.stringify(frame));
	};
	const next = (type: string, deadlineMs = DEADLINE_MS) =>
		take((frame) => frame.type === type, `a frame "${type}"`, deadlineMs);

	return {
		frames,
		next: next as Socket['next'],
		all: ((type: string) => frames.filter((frame) => frame.type === type)) as Socket['all'],
		request: (async (frame, deadlineMs = DEADLINE_MS) => {
			const request_id = `test-${++requests}`;
			send({ ...frame, request_id });
			const isAnswer = (each: Frame) =>
				(each.type === 'reply' || each.type === 'error') && each.request_id === request_id;
			return take(isAnswer, `the answer to ${frame.type}`, deadlineMs);
		}) as Socket['request'],
		send,
		async settle() {
			const request_id = `settle-${++requests}`;
			send({ type: 'ping', request_id });
			const isAnswer = (frame: Frame) => frame.request_id === request_id;
			const answer = await take(isAnswer, 'the answer to a ping', DEADLINE_MS);
			if (answer.type !== 'reply') throw new Error(`A ping was refused. ${seen()}`);
			// As if it had been sent without an id: the tests look at what came, not at this.
			const at = frames.indexOf(answer);
			const pong = frames.findLast(({ type }, index) => type === 'pong' && index < at);
			if (pong !== undefined) taken.add(pong);
			frames.splice(at, 1);
		},
		closed,
		get isOpen() {
			return ws.readyState === WebSocket.OPEN;
		},
		async close() {
			ws.close(1000);
			const end = await within(closed, 'the socket to close');
			if (violations.length > 0) throw new Error(violations.join('\n'));
			return end;
		},
	};
}

/** A replay ends at a cursor that was told, or at one above it. */
const isRisen = (type: string, cursor: string, head: string): boolean =>
	type === 'replay.done' ? cursor >= head : cursor > head;

/** What holds on every socket. */
function createRules(report: (violation: string) => void) {
	const answered = new Set<string>();
	let isFirst = true;
	let head: string | undefined;
	return {
		/** The client asks for what was before `connected`. */
		goBack(): void {
			head = undefined;
		},
		check(frame: Frame): void {
			if (isFirst !== (frame.type === 'connected')) report(`"${frame.type}" is out of place`);
			isFirst = false;
			if (!FRAME_TYPES.has(frame.type)) report(`"${frame.type}" is no frame of the contract`);
			if (frame.request_id !== undefined && (frame.type === 'reply' || frame.type === 'error')) {
				if (answered.has(frame.request_id)) report(`${frame.request_id} was answered twice`);
				answered.add(frame.request_id);
			}
			if (frame.cursor === undefined) return;
			if (head !== undefined && !isRisen(frame.type, frame.cursor, head)) {
				report(`The cursor ${frame.cursor} of "${frame.type}" is not above ${head}`);
			}
			head = frame.cursor;
		},
	};
}

function parseFrame(data: unknown): Frame {
	if (typeof data !== 'string') throw new Error('The server sent a binary frame');
	const frame: Frame = JSON.parse(data);
	return frame;
}
