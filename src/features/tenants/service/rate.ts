import { AppError } from '../../../core/errors.ts';
import type { RateLimit } from '../../../core/rate-limit.ts';
import type { BucketRate } from '../../../core/token-bucket.ts';

/**
 * The bucket that a `rate_limit` describes; null for no limit. What it leaves out is the server's.
 *
 * @throws `VALIDATION_ERROR` for one that has both units.
 */
export function rateOf(limit: RateLimit | null, defaultPerSecond: number): BucketRate | null {
	const { requests_per_second, requests_per_minute, burst } = limit ?? {};
	if (requests_per_second !== undefined && requests_per_minute !== undefined) {
		throw new AppError(
			'VALIDATION_ERROR',
			'Must have one of requests_per_second and requests_per_minute; null takes the other away',
			{ field: 'rate_limit' },
		);
	}
	if (requests_per_minute !== undefined) {
		return { per_second: requests_per_minute / 60, burst: burst ?? requests_per_minute };
	}
	const per_second = requests_per_second ?? defaultPerSecond;
	return per_second === 0 ? null : { per_second, burst: burst ?? per_second * 2 };
}
