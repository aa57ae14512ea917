import type { BucketState } from '../core/token-bucket.ts';

/**
 * What a bucket's state says on an answer. `X-RateLimit-Reset` is the Unix second at which it is full
 * again.
 *
 * @see https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-11.html
 */
export function rateLimitHeaders(
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
