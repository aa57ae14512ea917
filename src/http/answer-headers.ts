import type { Authorizer } from '../core/authorize.ts';
import type { TenantCaller } from '../core/caller.ts';
import type { Clock } from '../core/clock.ts';
import type { BucketState } from '../core/token-bucket.ts';

/** What the headers of an answer depend on. */
export interface Answered {
	request_id: string;
	/** Once authenticated as a tenant's: its answers carry the state of its bucket. */
	tenant?: TenantCaller;
}

export type AnswerHeaders = (answered: Answered) => Record<string, string>;

/** Makes the headers that every answer has: the request's id and, for a tenant, what it has left. */
export const createAnswerHeaders =
	(authorizer: Authorizer, clock: Clock): AnswerHeaders =>
	({ request_id, tenant }) => {
		const headers = { 'X-Request-Id': request_id };
		if (tenant === undefined || tenant.rate === null) return headers;
		const bucket = authorizer.bucketOf(tenant);
		if (bucket === undefined) return headers;
		return { ...headers, ...rateLimitHeaders(bucket, tenant.rate.per_second, clock.now()) };
	};

/**
 * What a bucket's state says on an answer. `X-RateLimit-Reset` is the Unix second at which it is full
 * again.
 *
 * @see https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-11.html
 */
function rateLimitHeaders(
	bucket: BucketState,
	perSecond: number,
	now: number,
): Record<string, string> {
	const fullAfterS = Math.ceil(bucket.full_after_ms / 1000);
	const windowS = Math.max(1, Math.ceil(bucket.limit / perSecond));
	return {
		'X-RateLimit-Limit': String(bucket.limit),
		'X-RateLimit-Remaining': String(bucket.remaining),
		'X-RateLimit-Reset': String(Math.ceil((now + bucket.full_after_ms) / 1000)),
		RateLimit: `"requests";r=${bucket.remaining};t=${fullAfterS}`,
		'RateLimit-Policy': `"requests";q=${bucket.limit};w=${windowS}`,
	};
}
