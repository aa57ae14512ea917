import { untilNextDay } from './calendar.ts';
import type { TenantCaller } from './caller.ts';
import type { TenantNo } from './ids.ts';
import type { BucketState } from './token-bucket.ts';

/** How many messages a tenant has stored on the UTC day of a moment. */
export type MessagesOnDay = (tenant: TenantNo, ms: number) => number;

/** The messages of a UTC day as a bucket, which is full again at its end; undefined where they are not limited. */
export function dayBucketOf(
	{ tenant, messagesPerDay: limit }: TenantCaller,
	messagesOn: MessagesOnDay,
	now: number,
): BucketState | undefined {
	if (limit === undefined) return undefined;
	const remaining = Math.max(0, limit - messagesOn(tenant, now));
	return { limit, remaining, full_after_ms: untilNextDay(now) };
}
