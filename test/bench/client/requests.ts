import { Asker } from './asker.ts';
import { ChatSocket } from './chat-socket.ts';
import { Latencies, Problems } from './checks.ts';
import { connect, openAll } from './connection.ts';
import type { Job, Load, Seat } from './load.ts';
import { Speaker } from './speaker.ts';

export type RequestsJob = Extract<Job, { kind: 'requests' }>;

/** Messages of a page of history. */
export const HISTORY_PAGE = 50;

/**
 * Clients on keep-alive connections, each of which asks one kind of thing of a seat at random, again
 * and again; of a mixed load, half of the sends go over the sockets of the listeners. `done` counts
 * answers and replies.
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
	/** By index of the seat: the sockets that hear its room, and may send to it. */
	#speakers: Speaker[] = [];
	#isRunning = false;

	static async open(job: RequestsJob): Promise<Requests> {
		const load = new Requests(job);
		load.#speakers = await openAll(job.seats.slice(0, job.listeners), (seat, index) =>
			load.#listen(seat, index),
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
	async #listen({ api_key, user_id, room_id }: Seat, index: number): Promise<Speaker> {
		const { endpoint, socket_path } = this.job;
		const path = socket_path.endsWith('=') ? socket_path + room_id : socket_path;
		const seat = { user_id, room_id, path };
		const socket = await ChatSocket.open({ ...endpoint, api_key }, seat, this.problems);
		socket.onMessage = () => this.#settle();
		return new Speaker(this, socket, { seat: index, room_id });
	}

	/** The socket of a seat below `job.listeners`. */
	speaker(seat: number): Speaker {
		const speaker = this.#speakers[seat];
		if (speaker === undefined) throw new Error('no socket for this seat');
		return speaker;
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
		this.#settle();
		return this.#isRunning;
	}

	#settle(): void {
		this.outstanding--;
		if (!this.#isRunning && this.outstanding === 0) this.#requireNoGap();
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
		for (const speaker of this.#speakers) speaker.close();
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
