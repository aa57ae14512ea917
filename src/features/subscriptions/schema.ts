import { Type } from '@sinclair/typebox';
import {
	LimitField,
	NextCursorField,
	PageCursorField,
	SubscriptionIdField,
	SuccessField,
	TimestampField,
	TopicField,
} from '../../core/fields.ts';
import type { SubscriptionId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const Subscription = Type.Object({
	subscription_id: SubscriptionIdField,
	topic: TopicField,
	created_at: TimestampField,
});

const subscription_id = 'sub_01jd5v8p3k7x2m9q4w6y0z1abc' as SubscriptionId;
const example = { subscription_id, topic: 'orders', created_at: '2026-11-21T03:45:00.123Z' };

export const createSubscription = defineOperation({
	name: 'subscriptions.create',
	summary: 'Subscribe the user to a notification topic, for good',
	description:
		'The open sockets of the user follow it from this moment on, and so does each later one; what is said while none is open is replayed. A second subscription to the same topic answers 200 with the first one. At most `MAX_SUBSCRIPTIONS_PER_USER` (200).',
	actor: 'user',
	permission: 'subscriptions:write',
	cost: 1,
	input: Type.Object({ topic: TopicField }, { additionalProperties: false }),
	output: Type.Object({
		...Subscription.properties,
		duplicate: Type.Optional(
			Type.Literal(true, { description: 'The user was subscribed already: this is the one' }),
		),
	}),
	errors: ['CONFLICT'],
	example: { input: { topic: 'orders' }, output: example },
});

export const listSubscriptions = defineOperation({
	name: 'subscriptions.list',
	summary: 'List the subscriptions of the user',
	description: 'In the order of their topics.',
	actor: 'user',
	permission: 'subscriptions:write',
	cost: 1,
	input: Type.Object(
		{ limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) },
		{ additionalProperties: false },
	),
	output: Type.Object({
		subscriptions: Type.Array(Subscription, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: [],
	example: { input: { limit: 50 }, output: { subscriptions: [example], next_cursor: null } },
});

export const removeSubscription = defineOperation({
	name: 'subscriptions.remove',
	summary: 'End a subscription of the user',
	description:
		'The open sockets of the user follow the topic no longer, but for those that subscribe to it by name. What was said before is still replayed.',
	actor: 'user',
	permission: 'subscriptions:write',
	cost: 1,
	input: Type.Object({ subscription_id: SubscriptionIdField }, { additionalProperties: false }),
	output: SuccessField,
	errors: ['NOT_FOUND'],
	example: { input: { subscription_id }, output: { success: true as const } },
});
