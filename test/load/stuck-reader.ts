/** A reader that has upgraded and been greeted, and then reads nothing until it wakes. */
import { FrameReader } from '../bench/client/wire.ts';
import { requestText } from '../helpers/raw-http.ts';
import { eventually } from '../helpers/wait.ts';
import type { Frame } from '../helpers/wire.ts';
import { openRawSocket, type RawSocket } from './raw-socket.ts';
import { createStream, type Stream } from './stream.ts';

const OPCODE_TEXT = 1;
const OPCODE_CLOSE = 8;

export interface StuckReader {
	readonly user: string;
	/** What it has been told, as far as it has looked. */
	readonly stream: Stream;
	/** Whether the server has ended the connection, as far as it has looked. */
	readonly isClosed: boolean;
	/** Of the close frame, if one came through. */
	readonly closeCode: number | undefined;
	/** Looks at what has arrived; returns how many bytes that was. */
	look(): number;
	close(): void;
}

export interface StuckOptions {
	url: string;
	api_key: string;
	user: string;
	/** The last seq of its only room. */
	lastSeq: number;
}

/** Opens one. Resolves once it was greeted. @throws when the upgrade is refused. */
export async function openStuckReader(options: StuckOptions): Promise<StuckReader> {
	const { url, api_key, user, lastSeq } = options;
	const socket: RawSocket = openRawSocket(Number(new URL(url).port));
	const stream = createStream(user, lastSeq);
	let isGreeted = false;
	let isClosed = false;
	let closeCode: number | undefined;
	let head: Buffer | undefined = Buffer.alloc(0);
	const reader = new FrameReader((opcode, bytes, start, end) => {
		if (opcode === OPCODE_CLOSE) closeCode = bytes.readUInt16BE(start);
		if (opcode !== OPCODE_TEXT) return;
		const frame = JSON.parse(bytes.toString('utf8', start, end)) as Frame;
		if (frame.type === 'connected') isGreeted = true;
		stream.take(frame);
	});

	function push(chunk: Buffer): void {
		if (head === undefined) {
			reader.push(chunk);
			return;
		}
		head = Buffer.concat([head, chunk]);
		const end = head.indexOf('\r\n\r\n');
		if (end === -1) return;
		if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(`refused: ${head}`);
		const rest = head.subarray(end + 4);
		head = undefined;
		reader.push(rest);
	}

	function look(): number {
		let count = 0;
		while (!isClosed) {
			const chunk = socket.read();
			if (chunk === undefined) isClosed = true;
			else if (chunk.length === 0) break;
			else {
				count += chunk.length;
				push(chunk);
			}
		}
		return count;
	}

	socket.write(
		requestText({ url }, 'GET /ws', {
			'X-API-Key': api_key,
			'X-User-Id': user,
			Connection: 'Upgrade',
			Upgrade: 'websocket',
			'Sec-WebSocket-Version': '13',
			'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
		}),
	);
	await eventually(() => {
		look();
		return isGreeted;
	});
	return {
		...{ user, stream, look },
		get isClosed() {
			return isClosed;
		},
		get closeCode() {
			return closeCode;
		},
		close: () => socket.close(),
	};
}
