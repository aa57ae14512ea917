import { Latencies, Problems } from './checks.ts';
import { type Connection, connect, openAll } from './connection.ts';
import { CONTENT, credentialLines, type Job, type Load } from './load.ts';
import { ResponseReader } from './wire.ts';

type FloodJob = Extract<Job, { kind: 'flood' }>;

/** Clients that ask as fast as they are answered, whatever the answer is. `done` counts answers. */
export class Flood implements Load {
	done = 0;
	outstanding = 0;
	readonly latencies = new Latencies();
	readonly problems = new Problems();
	readonly #request: Buffer;
	#connections: Connection[] = [];
	#isRunning = false;

	static async open(job: FloodJob): Promise<Flood> {
		const load = new Flood(job);
		load.#connections = await openAll(Array.from({ length: job.clients }), async () => {
			const connection = await connect(job.endpoint.port);
			const reader = new ResponseReader(() => load.#finish(connection));
			connection.onData = (chunk) => reader.push(chunk);
			connection.onLost = (reason) => load.problems.add(reason);
			return connection;
		});
		return load;
	}

	private constructor(job: FloodJob) {
		this.#request = Buffer.from(requestOf(job));
	}

	start(): void {
		this.#isRunning = true;
		for (const connection of this.#connections) this.#ask(connection);
	}

	stop(): void {
		this.#isRunning = false;
	}

	answered(): Record<string, number> {
		return {};
	}

	close(): void {
		for (const connection of this.#connections) connection.close();
	}

	#ask(connection: Connection): void {
		this.outstanding++;
		connection.write(this.#request);
	}

	#finish(connection: Connection): void {
		this.done++;
		this.outstanding--;
		if (this.#isRunning) this.#ask(connection);
	}
}

function requestOf({ endpoint, room_id, user_id, page }: FloodJob): string {
	const credentials = credentialLines(endpoint, user_id);
	const path = `/rooms/${room_id}/messages`;
	if (page > 0) return `GET ${path}?limit=${page} HTTP/1.1\r\n${credentials}\r\n`;
	const body = JSON.stringify({ content: CONTENT });
	return (
		`POST ${path} HTTP/1.1\r\n${credentials}Content-Type: application/json\r\n` +
		`Content-Length: ${body.length}\r\n\r\n${body}`
	);
}
