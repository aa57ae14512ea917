import { dayOf, monthOf } from './calendar.ts';
import { toTimestamp } from './clock.ts';
import { AppError } from './errors.ts';

/** What may be used up, by a tenant or by all tenants of a plan together. */
export const QUOTAS = [
	'monthly_active_users',
	'peak_connections',
	'messages_per_month',
	'api_requests_per_month',
	'storage_bytes',
] as const;

export type QuotaName = (typeof QUOTAS)[number];

/** How much there may be; what is left out is not limited. */
export type Quotas = Partial<Record<QuotaName, number>>;

/** Whose quota it is: the tenant's own, or that of the pool that its plan is. */
export type QuotaScope = 'tenant' | 'plan';

/** A quota that is used up. */
export interface SpentQuota {
	scope: QuotaScope;
	limit: number;
}

/** Those of them that begin anew with every UTC month. The others are free again when less is there. */
const MONTHLY: readonly QuotaName[] = [
	'monthly_active_users',
	'messages_per_month',
	'api_requests_per_month',
];

/** When a quota that counts at a moment begins anew, in epoch milliseconds; null for one that never does. */
export function resetOf(quota: QuotaName, now: number): number | null {
	if (!MONTHLY.includes(quota)) return null;
	return startOfMonth(monthOf(dayOf(now)) + 1);
}

const startOfMonth = (month: number): number => Date.UTC(Math.floor(month / 12), month % 12, 1);

/** What is said to whom it refuses: which quota, whose, and until when. */
export function quotaExceeded(
	quota: QuotaName,
	{ scope, limit }: SpentQuota,
	{ at, now }: { at: number; now: number },
): AppError {
	const reset = resetOf(quota, at);
	const whose = scope === 'plan' ? "this tenant's plan" : 'this tenant';
	const until = reset === null ? '' : `, until ${toTimestamp(reset)}`;
	const details = reset === null ? {} : { retry_after_ms: Math.max(1, reset - now) };
	return new AppError(
		'QUOTA_EXCEEDED',
		`Quota exceeded: ${quota} of ${whose} is used up (${limit})${until}`,
		details,
	);
}
