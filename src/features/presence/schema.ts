import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import { SuccessField, TimestampField, UserIdField } from '../../core/fields.ts';
import type { UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

/** Users in one frame, and users that one socket subscribes to. */
export const PRESENCE_USERS_MAX = 200;

const StatusField = Type.Union([Type.Literal('online'), Type.Literal('offline')]);

const Presence = Type.Object({
	user_id: UserIdField,
	status: StatusField,
	last_seen_at: Type.Optional(TimestampField),
});

const UsersInput = Type.Object(
	{ user_ids: Type.Array(UserIdField, { minItems: 1, maxItems: PRESENCE_USERS_MAX }) },
	{ additionalProperties: false },
);

const user_ids = ['bob', 'carol'] as UserId[];
const [bob, carol] = user_ids as [UserId, UserId];

const ofPresence = {
	actor: 'user',
	permission: 'rooms:read',
	feature: 'presence',
	cost: 0,
	input: UsersInput,
} as const;

const shown = {
	presences: [
		{ user_id: bob, status: 'online' as const },
		{ user_id: carol, status: 'offline' as const, last_seen_at: '2026-11-21T03:45:00.123Z' },
	],
};

const Presences = Type.Object({
	presences: Type.Array(Presence, { maxItems: PRESENCE_USERS_MAX }),
});

export const queryPresence = defineOperation({
	name: 'presence.query',
	summary: 'Ask who is online',
	description:
		'Once for each user named. Who shares no room with the caller is offline, as is who does not exist.',
	...ofPresence,
	output: Presences,
	errors: [],
	example: { input: { user_ids }, output: shown },
});

export const subscribePresence = defineOperation({
	name: 'presence.subscribe',
	summary: 'Be told on this socket of these users too',
	description:
		'For who shares only large rooms with the caller. The answer is that of `presence.query`; who shares no room is told of once they do.',
	...ofPresence,
	output: Presences,
	errors: ['CONFLICT'],
	example: { input: { user_ids }, output: shown },
});

export const unsubscribePresence = defineOperation({
	name: 'presence.unsubscribe',
	summary: 'Stop being told of these users on this socket',
	description: 'Who shares a dm or a small room with the caller is told of all the same.',
	...ofPresence,
	output: SuccessField,
	errors: [],
	example: { input: { user_ids }, output: { success: true as const } },
});

/** Told live and never stored: presence is state, and `presence.query` tells it. */
export const presenceChanged = defineEvent({
	type: 'presence.changed',
	frame: 'presence.update',
	summary: 'A user came online or went offline',
	data: Presence,
	example: { user_id: bob, status: 'offline', last_seen_at: '2026-11-21T03:45:00.123Z' },
});
