/**
 * The bytes of HTTP/1.1 and RFC 6455 as our own servers write them, and no more than that: the load
 * client must cost less than the server it measures, so it looks at few bytes and copies none.
 */

import { credentialLines, type Endpoint, type SocketSeat } from './load.ts';

const ZERO = 0x30;

const at = (bytes: Uint8Array, index: number): number => bytes[index] ?? 0;

/** The decimal number that starts at `index`. */
export function numberAt(bytes: Uint8Array, index: number): number {
	let value = 0;
	for (let digit = at(bytes, index) - ZERO; digit >= 0 && digit <= 9; ) {
		value = value * 10 + digit;
		digit = at(bytes, ++index) - ZERO;
	}
	return value;
}

/** Overwrites `width` bytes at `index` with a number, zeros first: a prepared frame keeps its length. */
export function writeNumber(bytes: Uint8Array, index: number, width: number, value: number): void {
	for (let place = index + width - 1; place >= index; place--) {
		bytes[place] = ZERO + (value % 10);
		value = Math.floor(value / 10);
	}
}

/**
 * Finds what stands behind a marker such as `"seq":`. Answers of one kind are laid out alike, so the
 * place where it stood the last time is tried before anything is searched.
 */
export class Finder {
	readonly #marker: Buffer;
	#offset = 0;

	constructor(marker: string) {
		this.#marker = Buffer.from(marker);
	}

	/** The index just behind the first marker in `[start, end)`, or -1. */
	after(bytes: Buffer, start: number, end: number): number {
		const marker = this.#marker;
		const guess = start + this.#offset;
		if (guess + marker.length <= end && this.#isAt(bytes, guess)) return guess + marker.length;
		const found = bytes.indexOf(marker, start);
		if (found === -1 || found + marker.length > end) return -1;
		this.#offset = found - start;
		return found + marker.length;
	}

	#isAt(bytes: Buffer, index: number): boolean {
		const marker = this.#marker;
		for (let i = 0; i < marker.length; i++) {
			if (bytes[index + i] !== marker[i]) return false;
		}
		return true;
	}
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** Cuts a byte stream into HTTP responses. `onResponse` gets the status and where the body stands. */
export class ResponseReader {
	readonly #onResponse: (status: number, bytes: Buffer, start: number, end: number) => void;
	readonly #length = new Finder('Content-Length: ');
	#rest: Buffer | undefined;
	/** Bytes of `#rest` that complete the response; no parsing before they are there. */
	#needed = 0;

	constructor(onResponse: (status: number, bytes: Buffer, start: number, end: number) => void) {
		this.#onResponse = onResponse;
	}

	push(chunk: Buffer): void {
		const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
		this.#rest = bytes;
		if (bytes.length < this.#needed) return;
		let start = 0;
		while (start < bytes.length) {
			const headEnd = bytes.indexOf(HEAD_END, start);
			if (headEnd === -1) break;
			const length = this.#length.after(bytes, start, headEnd);
			if (length === -1) throw new Error('a response without Content-Length');
			const body = headEnd + HEAD_END.length;
			const end = body + numberAt(bytes, length);
			if (end > bytes.length) {
				this.#needed = end - start;
				break;
			}
			this.#needed = 0;
			this.#onResponse(numberAt(bytes, start + 'HTTP/1.1 '.length), bytes, body, end);
			start = end;
		}
		this.#rest = start === bytes.length ? undefined : bytes.subarray(start);
	}
}

/** The upgrade of a socket of this seat. The server checks no key twice, so one will do for all. */
export const upgradeRequest = (endpoint: Endpoint, { path, user_id }: SocketSeat): Buffer =>
	Buffer.from(
		`GET ${path} HTTP/1.1\r\n${credentialLines(endpoint, user_id)}` +
			'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
			'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
	);

export const OPCODE_TEXT = 1;
export const OPCODE_CLOSE = 8;
export const OPCODE_PING = 9;
const OPCODE_PONG = 10;

/** Cuts a byte stream into the unmasked frames of a server. */
export class FrameReader {
	readonly #onFrame: (opcode: number, bytes: Buffer, start: number, end: number) => void;
	#rest: Buffer | undefined;

	constructor(onFrame: (opcode: number, bytes: Buffer, start: number, end: number) => void) {
		this.#onFrame = onFrame;
	}

	push(chunk: Buffer): void {
		const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
		let start = 0;
		while (start + 2 <= bytes.length) {
			let length = at(bytes, start + 1);
			let head = 2;
			if (length === 126) {
				length = (at(bytes, start + 2) << 8) | at(bytes, start + 3);
				head = 4;
			} else if (length === 127) {
				if (start + 10 > bytes.length) break;
				length = bytes.readUInt32BE(start + 6);
				head = 10;
			}
			const end = start + head + length;
			if (end > bytes.length) break;
			this.#onFrame(at(bytes, start) & 0x0f, bytes, start + head, end);
			start = end;
		}
		this.#rest = start === bytes.length ? undefined : bytes.subarray(start);
	}
}

/**
 * A client frame under the mask 0, which leaves the payload as it is: the server unmasks as always,
 * and the driver is spared a pass over every byte.
 */
export function clientFrame(payload: string | Uint8Array, opcode = OPCODE_TEXT): Buffer {
	const body = Buffer.from(payload);
	const head = body.length < 126 ? 2 : 4;
	const frame = Buffer.alloc(head + 4 + body.length);
	frame[0] = 0x80 | opcode;
	frame[1] = 0x80 | (head === 2 ? body.length : 126);
	if (head === 4) frame.writeUInt16BE(body.length, 2);
	body.copy(frame, head + 4);
	return frame;
}

export const pongFrame = (payload: Uint8Array): Buffer => clientFrame(payload, OPCODE_PONG);

/** What a `message` or `reply` frame says in its first bytes; anything else is 'other'. */
export function frameKind(bytes: Uint8Array, start: number): 'message' | 'reply' | 'other' {
	// {"type":"message"   the kind starts at 9; no other type of the contract has its length and letter.
	const first = at(bytes, start + 9);
	if (first === 0x6d && at(bytes, start + 16) === 0x22) return 'message';
	if (first === 0x72 && at(bytes, start + 14) === 0x22) return 'reply';
	return 'other';
}
