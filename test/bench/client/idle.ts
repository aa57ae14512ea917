import { ChatSocket } from './chat-socket.ts';
import { Latencies, Problems } from './checks.ts';
import { openAll } from './connection.ts';
import type { Job, Load } from './load.ts';

/** Sockets that are open and say nothing. */
export class Idle implements Load {
	readonly done = 0;
	readonly outstanding = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	#sockets: ChatSocket[] = [];

	static async open(job: Extract<Job, { kind: 'idle' }>): Promise<Idle> {
		const load = new Idle();
		load.#sockets = await openAll(job.sockets, (seat) =>
			ChatSocket.open(job.endpoint, seat, load.problems),
		);
		return load;
	}

	answered(): Record<string, number> {
		return {};
	}

	start(): void {}

	stop(): void {}

	close(): void {
		for (const socket of this.#sockets) socket.close();
	}
}
