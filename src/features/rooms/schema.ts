import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import {
	CountField,
	CursorField,
	HeadSeqField,
	LimitField,
	MetadataField,
	NameField,
	NextCursorField,
	nullable,
	oneOf,
	PageCursorField,
	RoomIdField,
	SuccessField,
	TimestampField,
	UserIdField,
} from '../../core/fields.ts';
import type { RoomId, UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';
import { Message } from '../messages/schema.ts';

export const ROOM_TYPES = ['dm', 'group', 'channel'] as const;
const RoomTypeField = oneOf('room type', ROOM_TYPES);

const roomFields = {
	room_id: RoomIdField,
	type: RoomTypeField,
	unique_key: nullable(
		Type.String({
			maxLength: 1024,
			description:
				'Of a dm: `dm:` and its two users, sorted, a `:` in their ids written as `%3A`. For display',
		}),
	),
	name: nullable(NameField),
	metadata: MetadataField,
	last_seq: HeadSeqField,
	member_count: CountField,
	created_at: TimestampField,
};

/** A room as it is to everybody in it: what events carry. */
const SharedRoom = Type.Object(roomFields);

/** A room as it is to the caller. Who is no member is not told the last two. */
export const Room = Type.Object({
	...roomFields,
	last_message: Type.Optional(Message),
	unread_count: Type.Optional(CountField),
	last_read_seq: Type.Optional(HeadSeqField),
});

const room_id = 'room_01jd5v8p3k7x2m9q4w6y0z1abc' as RoomId;
const shared = {
	room_id,
	type: 'dm' as const,
	unique_key: 'dm:alice:bob',
	name: null,
	metadata: { topic: 'lunch' },
	last_seq: 42,
	member_count: 2,
	created_at: '2026-11-21T03:45:00.123Z',
};
const example = { ...shared, unread_count: 1, last_read_seq: 41 };

export const createRoom = defineOperation({
	name: 'rooms.create',
	isRepeatable: true,
	summary: 'Create a room',
	description:
		'A `dm` has exactly two members and exists once per pair: a second request answers 200 with the room that is there and `"duplicate": true`. The user who creates a `group` or a `channel` becomes its owner.',
	actor: 'any',
	permission: 'rooms:write',
	cost: 1,
	input: Type.Object(
		{
			type: RoomTypeField,
			members: Type.Optional(Type.Array(UserIdField, { maxItems: 1000 })),
			name: Type.Optional(nullable(NameField)),
			metadata: Type.Optional(MetadataField),
		},
		{ additionalProperties: false },
	),
	output: Type.Composite([Room, Type.Object({ duplicate: Type.Optional(Type.Literal(true)) })]),
	errors: ['CONFLICT'],
	example: {
		input: { type: 'dm' as const, members: ['alice' as UserId, 'bob' as UserId] },
		output: { ...shared, last_seq: 0, unread_count: 0, last_read_seq: 0 },
	},
});

export const listRooms = defineOperation({
	name: 'rooms.list',
	summary: "List the caller's rooms",
	description:
		'Most recent activity first. `as_of` is the event cursor up to which the page is complete.',
	actor: 'user',
	permission: 'rooms:read',
	cost: 1,
	input: Type.Object(
		{ limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) },
		{ additionalProperties: false },
	),
	output: Type.Object({
		rooms: Type.Array(Room, { maxItems: 100 }),
		next_cursor: NextCursorField,
		as_of: CursorField,
	}),
	errors: [],
	example: {
		input: { limit: 50 },
		output: { rooms: [example], next_cursor: null, as_of: '3k9qv00000000a1f' },
	},
});

export const getRoom = defineOperation({
	name: 'rooms.get',
	summary: 'Get a room',
	actor: 'any',
	permission: 'rooms:read',
	cost: 1,
	input: Type.Object({ room_id: RoomIdField }, { additionalProperties: false }),
	output: Room,
	errors: ['NOT_FOUND'],
	example: { input: { room_id }, output: example },
});

export const updateRoom = defineOperation({
	name: 'rooms.update',
	summary: 'Change the name or the metadata of a room',
	description:
		'A JSON merge patch (RFC 7396): given members of `metadata` replace, `null` removes. Needs the role admin.',
	actor: 'any',
	permission: 'rooms:write',
	cost: 1,
	input: Type.Object(
		{
			room_id: RoomIdField,
			name: Type.Optional(nullable(NameField)),
			metadata: Type.Optional(MetadataField),
		},
		{ additionalProperties: false },
	),
	output: Room,
	errors: ['NOT_FOUND'],
	example: { input: { room_id, metadata: { topic: 'lunch' } }, output: example },
});

export const deleteRoom = defineOperation({
	name: 'rooms.delete',
	summary: 'Delete a room',
	description: 'Needs the role owner. From then on the room does not exist for anybody.',
	actor: 'any',
	permission: 'rooms:write',
	cost: 1,
	input: Type.Object({ room_id: RoomIdField }, { additionalProperties: false }),
	output: SuccessField,
	errors: ['NOT_FOUND'],
	example: { input: { room_id }, output: { success: true as const } },
});

export const roomCreated = defineEvent({
	type: 'room.created',
	summary: 'A room was created; told to its first members',
	// Nested: a room has a type of its own, and so has a frame.
	data: Type.Object({ room: SharedRoom }),
	example: { room: shared },
});

export const roomUpdated = defineEvent({
	type: 'room.updated',
	summary: 'The name or metadata of the room changed',
	data: Type.Object({ room: SharedRoom }),
	example: { room: shared },
});

export const roomDeleted = defineEvent({
	type: 'room.deleted',
	summary: 'The room was deleted',
	data: Type.Object({ room_id: RoomIdField }),
	example: { room_id },
});
