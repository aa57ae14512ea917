/** The operator's read access to what belongs to a tenant, in the shapes that the tenant itself is shown. */
import { type TProperties, Type } from '@sinclair/typebox';
import {
	CursorField,
	LimitField,
	NextCursorField,
	PageCursorField,
	TenantIdField,
} from '../../core/fields.ts';
import type { TenantId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';
import { listMembers } from '../members/schema.ts';
import { listAllMessages, listMessages } from '../messages/schema.ts';
import { getRoom, Room } from '../rooms/schema.ts';
import { getUser, User } from '../users/schema.ts';

const tenant_id = 'tenant_01jd5v8p3k7x2m9q4w6y0z1abc' as TenantId;
const as_of = '3k9qv00000000a1f';

const ofTenant = <Fields extends TProperties>(fields: Fields) =>
	Type.Object({ tenant_id: TenantIdField, ...fields }, { additionalProperties: false });

const page = { limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) };

/** What all of these have in common. */
const read = {
	actor: 'operator' as const,
	errors: ['NOT_FOUND', 'INSUFFICIENT_STORAGE'] as const,
};

const RECORDED = 'Recorded in the audit log before it is answered.';

export const listTenantRooms = defineOperation({
	...read,
	name: 'tenant_rooms.list',
	summary: 'List the rooms of a tenant',
	description: `All of them, newest first. ${RECORDED}`,
	input: ofTenant(page),
	output: Type.Object({
		rooms: Type.Array(Room, { maxItems: 100 }),
		next_cursor: NextCursorField,
		as_of: CursorField,
	}),
	example: {
		input: { tenant_id, limit: 50 },
		output: { rooms: [getRoom.example.output], next_cursor: null, as_of },
	},
});

export const getTenantRoom = defineOperation({
	...read,
	name: 'tenant_rooms.get',
	summary: 'Get a room of a tenant',
	description: RECORDED,
	input: ofTenant(getRoom.input.properties),
	output: getRoom.output,
	example: {
		input: { tenant_id, ...getRoom.example.input },
		output: getRoom.example.output,
	},
});

export const listTenantMembers = defineOperation({
	...read,
	name: 'tenant_members.list',
	summary: 'List the members of a room of a tenant',
	description: RECORDED,
	input: ofTenant(listMembers.input.properties),
	output: listMembers.output,
	example: {
		input: { tenant_id, ...listMembers.example.input },
		output: listMembers.example.output,
	},
});

export const listTenantMessages = defineOperation({
	...read,
	name: 'tenant_messages.list',
	summary: 'List the messages of a room of a tenant',
	description: `Paged as the tenant's own \`GET /rooms/{room_id}/messages\`. ${RECORDED}`,
	input: ofTenant(listMessages.input.properties),
	output: listMessages.output,
	example: {
		input: { tenant_id, ...listMessages.example.input },
		output: listMessages.example.output,
	},
});

export const listAllTenantMessages = defineOperation({
	...read,
	name: 'tenant_messages.list_all',
	summary: 'List the messages of all rooms of a tenant',
	description: `Newest first, as the tenant's own \`GET /messages\`. ${RECORDED}`,
	input: ofTenant(listAllMessages.input.properties),
	output: listAllMessages.output,
	example: {
		input: { tenant_id, ...listAllMessages.example.input },
		output: listAllMessages.example.output,
	},
});

export const listTenantUsers = defineOperation({
	...read,
	name: 'tenant_users.list',
	summary: 'List the users that a tenant told of',
	description: `In the order of their ids. A user may act and be a member without being told of. ${RECORDED}`,
	input: ofTenant(page),
	output: Type.Object({
		users: Type.Array(User, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	example: {
		input: { tenant_id, limit: 50 },
		output: { users: [getUser.example.output], next_cursor: null },
	},
});

export const getTenantUser = defineOperation({
	...read,
	name: 'tenant_users.get',
	summary: 'Get a user that a tenant told of',
	description: RECORDED,
	input: ofTenant(getUser.input.properties),
	output: getUser.output,
	example: {
		input: { tenant_id, ...getUser.example.input },
		output: getUser.example.output,
	},
});
