import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import {
	CursorField,
	HeadSeqField,
	RoomIdField,
	SeqField,
	SuccessField,
	UserIdField,
} from '../../core/fields.ts';
import type { RoomId, UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const room_id = 'room_01jd5v8p3k7x2m9q4w6y0z1abc' as RoomId;

const PositionInput = Type.Object(
	{ room_id: RoomIdField, seq: SeqField },
	{ additionalProperties: false },
);

const Receipt = Type.Object({ room_id: RoomIdField, seq: SeqField, user_id: UserIdField });

/** Whatever moves a position: who may, what it costs, what it is told and tells. */
const ofPosition = {
	actor: 'user',
	permission: 'messages:read',
	cost: 1,
	frame_cost: 0,
	input: PositionInput,
	output: SuccessField,
	errors: ['NOT_FOUND'],
	example: { input: { room_id, seq: 42 }, output: { success: true as const } },
} as const;

export const sendAck = defineOperation({
	...ofPosition,
	name: 'acks.send',
	summary: 'Tell that messages or notifications were delivered',
	description:
		'Either `room_id` and `seq`: the messages of a room, up to a seq. Below the present position nothing changes; above the last message it is the last. Or `cursor`: confirms all notifications to the user by name up to it, so that none of them becomes a dead letter; 409 for a cursor of another life of the log.',
	input: Type.Object(
		{
			room_id: Type.Optional(RoomIdField),
			seq: Type.Optional(SeqField),
			cursor: Type.Optional(CursorField),
		},
		{ additionalProperties: false },
	),
	errors: ['NOT_FOUND', 'CONFLICT'],
});

export const sendRead = defineOperation({
	name: 'reads.send',
	summary: 'Tell that messages were read, up to a seq',
	description: 'Read implies delivered. Bounds as for `POST /acks`.',
	...ofPosition,
});

/** Positions are state, not history: these two are told live and are in no log. */
export const ackReceived = defineEvent({
	type: 'ack.received',
	summary: "A member's messages were delivered up to seq",
	data: Receipt,
	example: { room_id, seq: 42, user_id: 'bob' as UserId },
});

export const readUpdated = defineEvent({
	type: 'read.updated',
	summary: 'A member read up to seq',
	data: Receipt,
	example: { room_id, seq: 42, user_id: 'bob' as UserId },
});

/** In one frame; a larger room has several. */
export const POSITIONS_MAX = 100;

/** Told to who resumes, in the place of what it missed of the two. */
export const positionsChanged = defineEvent({
	type: 'positions.changed',
	frame: 'positions',
	summary: 'Where members of a room are, of whom that changed while the user was away',
	data: Type.Object({
		room_id: RoomIdField,
		positions: Type.Array(
			Type.Object({
				user_id: UserIdField,
				last_read_seq: HeadSeqField,
				last_delivered_seq: HeadSeqField,
			}),
			{ minItems: 1, maxItems: POSITIONS_MAX },
		),
	}),
	example: {
		room_id,
		positions: [{ user_id: 'bob' as UserId, last_read_seq: 41, last_delivered_seq: 42 }],
	},
});
