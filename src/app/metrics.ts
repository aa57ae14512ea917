import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock } from '../core/clock.ts';
import type { OutputOf } from '../core/operation.ts';
import type { DiskGuard } from '../db/disk-guard.ts';
import type { Writer } from '../db/writer.ts';
import type { getMetrics } from '../features/status/schema.ts';
import type { Connections } from '../realtime/connections.ts';
import type { Hub } from '../realtime/hub.ts';

export interface MetricsDeps {
	connections: Connections;
	hub: Hub;
	clock: Clock;
	version: string;
}

/** From a cached answer to a request that waited for the disk and its queue. */
const LATENCY_BUCKETS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/**
 * What the server counts, as Prometheus text and as the few figures of the first seed. What others
 * count already is read when asked for; only answers are counted here, as they are given.
 */
export function createMetrics({ connections, hub, clock, version }: MetricsDeps) {
	const register = new Registry();
	collectDefaultMetrics({ register });
	const observe = createObserver(register);
	const gauge = (name: string, help: string, value: () => number) =>
		new Gauge({
			...{ name, help, registers: [register] },
			collect() {
				this.set(value());
			},
		});
	const counter = (name: string, help: string, value: () => number) =>
		new Counter({
			...{ name, help, registers: [register] },
			collect() {
				this.reset();
				this.inc(value());
			},
		});

	const startedAt = clock.monotonic();
	const uptimeS = () => (clock.monotonic() - startedAt) / 1000;
	const { counters } = hub;
	let messagesSent = 0;
	gauge('chatapi_uptime_seconds', 'Since the start', uptimeS);
	gauge('chatapi_connections', 'Open sockets', () => connections.size);
	counter('chatapi_messages_sent_total', 'Messages stored', () => messagesSent);
	counter('chatapi_deliveries_total', 'Frames sent to subscribers', () => counters.deliveries);
	counter('chatapi_dropped_publications_total', 'Not taken by some socket', () => counters.drops);
	counter('chatapi_slow_consumers_total', 'Closed: they lagged', () => counters.slow_consumers);
	const info = { name: 'chatapi_info', help: 'The version that runs', labelNames: ['version'] };
	new Gauge({ ...info, registers: [register] }).set({ version }, 1);

	return {
		observe,

		/** Counts a stored message. */
		countMessage: (): void => {
			messagesSent++;
		},

		/** Adds the figures of what is made after the metrics: the writer counts into them. */
		watch({ counters }: Pick<Writer<unknown>, 'counters'>, disk: Pick<DiskGuard, 'freeBytes'>) {
			counter('chatapi_commits_total', 'Commits to disk', () => counters.commits);
			counter('chatapi_changes_total', 'Changes in those commits', () => counters.changes);
			gauge('chatapi_writer_queue', 'Changes that wait for the writer', () => counters.queued);
			gauge('chatapi_disk_free_bytes', 'Free for the data directory', () => disk.freeBytes);
		},

		text: async () => ({ body: await register.metrics(), type: register.contentType }),

		figures: async (): Promise<OutputOf<typeof getMetrics>> => ({
			active_connections: connections.size,
			messages_sent: messagesSent,
			delivery_attempts: counters.deliveries,
			delivery_failures: counters.slow_consumers,
			broadcast_drops: counters.drops,
			uptime_seconds: Math.floor(uptimeS()),
		}),
	};
}

export type Metrics = ReturnType<typeof createMetrics>;

/** What is known of one operation's answers. */
interface Tally {
	duration: Histogram.Internal<'operation'>;
	/** By status. */
	answers: Map<number, number>;
}

/** Makes what counts an answer of either face: numbers of our own, for a counter hashes its labels each time. */
function createObserver(register: Registry) {
	const tallies = new Map<string, Tally>();
	const latency = new Histogram({
		name: 'chatapi_operation_duration_seconds',
		help: 'From a request or frame to its answer',
		labelNames: ['operation'],
		buckets: LATENCY_BUCKETS_S,
		registers: [register],
	});
	new Counter({
		name: 'chatapi_operations_total',
		help: 'Requests and frames answered, by operation and status',
		labelNames: ['operation', 'status'],
		registers: [register],
		collect() {
			this.reset();
			for (const [operation, { answers }] of tallies) {
				for (const [status, count] of answers) this.inc({ operation, status }, count);
			}
		},
	});

	return function observe(operation: string, status: number, ms: number): void {
		let tally = tallies.get(operation);
		if (tally === undefined) {
			tally = { duration: latency.labels({ operation }), answers: new Map() };
			tallies.set(operation, tally);
		}
		tally.answers.set(status, (tally.answers.get(status) ?? 0) + 1);
		tally.duration.observe(ms / 1000);
	};
}
