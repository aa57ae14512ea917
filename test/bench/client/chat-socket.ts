import type { Problems } from './checks.ts';
import { type Connection, connect } from './connection.ts';
import { CONTENT, CONTENT_DIGITS, type Endpoint, type SocketSeat } from './load.ts';
import {
	clientFrame,
	Finder,
	FrameReader,
	frameKind,
	numberAt,
	OPCODE_CLOSE,
	OPCODE_PING,
	OPCODE_TEXT,
	pongFrame,
	upgradeRequest,
	writeNumber,
} from './wire.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const REQUEST_ID_DIGITS = 10;

// One of each for all sockets: frames of a kind are laid out alike, whoever receives them.
const messageSeq = new Finder('"seq":');
const replySeq = new Finder('"seq":');
const replyRequestId = new Finder('"request_id":"');

/** A WebSocket of one user, connected to the room that it listens to, and checking its order. */
export class ChatSocket {
	/** The seq of the last message that arrived; the next one must be the next number. */
	lastSeq = 0;
	onMessage: (seq: number) => void = () => {};
	/** The reply itself stands in `[start, end)`. */
	onReply: (requestId: number, seq: number, bytes: Buffer, start: number, end: number) => void =
		() => {};
	/** Called when all frames of a chunk have been told: the moment to answer with one write. */
	onChunkEnd: () => void = () => {};
	readonly #connection: Connection;
	readonly #problems: Problems;
	readonly #reader = new FrameReader((opcode, bytes, start, end) =>
		this.#receive(opcode, bytes, start, end),
	);
	#onConnected: () => void = () => {};
	#isUpgraded = false;

	/** Resolves when the server has said `connected`: from here on nothing of the room is missed. */
	static async open(endpoint: Endpoint, seat: SocketSeat, problems: Problems): Promise<ChatSocket> {
		const connection = await connect(endpoint.port);
		const socket = new ChatSocket(connection, problems);
		const connected = Promise.withResolvers<void>();
		const fail = (reason: string) => connected.reject(new Error(`WebSocket: ${reason}`));
		const deadline = setTimeout(fail, CONNECT_TIMEOUT_MS, 'no connected frame');
		socket.#onConnected = connected.resolve;
		connection.onLost = fail;
		connection.write(upgradeRequest(endpoint, seat));
		await connected.promise.finally(() => clearTimeout(deadline));
		connection.onLost = (reason) => problems.add(reason);
		return socket;
	}

	private constructor(connection: Connection, problems: Problems) {
		this.#connection = connection;
		this.#problems = problems;
		connection.onData = (chunk) => this.#push(chunk);
	}

	write(frames: Uint8Array): void {
		this.#connection.write(frames);
	}

	close(): void {
		this.#connection.close();
	}

	#push(chunk: Buffer): void {
		if (this.#isUpgraded) {
			this.#reader.push(chunk);
			this.onChunkEnd();
			return;
		}
		const headEnd = chunk.indexOf('\r\n\r\n');
		if (headEnd === -1 || numberAt(chunk, 'HTTP/1.1 '.length) !== 101) {
			this.#connection.onLost(`upgrade refused: ${chunk.toString('utf8', 0, 300)}`);
			return;
		}
		this.#isUpgraded = true;
		this.#reader.push(chunk.subarray(headEnd + 4));
	}

	#receive(opcode: number, bytes: Buffer, start: number, end: number): void {
		if (opcode !== OPCODE_TEXT) {
			this.#receiveControl(opcode, bytes.subarray(start, end));
			return;
		}
		const kind = frameKind(bytes, start);
		if (kind === 'message') {
			const seq = numberAt(bytes, messageSeq.after(bytes, start, end));
			if (seq !== this.lastSeq + 1)
				this.#problems.add('a message is lost, doubled or out of order');
			this.lastSeq = seq;
			this.onMessage(seq);
		} else if (kind === 'reply') {
			const requestId = numberAt(bytes, replyRequestId.after(bytes, start, end));
			const seq = numberAt(bytes, replySeq.after(bytes, start, end));
			this.onReply(requestId, seq, bytes, start, end);
		} else {
			this.#receiveOther(bytes.toString('utf8', start, end));
		}
	}

	#receiveOther(json: string): void {
		const { type } = JSON.parse(json);
		if (type === 'connected') this.#onConnected();
		// Who else is there comes and goes with other connections.
		else if (type !== 'presence.update')
			this.#problems.add(`unexpected frame ${json.slice(0, 200)}`);
	}

	#receiveControl(opcode: number, payload: Buffer): void {
		if (opcode === OPCODE_PING) this.write(pongFrame(payload));
		else if (opcode === OPCODE_CLOSE) {
			this.#problems.add(`the server closed a socket with ${payload.readUInt16BE(0)}`);
		}
	}
}

/** The prepared `send_message` frames of one socket, numbered as they are written. */
export class FrameWriter {
	readonly #bytes: Buffer;
	readonly #frameBytes: number;
	readonly #requestIdAt: number;
	readonly #contentAt: number;
	#number = 0;

	/** @param atOnceMax - the most frames that one `take` may ask for. */
	constructor(roomId: string, atOnceMax: number) {
		const request_id = '0'.repeat(REQUEST_ID_DIGITS);
		const frame = clientFrame(
			JSON.stringify({ type: 'send_message', request_id, room_id: roomId, content: CONTENT }),
		);
		this.#bytes = Buffer.concat(Array.from({ length: atOnceMax }, () => frame));
		this.#frameBytes = frame.length;
		this.#requestIdAt = frame.indexOf(request_id);
		this.#contentAt = frame.indexOf(CONTENT);
	}

	/** The next `count` frames as one run of bytes, valid until the next call. */
	take(count: number): Uint8Array {
		for (let index = 0; index < count; index++) {
			const start = index * this.#frameBytes;
			const number = ++this.#number;
			writeNumber(this.#bytes, start + this.#requestIdAt, REQUEST_ID_DIGITS, number);
			writeNumber(this.#bytes, start + this.#contentAt, CONTENT_DIGITS, number);
		}
		return this.#bytes.subarray(0, count * this.#frameBytes);
	}

	/** The `request_id` of the last frame taken, as a number; they count from 1. */
	get last(): number {
		return this.#number;
	}
}
