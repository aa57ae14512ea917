import type { Socket } from 'bun';
import { Latencies, Problems } from './checks.ts';
import type { Job, Load } from './load.ts';
import { numberAt, upgradeRequest } from './wire.ts';

const TICK_MS = 1;

type ConnectsJob = Extract<Job, { kind: 'connects' }>;

/**
 * Users that connect, hear `connected`, and leave, over and over. `done` counts connections.
 *
 * Nothing of it is awaited and nothing is made anew for a connection but the connection: what is left
 * is the system's part, 85 to 95 % of the time of this process, for on the loopback both ends of a
 * handshake run within the call that begins it.
 */
export class Connects implements Load {
	done = 0;
	outstanding = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	isRunning = false;
	readonly #visitors: readonly Visitor[];
	readonly #pace: number;
	/** Those that are not there, when there is a pace. */
	#away: Visitor[] = [];
	#timer: Timer | undefined;
	#nextAt = 0;

	static async open(job: ConnectsJob): Promise<Connects> {
		return new Connects(job);
	}

	private constructor({ endpoint, sockets, pace = 0 }: ConnectsJob) {
		this.#pace = pace;
		this.#visitors = sockets.map(
			(seat) => new Visitor(this, endpoint.port, upgradeRequest(endpoint, seat)),
		);
	}

	start(): void {
		this.isRunning = true;
		if (this.#pace === 0) {
			for (const visitor of this.#visitors) visitor.come();
			return;
		}
		this.#away = [...this.#visitors];
		this.#nextAt = performance.now();
		this.#timer = setInterval(() => this.#keepPace(), TICK_MS);
	}

	stop(): void {
		this.isRunning = false;
		clearInterval(this.#timer);
	}

	/** Who comes next, now that this one has left. */
	leave(visitor: Visitor): void {
		if (!this.isRunning) return;
		if (this.#pace === 0) visitor.come();
		else this.#away.push(visitor);
	}

	#keepPace(): void {
		for (const now = performance.now(); this.#nextAt <= now; ) {
			const visitor = this.#away.shift();
			if (visitor === undefined) return;
			visitor.come();
			this.#nextAt += 1_000 / this.#pace;
		}
	}

	answered(): Record<string, number> {
		return {};
	}

	close(): void {}
}

const CONNECTED = Buffer.from('{"type":"connected"');
const SWITCHING_PROTOCOLS = 101;

/** One user, with one connection at a time. */
class Visitor {
	readonly #load: Connects;
	readonly #request: Buffer;
	readonly #options: Bun.TCPSocketConnectOptions<Visitor>;
	/** Undefined between two visits: what the system still tells of the last one is no loss. */
	#socket: Socket<Visitor> | undefined;
	#begin = 0;
	#heard: Buffer | undefined;

	constructor(load: Connects, port: number, request: Buffer) {
		this.#load = load;
		this.#request = request;
		this.#options = { hostname: '127.0.0.1', port, data: this, socket: HANDLERS };
	}

	come(): void {
		this.#load.outstanding++;
		this.#begin = performance.now();
		Bun.connect(this.#options).catch((error: Error) => this.#fail(error.message));
	}

	enter(socket: Socket<Visitor>): void {
		this.#socket = socket;
		const written = socket.write(this.#request);
		if (written !== this.#request.length) this.#fail('the socket takes no bytes');
	}

	hear(socket: Socket<Visitor>, chunk: Buffer): void {
		if (socket !== this.#socket) return;
		const bytes = this.#heard === undefined ? chunk : Buffer.concat([this.#heard, chunk]);
		if (bytes.indexOf(CONNECTED) === -1) {
			// A refusal is one chunk; the frame may come after the head.
			if (numberAt(bytes, 'HTTP/1.1 '.length) === SWITCHING_PROTOCOLS) this.#heard = bytes;
			else this.#fail(`upgrade refused: ${bytes.toString('utf8', 0, 300)}`);
			return;
		}
		const { latencies } = this.#load;
		latencies.add(performance.now() - this.#begin);
		this.#load.done++;
		this.#leave();
		this.#load.leave(this);
	}

	/** Ended by the other side, or by an error. */
	lose(socket: Socket<Visitor>, reason: string): void {
		if (socket === this.#socket) this.#fail(reason);
	}

	/** This user does not come again: the figure is void anyway. */
	#fail(reason: string): void {
		this.#load.problems.add(reason);
		this.#leave();
	}

	/** With a reset: an orderly end would keep the port for a minute, and there are 28,000 of them. */
	#leave(): void {
		const socket = this.#socket;
		this.#socket = undefined;
		this.#heard = undefined;
		this.#load.outstanding--;
		socket?.terminate();
	}
}

const HANDLERS: Bun.SocketHandler<Visitor> = {
	open: (socket) => socket.data.enter(socket),
	data: (socket, chunk) => socket.data.hear(socket, chunk),
	close: (socket) => socket.data.lose(socket, 'the server closed the connection'),
	error: (socket, error) => socket.data.lose(socket, error.message),
};
