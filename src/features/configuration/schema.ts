import { type Static, Type } from '@sinclair/typebox';
import {
	CountField,
	KeyIdField,
	LimitField,
	MetadataField,
	NameField,
	NextCursorField,
	nullable,
	oneOf,
	PageCursorField,
	PlanIdField,
	TenantIdField,
} from '../../core/fields.ts';
import type { KeyId, PlanId, TenantId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';
import { createKey, KEYS_MAX } from '../keys/schema.ts';
import { updatePlan } from '../plans/schema.ts';
import { updateTenant } from '../tenants/schema.ts';

/** What a document may weigh. */
export const DOCUMENT_BYTES_MAX = 16 * 1024 * 1024;
const PLANS_MAX = 10_000;
const TENANTS_MAX = 100_000;
/** More than 16 MiB can name. */
const IDS_MAX = 1_000_000;
/** Above every number of changes that a document and its pruning can amount to. */
const CHANGES_MAX = 10_000_000;

const strict = { additionalProperties: false };

const KeyWanted = Type.Object(
	{
		name: NameField,
		key_id: Type.Optional(KeyIdField),
		permissions: createKey.input.properties.permissions,
		expires_at: createKey.input.properties.expires_at,
	},
	strict,
);
export type KeyWanted = Static<typeof KeyWanted>;

const { plan_id: _plan, name: _planName, ...planFields } = updatePlan.input.properties;
const PlanWanted = Type.Object(
	{ name: NameField, plan_id: Type.Optional(PlanIdField), ...planFields },
	strict,
);
export type PlanWanted = Static<typeof PlanWanted>;

const {
	tenant_id: _tenant,
	plan_id: _tenantsPlan,
	name: _tenantName,
	...tenantFields
} = updateTenant.input.properties;
const TenantWanted = Type.Object(
	{
		name: NameField,
		tenant_id: Type.Optional(TenantIdField),
		plan: Type.Optional(nullable(NameField)),
		plan_id: Type.Optional(nullable(PlanIdField)),
		...tenantFields,
		// A tenant and its keys are one change, which must stay short.
		keys: Type.Optional(Type.Array(KeyWanted, { maxItems: KEYS_MAX })),
	},
	strict,
);
export type TenantWanted = Static<typeof TenantWanted>;

/** What of a tenant a document can say, beside its name, plan and keys: whatever can be changed of it. */
export const TENANT_FIELDS = Object.keys(tenantFields) as readonly (keyof typeof tenantFields)[];

/** What changes of a thing. */
const FieldChange = Type.Object({
	field: Type.String({
		maxLength: 4096,
		description: 'Its members with a dot: `settings.history`',
	}),
	before: MetadataField,
	after: MetadataField,
});
export type FieldChange = Static<typeof FieldChange>;

const Change = Type.Object({
	action: oneOf('action', ['created', 'changed', 'pruned', 'kept']),
	kind: oneOf('kind', ['plan', 'tenant', 'api_key']),
	name: NameField,
	id: nullable(Type.String({ maxLength: 64, description: 'null for what a dry run would make' })),
	tenant: Type.Optional(NameField),
	fields: Type.Array(FieldChange, { maxItems: 10_000 }),
	reason: Type.Optional(Type.String({ maxLength: 200 })),
});
export type Change = Static<typeof Change>;

const NewSecret = Type.Object({
	tenant_id: TenantIdField,
	tenant: NameField,
	key_id: KeyIdField,
	name: NameField,
	api_key: Type.String({ maxLength: 48, description: 'Shown this once' }),
});
export type NewSecret = Static<typeof NewSecret>;

const plan_id = 'plan_01jd5v8p3k7x2m9q4w6y0z1abc' as PlanId;
const tenant_id = 'tenant_01jd5v8p3k7x2m9q4w6y0z1abc' as TenantId;
const key_id = 'key_01jd5v8p3k7x2m9q4w6y0z1abc' as KeyId;
const document = {
	plans: [{ name: 'University', quotas: { messages_per_month: 1_000_000 } }],
	tenants: [
		{
			name: 'Springfield',
			plan: 'University',
			domain: 'springfield.edu',
			keys: [{ name: 'Backend', permissions: ['full_access'] }],
		},
	],
};

export const applyConfiguration = defineOperation({
	name: 'configuration.apply',
	summary: 'Make plans, tenants and keys what a document says',
	description: `Things are found by name, or by the id that the document gives. A field that it names becomes what it says
(null: nothing), one that it leaves out stays as it is, and so do \`keys\`, \`tenants\` and \`plans\`. Applying twice changes
nothing. A tenant whose \`keys\` are left out gets a first key \`default\`, as by \`POST /admin/tenants\`.

Up to 100 changes are made all at once or not at all. More are made in slices, between which others write; what fails then
leaves what was made, and applying again goes on. With the same \`Idempotency-Key\` it also answers what was made before, with
the secrets of new keys.

With \`prune\`, what the document does not name is taken away: keys revoked, tenants deleted, plans deleted that no
tenant is on. It prunes only within lists that the document has.`,
	actor: 'operator',
	isMasterOnly: true,
	bodyBytesMax: DOCUMENT_BYTES_MAX,
	inQuery: ['dry_run', 'prune'],
	input: Type.Object(
		{
			dry_run: Type.Optional(
				Type.Boolean({ description: 'Tell what would change, and change nothing' }),
			),
			prune: Type.Optional(
				Type.Boolean({ description: 'Take away what the document does not name' }),
			),
			prune_ids: Type.Optional(
				Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
					maxItems: IDS_MAX,
					description: 'With `prune`: nothing but these, such as a dry run has told',
				}),
			),
			plans: Type.Optional(Type.Array(PlanWanted, { maxItems: PLANS_MAX })),
			tenants: Type.Optional(Type.Array(TenantWanted, { maxItems: TENANTS_MAX })),
		},
		strict,
	),
	output: Type.Object({
		dry_run: Type.Boolean(),
		changes: Type.Array(Change, { maxItems: CHANGES_MAX }),
		unchanged: Type.Object({ plans: CountField, tenants: CountField, api_keys: CountField }),
		api_keys: Type.Array(NewSecret, { maxItems: CHANGES_MAX }),
	}),
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: {
		input: document,
		output: {
			dry_run: false,
			changes: [
				{
					action: 'changed' as const,
					kind: 'plan' as const,
					name: 'University',
					id: plan_id,
					fields: [{ field: 'quotas.messages_per_month', before: 500_000, after: 1_000_000 }],
				},
				{
					action: 'created' as const,
					kind: 'api_key' as const,
					name: 'Backend',
					id: key_id,
					tenant: 'Springfield',
					fields: [{ field: 'permissions', before: null, after: ['full_access'] }],
				},
			],
			unchanged: { plans: 0, tenants: 1, api_keys: 0 },
			api_keys: [
				{
					...{ tenant_id, tenant: 'Springfield', key_id, name: 'Backend' },
					api_key: 'sk_9fK2mPqR7tXw4bN8vJcL5hY1sD6gZ3aQ0eU2iO7pTkM9r',
				},
			],
		},
	},
});

export const exportConfiguration = defineOperation({
	name: 'configuration.export',
	summary: 'Get plans, tenants and keys as a document to apply',
	description: `Page by page: first the plans, then the tenants with their keys, each in the order of their making. The pages
together, applied, change nothing. No secret is in them: applying leaves those as they are.`,
	actor: 'operator',
	isMasterOnly: true,
	input: Type.Object(
		{ limit: Type.Optional(LimitField), cursor: Type.Optional(PageCursorField) },
		strict,
	),
	output: Type.Object({
		plans: Type.Array(PlanWanted, { maxItems: 100 }),
		tenants: Type.Array(TenantWanted, { maxItems: 100 }),
		next_cursor: NextCursorField,
	}),
	errors: [],
	example: { input: { limit: 50 }, output: { ...document, next_cursor: null } },
});

export const getProgress = defineOperation({
	name: 'configuration.progress',
	summary: 'See how far the document is that is being applied',
	actor: 'operator',
	isMasterOnly: true,
	input: Type.Object({}, strict),
	output: Type.Object({
		state: oneOf('state', ['idle', 'comparing', 'changing']),
		done: CountField,
		total: CountField,
	}),
	errors: [],
	example: { input: {}, output: { state: 'changing', done: 300, total: 1000 } },
});
