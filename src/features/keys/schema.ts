import { Type } from '@sinclair/typebox';
import {
	KeyIdField,
	LimitField,
	NameField,
	NextCursorField,
	nullable,
	PageCursorField,
	SuccessField,
	TenantIdField,
	TimeInputField,
	TimestampField,
} from '../../core/fields.ts';
import type { KeyId, TenantId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const GrantsField = Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
	minItems: 1,
	maxItems: 64,
	description: 'Permissions, `noun:*`, `*`, or presets: full_access, read_only, send, auth_only',
});

const ApiKey = Type.Object({
	key_id: KeyIdField,
	name: NameField,
	prefix: Type.String({ maxLength: 13, description: 'The public beginning, for recognition' }),
	permissions: GrantsField,
	created_at: TimestampField,
	expires_at: nullable(TimestampField),
});

/** With the secret: told once, at creation, and stored nowhere. */
const NewApiKey = Type.Composite([
	ApiKey,
	Type.Object({ api_key: Type.String({ maxLength: 48, description: 'Shown this once' }) }),
]);

const tenant_id = 'tenant_01jd5v8p3k7x2m9q4w6y0z1abc' as TenantId;
const key_id = 'key_01jd5v8p3k7x2m9q4w6y0z1def' as KeyId;
const example = {
	key_id,
	name: 'Production',
	prefix: 'sk_9fK2mPqR7t',
	permissions: ['send', 'rooms:read'],
	created_at: '2026-11-21T03:45:00.123Z',
	expires_at: null,
};

export const createKey = defineOperation({
	name: 'keys.create',
	summary: 'Create an API key of a tenant',
	description: 'The answer holds the secret, this once. Only its hash is stored.',
	actor: 'operator',
	input: Type.Object(
		{
			tenant_id: TenantIdField,
			name: NameField,
			permissions: GrantsField,
			expires_at: Type.Optional(nullable(TimeInputField)),
		},
		{ additionalProperties: false },
	),
	output: NewApiKey,
	errors: ['NOT_FOUND'],
	example: {
		input: { tenant_id, name: 'Production', permissions: ['send', 'rooms:read'] },
		output: { ...example, api_key: 'sk_9fK2mPqR7tXw4bN8vJcL5hY1sD6gZ3aQ0eU2iO7pTkM9r' },
	},
});

export const listKeys = defineOperation({
	name: 'keys.list',
	summary: 'List the API keys of a tenant',
	description: 'Newest first, without secrets and without revoked keys.',
	actor: 'operator',
	input: Type.Object(
		{
			tenant_id: TenantIdField,
			limit: Type.Optional(LimitField),
			cursor: Type.Optional(PageCursorField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		api_keys: Type.Array(ApiKey, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: ['NOT_FOUND'],
	example: { input: { tenant_id, limit: 50 }, output: { api_keys: [example], next_cursor: null } },
});

export const revokeKey = defineOperation({
	name: 'keys.revoke',
	summary: 'Revoke an API key',
	description:
		'From the next request on the key is refused, and the sockets it opened are closed with 4501.',
	actor: 'operator',
	input: Type.Object(
		{ tenant_id: TenantIdField, key_id: KeyIdField },
		{ additionalProperties: false },
	),
	output: SuccessField,
	errors: ['NOT_FOUND'],
	example: { input: { tenant_id, key_id }, output: { success: true } },
});
