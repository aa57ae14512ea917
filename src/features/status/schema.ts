import { Type } from '@sinclair/typebox';
import { NoInput } from '../../core/fields.ts';
import { defineOperation } from '../../core/operation.ts';

const Health = Type.Object({
	status: Type.Union([Type.Literal('ok'), Type.Literal('unavailable')]),
	service: Type.Literal('chatapi'),
	version: Type.String({ maxLength: 32 }),
	uptime: Type.String({ maxLength: 32, description: 'Such as 2h30m45s' }),
	db_writable: Type.Boolean(),
	durability: Type.Union([Type.Literal('full'), Type.Literal('relaxed')], {
		description: 'relaxed: a loss of power may undo what was answered',
	}),
	reason: Type.Optional(
		Type.Literal('disk_full', { description: 'Why it cannot write, where that passes' }),
	),
});

const example = {
	status: 'ok' as const,
	service: 'chatapi' as const,
	version: '0.1.0',
	uptime: '2h30m45s',
	db_writable: true,
	durability: 'full' as const,
};

export const getHealth = defineOperation({
	name: 'status.health',
	summary: 'Whether the server can do its work',
	description: '503 when the database cannot be written, for want of room too.',
	actor: 'visitor',
	input: NoInput,
	output: Health,
	errors: [],
	example: { input: {}, output: example },
});

export const getLive = defineOperation({
	name: 'status.live',
	summary: 'Whether the process runs',
	actor: 'visitor',
	input: NoInput,
	output: Type.Object({ status: Type.Literal('ok') }),
	errors: [],
	example: { input: {}, output: { status: 'ok' as const } },
});

export const getReady = defineOperation({
	name: 'status.ready',
	summary: 'Whether the server takes new requests',
	description:
		'503 while it is shutting down, and when the database has failed. A full disk leaves it ready: reads go on.',
	actor: 'visitor',
	input: NoInput,
	output: Type.Object({ status: Type.Union([Type.Literal('ok'), Type.Literal('unavailable')]) }),
	errors: [],
	example: { input: {}, output: { status: 'ok' as const } },
});

const Counter = Type.Number({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** The JSON form of /metrics; the other is Prometheus text. */
export const getMetrics = defineOperation({
	name: 'status.metrics',
	summary: 'Metrics of the server',
	description: 'Prometheus text, or with `Accept: application/json` the figures below.',
	actor: 'operator',
	isMasterOnly: true,
	input: NoInput,
	output: Type.Object({
		active_connections: Counter,
		messages_sent: Counter,
		delivery_attempts: Counter,
		delivery_failures: Counter,
		broadcast_drops: Counter,
		uptime_seconds: Counter,
	}),
	errors: [],
	example: {
		input: {},
		output: {
			active_connections: 128,
			messages_sent: 4711,
			delivery_attempts: 40_123,
			delivery_failures: 2,
			broadcast_drops: 2,
			uptime_seconds: 9045,
		},
	},
});
