import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import {
	ClientMsgIdField,
	ContentField,
	CursorField,
	LimitField,
	MessageIdField,
	MetadataField,
	NextCursorField,
	nullable,
	PageCursorField,
	RoomIdField,
	SeqField,
	TimestampField,
	UserIdField,
} from '../../core/fields.ts';
import type { MessageId, RoomId, UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const messageFields = {
	message_id: MessageIdField,
	room_id: RoomIdField,
	seq: SeqField,
	kind: Type.Union([Type.Literal('user'), Type.Literal('system')], {
		description: '`system`: sent by the tenant itself, and not counted as unread',
	}),
	sender_id: nullable(UserIdField),
	content: ContentField,
	meta: MetadataField,
	client_msg_id: nullable(ClientMsgIdField),
	created_at: TimestampField,
};

/** A message as every face shows it. */
export const Message = Type.Object({ ...messageFields, cursor: CursorField });

const room_id = 'room_01jd5v8p3k7x2m9q4w6y0z1abc' as RoomId;
const eventExample = {
	message_id: 'msg_01jd5v8p3k7x2m9q4w6y0z1def' as MessageId,
	room_id,
	seq: 42,
	kind: 'user' as const,
	sender_id: 'alice' as UserId,
	content: 'Hello from my tenant!',
	meta: { mood: 'sunny' },
	client_msg_id: 'c-4711',
	created_at: '2026-11-21T03:45:00.123Z',
};
const example = { ...eventExample, cursor: '3k9qv00000000a1f' };

export const sendMessage = defineOperation({
	name: 'messages.send',
	summary: 'Send a message to a room',
	description:
		'Answered once the message is on disk. A repeat with the same `client_msg_id` answers 200 with the first message and `"duplicate": true`, and sends nothing. In a channel only moderators and above may send. Without a user the tenant itself speaks: `kind` is `system`.',
	actor: 'any',
	permission: 'messages:write',
	cost: 1,
	input: Type.Object(
		{
			room_id: RoomIdField,
			content: ContentField,
			meta: Type.Optional(MetadataField),
			client_msg_id: Type.Optional(ClientMsgIdField),
		},
		{ additionalProperties: false },
	),
	output: Type.Composite([Message, Type.Object({ duplicate: Type.Optional(Type.Literal(true)) })]),
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: {
		input: {
			room_id,
			content: 'Hello from my tenant!',
			meta: { mood: 'sunny' },
			client_msg_id: 'c-4711',
		},
		output: example,
	},
});

export const listMessages = defineOperation({
	name: 'messages.list',
	summary: 'List the messages of a room',
	description:
		'Ascending by `seq`. With `after_seq` the first ones after it, with `before_seq` the last ones before it, with neither the newest page. `as_of` is the event cursor up to which the page is complete.',
	actor: 'any',
	permission: 'messages:read',
	cost: 1,
	input: Type.Object(
		{
			room_id: RoomIdField,
			after_seq: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
			before_seq: Type.Optional(SeqField),
			limit: Type.Optional(LimitField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		messages: Type.Array(Message, { maxItems: 100 }),
		has_more: Type.Boolean({ description: 'Whether more lie beyond the page in its direction' }),
		as_of: CursorField,
	}),
	errors: ['NOT_FOUND'],
	example: {
		input: { room_id, after_seq: 41, limit: 50 },
		output: { messages: [example], has_more: false, as_of: '3k9qv00000000a1f' },
	},
});

export const listAllMessages = defineOperation({
	name: 'messages.list_all',
	summary: 'List the messages of all rooms',
	description:
		'For the tenant itself: a key without a user. Newest first. `as_of` is the event cursor up to which the first page is complete. A page may hold fewer than `limit`, where many rooms were deleted: go on while there is a `next_cursor`.',
	actor: 'tenant',
	permission: 'messages:read',
	cost: 1,
	input: Type.Object(
		{ limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) },
		{ additionalProperties: false },
	),
	output: Type.Object({
		messages: Type.Array(Message, { maxItems: 100 }),
		next_cursor: NextCursorField,
		as_of: CursorField,
	}),
	errors: [],
	example: {
		input: { limit: 50 },
		output: { messages: [example], next_cursor: null, as_of: '3k9qv00000000a1f' },
	},
});

export const messageCreated = defineEvent({
	type: 'message.created',
	frame: 'message',
	summary: "A message was sent to the room; told to every member's sockets, the sender's too",
	data: Type.Object(messageFields),
	example: eventExample,
});
