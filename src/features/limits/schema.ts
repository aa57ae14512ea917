import { Type } from '@sinclair/typebox';
import { CountField, NoInput, nullable, oneOf, TimestampField } from '../../core/fields.ts';
import { defineOperation } from '../../core/operation.ts';
import { QUOTAS } from '../../core/quota.ts';

const Bucket = Type.Object({
	name: oneOf('bucket', ['requests', 'messages_per_day']),
	limit: CountField,
	remaining: CountField,
	/** When nothing of it is used any more. */
	reset_at: TimestampField,
});

const Quota = Type.Object({
	name: oneOf('quota', QUOTAS),
	/** Whose it is: the tenant's own, or the pool's that its plan is. */
	scope: oneOf('scope', ['tenant', 'plan']),
	limit: CountField,
	used: CountField,
	/** Null for what is free again when less is there. */
	resets_at: nullable(TimestampField),
});

export const getLimits = defineOperation({
	name: 'limits.get',
	summary: 'Get what is left of the limits',
	description:
		'Every bucket of the tenant that is limited, as it is after this request, and every quota of its own and of its plan. All its keys and users draw on the same ones.',
	actor: 'any',
	permission: 'usage:read',
	cost: 1,
	isAboveQuota: true,
	input: NoInput,
	output: Type.Object({
		buckets: Type.Array(Bucket, { maxItems: 10 }),
		quotas: Type.Array(Quota, { maxItems: 10 }),
	}),
	errors: [],
	example: {
		input: {},
		output: {
			buckets: [
				{
					name: 'requests',
					limit: 1000,
					remaining: 999,
					reset_at: '2026-11-21T03:45:00.125Z',
				},
				{
					name: 'messages_per_day',
					limit: 50_000,
					remaining: 49_200,
					reset_at: '2026-11-22T00:00:00.000Z',
				},
			],
			quotas: [
				{
					name: 'messages_per_month',
					scope: 'plan',
					limit: 1_000_000,
					used: 640_200,
					resets_at: '2026-12-01T00:00:00.000Z',
				},
			],
		},
	},
});
