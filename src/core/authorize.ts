import type { CallerOf, TenantCaller } from './caller.ts';
import { AppError } from './errors.ts';
import type { Operation } from './operation.ts';
import type { RateLimiter } from './rate-limiter.ts';
import type { BucketState } from './token-bucket.ts';

/** Decides, for both faces, whether a tenant's caller may do an operation now. */
export interface Authorizer {
	/**
	 * Checks the permission, then takes the operation's cost from the tenant's bucket.
	 *
	 * @throws `AUTHORIZATION_ERROR` naming the permission that the credential lacks, or the feature that the
	 * plan does.
	 * @throws `RATE_LIMIT_EXCEEDED` naming the bucket, with the wait until the cost is there.
	 */
	authorize(caller: TenantCaller, operation: Operation, cost: number): void;
	/** The tenant's request bucket, for headers; undefined when the limit is switched off. */
	bucketOf(caller: TenantCaller): BucketState | undefined;
}

export function createAuthorizer(limiter: RateLimiter): Authorizer {
	return {
		authorize(caller, operation, cost) {
			const isTenant = caller.user_id === null;
			const permission =
				(isTenant ? operation.permission_as_tenant : undefined) ?? operation.permission;
			if (permission !== undefined && !caller.permissions.has(permission)) {
				const isOwn = caller.isBound && operation.isOpenToUser === true;
				const what = caller.isBound ? 'A user' : 'The API key';
				if (!isOwn) {
					throw new AppError('AUTHORIZATION_ERROR', `${what} lacks the permission ${permission}`);
				}
			}
			const { feature } = operation;
			if (feature !== undefined && caller.features[feature] === false) {
				throw new AppError(
					'AUTHORIZATION_ERROR',
					`The plan of this tenant lacks the feature ${feature}`,
				);
			}
			if (cost === 0 || caller.rate === null) return;
			const waitMs = limiter.take(caller.tenant_id, caller.rate, cost);
			if (waitMs > 0) {
				throw new AppError(
					'RATE_LIMIT_EXCEEDED',
					'Rate limit exceeded: the bucket "requests" of this tenant is empty',
					{ retry_after_ms: waitMs },
				);
			}
		},
		bucketOf: (caller) =>
			caller.rate === null ? undefined : limiter.state(caller.tenant_id, caller.rate),
	};
}

/**
 * Whether the caller is who the operation is for. Called where 400s are, after 401, 403 and 429.
 *
 * @throws `VALIDATION_ERROR` when a user is needed and none was named, and the other way round.
 */
export function requireActor<Op extends Operation>(
	caller: TenantCaller,
	operation: Op,
): CallerOf[Op['actor']] {
	if (operation.actor === 'user' && caller.user_id === null) {
		throw new AppError('VALIDATION_ERROR', 'Missing X-User-Id header', { field: 'X-User-Id' });
	}
	if (operation.actor === 'tenant' && caller.user_id !== null) {
		throw new AppError('VALIDATION_ERROR', 'This is for the tenant itself: leave X-User-Id out', {
			field: 'X-User-Id',
		});
	}
	return caller as CallerOf[Op['actor']];
}
