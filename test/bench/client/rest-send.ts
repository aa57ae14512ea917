import { Latencies, Problems, SeqLedger } from './checks.ts';
import { type Connection, connect, openAll } from './connection.ts';
import {
	CONTENT,
	CONTENT_DIGITS,
	credentialLines,
	type Endpoint,
	type Job,
	type Load,
} from './load.ts';
import { Finder, numberAt, ResponseReader, writeNumber } from './wire.ts';

const CONTENT_MARKER = '"content":"';

const TICK_MS = 1;

/**
 * Clients on keep-alive connections, each sending its next message when the last one is answered; or,
 * at a given pace, when one is due, and then the latency counts from that moment on.
 */
export class RestSend implements Load {
	done = 0;
	outstanding = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	readonly #ledger = new SeqLedger();
	readonly #roomId: string;
	readonly #pace: number;
	#clients: Client[] = [];
	/** Those without a request under way, when there is a pace. */
	#idle: Client[] = [];
	#isRunning = false;
	#timer: Timer | undefined;
	#nextAt = 0;

	static async open(job: Extract<Job, { kind: 'rest_send' }>): Promise<RestSend> {
		const load = new RestSend(job);
		load.#clients = await openAll(job.users, async (userId, index) => {
			const connection = await connect(job.endpoint.port);
			const request = requestFor(job.endpoint, job.room_id, userId);
			return new Client(load, connection, request, index);
		});
		return load;
	}

	private constructor({ room_id, pace }: Extract<Job, { kind: 'rest_send' }>) {
		this.#roomId = room_id;
		this.#pace = pace;
	}

	start(): void {
		this.#isRunning = true;
		if (this.#pace === 0) {
			for (const client of this.#clients) client.send(performance.now());
			return;
		}
		this.#idle = [...this.#clients];
		this.#nextAt = performance.now();
		this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
	}

	stop(): void {
		this.#isRunning = false;
		clearInterval(this.#timer);
	}

	/** What finds no idle client waits for one, and its latency grows meanwhile. */
	#sendDue(): void {
		const now = performance.now();
		while (this.#isRunning && this.#nextAt <= now) {
			// The one that has waited longest: a server closes a connection on which nothing is said.
			const client = this.#idle.shift();
			if (client === undefined) return;
			client.send(this.#nextAt);
			this.#nextAt += 1_000 / this.#pace;
		}
	}

	/** One answer has arrived: its client sends again, or waits for what is due. */
	finish(client: Client, seq: number): void {
		this.done++;
		this.outstanding--;
		if (!this.#ledger.add(seq)) this.problems.add('a seq was answered twice');
		if (this.outstanding === 0 && this.#ledger.hasGap)
			this.problems.add('a seq was never answered');
		if (!this.#isRunning) return;
		if (this.#pace === 0) {
			client.send(performance.now());
			return;
		}
		this.#idle.push(client);
		this.#sendDue();
	}

	answered(): Record<string, number> {
		return { [this.#roomId]: this.#ledger.count };
	}

	close(): void {
		for (const client of this.#clients) client.close();
	}
}

function requestFor(endpoint: Endpoint, roomId: string, userId: string): Buffer {
	const body = JSON.stringify({ content: CONTENT });
	return Buffer.from(
		`POST /rooms/${roomId}/messages HTTP/1.1\r\n${credentialLines(endpoint, userId)}` +
			`Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
	);
}

class Client {
	readonly #load: RestSend;
	readonly #connection: Connection;
	readonly #request: Buffer;
	readonly #numberAt: number;
	readonly #seq = new Finder('"seq":');
	readonly #content = new Finder(CONTENT_MARKER);
	#number: number;
	#sentAt = 0;

	constructor(load: RestSend, connection: Connection, request: Buffer, index: number) {
		this.#load = load;
		this.#connection = connection;
		this.#request = request;
		this.#numberAt = request.lastIndexOf(CONTENT_MARKER) + CONTENT_MARKER.length;
		this.#number = index * 1e9;
		const reader = new ResponseReader((status, bytes, start, end) =>
			this.#receive(status, bytes, start, end),
		);
		connection.onData = (chunk) => reader.push(chunk);
		connection.onLost = (reason) => load.problems.add(reason);
	}

	/** @param dueAt - where its latency begins. */
	send(dueAt: number): void {
		writeNumber(this.#request, this.#numberAt, CONTENT_DIGITS, ++this.#number);
		this.#load.outstanding++;
		this.#sentAt = dueAt;
		this.#connection.write(this.#request);
	}

	close(): void {
		this.#connection.close();
	}

	#receive(status: number, bytes: Buffer, start: number, end: number): void {
		const { problems, latencies } = this.#load;
		latencies.add(performance.now() - this.#sentAt);
		if (status !== 201) {
			// Not answered with a message: no further sends on this client, the figure is void anyway.
			problems.add(
				`status ${status}: ${bytes.toString('utf8', start, Math.min(end, start + 200))}`,
			);
			this.#load.outstanding--;
			return;
		}
		const content = this.#content.after(bytes, start, end);
		if (content === -1 || numberAt(bytes, content) !== this.#number) {
			problems.add('an answer belongs to another request');
		}
		const seq = this.#seq.after(bytes, start, end);
		this.#load.finish(this, seq === -1 ? 0 : numberAt(bytes, seq));
	}
}
