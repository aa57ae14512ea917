import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import {
	HeadSeqField,
	LimitField,
	NextCursorField,
	oneOf,
	PageCursorField,
	RoomIdField,
	SuccessField,
	TimestampField,
	UserIdField,
} from '../../core/fields.ts';
import type { RoomId, UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

/** From the most to the least: a role may act on those behind it. */
export const ROLES = ['owner', 'admin', 'moderator', 'member'] as const;
export type Role = (typeof ROLES)[number];

const RoleField = oneOf('role', ROLES);

const NewMember = Type.Object({
	user_id: UserIdField,
	role: RoleField,
	joined_at: TimestampField,
});

const Member = Type.Object({
	user_id: UserIdField,
	role: RoleField,
	joined_at: TimestampField,
	last_read_seq: HeadSeqField,
	last_delivered_seq: HeadSeqField,
});

const room_id = 'room_01jd5v8p3k7x2m9q4w6y0z1abc' as RoomId;
const user_id = 'bob' as UserId;
const example = {
	user_id,
	role: 'member' as const,
	joined_at: '2026-11-21T03:45:00.123Z',
	last_read_seq: 41,
	last_delivered_seq: 42,
};

export const listMembers = defineOperation({
	name: 'members.list',
	summary: 'List the members of a room',
	actor: 'any',
	permission: 'rooms:read',
	cost: 1,
	input: Type.Object(
		{
			room_id: RoomIdField,
			limit: Type.Optional(LimitField),
			cursor: Type.Optional(PageCursorField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		members: Type.Array(Member, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: ['NOT_FOUND'],
	example: { input: { room_id, limit: 50 }, output: { members: [example], next_cursor: null } },
});

export const addMembers = defineOperation({
	name: 'members.add',
	isRepeatable: true,
	summary: 'Add members to a room',
	description:
		'Several at once, with one role. Who is a member already stays as they are. A user needs to be moderator or more and can give only roles below their own.',
	actor: 'any',
	permission: 'members:write',
	cost: 1,
	input: Type.Object(
		{
			room_id: RoomIdField,
			members: Type.Array(UserIdField, { minItems: 1, maxItems: 1000 }),
			role: Type.Optional(RoleField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		members: Type.Array(Member, { maxItems: 1000 }),
		added: Type.Integer({
			minimum: 0,
			maximum: 1000,
			description: 'How many were no members before',
		}),
	}),
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: {
		input: { room_id, members: [user_id], role: 'member' as const },
		output: { members: [example], added: 1 },
	},
});

export const updateMember = defineOperation({
	name: 'members.update',
	summary: 'Change the role of a member',
	description:
		'A user needs to be admin or more, and both roles must be below their own. An owner who makes another member owner hands the room over and becomes admin.',
	actor: 'any',
	permission: 'members:write',
	cost: 1,
	input: Type.Object(
		{ room_id: RoomIdField, user_id: UserIdField, role: RoleField },
		{ additionalProperties: false },
	),
	output: Member,
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: {
		input: { room_id, user_id, role: 'admin' as const },
		output: { ...example, role: 'admin' as const },
	},
});

export const removeMember = defineOperation({
	name: 'members.remove',
	summary: 'Remove a member from a room, or leave it',
	description:
		'Everybody may leave. When the last owner leaves, the oldest member of the highest role becomes owner; when the last member leaves, the room is deleted. Leaving a dm hides it until something happens in it.',
	actor: 'any',
	permission: 'members:write',
	cost: 1,
	input: Type.Object(
		{ room_id: RoomIdField, user_id: UserIdField },
		{ additionalProperties: false },
	),
	output: SuccessField,
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: { input: { room_id, user_id }, output: { success: true as const } },
});

export const memberAdded = defineEvent({
	type: 'member.added',
	summary: 'Members were added to the room; to those added it means: load this room anew',
	data: Type.Object({
		room_id: RoomIdField,
		members: Type.Array(NewMember, { minItems: 1, maxItems: 1000 }),
	}),
	example: {
		room_id,
		members: [{ user_id, role: 'member', joined_at: '2026-11-21T03:45:00.123Z' }],
	},
});

export const memberUpdated = defineEvent({
	type: 'member.updated',
	summary: 'The role of a member changed',
	data: Type.Object({ room_id: RoomIdField, user_id: UserIdField, role: RoleField }),
	example: { room_id, user_id, role: 'admin' },
});

export const memberRemoved = defineEvent({
	type: 'member.removed',
	summary: 'A member left the room or was removed; told to that member too',
	data: Type.Object({ room_id: RoomIdField, user_id: UserIdField }),
	example: { room_id, user_id },
});
