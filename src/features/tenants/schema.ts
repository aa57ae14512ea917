import { Type } from '@sinclair/typebox';
import {
	CountField,
	LimitField,
	MetadataField,
	NameField,
	NextCursorField,
	NoInput,
	nullable,
	oneOf,
	PageCursorField,
	PlanIdField,
	TenantIdField,
	TimestampField,
	VersionField,
} from '../../core/fields.ts';
import type { TenantId } from '../../core/ids.ts';
import { defineOperation, type Operation } from '../../core/operation.ts';
import { RateLimitField, RateLimitPatchField } from '../../core/rate-limit.ts';
import { SmtpField, SmtpPatchField } from '../../core/smtp.ts';
import {
	EffectiveSettingsField,
	SettingsField,
	SettingsPatchField,
} from '../../core/tenant-settings.ts';
import { QuotasField } from '../plans/schema.ts';

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

const WebhookUrlField = Type.String({
	minLength: 1,
	maxLength: 2048,
	pattern:
		'^https?://([A-Za-z0-9]([A-Za-z0-9.-]{0,252})|\\[[0-9A-Fa-f:.]{2,45}\\])(:\\d{1,5})?([/?][!-~]{0,1800})?$',
	error: 'Must be an http or https URL without credentials, such as https://acme.com/hooks',
	description: 'Where events are to be sent; kept for a later version, which sends them',
});

const OriginsField = Type.Array(OriginField, {
	maxItems: 100,
	description:
		'Origins whose pages may act for its users, over REST and sockets. Default: ALLOWED_ORIGINS',
});

const StatusField = oneOf('status', ['active', 'suspended', 'deleting', 'purging']);

const Tenant = Type.Object({
	tenant_id: TenantIdField,
	id: TenantIdField,
	name: NameField,
	domain: nullable(DomainField),
	status: StatusField,
	plan_id: nullable(PlanIdField),
	rate_limit: nullable(RateLimitField),
	quotas: QuotasField,
	allowed_origins: nullable(Type.Array(OriginField, { maxItems: 100 })),
	webhook_url: nullable(WebhookUrlField),
	smtp: nullable(SmtpField),
	settings: SettingsField,
	effective_settings: EffectiveSettingsField,
	features: Type.Record(
		Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$', minLength: 1, maxLength: 64 }),
		Type.Boolean(),
		{ maxProperties: 100, additionalProperties: false, description: 'Of its plan' },
	),
	metadata: MetadataField,
	purge_at: nullable(TimestampField),
	erased_rows: nullable(CountField),
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
	quotas: { messages_per_month: 100_000 },
	allowed_origins: ['https://app.acme.com'],
	webhook_url: 'https://acme.com/hooks/chat',
	smtp: null,
	settings: { history: 'joined' as const },
	effective_settings: {
		from_name: 'Acme',
		reply_to: null,
		history: 'joined' as const,
		live_receipts: true,
	},
	features: { typing: true },
	metadata: { crm: 4711 },
	purge_at: null,
	erased_rows: null,
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
			quotas: Type.Optional(nullable(QuotasField)),
			allowed_origins: Type.Optional(nullable(OriginsField)),
			webhook_url: Type.Optional(nullable(WebhookUrlField)),
			settings: Type.Optional(nullable(SettingsPatchField)),
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
	description:
		'Newest first. Never a key or a hash. Management credentials see those of their plan.',
	actor: 'operator',
	input: Type.Object(
		{
			limit: Type.Optional(LimitField),
			cursor: Type.Optional(PageCursorField),
			status: Type.Optional(StatusField),
			plan_id: Type.Optional(PlanIdField),
			q: Type.Optional(
				Type.String({
					minLength: 1,
					maxLength: 128,
					// U+FFFD is what bytes that are no UTF-8 come as.
					pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\ufffd]+$',
					error: 'Must be text of 1 to 128 characters without control characters',
					description:
						'Part of the name or domain, in capitals or not (of A to Z); or the whole tenant_id',
				}),
			),
		},
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

export const updateTenant = defineOperation({
	name: 'tenants.update',
	summary: 'Change a tenant',
	description: `JSON merge patch (RFC 7396): what is left out stays, objects merge, null removes what is optional.
Takes effect with the next request, and on open sockets. Only the master key moves a tenant to another plan.`,
	actor: 'operator',
	isVersioned: true,
	input: Type.Object(
		{
			tenant_id: TenantIdField,
			name: Type.Optional(NameField),
			domain: Type.Optional(nullable(DomainField)),
			plan_id: Type.Optional(nullable(PlanIdField)),
			metadata: Type.Optional(MetadataField),
			rate_limit: Type.Optional(nullable(RateLimitPatchField)),
			quotas: Type.Optional(nullable(QuotasField)),
			allowed_origins: Type.Optional(nullable(OriginsField)),
			webhook_url: Type.Optional(nullable(WebhookUrlField)),
			settings: Type.Optional(nullable(SettingsPatchField)),
			smtp: Type.Optional(nullable(SmtpPatchField)),
		},
		{ additionalProperties: false },
	),
	output: Tenant,
	errors: ['NOT_FOUND', 'AUTHORIZATION_ERROR'],
	example: {
		input: { tenant_id, settings: { history: 'joined' }, metadata: { crm: 4711 } },
		output: { ...example, version: 2 },
	},
});

/** PUT, which is the same: clients of SelfMX send it. */
export const mergeTenant = {
	...updateTenant,
	name: 'tenants.merge',
	summary: 'Change a tenant, as PATCH does',
} as const satisfies Operation;

const TenantInput = Type.Object({ tenant_id: TenantIdField }, { additionalProperties: false });

export const suspendTenant = defineOperation({
	name: 'tenants.suspend',
	summary: 'Suspend a tenant',
	description: `From the answer on, every key, token and ticket of it is answered 403, nothing that waited is written,
and its sockets are closed with 4509. Its data stays. Once suspended, it stays so: a repeat changes nothing.`,
	actor: 'operator',
	isVersioned: true,
	input: TenantInput,
	output: Tenant,
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: { input: { tenant_id }, output: { ...example, status: 'suspended', version: 2 } },
});

export const resumeTenant = defineOperation({
	name: 'tenants.resume',
	summary: 'End the suspension of a tenant',
	description: 'Its keys and tokens are good again. A repeat changes nothing.',
	actor: 'operator',
	isVersioned: true,
	input: TenantInput,
	output: Tenant,
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: { input: { tenant_id }, output: { ...example, version: 3 } },
});

const Receipt = Type.Object(
	{
		tenant_id: TenantIdField,
		deleted_by: Type.String({ maxLength: 128, description: 'As the audit log names them' }),
		started_at: TimestampField,
		finished_at: TimestampField,
		rows: Type.Record(Type.String({ pattern: '^[a-z_]{1,64}$', maxLength: 64 }), CountField, {
			maxProperties: 200,
			additionalProperties: false,
			description: 'How many rows were erased, by table',
		}),
	},
	{ description: 'What was erased; stands in the audit log, too' },
);

export const deleteTenant = defineOperation({
	name: 'tenants.delete',
	summary: 'Delete a tenant',
	description: `From the answer on, its credentials are answered 403 and its sockets are closed with 4510. Until
\`purge_at\` it can be restored; then it is erased, in the background. \`purge=now\` erases it at once: answered 200 with
a receipt where that is done within 5 seconds, else 202 while \`GET\` shows how far it is, and the receipt is in the audit log.
Only the master key erases at once: what a tenant used of its plan's pool goes with it.`,
	actor: 'operator',
	input: Type.Object(
		{ tenant_id: TenantIdField, purge: Type.Optional(oneOf('purge', ['now'])) },
		{ additionalProperties: false },
	),
	output: Type.Object({
		tenant_id: TenantIdField,
		status: oneOf('status', ['deleting', 'purging', 'purged']),
		purge_at: nullable(TimestampField),
		receipt: Type.Optional(Receipt),
	}),
	errors: ['NOT_FOUND', 'AUTHORIZATION_ERROR'],
	example: {
		input: { tenant_id },
		output: { tenant_id, status: 'deleting', purge_at: '2026-12-21T03:45:00.123Z' },
	},
});

export const restoreTenant = defineOperation({
	name: 'tenants.restore',
	summary: 'Take back the deletion of a tenant',
	description: `It is what it was, suspended if it was. Its keys and tokens are good again. A repeat changes nothing; what is
being erased already cannot be restored.`,
	actor: 'operator',
	isVersioned: true,
	input: TenantInput,
	output: Tenant,
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: { input: { tenant_id }, output: { ...example, version: 3 } },
});

const Settings = Type.Object({
	settings: SettingsField,
	effective_settings: EffectiveSettingsField,
	version: VersionField,
});

export const getSettings = defineOperation({
	name: 'settings.get',
	summary: "Get the tenant's settings",
	description: '`settings` are its own; `effective_settings` are those with what it inherits.',
	actor: 'tenant',
	permission: 'settings:manage',
	cost: 1,
	isVersioned: true,
	input: NoInput,
	output: Settings,
	errors: [],
	example: {
		input: {},
		output: {
			settings: example.settings,
			effective_settings: example.effective_settings,
			version: 1,
		},
	},
});

export const updateSettings = defineOperation({
	name: 'settings.update',
	summary: "Change the tenant's settings",
	description: 'JSON merge patch (RFC 7396): null takes a setting back. Takes effect at once.',
	actor: 'tenant',
	permission: 'settings:manage',
	cost: 1,
	isVersioned: true,
	input: SettingsPatchField,
	output: Settings,
	errors: [],
	example: {
		input: { history: 'joined' },
		output: {
			settings: example.settings,
			effective_settings: example.effective_settings,
			version: 2,
		},
	},
});
