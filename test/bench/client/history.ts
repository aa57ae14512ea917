import { Latencies, Problems } from './checks.ts';
import { type Connection, connect, openAll } from './connection.ts';
import { credentialLines, type Job, type Load } from './load.ts';
import { Finder, numberAt, ResponseReader } from './wire.ts';

type HistoryJob = Extract<Job, { kind: 'history' }>;

/** Clients that read pages at random depth, one after the other. `done` counts pages. */
export class History implements Load {
	done = 0;
	outstanding = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	#readers: Reader[] = [];
	#isRunning = false;

	static async open(job: HistoryJob): Promise<History> {
		const load = new History();
		load.#readers = await openAll(job.users, async (userId, index) => {
			const connection = await connect(job.endpoint.port);
			return new Reader(load, connection, job, { userId, index });
		});
		return load;
	}

	start(): void {
		this.#isRunning = true;
		for (const reader of this.#readers) reader.ask();
	}

	stop(): void {
		this.#isRunning = false;
	}

	finish(): boolean {
		this.done++;
		this.outstanding--;
		return this.#isRunning;
	}

	answered(): Record<string, number> {
		return {};
	}

	close(): void {
		for (const reader of this.#readers) reader.close();
	}
}

/** Every page's size, first and last seq are checked; of one in so many, every message. */
const FULL_CHECK_EVERY = 50;
const SEQ_MARKER = '"seq":';

class Reader {
	readonly #load: History;
	readonly #connection: Connection;
	readonly #job: HistoryJob;
	readonly #target: string;
	readonly #tail: string;
	readonly #firstSeq = new Finder(SEQ_MARKER);
	#random: number;
	#after = 0;
	#asked = 0;
	#sentAt = 0;

	constructor(
		load: History,
		connection: Connection,
		job: HistoryJob,
		who: { userId: string; index: number },
	) {
		this.#load = load;
		this.#connection = connection;
		this.#job = job;
		this.#target = `GET /rooms/${job.room_id}/messages?limit=${job.page}&after_seq=`;
		this.#tail = ` HTTP/1.1\r\n${credentialLines(job.endpoint, who.userId)}\r\n`;
		this.#random = who.index + 1;
		const reader = new ResponseReader((status, bytes, start, end) =>
			this.#receive(status, bytes, start, end),
		);
		connection.onData = (chunk) => reader.push(chunk);
		connection.onLost = (reason) => load.problems.add(reason);
	}

	ask(): void {
		// Numerical Recipes' linear congruential generator: the same depths for both servers.
		this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
		const depths = this.#job.last_seq - this.#job.page + 1;
		this.#after = Math.floor((this.#random / 2 ** 32) * depths);
		this.#asked++;
		this.#load.outstanding++;
		this.#sentAt = performance.now();
		this.#connection.write(Buffer.from(this.#target + this.#after + this.#tail));
	}

	close(): void {
		this.#connection.close();
	}

	#receive(status: number, bytes: Buffer, start: number, end: number): void {
		const { problems, latencies } = this.#load;
		latencies.add(performance.now() - this.#sentAt);
		if (status !== 200) {
			problems.add(
				`status ${status}: ${bytes.toString('utf8', start, Math.min(end, start + 200))}`,
			);
			this.#load.outstanding--;
			return;
		}
		const first = this.#firstSeq.after(bytes, start, end);
		const last = bytes.lastIndexOf(SEQ_MARKER, end) + SEQ_MARKER.length;
		const isPage =
			numberAt(bytes, first) === this.#after + 1 &&
			numberAt(bytes, last) === this.#after + this.#job.page;
		if (!isPage) problems.add('a page begins or ends at the wrong seq');
		if (this.#asked % FULL_CHECK_EVERY === 0) this.#checkAll(bytes.toString('utf8', start, end));
		if (this.#load.finish()) this.ask();
	}

	#checkAll(json: string): void {
		const { messages } = JSON.parse(json);
		const isComplete =
			messages.length === this.#job.page &&
			messages.every(
				(message: { seq: number; content: string }, index: number) =>
					message.seq === this.#after + 1 + index && message.content.length === 100,
			);
		if (!isComplete) this.#load.problems.add('a page is not complete or not in order');
	}
}
