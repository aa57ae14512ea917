import { Type } from '@sinclair/typebox';
import {
	MetadataField,
	NameField,
	NoInput,
	nullable,
	SuccessField,
	TimestampField,
	UserIdField,
} from '../../core/fields.ts';
import type { UserId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const AvatarUrlField = Type.String({
	pattern: '^https?://[!#-;=?-Z_a-z~%\\[\\]]{1,2040}$',
	minLength: 9,
	maxLength: 2048,
	error: 'Must be an http or https URL of at most 2048 characters',
});

export const User = Type.Object({
	user_id: UserIdField,
	name: nullable(NameField),
	avatar_url: nullable(AvatarUrlField),
	metadata: MetadataField,
	deactivated_at: nullable(TimestampField),
	created_at: TimestampField,
	updated_at: TimestampField,
});

const UserInput = Type.Object({ user_id: UserIdField }, { additionalProperties: false });

const user_id = 'alice' as UserId;
const example = {
	user_id,
	name: 'Alice',
	avatar_url: 'https://cdn.acme.com/alice.png',
	metadata: { team: 'support' },
	deactivated_at: null,
	created_at: '2026-11-21T03:45:00.123Z',
	updated_at: '2026-11-21T03:45:00.123Z',
};

/** 30 days. */
export const TOKEN_LIFE_S_MAX = 30 * 24 * 60 * 60;
export const TICKET_LIFE_S = 60;

export const getUser = defineOperation({
	name: 'users.get',
	summary: 'Get a user',
	description:
		'For the tenant itself: a key without a user. What `PUT /users/{user_id}` told. A user needs none of it to be a member or to act.',
	actor: 'tenant',
	permission: 'users:read',
	cost: 1,
	input: UserInput,
	output: User,
	errors: ['NOT_FOUND'],
	example: { input: { user_id }, output: example },
});

export const updateUser = defineOperation({
	name: 'users.update',
	summary: 'Tell of a user',
	description:
		'For the tenant itself: a key without a user. Makes the user known, or merges these fields into what is known (JSON merge patch, RFC 7396): null removes.',
	actor: 'tenant',
	permission: 'users:write',
	cost: 1,
	input: Type.Object(
		{
			user_id: UserIdField,
			name: Type.Optional(nullable(NameField)),
			avatar_url: Type.Optional(nullable(AvatarUrlField)),
			metadata: Type.Optional(MetadataField),
		},
		{ additionalProperties: false },
	),
	output: User,
	errors: [],
	example: {
		input: { user_id, name: 'Alice', avatar_url: 'https://cdn.acme.com/alice.png' },
		output: example,
	},
});

export const deactivateUser = defineOperation({
	name: 'users.deactivate',
	summary: 'Deactivate a user',
	description:
		'For the tenant itself: a key without a user. From then on nobody acts as this user: not by a token or ticket, which are void for good, and not by a key that names the user, which is answered 403. Their sockets are closed with 4507. Memberships and messages stay.',
	actor: 'tenant',
	permission: 'users:write',
	cost: 1,
	input: UserInput,
	output: User,
	errors: [],
	example: {
		input: { user_id },
		output: { ...example, deactivated_at: '2026-11-21T03:45:00.123Z' },
	},
});

export const reactivateUser = defineOperation({
	name: 'users.reactivate',
	summary: 'Take the deactivation of a user back',
	description:
		'For the tenant itself: a key without a user. Tokens and tickets from before stay void.',
	actor: 'tenant',
	permission: 'users:write',
	cost: 1,
	input: UserInput,
	output: User,
	errors: ['NOT_FOUND'],
	example: { input: { user_id }, output: example },
});

export const revokeUser = defineOperation({
	name: 'users.revoke',
	summary: 'Void the tokens and tickets of a user',
	description:
		'For the tenant itself: a key without a user. Also closes all sockets of the user with 4501. New tokens and tickets are good.',
	actor: 'tenant',
	permission: 'users:write',
	cost: 1,
	input: UserInput,
	output: SuccessField,
	errors: [],
	example: { input: { user_id }, output: { success: true as const } },
});

export const createToken = defineOperation({
	name: 'tokens.create',
	summary: 'Make a token for a user',
	description:
		'For the tenant itself: a key without a user. Whoever holds the token acts as this user and nobody else, by `Authorization: Bearer`, with what users may do, whatever the key may. It ends after `expires_in`, with a revocation, and with the key that made it. A user has at most 1,000 at a time.',
	actor: 'tenant',
	permission: 'tokens:create',
	cost: 1,
	input: Type.Object(
		{
			user_id: UserIdField,
			expires_in: Type.Optional(
				Type.Integer({
					minimum: 1,
					maximum: TOKEN_LIFE_S_MAX,
					description: 'Seconds. Default: 86400, a day; at most 30 days',
				}),
			),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		token: Type.String({ maxLength: 48, description: 'Shown this once' }),
		user_id: UserIdField,
		expires_at: TimestampField,
	}),
	errors: ['CONFLICT'],
	example: {
		input: { user_id, expires_in: 3600 },
		output: {
			token: 'ut_9fK2mPqR7tXw4bN8vJcL5hY1sD6gZ3aQ0eU2iO7pTkM9r',
			user_id,
			expires_at: '2026-11-21T04:45:00.123Z',
		},
	},
});

export const createTicket = defineOperation({
	name: 'tickets.create',
	summary: 'Make a ticket that opens one WebSocket',
	description:
		'`GET /ws?token=wst_…` opens one socket as the user, once, within 60 seconds, with what users may do. For browsers, which cannot set headers there. A user with a token needs no permission for it. A ticket ends with what it was made with, and with a restart.',
	actor: 'user',
	permission: 'tokens:create',
	isOpenToUser: true,
	cost: 1,
	input: NoInput,
	output: Type.Object({
		token: Type.String({ maxLength: 49, description: 'Good for one try' }),
		expires_in: Type.Literal(TICKET_LIFE_S),
	}),
	errors: [],
	example: {
		input: {},
		output: { token: 'wst_9fK2mPqR7tXw4bN8vJcL5hY1sD6gZ3aQ0eU2iO7pTkM9r', expires_in: 60 },
	},
});
