/** A WebSocket by hand: frames as their bytes, right or wrong. @see RFC 6455, section 5.2 */
import { connect, type Socket as TcpSocket } from 'node:net';
import type { Server } from '../../helpers/server.ts';
import { within } from '../../helpers/wait.ts';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameBits {
	opcode: number;
	payload?: string | Uint8Array;
	/** Default: the last of its message. */
	isFinal?: boolean;
	/** Default: masked, as a client's must be. */
	isMasked?: boolean;
	/** The three reserved bits, 0 to 7. */
	reserved?: number;
	/** A length to be claimed instead of the payload's own, as 64 bits. */
	claimedLength?: bigint;
}

/** The bytes of a frame. */
export function frameBytes(bits: FrameBits): Buffer {
	const { opcode, isFinal = true, isMasked = true, reserved = 0, claimedLength } = bits;
	const payload = Buffer.from((bits.payload ?? '') as string);
	const head = [(isFinal ? 0x80 : 0) | (reserved << 4) | opcode];
	const mask = isMasked ? 0x80 : 0;
	const length = Buffer.alloc(8);
	length.writeBigUInt64BE(claimedLength ?? BigInt(payload.length));
	if (claimedLength !== undefined || payload.length > 65_535) head.push(mask | 127, ...length);
	else if (payload.length > 125) head.push(mask | 126, ...length.subarray(6));
	else head.push(mask | payload.length);
	if (!isMasked) return Buffer.concat([Buffer.from(head), payload]);
	const key = [0x12, 0x34, 0x56, 0x78];
	const masked = payload.map((byte, index) => byte ^ (key[index % 4] ?? 0));
	return Buffer.concat([Buffer.from([...head, ...key]), masked]);
}

export interface ServerFrame {
	opcode: number;
	payload: Buffer;
}

export interface RawSocket {
	write(bytes: Uint8Array): void;
	/** The next frame that fits; undefined when the connection ended before one came. */
	next(fits: (frame: ServerFrame) => boolean): Promise<ServerFrame | undefined>;
	/** Resolves when the connection has ended. */
	readonly ended: Promise<void>;
	/** The code of the server's close frame, once there was one. */
	closeCode(): number | undefined;
	/** Reads nothing more, so that the server cannot write, until `flow`. */
	halt(): void;
	flow(): void;
	destroy(): void;
}

/** Opens a socket and reads past `connected`. @throws when the upgrade is refused. */
export async function openRawSocket(
	server: Pick<Server, 'url'>,
	headers: Record<string, string>,
	path = '/ws',
): Promise<RawSocket> {
	const { hostname, port, host } = new URL(server.url);
	const tcp: TcpSocket = connect({ host: hostname, port: Number(port) });
	let bytes: Buffer = Buffer.alloc(0);
	let isOpen = false;
	let isEnded = false;
	const frames: ServerFrame[] = [];
	let wake = () => {};

	function read(chunk: Uint8Array): void {
		bytes = Buffer.concat([bytes, chunk]);
		if (!isOpen) {
			const end = bytes.indexOf('\r\n\r\n');
			if (end === -1) return;
			isOpen = bytes.subarray(0, 12).toString() === 'HTTP/1.1 101';
			bytes = bytes.subarray(end + 4);
		}
		for (let frame = readFrame(bytes); frame !== undefined; frame = readFrame(bytes)) {
			bytes = bytes.subarray(frame.length);
			frames.push(frame);
		}
		wake();
	}
	const ended = new Promise<void>((resolve) => {
		tcp.on('close', () => {
			isEnded = true;
			wake();
			resolve();
		});
	});
	tcp.on('error', () => {});
	tcp.on('data', read);
	const lines = Object.entries({
		Host: host,
		Connection: 'Upgrade',
		Upgrade: 'websocket',
		'Sec-WebSocket-Version': '13',
		'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
		...headers,
	}).map(([name, value]) => `${name}: ${value}\r\n`);
	tcp.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);

	async function wait(fits: (frame: ServerFrame) => boolean): Promise<ServerFrame | undefined> {
		for (;;) {
			const index = frames.findIndex(fits);
			if (index !== -1) return frames.splice(index, 1)[0];
			if (isEnded) return undefined;
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
		}
	}
	const socket: RawSocket = {
		write: (out) => void tcp.write(out),
		next: (fits) => within(wait(fits), 'a frame by hand'),
		ended,
		closeCode() {
			const close = frames.find(({ opcode }) => opcode === OPCODE.close);
			return close === undefined || close.payload.length < 2
				? undefined
				: close.payload.readUInt16BE();
		},
		halt: () => void tcp.pause(),
		flow: () => void tcp.resume(),
		destroy: () => void tcp.destroy(),
	};
	const first = await socket.next(({ opcode }) => opcode === OPCODE.text);
	if (first === undefined) throw new Error(`No socket: ${bytes.subarray(0, 200)}`);
	return socket;
}

/** The first whole frame in these bytes; a server's are never masked. */
function readFrame(bytes: Buffer): (ServerFrame & { length: number }) | undefined {
	if (bytes.length < 2) return undefined;
	const short = (bytes[1] ?? 0) & 0x7f;
	const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
	const start = 2 + lengthBytes;
	if (bytes.length < start) return undefined;
	const size =
		lengthBytes === 0
			? short
			: bytes.readUIntBE(start - Math.min(lengthBytes, 6), Math.min(lengthBytes, 6));
	if (bytes.length < start + size) return undefined;
	return {
		opcode: (bytes[0] ?? 0) & 0x0f,
		payload: bytes.subarray(start, start + size),
		length: start + size,
	};
}
