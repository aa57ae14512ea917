import type { Socket } from 'bun';

/** A TCP connection to the server under test: bytes out without loss, bytes in to one function. */
export interface Connection {
	/** Sends now what fits and the rest on drain. The bytes may be reused as soon as it returns. */
	write(bytes: Uint8Array): void;
	/** Who gets what arrives. Bytes that arrive before it is set are lost, so set it before writing. */
	onData: (chunk: Buffer) => void;
	/** Called when the other side, or an error, ends the connection; never after `close()`. */
	onLost: (reason: string) => void;
	close(): void;
}

class TcpConnection implements Connection {
	socket: Socket<TcpConnection> | undefined;
	onData: (chunk: Buffer) => void = () => {};
	onLost: (reason: string) => void = () => {};
	#unsent: Uint8Array[] = [];
	#isClosed = false;

	write(bytes: Uint8Array): void {
		if (this.#unsent.length > 0) {
			this.#unsent.push(bytes.slice());
			return;
		}
		const written = this.socket?.write(bytes) ?? -1;
		if (written < 0) this.lose('the socket takes no bytes');
		else if (written < bytes.length) this.#unsent.push(bytes.slice(written));
	}

	drain(): void {
		const unsent = this.#unsent;
		this.#unsent = [];
		for (const bytes of unsent) this.write(bytes);
	}

	lose(reason: string): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.onLost(reason);
	}

	close(): void {
		this.#isClosed = true;
		this.socket?.terminate();
	}
}

export async function connect(port: number): Promise<Connection> {
	const connection = new TcpConnection();
	connection.socket = await Bun.connect<TcpConnection>({
		hostname: '127.0.0.1',
		port,
		data: connection,
		socket: {
			data: (socket, chunk) => socket.data.onData(chunk),
			drain: (socket) => socket.data.drain(),
			close: (socket) => socket.data.lose('the server closed the connection'),
			error: (socket, error) => socket.data.lose(error.message),
		},
	});
	connection.socket.setNoDelay(true);
	return connection;
}

/** How many connections are opened at once: below the listen backlog of any server. */
const CONNECT_AT_ONCE = 64;

/** Runs `open` for every item, a few at a time, and gives the results in order. */
export async function openAll<Item, Opened>(
	items: readonly Item[],
	open: (item: Item, index: number) => Promise<Opened>,
): Promise<Opened[]> {
	const opened: Opened[] = [];
	for (let start = 0; start < items.length; start += CONNECT_AT_ONCE) {
		const slice = items.slice(start, start + CONNECT_AT_ONCE);
		opened.push(...(await Promise.all(slice.map((item, index) => open(item, start + index)))));
	}
	return opened;
}
