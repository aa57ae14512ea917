/** HTTP/1.1 written by hand, for what `fetch` refuses to send or hides. One connection, in order. */
import { connect, type Socket as TcpSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Answer } from './http.ts';
import type { Server } from './server.ts';
import { within } from './wait.ts';

export interface RawConnection {
	/** Writes bytes as they are, without waiting for anything. */
	write(bytes: string | Uint8Array): void;
	/** The next answer on this connection. */
	answer(deadlineMs?: number): Promise<Answer>;
	/** Resolves when the server has closed it. */
	readonly closed: Promise<void>;
	close(): void;
}

/** Opens a connection. @throws when it is refused. */
export async function openConnection(server: Pick<Server, 'url'>): Promise<RawConnection> {
	const { hostname: host, port, protocol } = new URL(server.url);
	const isSecure = protocol === 'https:';
	const tcp: TcpSocket = isSecure
		? connectTls({ host, port: Number(port || 443), servername: host })
		: connect({ host, port: Number(port || 80) });
	let received: Buffer = Buffer.alloc(0);
	let isEnded = false;
	let wake = () => {};
	const closed = new Promise<void>((resolve) => {
		tcp.on('close', () => {
			isEnded = true;
			wake();
			resolve();
		});
	});
	tcp.on('data', (chunk) => {
		received = Buffer.concat([received, Buffer.from(chunk)]);
		wake();
	});
	await within(
		new Promise<void>((resolve, reject) => {
			tcp.once(isSecure ? 'secureConnect' : 'connect', resolve);
			tcp.once('error', reject);
		}),
		'a connection',
	);
	// A reset is seen as the end of the connection, like any other.
	tcp.on('error', () => {});

	async function next(): Promise<Answer> {
		for (;;) {
			const parsed = parseAnswer(received, isEnded);
			if (parsed !== undefined) {
				received = received.subarray(parsed.length);
				return parsed.answer;
			}
			if (isEnded) throw new Error(`The connection ended without an answer: ${received}`);
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
		}
	}
	return {
		write: (bytes) => void tcp.write(bytes),
		answer: (deadlineMs) => within(next(), 'an answer', deadlineMs),
		closed,
		close: () => void tcp.destroy(),
	};
}

/** Sends one request by hand and returns its answer. */
export async function exchange(
	server: Pick<Server, 'url'>,
	request: string | Uint8Array,
): Promise<Answer> {
	const connection = await openConnection(server);
	try {
		connection.write(request);
		return await connection.answer();
	} finally {
		connection.close();
	}
}

/** The text of a request. `Host` is the server's unless the headers name another. */
export function requestText(
	server: Pick<Server, 'url'>,
	line: string,
	headers: Record<string, string> = {},
	body = '',
): string {
	const all = {
		Host: new URL(server.url).host,
		...(body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }),
		...headers,
	};
	const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
	return `${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** What a browser would send to open a WebSocket; answered 101 or with the reason why not. */
export const upgradeAnswer = (
	server: Pick<Server, 'url'>,
	headers: Record<string, string>,
	path = '/ws',
): Promise<Answer> =>
	exchange(
		server,
		requestText(server, `GET ${path}`, {
			Connection: 'Upgrade',
			Upgrade: 'websocket',
			'Sec-WebSocket-Version': '13',
			'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
			...headers,
		}),
	);

function parseAnswer(
	bytes: Buffer,
	isEnded: boolean,
): { answer: Answer; length: number } | undefined {
	const end = bytes.indexOf('\r\n\r\n');
	if (end === -1) return undefined;
	const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
	const headers = new Headers();
	for (const line of lines) {
		const colon = line.indexOf(':');
		headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
	}
	const status = Number(statusLine.split(' ')[1]);
	const body = bodyBytes(bytes.subarray(end + 4), headers, status, isEnded);
	if (body === undefined) return undefined;
	const text = body.content.toString('utf8');
	const isJson = /^application\/json\b/.test(headers.get('Content-Type') ?? '');
	return {
		answer: { status, headers, text, body: isJson ? JSON.parse(text) : undefined },
		length: end + 4 + body.length,
	};
}

function bodyBytes(
	rest: Buffer,
	headers: Headers,
	status: number,
	isEnded: boolean,
): { content: Buffer; length: number } | undefined {
	if (status === 101 || status === 204 || status === 304) {
		return { content: Buffer.alloc(0), length: 0 };
	}
	if (headers.get('Transfer-Encoding') === 'chunked') return chunks(rest);
	const declared = headers.get('Content-Length');
	if (declared === null) {
		return isEnded ? { content: rest, length: rest.length } : undefined;
	}
	const length = Number(declared);
	return rest.length < length ? undefined : { content: rest.subarray(0, length), length };
}

function chunks(rest: Buffer): { content: Buffer; length: number } | undefined {
	const parts: Buffer[] = [];
	for (let at = 0; ; ) {
		const lineEnd = rest.indexOf('\r\n', at);
		if (lineEnd === -1) return undefined;
		const size = Number.parseInt(rest.subarray(at, lineEnd).toString('latin1'), 16);
		const start = lineEnd + 2;
		if (rest.length < start + size + 2) return undefined;
		if (size === 0) return { content: Buffer.concat(parts), length: start + 2 };
		parts.push(rest.subarray(start, start + size));
		at = start + size + 2;
	}
}
