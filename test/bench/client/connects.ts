import { ChatSocket } from './chat-socket.ts';
import { Latencies, Problems } from './checks.ts';
import type { Endpoint, Job, Load, SocketSeat } from './load.ts';

/** Users that connect, hear `connected`, and leave, over and over. `done` counts connections. */
export class Connects implements Load {
	done = 0;
	outstanding = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	readonly #endpoint: Endpoint;
	readonly #sockets: readonly SocketSeat[];
	#isRunning = false;

	static async open(job: Extract<Job, { kind: 'connects' }>): Promise<Connects> {
		return new Connects(job.endpoint, job.sockets);
	}

	private constructor(endpoint: Endpoint, sockets: readonly SocketSeat[]) {
		this.#endpoint = endpoint;
		this.#sockets = sockets;
	}

	start(): void {
		this.#isRunning = true;
		for (const seat of this.#sockets) void this.#comeAndGo(seat);
	}

	stop(): void {
		this.#isRunning = false;
	}

	answered(): Record<string, number> {
		return {};
	}

	close(): void {}

	async #comeAndGo(seat: SocketSeat): Promise<void> {
		while (this.#isRunning) {
			this.outstanding++;
			const begin = performance.now();
			try {
				const socket = await ChatSocket.open(this.#endpoint, seat, this.problems);
				this.latencies.add(performance.now() - begin);
				this.done++;
				socket.close();
			} catch (error) {
				this.problems.add(error instanceof Error ? error.message : String(error));
				return;
			} finally {
				this.outstanding--;
			}
		}
	}
}
