import { Type } from '@sinclair/typebox';
import {
	LimitField,
	NameField,
	NextCursorField,
	nullable,
	PageCursorField,
	PlanIdField,
	SuccessField,
	TimestampField,
	VersionField,
} from '../../core/fields.ts';
import type { PlanId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';
import { SettingsField, SettingsPatchField } from '../../core/tenant-settings.ts';

const Quota = Type.Optional(
	nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
);

/** What may be used up; what is left out, or null, is not limited. */
export const QuotasField = Type.Object(
	{
		monthly_active_users: Quota,
		peak_connections: Quota,
		messages_per_month: Quota,
		api_requests_per_month: Quota,
		storage_bytes: Quota,
	},
	{
		additionalProperties: false,
		description:
			'How much there may be, by UTC month where it is by month; what is left out, or null, is not limited',
	},
);

/** Names of features, and whether tenants have them. */
export const FeaturesField = Type.Record(
	Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$', minLength: 1, maxLength: 64 }),
	nullable(Type.Boolean()),
	{ maxProperties: 100, additionalProperties: false, description: 'Switches, by name' },
);

const PlanInput = Type.Object({ plan_id: PlanIdField }, { additionalProperties: false });

const Plan = Type.Object({
	plan_id: PlanIdField,
	name: NameField,
	quotas: QuotasField,
	features: FeaturesField,
	settings: SettingsField,
	version: VersionField,
	created_at: TimestampField,
	updated_at: TimestampField,
});

const plan_id = 'plan_01jd5v8p3k7x2m9q4w6y0z1abc' as PlanId;
const example = {
	plan_id,
	name: 'School',
	quotas: { messages_per_month: 1_000_000, monthly_active_users: 5000 },
	features: { typing: true },
	settings: { from_name: 'Acme' },
	version: 1,
	created_at: '2026-11-21T03:45:00.123Z',
	updated_at: '2026-11-21T03:45:00.123Z',
};

export const createPlan = defineOperation({
	name: 'plans.create',
	summary: 'Create a plan',
	description:
		'A pool: the tenants on a plan draw on its quotas together, and inherit its features and settings.',
	actor: 'operator',
	isMasterOnly: true,
	isVersioned: true,
	input: Type.Object(
		{
			name: NameField,
			quotas: Type.Optional(QuotasField),
			features: Type.Optional(FeaturesField),
			settings: Type.Optional(SettingsPatchField),
		},
		{ additionalProperties: false },
	),
	output: Plan,
	errors: [],
	example: {
		input: { name: 'School', quotas: { messages_per_month: 1_000_000 } },
		output: example,
	},
});

export const listPlans = defineOperation({
	name: 'plans.list',
	summary: 'List plans',
	description: 'Newest first. Management credentials see their own.',
	actor: 'operator',
	input: Type.Object(
		{ limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) },
		{ additionalProperties: false },
	),
	output: Type.Object({
		plans: Type.Array(Plan, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: [],
	example: { input: { limit: 50 }, output: { plans: [example], next_cursor: null } },
});

export const getPlan = defineOperation({
	name: 'plans.get',
	summary: 'Get a plan',
	actor: 'operator',
	isVersioned: true,
	input: PlanInput,
	output: Plan,
	errors: ['NOT_FOUND'],
	example: { input: { plan_id }, output: example },
});

export const updatePlan = defineOperation({
	name: 'plans.update',
	summary: 'Change a plan',
	description: 'JSON merge patch (RFC 7396): null removes. Takes effect at once.',
	actor: 'operator',
	isMasterOnly: true,
	isVersioned: true,
	input: Type.Object(
		{
			plan_id: PlanIdField,
			name: Type.Optional(NameField),
			quotas: Type.Optional(nullable(QuotasField)),
			features: Type.Optional(nullable(FeaturesField)),
			settings: Type.Optional(nullable(SettingsPatchField)),
		},
		{ additionalProperties: false },
	),
	output: Plan,
	errors: ['NOT_FOUND'],
	example: {
		input: { plan_id, quotas: { messages_per_month: 2_000_000 } },
		output: {
			...example,
			quotas: { ...example.quotas, messages_per_month: 2_000_000 },
			version: 2,
		},
	},
});

export const deletePlan = defineOperation({
	name: 'plans.delete',
	summary: 'Delete a plan that no tenant is on',
	description: 'Its management credentials end with it.',
	actor: 'operator',
	isMasterOnly: true,
	input: PlanInput,
	output: SuccessField,
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: { input: { plan_id }, output: { success: true as const } },
});

/** What is sent as `key`; no secret. */
const ManagementKeyField = Type.String({
	pattern: '^mk_[0-9A-Za-z]{10}$',
	minLength: 13,
	maxLength: 13,
	error: 'Must be a management key: mk_ and 10 letters and digits',
	description: 'Sent in the header `key`',
});

const ManagementKey = Type.Object({
	key: ManagementKeyField,
	plan_id: PlanIdField,
	created_at: TimestampField,
});

const key = 'mk_4hT9wQ2zLp';
const keyExample = { key, plan_id, created_at: '2026-11-21T03:45:00.123Z' };

export const createManagementKey = defineOperation({
	name: 'management_keys.create',
	summary: 'Create management credentials of a plan',
	description:
		'Sent as the headers `key` and `secret`, they may do under `/admin` what concerns the tenants of this plan. The secret is shown this once.',
	actor: 'operator',
	isMasterOnly: true,
	input: PlanInput,
	output: Type.Composite([
		ManagementKey,
		Type.Object({
			secret: Type.String({ maxLength: 35, description: 'Sent in the header `secret`' }),
		}),
	]),
	errors: ['NOT_FOUND'],
	example: {
		input: { plan_id },
		output: { ...keyExample, secret: 'xR7tYbN3mKqW8vZcL5hJ1sD6gP4aF0eU2iO' },
	},
});

export const listManagementKeys = defineOperation({
	name: 'management_keys.list',
	summary: 'List the management credentials of a plan',
	actor: 'operator',
	isMasterOnly: true,
	input: Type.Object(
		{
			plan_id: PlanIdField,
			limit: Type.Optional(LimitField),
			cursor: Type.Optional(PageCursorField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		management_keys: Type.Array(ManagementKey, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: ['NOT_FOUND'],
	example: {
		input: { plan_id },
		output: { management_keys: [keyExample], next_cursor: null },
	},
});

export const revokeManagementKey = defineOperation({
	name: 'management_keys.revoke',
	summary: 'Revoke management credentials',
	description: 'Their next request is refused.',
	actor: 'operator',
	isMasterOnly: true,
	input: Type.Object(
		{ plan_id: PlanIdField, key: ManagementKeyField },
		{ additionalProperties: false },
	),
	output: SuccessField,
	errors: ['NOT_FOUND'],
	example: { input: { plan_id, key }, output: { success: true as const } },
});
