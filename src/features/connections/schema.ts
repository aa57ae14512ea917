import { Type } from '@sinclair/typebox';
import { CursorField, NoInput, SuccessField, TopicField, UserIdField } from '../../core/fields.ts';
import type { UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const TopicInput = Type.Object({ topic: TopicField }, { additionalProperties: false });

export const openConnection = defineOperation({
	name: 'connections.open',
	summary: 'Open a WebSocket as a user, or as the tenant itself',
	description:
		'An upgrade request. The user is named by `X-User-Id` or `?user_id=`, or is that of the token or ticket: `?token=wst_…` (see `POST /ws/token`) takes the place of the headers. A browser’s `Origin` must be among the `allowed_origins` of the tenant, or else of the server. The socket follows all rooms of the user, with `?cursor=` from where its client left off; see docs/protocol.md for its frames. A key with `events:read` and no user opens a backend socket instead, for which it needs no other permission: it is sent every stored event of the tenant.',
	actor: 'any',
	permission: 'rooms:read',
	cost: 1,
	input: Type.Object(
		{
			user_id: Type.Optional(UserIdField),
			token: Type.Optional(
				Type.String({ maxLength: 64, description: 'A ticket, good for one try' }),
			),
			cursor: Type.Optional(CursorField),
		},
		{ additionalProperties: false },
	),
	output: NoInput,
	errors: [],
	example: { input: { user_id: 'alice' as UserId }, output: {} },
});

export const pingConnection = defineOperation({
	name: 'connections.ping',
	summary: 'Ask for a pong',
	isAboveQuota: true,
	actor: 'any',
	permission: 'rooms:read',
	permission_as_tenant: 'events:read',
	cost: 0,
	input: NoInput,
	output: SuccessField,
	errors: [],
	example: { input: {}, output: { success: true as const } },
});

export const subscribeTopic = defineOperation({
	name: 'topics.subscribe',
	summary: 'Follow a notification topic on this socket',
	description: 'Rooms need no subscribing: a socket follows all rooms of its user.',
	actor: 'user',
	permission: 'rooms:read',
	cost: 1,
	input: TopicInput,
	output: SuccessField,
	errors: ['CONFLICT'],
	example: { input: { topic: 'orders' }, output: { success: true as const } },
});

export const unsubscribeTopic = defineOperation({
	name: 'topics.unsubscribe',
	summary: 'Stop following a notification topic on this socket',
	actor: 'user',
	permission: 'rooms:read',
	cost: 1,
	input: TopicInput,
	output: SuccessField,
	errors: [],
	example: { input: { topic: 'orders' }, output: { success: true as const } },
});

export const resumeConnection = defineOperation({
	name: 'connections.resume',
	summary: 'Go on from a cursor on this socket',
	description:
		'For a client that could not name its cursor in `GET /ws?cursor=`, as its first frame. What was missed comes before the reply; 409 once the socket was told of an event.',
	actor: 'any',
	permission: 'rooms:read',
	permission_as_tenant: 'events:read',
	cost: 1,
	input: Type.Object({ cursor: CursorField }, { additionalProperties: false }),
	output: SuccessField,
	errors: ['CONFLICT'],
	example: { input: { cursor: '3k9qv00000000a1f' }, output: { success: true as const } },
});
