/**
 * A client of docs/protocol.md for browsers (strip the types), Bun, Deno and Node.js: it reconnects,
 * resumes, and calls back for everything once and in order. Callbacks run one at a time: the next frame
 * waits for their promises. The cursor moves after them, so what one was told that threw comes again on
 * a new connection. Keep `cursor()` together with what you were told.
 */
export type Frame = { type: string; cursor?: string; [field: string]: unknown };
export type Message = Frame & { room_id: string; seq: number; message_id: string; content: string };

export interface ClientOptions {
	url: string; // wss://chat.example.com/ws
	/** Asked before each try: for a new ticket in `query`, or `headers`, which browsers cannot set. */
	credentials(): Promise<{ query?: Record<string, string>; headers?: Record<string, string> }>;
	cursor?: string; // of an earlier run
	onMessage(message: Message): unknown; // one’s own too: per room with rising seq, never twice
	onEvent?(frame: Frame): unknown; // whatever else is told: rooms, members, positions
	/** Too much was missed of a room: read its pages over REST, and await `take` for each message. */
	onGap(gap: { room_id: string; after_seq: number; last_seq: number }): unknown;
	onResync(reason: string): unknown; // at the start, and later: forget all, read all as for a gap
	/** `live`: the past is complete. `closed`: it has given up, with the close code. */
	onState?(state: 'connecting' | 'live' | 'waiting' | 'closed', code?: number): void;
	onFrame?(frame: Frame): void; // every frame as it comes, for logs
	backoffMs?: { first: number; max: number }; // waits before a new try
}

// From 4500 on the server asks not to come back; 1009 met a frame that would be too large again.
const isFinal = (code: number) => (code >= 4500 && code <= 4999) || code === 1009;

export function createClient(options: ClientOptions) {
	const { first, max } = options.backoffMs ?? { first: 500, max: 30_000 };
	const seqs = new Map<string, number>(); // the last one of each room
	type Unsent = { frame: Frame; resolve(message: Message): void; reject(error: Error): void };
	const unsent = new Map<unknown, Unsent>(); // by request_id, in their order
	let { cursor } = options;
	let ws: WebSocket | undefined;
	let readyAt: number | undefined; // when the socket’s `connected` came
	let head: string | undefined; // the cursor in it
	let [failures, heartbeatMs, isClosed] = [0, 30_000, false];
	let comeBackAfterMs: number | undefined;
	let work: Promise<unknown> = Promise.resolve(); // the callbacks, one after the other
	let timer: ReturnType<typeof setTimeout>; // of the one thing that is waited for

	function wait(ms: number, then: () => void) {
		clearTimeout(timer);
		timer = setTimeout(then, ms);
	}

	async function connect() {
		options.onState?.('connecting');
		try {
			const { query, headers } = await options.credentials();
			await work; // it moves the cursor
			if (isClosed) return;
			const url = `${options.url}?${new URLSearchParams({ ...query, ...(cursor && { cursor }) })}`;
			const own = headers === undefined ? new WebSocket(url) : new WebSocket(url, { headers });
			ws = own;
			own.onmessage = ({ data }) => own === ws && receive(own, JSON.parse(String(data)));
			own.onclose = ({ code }) => own === ws && lose(code);
			wait(10_000, lose);
		} catch {
			lose();
		}
	}

	/** The socket is of no use any more: a new one, later, unless the server said never. */
	function lose(code = 1006, isEnd = isFinal(code)) {
		ws?.close();
		ws = undefined;
		isClosed ||= isEnd;
		if (readyAt !== undefined && Date.now() - readyAt > max) failures = 0; // it held
		readyAt = undefined;
		const longest = Math.min(max, first * 2 ** failures++);
		wait(comeBackAfterMs ?? longest * (0.5 + Math.random() / 2), connect);
		comeBackAfterMs = undefined;
		if (isClosed) clearTimeout(timer);
		if (isClosed) for (const { reject } of unsent.values()) reject(new Error(`Closed: ${code}`));
		options.onState?.(isClosed ? 'closed' : 'waiting', code);
	}

	function receive(own: WebSocket, frame: Frame) {
		wait(heartbeatMs, () => {
			tell({ type: 'ping' });
			wait(heartbeatMs, lose); // silence again: it is dead, whatever the system says
		});
		options.onFrame?.(frame);
		if (frame.type === 'connected') {
			heartbeatMs = Number(frame.heartbeat_ms);
			readyAt = Date.now();
			for (const { frame } of unsent.values()) tell(frame);
		}
		if (frame.type === 'server.shutdown') comeBackAfterMs = Number(frame.reconnect_after_ms);
		if (frame.request_id !== undefined) settle(frame);
		else if (frame.type !== 'pong') {
			// Of a socket that is lost, what was not applied yet comes again.
			const apply = () => (own === ws ? pass(frame) : undefined);
			work = work.then(apply).catch(() => own === ws && lose());
		}
	}

	async function pass(frame: Frame) {
		const { type, room_id, last_seq } = frame as Frame & { room_id: string; last_seq: number };
		if (type === 'connected') head = frame.cursor;
		const isNew = type === 'connected' && cursor === undefined;
		if (isNew || type === 'resync') {
			seqs.clear();
			await options.onResync(String(frame.reason ?? 'start'));
			cursor = head;
		}
		if (isNew || type === 'resync' || type === 'replay.done') options.onState?.('live');
		else if (type === 'connected' || (frame.cursor && cursor && frame.cursor <= cursor)) return;
		else if (type === 'message') await take(frame as Message);
		else if (type !== 'room.gap') await options.onEvent?.(frame);
		else await options.onGap({ room_id, last_seq, after_seq: seqs.get(room_id) ?? 0 });
		cursor = frame.cursor ?? cursor;
	}

	async function take(message: Message) {
		if (message.seq <= (seqs.get(message.room_id) ?? 0)) return;
		await options.onMessage(message);
		seqs.set(message.room_id, message.seq);
	}

	/** Sends a frame now or never: `read`, `ack`, `ping`. */
	function tell(frame: Frame) {
		if (readyAt !== undefined && ws?.readyState === 1) ws.send(JSON.stringify(frame));
	}

	/** Stores a message once, however often it takes; `onMessage` brings it too. Rejects if refused. */
	function send(room_id: string, content: string, meta: unknown = null): Promise<Message> {
		const request_id = `${Date.now()}-${Math.random()}`;
		return new Promise((resolve, reject) => {
			if (isClosed) return reject(new Error('Closed'));
			const fields = { room_id, content, meta, client_msg_id: request_id };
			const frame = { type: 'send_message', request_id, ...fields };
			unsent.set(request_id, { frame, resolve, reject });
			tell(frame);
		});
	}

	function settle({ type, request_id, data, message, retryable, retry_after_ms }: Frame) {
		const own = unsent.get(request_id);
		if (own && retryable) setTimeout(tell, Number(retry_after_ms ?? 1000), own.frame);
		else if (unsent.delete(request_id))
			type === 'reply' ? own?.resolve(data as Message) : own?.reject(new Error(String(message)));
	}

	wait(0, connect);
	return { send, take, tell, close: () => lose(1000, true), cursor: () => cursor };
}
