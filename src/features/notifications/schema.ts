import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import {
	CountField,
	CursorField,
	LimitField,
	MessageIdField,
	MetadataField,
	NextCursorField,
	NotificationIdField,
	nullable,
	PageCursorField,
	RoomIdField,
	TenantIdField,
	TimestampField,
	TopicField,
	UserIdField,
} from '../../core/fields.ts';
import type { NotificationId, TenantId, UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

/** As many as a request may add to a room. */
const USERS_MAX = 1000;

const Notification = Type.Object({
	notification_id: NotificationIdField,
	topic: TopicField,
	payload: MetadataField,
	created_at: TimestampField,
});

const notification_id = 'notif_01jd5v8p3k7x2m9q4w6y0z1abc' as NotificationId;
const tenant_id = 'tenant_01jd5v8p3k7x2m9q4w6y0z1abc' as TenantId;
const created_at = '2026-11-21T03:45:00.123Z';
const example = { notification_id, topic: 'orders', payload: { order: 4711 }, created_at };

/** Its log event refers to it, copying nothing. */
export const notificationCreated = defineEvent({
	type: 'notification.created',
	frame: 'notification',
	summary: 'Somebody or something was to be made known',
	data: Notification,
	example,
});

export const sendNotification = defineOperation({
	name: 'notifications.send',
	summary: 'Notify users, a room, the subscribers of a topic, or everybody',
	description:
		'Stored once and told once to each socket concerned, however many of its targets it is in; who is away is told on resuming. `user_ids` may name users that are not known yet. With `topic_subscribers` it goes to who subscribes to `topic`. A user must be a member of the room (of a channel: moderator or above, as for messages) and may not notify `all`: that is for the tenant itself.',
	actor: 'any',
	permission: 'notifications:send',
	feature: 'notifications',
	cost: 1,
	input: Type.Object(
		{
			topic: TopicField,
			payload: MetadataField,
			targets: Type.Object(
				{
					user_ids: Type.Optional(
						Type.Array(UserIdField, {
							minItems: 1,
							maxItems: USERS_MAX,
							description: 'One that is not confirmed in time becomes a dead letter',
						}),
					),
					room_id: Type.Optional(RoomIdField),
					topic_subscribers: Type.Optional(Type.Boolean()),
					all: Type.Optional(Type.Boolean()),
				},
				{ additionalProperties: false, description: 'At least one of them' },
			),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({ notification_id: NotificationIdField, created_at: TimestampField }),
	errors: ['NOT_FOUND'],
	example: {
		input: {
			topic: 'orders',
			payload: { order: 4711 },
			targets: { user_ids: ['alice' as UserId], topic_subscribers: true },
		},
		output: { notification_id, created_at },
	},
});

const Page = { limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) };

export const listNotifications = defineOperation({
	name: 'notifications.list',
	summary: 'List the notifications of the user, newest first',
	description:
		'Those of the last 30 days: to the user by name, to its rooms while it was in them, to its topics while it was subscribed, and to everybody. Rooms and topics that were left go with their events (`EVENT_RETENTION`). What came by a `subscribe` of a socket alone is not among them.',
	actor: 'user',
	permission: 'messages:read',
	feature: 'notifications',
	cost: 1,
	input: Type.Object(Page, { additionalProperties: false }),
	output: Type.Object({
		notifications: Type.Array(Type.Object({ cursor: CursorField, ...Notification.properties }), {
			maxItems: 100,
		}),
		next_cursor: NextCursorField,
		as_of: CursorField,
	}),
	errors: [],
	example: {
		input: { limit: 50 },
		output: {
			notifications: [{ cursor: '3k9qv00000000a1f', ...example }],
			next_cursor: null,
			as_of: '3k9qv00000000a1g',
		},
	},
});

const ErrorField = Type.String({ maxLength: 128 });

const DeadLetters = Type.Object({
	failed_messages: Type.Array(
		Type.Object({
			message_id: MessageIdField,
			user_id: UserIdField,
			room_id: RoomIdField,
			attempts: CountField,
			last_attempt_at: nullable(TimestampField),
			error: ErrorField,
		}),
		{ maxItems: 100, description: 'Empty: there is nothing yet that messages are handed to' },
	),
	failed_notifications: Type.Array(
		Type.Object({
			notification_id: NotificationIdField,
			user_id: UserIdField,
			topic: TopicField,
			attempts: CountField,
			last_attempt_at: nullable(TimestampField),
			error: ErrorField,
			failed_at: TimestampField,
		}),
		{ maxItems: 100 },
	),
	next_cursor: NextCursorField,
});

/** Why a delivery failed, by whether it was ever tried. */
export const DELIVERY_ERRORS = {
	untried: 'Never sent: the user had no open socket while the event was kept',
	unconfirmed: 'Sent, but never confirmed with ack {cursor}',
} as const;

const deadLettersExample = {
	failed_messages: [],
	failed_notifications: [
		{
			notification_id,
			user_id: 'alice' as UserId,
			topic: 'orders',
			attempts: 2,
			last_attempt_at: created_at,
			error: DELIVERY_ERRORS.unconfirmed,
			failed_at: '2026-11-28T03:45:30.456Z',
		},
	],
	next_cursor: null,
};

const DEAD_LETTERS =
	'Notifications to users by name (`user_ids`) that were not confirmed (`ack {cursor}`, `POST /acks`) before their event was pruned (`EVENT_RETENTION`), newest first, kept 30 days. `attempts` counts how often one was sent to open sockets of the user; sends of the last second before a crash may be missing.';

export const listDeadLetters = defineOperation({
	name: 'dead_letters.list',
	summary: "List the tenant's deliveries that were given up",
	description: `For the tenant itself: a key without a user. ${DEAD_LETTERS}`,
	actor: 'tenant',
	permission: 'events:read',
	feature: 'notifications',
	cost: 1,
	input: Type.Object(Page, { additionalProperties: false }),
	output: DeadLetters,
	errors: [],
	example: { input: { limit: 50 }, output: deadLettersExample },
});

export const reviewDeadLetters = defineOperation({
	name: 'dead_letters.review',
	summary: 'List the deliveries of a tenant that were given up',
	description: DEAD_LETTERS,
	actor: 'operator',
	input: Type.Object({ tenant_id: TenantIdField, ...Page }, { additionalProperties: false }),
	output: DeadLetters,
	errors: ['NOT_FOUND', 'INSUFFICIENT_STORAGE'],
	example: { input: { tenant_id, limit: 50 }, output: deadLettersExample },
});
