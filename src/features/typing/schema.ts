import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import { RoomIdField, SuccessField, UserIdField } from '../../core/fields.ts';
import type { RoomId, UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const room_id = 'room_01jd5v8p3k7x2m9q4w6y0z1abc' as RoomId;

const ofTyping = {
	actor: 'user',
	permission: 'rooms:read',
	feature: 'typing',
	cost: 0,
	input: Type.Object({ room_id: RoomIdField }, { additionalProperties: false }),
	output: SuccessField,
	errors: ['NOT_FOUND'],
	example: { input: { room_id }, output: { success: true as const } },
} as const;

export const startTyping = defineOperation({
	name: 'typing.start',
	summary: 'Tell that the user is typing',
	description: 'To be repeated while that goes on: it ends by itself 8 seconds after the last one.',
	...ofTyping,
});

export const stopTyping = defineOperation({
	name: 'typing.stop',
	summary: 'Tell that the user types no longer',
	...ofTyping,
});

/** Told live and never stored. */
export const typing = defineEvent({
	type: 'typing.changed',
	frame: 'typing',
	summary: 'A member began or ended to type',
	data: Type.Object({
		room_id: RoomIdField,
		user_id: UserIdField,
		action: Type.Union([Type.Literal('start'), Type.Literal('stop')]),
	}),
	example: { room_id, user_id: 'bob' as UserId, action: 'start' as const },
});
