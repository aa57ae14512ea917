import { Type } from '@sinclair/typebox';
import {
	CountField,
	LimitField,
	NextCursorField,
	nullable,
	oneOf,
	PageCursorField,
	PlanIdField,
	RoomIdField,
	TenantIdField,
	TimestampField,
	UserIdField,
} from '../../core/fields.ts';
import type { PlanId, RoomId, TenantId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const PeriodField = Type.String({
	pattern: '^\\d{4}-\\d{2}(-\\d{2})?$',
	minLength: 7,
	maxLength: 10,
	error: 'Must be a month or a day, such as 2026-11 or 2026-11-21',
	description: 'A month or a day of UTC: 2026-11 or 2026-11-21. Default: the current month',
});

const counted = (description: string) => Type.Integer({ ...CountField, description });

const figures = {
	messages_sent: counted(
		'Messages stored, by the UTC day of `created_at`; a repeat of a `client_msg_id` is none',
	),
	messages_delivered: counted(
		'Message frames handed to sockets, live or replayed: one message to three sockets is three',
	),
	api_requests: counted(
		'HTTP requests, WebSocket upgrades and frames with a good credential that had the permission and were within the rate limit, whatever came of them',
	),
	active_users: counted(
		'Distinct user ids that opened a socket or acted on the API in the UTC month, or on the UTC day',
	),
	peak_connections: counted('The largest number of sockets open at one moment'),
	peak_connections_at: nullable({
		...TimestampField,
		description: 'That moment, the first of several; null without a socket',
	}),
	connection_minutes: counted('How long sockets were open, all together, in whole minutes'),
	webhooks_delivered: counted('0: there are no webhooks yet'),
	emails_sent: counted('0: there is no e-mail yet'),
	emails_delivered: counted('0: there is no e-mail yet'),
	emails_bounced: counted('0: there is no e-mail yet'),
	storage_bytes: counted(
		"The values in all of the tenant's rows: text as UTF-8, a number as 8 bytes; now, or as measured last in a period that is over",
	),
};

const DayField = Type.String({
	pattern: '^\\d{4}-\\d{2}-\\d{2}$',
	minLength: 10,
	maxLength: 10,
	description: 'A UTC day',
});

/** What one day has; the lines of the CSV too. */
const Day = Type.Object({ day: DayField, ...figures });

export const EXPLAINABLE = [
	'active_users',
	'messages_sent',
	'peak_connections',
	'storage_bytes',
	'days',
] as const;

/** A page of what stands behind a number. */
export const Explained = Type.Object({
	field: oneOf('explain', EXPLAINABLE),
	items: Type.Array(
		Type.Union([
			Day,
			Type.Object({
				user_id: UserIdField,
				days: Type.Integer({ minimum: 1, maximum: 31, description: 'Days of the month' }),
			}),
			Type.Object({ room_id: RoomIdField, messages: CountField }),
			Type.Object({
				day: DayField,
				peak_connections: CountField,
				peak_connections_at: TimestampField,
			}),
			Type.Object({ table: Type.String({ maxLength: 64 }), rows: CountField, bytes: CountField }),
		]),
		{ maxItems: 100 },
	),
	next_cursor: NextCursorField,
});

const Usage = Type.Object({
	tenant_id: TenantIdField,
	period: PeriodField,
	...figures,
	explained: Type.Optional(Explained),
});

const query = {
	period: Type.Optional(PeriodField),
	explain: Type.Optional(oneOf('explain', EXPLAINABLE)),
	limit: Type.Optional(LimitField),
	cursor: Type.Optional(PageCursorField),
};

const tenant_id = 'tenant_01jd5v8p3k7x2m9q4w6y0z1abc' as TenantId;
const example = {
	tenant_id,
	period: '2026-11',
	messages_sent: 15_420,
	messages_delivered: 61_234,
	api_requests: 18_004,
	active_users: 1186,
	peak_connections: 312,
	peak_connections_at: '2026-11-21T03:45:00.123Z',
	connection_minutes: 90_210,
	webhooks_delivered: 0,
	emails_sent: 0,
	emails_delivered: 0,
	emails_bounced: 0,
	storage_bytes: 7_340_112,
};
const explained = {
	field: 'messages_sent' as const,
	items: [{ room_id: 'room_01jd5v8p3k7x2m9q4w6y0z1abc' as RoomId, messages: 15_420 }],
	next_cursor: null,
};

const WHAT =
	'Of a UTC month, or of one UTC day. With `Accept: text/csv` the days of the period, one a line below a header. `explain` adds a page of what stands behind a number: the users, the rooms with their messages, the days with their peaks, the tables with their bytes, or `days` for every day with all its figures. A page may have fewer than `limit` items, or none, while `next_cursor` says that there are more. Messages sent are exact at any moment; the other figures are, too, but a crash may lose those of its last seconds.';

export const getUsage = defineOperation({
	name: 'usage.get',
	summary: 'Get what the tenant used',
	description: `For the tenant itself: a key without a user. ${WHAT}`,
	actor: 'tenant',
	permission: 'usage:read',
	isAboveQuota: true,
	cost: 1,
	input: Type.Object(query, { additionalProperties: false }),
	output: Usage,
	errors: [],
	example: {
		input: { period: '2026-11', explain: 'messages_sent' as const },
		output: { ...example, explained },
	},
});

export const inspectUsage = defineOperation({
	name: 'usage.inspect',
	summary: 'Get what a tenant used',
	description: WHAT,
	actor: 'operator',
	input: Type.Object({ tenant_id: TenantIdField, ...query }, { additionalProperties: false }),
	output: Usage,
	errors: ['NOT_FOUND', 'INSUFFICIENT_STORAGE'],
	example: {
		input: { tenant_id, period: '2026-11', explain: 'messages_sent' as const },
		output: { ...example, explained },
	},
});

const plan_id = 'plan_01jd5v8p3k7x2m9q4w6y0z1abc' as PlanId;
const { period: _, ...part } = example;
const { tenant_id: __, ...pooled } = example;

export const inspectPlanUsage = defineOperation({
	name: 'usage.inspect_plan',
	summary: 'Get what the tenants of a plan used',
	description:
		'The totals of all tenants that are on the plan now, and a page of their parts, newest tenant first; with `Accept: text/csv` that page, one tenant a line below a header. A user id belongs to a tenant, so active users add up. `peak_connections` is the sum of the tenants’ peaks: so many at most were open at one moment. Storage is as measured last, at most an hour ago for tenants at work.',
	actor: 'operator',
	input: Type.Object(
		{
			plan_id: PlanIdField,
			period: Type.Optional(PeriodField),
			limit: Type.Optional(LimitField),
			cursor: Type.Optional(PageCursorField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		plan_id: PlanIdField,
		period: PeriodField,
		...figures,
		tenants: Type.Array(Type.Object({ tenant_id: TenantIdField, ...figures }), { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: ['NOT_FOUND'],
	example: {
		input: { plan_id, period: '2026-11' },
		output: {
			...pooled,
			plan_id,
			peak_connections_at: null,
			tenants: [part],
			next_cursor: null,
		},
	},
});

export type UsageField = keyof typeof figures;
/** In the order of the CSV's columns. */
export const USAGE_FIELDS = Object.keys(figures) as UsageField[];
