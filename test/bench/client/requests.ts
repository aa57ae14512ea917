import { ChatSocket } from './chat-socket.ts';
import { Latencies, Problems } from './checks.ts';
import { type Connection, connect, openAll } from './connection.ts';
import {
	type Ask,
	CONTENT,
	CONTENT_DIGITS,
	credentialLines,
	type Job,
	type Load,
	type Seat,
} from './load.ts';
import { Finder, numberAt, ResponseReader } from './wire.ts';

type RequestsJob = Extract<Job, { kind: 'requests' }>;

/** Messages of a page of history. */
export const HISTORY_PAGE = 50;
/** As many as the smallest room has: the answers are alike, whatever the size of what they are cut from. */
const MEMBERS_PAGE = 2;
const ROOMS_PAGE = 1;

/**
 * Clients on keep-alive connections, each of which asks one kind of thing of a seat at random, again
 * and again. `done` counts answers.
 */
export class Requests implements Load {
	done = 0;
	outstanding = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	readonly job: RequestsJob;
	/** By index of the seat: what was answered to its sends. */
	readonly #sent = new Map<number, SentSeqs>();
	#askers: Asker[] = [];
	#listeners: ChatSocket[] = [];
	#isRunning = false;

	static async open(job: RequestsJob): Promise<Requests> {
		const load = new Requests(job);
		load.#listeners = await openAll(job.seats.slice(0, job.listeners), (seat) =>
			load.#listen(seat),
		);
		const indices = Array.from({ length: job.clients }, (_, index) => index);
		load.#askers = await openAll(indices, async (index) => {
			const connection = await connect(job.endpoint.port);
			return new Asker(load, connection, index);
		});
		return load;
	}

	private constructor(job: RequestsJob) {
		this.job = job;
	}

	/** A socket that is to hear every message of its room once and in order. */
	async #listen({ api_key, user_id, room_id }: Seat): Promise<ChatSocket> {
		const { endpoint, socket_path } = this.job;
		const path = socket_path.endsWith('=') ? socket_path + room_id : socket_path;
		const seat = { user_id, room_id, path };
		const socket = await ChatSocket.open({ ...endpoint, api_key }, seat, this.problems);
		socket.onMessage = () => void this.outstanding--;
		return socket;
	}

	start(): void {
		this.#isRunning = true;
		for (const asker of this.#askers) asker.ask();
	}

	stop(): void {
		this.#isRunning = false;
	}

	/** Counts a request, and the message that a listener of its seat will be told of. */
	begin(seat: number, isSend: boolean): void {
		this.outstanding += isSend && seat < this.job.listeners ? 2 : 1;
	}

	/** An answer has arrived; true when its client shall ask again. */
	finish(): boolean {
		this.done++;
		this.outstanding--;
		if (!this.#isRunning && this.outstanding === 0) this.#requireNoGap();
		return this.#isRunning;
	}

	/** The highest seq that was answered to a send of this seat; 0 before the first. */
	highest(seat: number): number {
		return this.#sent.get(seat)?.high ?? 0;
	}

	sent(seat: number, seq: number): void {
		let sent = this.#sent.get(seat);
		if (sent === undefined) {
			sent = { low: seq, high: seq, seqs: new Set() };
			this.#sent.set(seat, sent);
		}
		if (sent.seqs.has(seq)) this.problems.add('a seq was answered twice');
		sent.seqs.add(seq);
		sent.low = Math.min(sent.low, seq);
		sent.high = Math.max(sent.high, seq);
	}

	/** All sends of all rooms together; none for a mixed load, which reads back what it has sent. */
	answered(): Record<string, number> {
		if (this.job.ask === 'mixed') return {};
		let all = 0;
		for (const { seqs } of this.#sent.values()) all += seqs.size;
		return { all };
	}

	close(): void {
		for (const asker of this.#askers) asker.close();
		for (const listener of this.#listeners) listener.close();
	}

	#requireNoGap(): void {
		for (const { low, high, seqs } of this.#sent.values()) {
			if (high - low + 1 !== seqs.size) this.problems.add('a seq was never answered');
		}
	}
}

interface SentSeqs {
	low: number;
	high: number;
	readonly seqs: Set<number>;
}

const SEQ_MARKER = '"seq":';
/** Of one answer in so many, every item is counted. */
const FULL_CHECK_EVERY = 50;

class Asker {
	readonly #load: Requests;
	readonly #connection: Connection;
	readonly #seq = new Finder(SEQ_MARKER);
	readonly #content = new Finder('"content":"');
	readonly #run = crypto.randomUUID().slice(0, 8);
	#random: number;
	#number: number;
	#asked = 0;
	#ask: Exclude<Ask, 'mixed'> | 'recent' = 'send';
	#seat = 0;
	#after = 0;
	/** Of the sends that were answered when a page was asked for. */
	#highest = 0;
	#sentAt = 0;

	constructor(load: Requests, connection: Connection, index: number) {
		this.#load = load;
		this.#connection = connection;
		this.#random = index + 1;
		this.#number = index * 1e9;
		const reader = new ResponseReader((status, bytes, start, end) =>
			this.#receive(status, bytes, start, end),
		);
		connection.onData = (chunk) => reader.push(chunk);
		connection.onLost = (reason) => load.problems.add(reason);
	}

	ask(): void {
		const { seats } = this.#load.job;
		this.#seat = this.#below(seats.length);
		const seat = seats[this.#seat];
		if (seat === undefined) throw new Error('no seats');
		const { ask } = this.#load.job;
		// Two sends for each page.
		this.#ask = ask !== 'mixed' ? ask : this.#below(3) === 0 ? 'recent' : 'send';
		const request = Buffer.from(this.#requestOf(seat));
		this.#asked++;
		this.#load.begin(this.#seat, this.#isSend);
		this.#sentAt = performance.now();
		this.#connection.write(request);
	}

	close(): void {
		this.#connection.close();
	}

	get #isSend(): boolean {
		return this.#ask === 'send' || this.#ask === 'send_once';
	}

	/** Numerical Recipes' linear congruential generator: the same choices in every round and size. */
	#below(count: number): number {
		this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
		return Math.floor((this.#random / 2 ** 32) * count);
	}

	#requestOf(seat: Seat): string {
		const room = `/rooms/${seat.room_id}`;
		const endpoint = { ...this.#load.job.endpoint, api_key: seat.api_key };
		const credentials = credentialLines(endpoint, seat.user_id);
		const get = (target: string) => `GET ${target} HTTP/1.1\r\n${credentials}\r\n`;
		switch (this.#ask) {
			case 'history':
				this.#after = this.#below(seat.stored - HISTORY_PAGE + 1);
				return get(`${room}/messages?limit=${HISTORY_PAGE}&after_seq=${this.#after}`);
			case 'recent':
				this.#highest = this.#load.highest(this.#seat);
				this.#after = Math.max(0, this.#highest - HISTORY_PAGE);
				return get(`${room}/messages?limit=${HISTORY_PAGE}&after_seq=${this.#after}`);
			case 'rooms':
				return get(`/rooms?limit=${ROOMS_PAGE}`);
			case 'members':
				return get(`${room}/members?limit=${MEMBERS_PAGE}`);
			default: {
				const content =
					(++this.#number).toString().padStart(CONTENT_DIGITS, '0') + CONTENT.slice(CONTENT_DIGITS);
				const once =
					this.#ask === 'send_once' ? { client_msg_id: `${this.#run}-${this.#number}` } : {};
				const body = JSON.stringify({ content, ...once });
				return (
					`POST ${room}/messages HTTP/1.1\r\n` +
					credentials +
					`Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
				);
			}
		}
	}

	#receive(status: number, bytes: Buffer, start: number, end: number): void {
		const { problems, latencies } = this.#load;
		latencies.add(performance.now() - this.#sentAt);
		const isSend = this.#isSend;
		if (status !== (isSend ? 201 : 200)) {
			// Without the request id: the same mistake is told once.
			const { error } = JSON.parse(bytes.toString('utf8', start, end));
			problems.add(`status ${status} ${error?.code}: ${error?.message}`);
			this.#load.outstanding--;
			return;
		}
		if (isSend) this.#checkSend(bytes, start, end);
		else this.#checkPage(bytes, start, end);
		if (this.#load.finish()) this.ask();
	}

	#checkSend(bytes: Buffer, start: number, end: number): void {
		const content = this.#content.after(bytes, start, end);
		if (content === -1 || numberAt(bytes, content) !== this.#number) {
			this.#load.problems.add('an answer belongs to another request');
		}
		this.#load.sent(this.#seat, numberAt(bytes, this.#seq.after(bytes, start, end)));
	}

	#checkPage(bytes: Buffer, start: number, end: number): void {
		const ask = this.#ask;
		if (ask === 'history' || ask === 'recent') {
			const first = this.#seq.after(bytes, start, end);
			const last = bytes.lastIndexOf(SEQ_MARKER, end) + SEQ_MARKER.length;
			const isPage =
				ask === 'history'
					? numberAt(bytes, last) === this.#after + HISTORY_PAGE
					: this.#highest === 0 || numberAt(bytes, last) >= this.#highest;
			const isBegin =
				first === -1 ? this.#highest === 0 : numberAt(bytes, first) === this.#after + 1;
			if (!isPage || !isBegin) this.#load.problems.add('a page begins or ends at the wrong seq');
			if (ask === 'recent') return;
		}
		if (this.#asked % FULL_CHECK_EVERY !== 1) return;
		const page = JSON.parse(bytes.toString('utf8', start, end));
		const { length } =
			ask === 'history' ? page.messages : ask === 'rooms' ? page.rooms : page.members;
		const expected = { history: HISTORY_PAGE, rooms: ROOMS_PAGE, members: MEMBERS_PAGE };
		if (length !== expected[ask as keyof typeof expected]) {
			this.#load.problems.add(`a page of ${length} items`);
		}
	}
}
