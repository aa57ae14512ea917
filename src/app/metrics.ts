import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { OutputOf } from '../core/operation.ts';
import type { Writer } from '../db/writer.ts';
import type { getMetrics } from '../features/status/schema.ts';
import type { Connections } from '../realtime/connections.ts';
import type { Hub } from '../realtime/hub.ts';

export interface MetricsDeps {
	connections: Connections;
	hub: Hub;
	writer: Pick<Writer<unknown>, 'counters'>;
	version: string;
	uptimeS(): number;
}

/** From a cached answer to a request that waited for the disk and its queue. */
const LATENCY_BUCKETS_S = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/**
 * What the server counts, as Prometheus text and as the few figures of the first seed. What others
 * count already is read when asked for; only answers are counted here, as they are given.
 */
export function createMetrics({ connections, hub, writer, version, uptimeS }: MetricsDeps) {
	const register = new Registry();
	collectDefaultMetrics({ register });
	const answers = new Counter({
		name: 'chatapi_operations_total',
		help: 'Requests and frames answered, by operation and status',
		labelNames: ['operation', 'status'],
		registers: [register],
	});
	const latency = new Histogram({
		name: 'chatapi_operation_duration_seconds',
		help: 'From a request or frame to its answer',
		labelNames: ['operation'],
		buckets: LATENCY_BUCKETS_S,
		registers: [register],
	});
	// Looking up a labelled child hashes its labels; the few there are, are kept.
	const answerChildren = new Map<string, Counter.Internal>();
	const latencyChildren = new Map<string, Histogram.Internal<'operation'>>();
	let messagesSent = 0;

	const read = (name: string, help: string, value: () => number, kind: 'counter' | 'gauge') => {
		const options = { name, help, registers: [register] };
		if (kind === 'gauge') {
			new Gauge({
				...options,
				collect() {
					this.set(value());
				},
			});
		} else {
			new Counter({
				...options,
				collect() {
					this.reset();
					this.inc(value());
				},
			});
		}
	};
	read('chatapi_connections', 'Open sockets', () => connections.size, 'gauge');
	read('chatapi_messages_sent_total', 'Messages stored', () => messagesSent, 'counter');
	read(
		'chatapi_deliveries_total',
		'Frames sent to subscribers',
		() => hub.counters.deliveries,
		'counter',
	);
	read(
		'chatapi_dropped_publications_total',
		'Publications that a socket had no room for',
		() => hub.counters.drops,
		'counter',
	);
	read(
		'chatapi_slow_consumers_total',
		'Sockets closed because they lagged',
		() => hub.counters.slow_consumers,
		'counter',
	);
	read('chatapi_commits_total', 'Commits to disk', () => writer.counters.commits, 'counter');
	read(
		'chatapi_changes_total',
		'Changes in those commits',
		() => writer.counters.changes,
		'counter',
	);
	read(
		'chatapi_writer_queue',
		'Changes that wait for the writer',
		() => writer.counters.queued,
		'gauge',
	);
	read('chatapi_uptime_seconds', 'Since the start', uptimeS, 'gauge');
	new Gauge({
		name: 'chatapi_info',
		help: 'The version that runs',
		labelNames: ['version'],
		registers: [register],
	}).set({ version }, 1);

	return {
		/** Counts an answer of either face. */
		observe(operation: string, status: number, ms: number): void {
			const key = `${operation} ${status}`;
			let answer = answerChildren.get(key);
			if (answer === undefined) {
				answer = answers.labels({ operation, status });
				answerChildren.set(key, answer);
			}
			let duration = latencyChildren.get(operation);
			if (duration === undefined) {
				duration = latency.labels({ operation });
				latencyChildren.set(operation, duration);
			}
			answer.inc();
			duration.observe(ms / 1000);
		},

		/** Counts a stored message. */
		countMessage(): void {
			messagesSent++;
		},

		text: async () => ({ body: await register.metrics(), type: register.contentType }),

		figures: async (): Promise<OutputOf<typeof getMetrics>> => ({
			active_connections: connections.size,
			messages_sent: messagesSent,
			delivery_attempts: hub.counters.deliveries,
			delivery_failures: hub.counters.slow_consumers,
			broadcast_drops: hub.counters.drops,
			uptime_seconds: Math.floor(uptimeS()),
		}),
	};
}

export type Metrics = ReturnType<typeof createMetrics>;
