import { Type } from '@sinclair/typebox';
import {
	LimitField,
	MetadataField,
	NameField,
	NextCursorField,
	nullable,
	PageCursorField,
	PlanIdField,
	TenantIdField,
	TimestampField,
	VersionField,
} from '../../core/fields.ts';
import type { TenantId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const DomainField = Type.String({
	minLength: 1,
	maxLength: 253,
	pattern: '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
	error: 'Must be a domain name in lower case, such as acme.com',
});

const OriginField = Type.String({
	minLength: 1,
	maxLength: 300,
	pattern: '^(\\*|https?://[a-z0-9.-]+(:\\d{1,5})?|https?://\\[[0-9a-f:]+\\](:\\d{1,5})?)$',
	error: 'Must be an origin such as https://app.example.com, without a path; or *',
});

/** How many requests a tenant may make. Requests and frames draw on the same bucket. */
export const RateLimitField = Type.Object(
	{
		requests_per_second: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
		requests_per_minute: Type.Optional(Type.Integer({ minimum: 1, maximum: 60_000_000 })),
		burst: Type.Optional(
			Type.Integer({
				minimum: 1,
				maximum: 60_000_000,
				description:
					'How many at once. Default: twice requests_per_second, or requests_per_minute itself',
			}),
		),
	},
	{
		additionalProperties: false,
		description: 'Either requests_per_second or requests_per_minute, not both',
	},
);

const Tenant = Type.Object({
	tenant_id: TenantIdField,
	id: TenantIdField,
	name: NameField,
	domain: nullable(DomainField),
	status: Type.Literal('active'),
	plan_id: nullable(PlanIdField),
	rate_limit: nullable(RateLimitField),
	allowed_origins: nullable(Type.Array(OriginField, { maxItems: 100 })),
	metadata: MetadataField,
	version: VersionField,
	created_at: TimestampField,
	updated_at: TimestampField,
});

const tenant_id = 'tenant_01jd5v8p3k7x2m9q4w6y0z1abc' as TenantId;
const example = {
	tenant_id,
	id: tenant_id,
	name: 'MyCompany',
	domain: 'acme.com',
	status: 'active' as const,
	plan_id: null,
	rate_limit: { requests_per_second: 500 },
	allowed_origins: ['https://app.acme.com'],
	metadata: { crm: 4711 },
	version: 1,
	created_at: '2026-11-21T03:45:00.123Z',
	updated_at: '2026-11-21T03:45:00.123Z',
};

export const createTenant = defineOperation({
	name: 'tenants.create',
	summary: 'Create a tenant',
	description:
		'The answer holds a first API key named `default` with every permission, shown this once.',
	actor: 'operator',
	isVersioned: true,
	input: Type.Object(
		{
			name: NameField,
			plan_id: Type.Optional(nullable(PlanIdField)),
			domain: Type.Optional(nullable(DomainField)),
			metadata: Type.Optional(MetadataField),
			rate_limit: Type.Optional(nullable(RateLimitField)),
			allowed_origins: Type.Optional(
				nullable(
					Type.Array(OriginField, {
						maxItems: 100,
						description: 'Who may open sockets from a browser. Default: ALLOWED_ORIGINS',
					}),
				),
			),
		},
		{ additionalProperties: false },
	),
	output: Type.Composite([
		Tenant,
		Type.Object({ api_key: Type.String({ maxLength: 48, description: 'Shown this once' }) }),
	]),
	errors: ['NOT_FOUND'],
	example: {
		input: { name: 'MyCompany', domain: 'acme.com', rate_limit: { requests_per_second: 500 } },
		output: { ...example, api_key: 'sk_9fK2mPqR7tXw4bN8vJcL5hY1sD6gZ3aQ0eU2iO7pTkM9r' },
	},
});

export const listTenants = defineOperation({
	name: 'tenants.list',
	summary: 'List tenants',
	description: 'Newest first. Never a key or a hash.',
	actor: 'operator',
	input: Type.Object(
		{ limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) },
		{ additionalProperties: false },
	),
	output: Type.Object({
		tenants: Type.Array(Tenant, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: [],
	example: { input: { limit: 50 }, output: { tenants: [example], next_cursor: null } },
});

export const getTenant = defineOperation({
	name: 'tenants.get',
	summary: 'Get a tenant',
	actor: 'operator',
	isVersioned: true,
	input: Type.Object({ tenant_id: TenantIdField }, { additionalProperties: false }),
	output: Tenant,
	errors: ['NOT_FOUND'],
	example: { input: { tenant_id }, output: example },
});
