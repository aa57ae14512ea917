import { ChatSocket, FrameWriter } from './chat-socket.ts';
import { Latencies, Problems, SeqLedger } from './checks.ts';
import { openAll } from './connection.ts';
import type { Job, Load } from './load.ts';

/** Messages that may be under way at once; a power of two, for it indexes a ring. */
const UNDER_WAY_MAX = 1024;
const RING = UNDER_WAY_MAX - 1;
const TICK_MS = 1;

type FanOutJob = Extract<Job, { kind: 'fan_out' }>;

/**
 * One room, many receivers, one of which sends: at a fixed pace, or as fast as a few messages in
 * flight allow, where "in flight" ends when the last receiver has it. `done` counts deliveries.
 */
export class FanOut implements Load {
	done = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	readonly #job: FanOutJob;
	readonly #frames: FrameWriter;
	readonly #ledger = new SeqLedger();
	/** By seq: how many receivers have it, and when it was sent. */
	readonly #reached = new Uint16Array(UNDER_WAY_MAX);
	readonly #sentAt = new Float64Array(UNDER_WAY_MAX);
	#complete = 0;
	#receivers: ChatSocket[] = [];
	#isRunning = false;
	#timer: Timer | undefined;
	#nextAt = 0;

	static async open(job: FanOutJob): Promise<FanOut> {
		const load = new FanOut(job);
		load.#receivers = await openAll(job.receivers, async (seat) => {
			const socket = await ChatSocket.open(job.endpoint, seat, load.problems);
			socket.onMessage = job.pace > 0 ? load.#receiveTimed : load.#receive;
			if (job.pace === 0) socket.onChunkEnd = load.#refill;
			socket.onReply = load.#receiveReply;
			return socket;
		});
		return load;
	}

	private constructor(job: FanOutJob) {
		this.#job = job;
		this.#frames = new FrameWriter(job.receivers[0]?.room_id ?? '', job.in_flight);
	}

	/** Messages that are not answered or have not reached everybody. */
	get outstanding(): number {
		return this.#frames.last - Math.min(this.#complete, this.#ledger.count);
	}

	start(): void {
		this.#isRunning = true;
		if (this.#job.pace === 0) {
			this.#send(this.#job.in_flight);
			return;
		}
		this.#nextAt = performance.now();
		this.#timer = setInterval(() => this.#keepPace(), TICK_MS);
	}

	stop(): void {
		this.#isRunning = false;
		clearInterval(this.#timer);
	}

	answered(): Record<string, number> {
		return { [this.#job.receivers[0]?.room_id ?? '']: this.#ledger.count };
	}

	close(): void {
		for (const receiver of this.#receivers) receiver.close();
	}

	#keepPace(): void {
		for (const now = performance.now(); this.#nextAt <= now; ) {
			if (this.#frames.last - this.#complete >= UNDER_WAY_MAX / 2) {
				this.problems.add('the receivers could not follow the pace');
				this.stop();
				return;
			}
			this.#send(1);
			this.#nextAt += 1_000 / this.#job.pace;
		}
	}

	#send(count: number): void {
		const frames = this.#frames.take(count);
		const now = performance.now();
		for (let seq = this.#frames.last - count + 1; seq <= this.#frames.last; seq++) {
			this.#reached[seq & RING] = 0;
			this.#sentAt[seq & RING] = now;
		}
		this.#receivers[0]?.write(frames);
	}

	// The one sender's messages are the room's only ones: the nth frame sent must become seq n. That
	// every receiver sees 1, 2, 3… is checked by its socket; here each seq must reach all of them.
	readonly #receive = (seq: number): void => {
		this.done++;
		const reached = (this.#reached[seq & RING] ?? 0) + 1;
		this.#reached[seq & RING] = reached;
		if (reached === this.#receivers.length) this.#complete++;
	};

	readonly #receiveTimed = (seq: number): void => {
		this.#receive(seq);
		this.latencies.add(performance.now() - (this.#sentAt[seq & RING] ?? 0));
	};

	readonly #receiveReply = (requestId: number, seq: number): void => {
		if (seq !== requestId || !this.#ledger.add(seq)) this.problems.add('a reply has the wrong seq');
	};

	readonly #refill = (): void => {
		const count = this.#job.in_flight - (this.#frames.last - this.#complete);
		if (count > 0 && this.#isRunning) this.#send(count);
	};
}
