import type { Connection } from './connection.ts';
import {
	type Ask,
	CONTENT,
	CONTENT_DIGITS,
	credentialLines,
	operatorLines,
	type Seat,
} from './load.ts';
import { HISTORY_PAGE, type Requests } from './requests.ts';
import { Finder, numberAt, ResponseReader } from './wire.ts';

const SEQ_MARKER = '"seq":';
/** Of one answer in so many, every item is counted. */
const FULL_CHECK_EVERY = 50;

/** As many as the smallest room has: the answers are alike, whatever the size of what they are cut from. */
const MEMBERS_PAGE = 2;
const ROOMS_PAGE = 1;
const TENANTS_PAGE = 10;

/** One client: a keep-alive connection with one request at a time, or a send over a seat's socket. */
export class Asker {
	readonly #load: Requests;
	readonly #connection: Connection;
	readonly #seq = new Finder(SEQ_MARKER);
	readonly #content = new Finder('"content":"');
	readonly #run = crypto.randomUUID().slice(0, 8);
	#random: number;
	#number: number;
	#asked = 0;
	/** `recent`: a page of what was sent last; `say`: a send over a socket. */
	#ask: Exclude<Ask, 'mixed'> | 'recent' | 'say' = 'send';
	#seat = 0;
	#after = 0;
	/** Of the sends that were answered when a page was asked for. */
	#highest = 0;
	#sentAt = 0;

	constructor(load: Requests, connection: Connection, index: number) {
		this.#load = load;
		this.#connection = connection;
		this.#random = index + 1;
		// From 1e9 on: below are the numbers of what is sent over sockets.
		this.#number = (index + 1) * 1e9;
		const reader = new ResponseReader((status, bytes, start, end) =>
			this.#receive(status, bytes, start, end),
		);
		connection.onData = (chunk) => reader.push(chunk);
		connection.onLost = (reason) => load.problems.add(reason);
	}

	ask(): void {
		const { seats, ask, listeners } = this.#load.job;
		this.#ask = ask === 'mixed' ? this.#mixedAsk() : ask;
		this.#seat = this.#below(this.#ask === 'say' ? listeners : seats.length);
		const seat = seats[this.#seat];
		if (seat === undefined) throw new Error('no seats');
		if (this.#ask === 'say') {
			this.#load.begin(this.#seat, true);
			this.#sentAt = performance.now();
			this.#load.speaker(this.#seat).say(this.#hearReply);
			return;
		}
		const request = Buffer.from(this.#requestOf(seat));
		this.#asked++;
		this.#load.begin(this.#seat, this.#isSend);
		this.#sentAt = performance.now();
		this.#connection.write(request);
	}

	close(): void {
		this.#connection.close();
	}

	/** Two sends for each page, and every other one over a socket. */
	#mixedAsk(): Exclude<Ask, 'mixed'> | 'recent' | 'say' {
		if (this.#below(3) === 0) return 'recent';
		return this.#below(2) === 0 ? 'say' : 'send';
	}

	readonly #hearReply = (): void => {
		this.#load.latencies.add(performance.now() - this.#sentAt);
		if (this.#load.finish()) this.ask();
	};

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
			case 'tenants':
				return `GET /admin/tenants?limit=${TENANTS_PAGE} HTTP/1.1\r\n${operatorLines(endpoint)}\r\n`;
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
		const { length } = page[ask === 'history' ? 'messages' : ask];
		const expected = {
			history: HISTORY_PAGE,
			rooms: ROOMS_PAGE,
			members: MEMBERS_PAGE,
			tenants: TENANTS_PAGE,
		};
		if (length !== expected[ask as keyof typeof expected]) {
			this.#load.problems.add(`a page of ${length} items`);
		}
	}
}
