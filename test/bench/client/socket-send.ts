import { ChatSocket, FrameWriter } from './chat-socket.ts';
import { Latencies, Problems } from './checks.ts';
import { openAll } from './connection.ts';
import type { Job, Load } from './load.ts';

/**
 * Sockets that keep a fixed number of sends in flight, each alone in its room: every send costs the
 * server one reply and one delivery, both to this socket. `done` counts replies.
 */
export class SocketSend implements Load {
	done = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	isRunning = false;
	#senders: Sender[] = [];

	static async open(job: Extract<Job, { kind: 'socket_send' }>): Promise<SocketSend> {
		const load = new SocketSend();
		load.#senders = await openAll(job.senders, async (seat) => {
			const socket = await ChatSocket.open(job.endpoint, seat, load.problems);
			return new Sender(load, socket, seat.room_id, job.in_flight);
		});
		return load;
	}

	get outstanding(): number {
		return this.#senders.reduce((sum, sender) => sum + sender.outstanding, 0);
	}

	start(): void {
		this.isRunning = true;
		for (const sender of this.#senders) sender.start();
	}

	stop(): void {
		this.isRunning = false;
	}

	answered(): Record<string, number> {
		return Object.fromEntries(this.#senders.map(({ roomId, answered }) => [roomId, answered]));
	}

	close(): void {
		for (const sender of this.#senders) sender.close();
	}
}

class Sender {
	readonly roomId: string;
	answered = 0;
	readonly #load: SocketSend;
	readonly #socket: ChatSocket;
	readonly #frames: FrameWriter;
	readonly #inFlight: number;
	readonly #sentAt: Float64Array;
	#finished = 0;
	#now = 0;

	constructor(load: SocketSend, socket: ChatSocket, roomId: string, inFlight: number) {
		this.roomId = roomId;
		this.#load = load;
		this.#socket = socket;
		this.#frames = new FrameWriter(roomId, inFlight);
		this.#inFlight = inFlight;
		this.#sentAt = new Float64Array(inFlight);
		socket.onReply = (requestId, seq) => this.#receive(requestId, seq);
		socket.onChunkEnd = () => this.#sendWhatFinished();
	}

	/** Replies that are awaited, and own messages that were answered but not yet delivered. */
	get outstanding(): number {
		return this.#frames.last - Math.min(this.answered, this.#socket.lastSeq);
	}

	start(): void {
		this.#finished = this.#inFlight;
		this.#sendWhatFinished();
	}

	close(): void {
		this.#socket.close();
	}

	#receive(requestId: number, seq: number): void {
		const { problems, latencies } = this.#load;
		// One socket's frames take effect in order, so replies come in the order of the requests and
		// seqs, alone in the room, count up with them: this also finds an answer given twice.
		this.answered++;
		if (requestId !== this.answered) problems.add('a reply is missing, doubled or misplaced');
		if (seq !== requestId) problems.add('a reply has the wrong seq');
		if (this.#finished === 0) this.#now = performance.now();
		latencies.add(this.#now - (this.#sentAt[requestId % this.#inFlight] ?? 0));
		this.#finished++;
		this.#load.done++;
	}

	#sendWhatFinished(): void {
		const count = this.#finished;
		if (count === 0 || !this.#load.isRunning) return;
		this.#finished = 0;
		this.#socket.write(this.#frames.take(count));
		const now = performance.now();
		for (let number = this.#frames.last - count + 1; number <= this.#frames.last; number++) {
			this.#sentAt[number % this.#inFlight] = now;
		}
	}
}
