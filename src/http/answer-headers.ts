import type { Authorizer } from '../core/authorize.ts';
import type { TenantCaller } from '../core/caller.ts';
import type { Clock } from '../core/clock.ts';
import { dayBucketOf, type MessagesOnDay } from '../core/day-bucket.ts';
import type { BucketState } from '../core/token-bucket.ts';
import { readableBy } from './cors.ts';

/** What the headers of an answer depend on. */
export interface Answered {
	request_id: string;
	/** Once authenticated as a tenant's: its answers carry the state of its bucket. */
	tenant?: TenantCaller;
	/** The origin of the page that may read the answer; see `pageOf`. */
	page?: string | null;
}

export type AnswerHeaders = (answered: Answered, contentType?: string) => Record<string, string>;

/** Makes the headers that every answer has: the request's id and, for a tenant, what it has left. */
export const createAnswerHeaders =
	(authorizer: Authorizer, clock: Clock, messagesOn: MessagesOnDay): AnswerHeaders =>
	({ request_id, tenant, page }, contentType) => {
		const headers: Record<string, string> = { 'X-Request-Id': request_id };
		if (page !== undefined) Object.assign(headers, readableBy(page));
		if (contentType !== undefined) headers['Content-Type'] = contentType;
		if (tenant === undefined) return headers;
		const now = clock.now();
		const requests = authorizer.bucketOf(tenant);
		const messages = dayBucketOf(tenant, messagesOn, now);
		const isMessages =
			messages !== undefined && (requests === undefined || shareOf(messages) < shareOf(requests));
		const windowS = isMessages ? DAY_S : (requests?.limit ?? 0) / (tenant.rate?.per_second ?? 1);
		const [name, bucket] = isMessages
			? (['messages_per_day', messages] as const)
			: (['requests', requests] as const);
		if (bucket !== undefined) setRateLimit(headers, { name, bucket, windowS }, now);
		return headers;
	};

const DAY_S = 24 * 60 * 60;

/** How much of a bucket is left: of two, the one with less is nearer to empty. */
const shareOf = ({ remaining, limit }: BucketState): number =>
	limit === 0 ? 0 : remaining / limit;

/**
 * What a bucket's state says on an answer. `X-RateLimit-Reset` is the Unix second at which it is full
 * again.
 *
 * @see https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-11.html
 */
function setRateLimit(
	headers: Record<string, string>,
	{ name, bucket, windowS }: { name: string; bucket: BucketState; windowS: number },
	now: number,
): void {
	const fullAfterS = Math.ceil(bucket.full_after_ms / 1000);
	headers['X-RateLimit-Limit'] = String(bucket.limit);
	headers['X-RateLimit-Remaining'] = String(bucket.remaining);
	headers['X-RateLimit-Reset'] = String(Math.ceil((now + bucket.full_after_ms) / 1000));
	headers.RateLimit = `"${name}";r=${bucket.remaining};t=${fullAfterS}`;
	headers['RateLimit-Policy'] = `"${name}";q=${bucket.limit};w=${Math.max(1, Math.ceil(windowS))}`;
}
