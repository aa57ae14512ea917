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
	VersionField,
} from '../../core/fields.ts';
import type { KeyId, TenantId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

/** Live ones that a tenant may have: a document of configuration names all of them in one change. */
export const KEYS_MAX = 100;

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
	last_used_at: nullable(TimestampField),
	/** Until when the secret before this one is good too. */
	grace_until: nullable(TimestampField),
	version: VersionField,
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
	last_used_at: null,
	grace_until: null,
	version: 1,
};

const api_key = 'sk_9fK2mPqR7tXw4bN8vJcL5hY1sD6gZ3aQ0eU2iO7pTkM9r';
const GRACE_SECONDS = 24 * 60 * 60;
const GRACE_SECONDS_MAX = 30 * GRACE_SECONDS;

const ofTenant = { tenant_id: TenantIdField };
const ofKey = { key_id: KeyIdField };
const toCreate = {
	name: NameField,
	permissions: GrantsField,
	expires_at: Type.Optional(nullable(TimeInputField)),
};
const toList = { limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) };
const toUpdate = {
	name: Type.Optional(NameField),
	permissions: Type.Optional(GrantsField),
	expires_at: Type.Optional(nullable(TimeInputField)),
};
const toRotate = {
	grace_seconds: Type.Optional(
		Type.Integer({
			minimum: 0,
			maximum: GRACE_SECONDS_MAX,
			default: GRACE_SECONDS,
			description: 'For how long the secret before stays good',
		}),
	),
};
const KeyPage = Type.Object({
	api_keys: Type.Array(ApiKey, { maxItems: 100 }),
	next_cursor: NextCursorField,
});
const strict = { additionalProperties: false };

/** What each operation is told and answers: the same for the operator and for the tenant itself. */
const CREATE = {
	isVersioned: true as const,
	description: `The answer holds the secret, this once. Only its hash is stored. A tenant has at most ${KEYS_MAX} keys.`,
	output: NewApiKey,
};
const LIST = {
	description:
		'Newest first, without secrets and without revoked keys. `last_used_at` is up to a minute late.',
	output: KeyPage,
};
const UPDATE = {
	isVersioned: true as const,
	description:
		'Merges the given fields. Takes effect on the next request, and on open sockets: one that may not be open any more is closed with 4501.',
	output: ApiKey,
};
const ROTATE = {
	isVersioned: true as const,
	description:
		'A new secret, shown this once; the one before stays good until `grace_until`, and so do its sockets. Rotating again within that time ends it at once.',
	output: NewApiKey,
};
const REVOKE = {
	description:
		'From the next request on the key is refused, the sockets it opened are closed with 4501, and the tokens and tickets it made are void.',
	output: SuccessField,
};

const inputExample = { name: 'Production', permissions: ['send', 'rooms:read'] };
const newExample = { ...example, api_key };
const updated = { ...example, permissions: ['send'], version: 2 };
const rotated = { ...newExample, version: 2, grace_until: '2026-11-22T03:45:00.123Z' };
const pageExample = { api_keys: [example], next_cursor: null };
const done = { success: true as const };

const byOperator = { actor: 'operator', errors: ['NOT_FOUND'] } as const;

export const createKey = defineOperation({
	name: 'keys.create',
	summary: 'Create an API key of a tenant',
	...byOperator,
	...CREATE,
	errors: ['NOT_FOUND', 'CONFLICT'],
	input: Type.Object({ ...ofTenant, ...toCreate }, strict),
	example: { input: { tenant_id, ...inputExample }, output: newExample },
});

export const listKeys = defineOperation({
	name: 'keys.list',
	summary: 'List the API keys of a tenant',
	...byOperator,
	...LIST,
	input: Type.Object({ ...ofTenant, ...toList }, strict),
	example: { input: { tenant_id, limit: 50 }, output: pageExample },
});

export const updateKey = defineOperation({
	name: 'keys.update',
	summary: 'Change an API key of a tenant',
	...byOperator,
	...UPDATE,
	input: Type.Object({ ...ofTenant, ...ofKey, ...toUpdate }, strict),
	example: { input: { tenant_id, key_id, permissions: ['send'] }, output: updated },
});

export const rotateKey = defineOperation({
	name: 'keys.rotate',
	summary: 'Give an API key of a tenant a new secret',
	...byOperator,
	...ROTATE,
	input: Type.Object({ ...ofTenant, ...ofKey, ...toRotate }, strict),
	example: { input: { tenant_id, key_id, grace_seconds: 86400 }, output: rotated },
});

export const revokeKey = defineOperation({
	name: 'keys.revoke',
	summary: 'Revoke an API key of a tenant',
	...byOperator,
	...REVOKE,
	input: Type.Object({ ...ofTenant, ...ofKey }, strict),
	example: { input: { tenant_id, key_id }, output: done },
});

const OWN = 'For the tenant itself: a key without a user.';
const WITHIN =
	'No key can be given, or shown the secret of, what the asking key may not do itself.';
const byTenant = { actor: 'tenant', permission: 'keys:manage', cost: 1 } as const;

export const createOwnKey = defineOperation({
	name: 'api_keys.create',
	summary: 'Create an API key',
	...byTenant,
	...CREATE,
	description: `${OWN} ${CREATE.description} ${WITHIN}`,
	isRepeatable: true,
	hasSecret: true,
	input: Type.Object(toCreate, strict),
	errors: ['CONFLICT'],
	example: { input: inputExample, output: newExample },
});

export const listOwnKeys = defineOperation({
	name: 'api_keys.list',
	summary: 'List the API keys',
	...byTenant,
	...LIST,
	description: `${OWN} ${LIST.description}`,
	input: Type.Object(toList, strict),
	errors: [],
	example: { input: { limit: 50 }, output: pageExample },
});

export const updateOwnKey = defineOperation({
	name: 'api_keys.update',
	summary: 'Change an API key',
	...byTenant,
	...UPDATE,
	description: `${OWN} ${UPDATE.description} ${WITHIN}`,
	input: Type.Object({ ...ofKey, ...toUpdate }, strict),
	errors: ['NOT_FOUND'],
	example: { input: { key_id, permissions: ['send'] }, output: updated },
});

export const rotateOwnKey = defineOperation({
	name: 'api_keys.rotate',
	summary: 'Give an API key a new secret',
	...byTenant,
	...ROTATE,
	description: `${OWN} ${ROTATE.description} ${WITHIN}`,
	isRepeatable: true,
	hasSecret: true,
	input: Type.Object({ ...ofKey, ...toRotate }, strict),
	errors: ['NOT_FOUND'],
	example: { input: { key_id, grace_seconds: 86400 }, output: rotated },
});

export const revokeOwnKey = defineOperation({
	name: 'api_keys.revoke',
	summary: 'Revoke an API key',
	...byTenant,
	...REVOKE,
	description: `${OWN} ${REVOKE.description}`,
	input: Type.Object(ofKey, strict),
	errors: ['NOT_FOUND'],
	example: { input: { key_id }, output: done },
});
