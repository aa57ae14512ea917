import { Type } from '@sinclair/typebox';
import {
	LimitField,
	MetadataField,
	nullable,
	PlanIdField,
	TenantIdField,
	TimestampField,
} from '../../core/fields.ts';
import type { PlanId, TenantId } from '../../core/ids.ts';
import { defineOperation } from '../../core/operation.ts';

const EntryNumberField = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

const ActionField = Type.String({
	pattern: '^[a-z_]{1,40}\\.[a-z_]{1,40}$',
	minLength: 3,
	maxLength: 81,
	error: 'Must be the name of an operation, such as tenants.create',
	description: 'The operation, by its name here',
});

/** Any JSON: what an operation was told or answered, which was bounded there. */
const told = (description: string) => nullable({ ...MetadataField, description });

const Entry = Type.Object({
	entry: { ...EntryNumberField, description: 'Its number: 1, 2, 3… without gaps' },
	at: TimestampField,
	credential: Type.String({
		maxLength: 64,
		description:
			'`master`, the key of management credentials, or `command:` and the user of the system who typed a command there',
	}),
	action: ActionField,
	request_id: Type.String({ maxLength: 64, description: 'As in `X-Request-Id` of the answer' }),
	tenant_id: nullable(TenantIdField),
	plan_id: nullable(PlanIdField),
	target: told('What it was about: ids, and of a read what was asked for'),
	before: told('What was changed, as it was before. Never a secret'),
	after: told('The same as it was afterwards'),
	hash: Type.String({
		pattern: '^[0-9a-f]{64}$',
		minLength: 64,
		maxLength: 64,
		description: 'SHA-256 of the entry and of the hash before it',
	}),
	erased: Type.Boolean({
		description: 'Whether what it said was erased with its tenant; its hash still holds',
	}),
});

const tenant_id = 'tenant_01jd5v8p3k7x2m9q4w6y0z1abc' as TenantId;
const plan_id = 'plan_01jd5v8p3k7x2m9q4w6y0z1abc' as PlanId;

export const listAudit = defineOperation({
	name: 'audit.list',
	summary: 'List what was done under /admin, and by commands',
	description:
		'Ascending by `entry`. With `after` the first entries after it, with `before` the last ones before it, with neither the newest page. Of every change, and of every read of what belongs to a tenant, and of what commands take out as a file or bring in. Management credentials are shown the entries of their own plan: of what was done while a tenant was on it, and of nothing else.',
	actor: 'operator',
	input: Type.Object(
		{
			tenant_id: Type.Optional(TenantIdField),
			plan_id: Type.Optional(PlanIdField),
			action: Type.Optional(ActionField),
			after: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
			before: Type.Optional(EntryNumberField),
			limit: Type.Optional(LimitField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		entries: Type.Array(Entry, { maxItems: 100 }),
		has_more: Type.Boolean({ description: 'Whether more lie beyond the page in its direction' }),
	}),
	errors: ['NOT_FOUND'],
	example: {
		input: { tenant_id, after: 0, limit: 50 },
		output: {
			entries: [
				{
					entry: 1,
					at: '2026-11-21T03:45:00.123Z',
					credential: 'master',
					action: 'tenants.update',
					request_id: 'req_01jd6yh2n8f9tr3c5x7z0w4k6m',
					tenant_id,
					plan_id,
					target: { tenant_id },
					before: { name: 'MyCompany' },
					after: { name: 'OurCompany' },
					hash: '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b',
					erased: false,
				},
			],
			has_more: false,
		},
	},
});
