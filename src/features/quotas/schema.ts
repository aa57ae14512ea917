import { Type } from '@sinclair/typebox';
import { defineEvent } from '../../core/event.ts';
import { nullable, oneOf, TimestampField } from '../../core/fields.ts';
import { QUOTAS } from '../../core/quota.ts';

const CountField = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** Stored, and told to the tenant's backends: no user's socket hears of it. */
export const quotaWarning = defineEvent({
	type: 'quota.warning',
	summary: 'A quota of the tenant or of its plan is used to 80 or 100 per cent; each once a month',
	data: Type.Object({
		quota: oneOf('quota', QUOTAS),
		scope: oneOf('scope', ['tenant', 'plan']),
		percent: Type.Integer({ minimum: 80, maximum: 100 }),
		used: CountField,
		limit: CountField,
		period: Type.String({ pattern: '^\\d{4}-\\d{2}$', minLength: 7, maxLength: 7 }),
		resets_at: nullable(TimestampField),
	}),
	example: {
		quota: 'messages_per_month' as const,
		scope: 'plan' as const,
		percent: 80,
		used: 800_000,
		limit: 1_000_000,
		period: '2026-11',
		resets_at: '2026-12-01T00:00:00.000Z',
	},
});
