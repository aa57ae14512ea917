/**
 * Makes a caller of a request's credential. The tenant comes from here and from nowhere else.
 *
 * A key that was seen before costs a checksum, one SHA-256 and no database read. An entry of the
 * cache is current as long as the generations it was made under are: revoking bumps them.
 */
import { LRUCache } from 'lru-cache';
import { isSameHash, parseApiKey, sha256 } from '../core/api-key.ts';
import type { OperatorCaller, TenantCaller } from '../core/caller.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Generations } from '../core/generations.ts';
import { USER_ID, type UserId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import { expandGrants } from '../core/permissions.ts';
import type { RateLimiter } from '../core/rate-limiter.ts';
import type { BucketRate } from '../core/token-bucket.ts';
import type { Keys } from '../features/keys/service.ts';
import type { TenantProfile, Tenants } from '../features/tenants/service.ts';

/** A tenant's API key, recognised: the caller it makes, before a user is named. */
export interface Credential {
	caller: TenantCaller;
	profile: TenantProfile;
	hash: Uint8Array;
	expires_at: number | null;
}

export interface AuthenticationDeps {
	keys: Pick<Keys, 'findByPrefix'>;
	tenants: Pick<Tenants, 'profileOf'>;
	generations: Generations;
	clock: Clock;
	log: Log;
	masterKey: string;
	/** Failed attempts by address. */
	failures: RateLimiter;
	/** Null when they are not limited. */
	failureRate: BucketRate | null;
}

/** Credentials kept; each is about half a kibibyte. */
const CACHE_MAX = 20_000;

export function createAuthentication(deps: AuthenticationDeps) {
	const { keys, tenants, generations, clock, log } = deps;
	const cache = new LRUCache<string, Credential>({ max: CACHE_MAX });
	const masterHash = sha256(deps.masterKey);

	/** A bad credential: counted against the address, and slowed once there were too many. */
	function refuse(message: string, address: () => string): AppError {
		if (deps.failureRate !== null) {
			const waitMs = deps.failures.take(address(), deps.failureRate, 1);
			if (waitMs > 0) {
				return new AppError(
					'RATE_LIMIT_EXCEEDED',
					'Rate limit exceeded: the bucket "failed authentications" of this address is empty',
					{ retry_after_ms: waitMs },
				);
			}
		}
		return new AppError('AUTHENTICATION_ERROR', message);
	}

	async function load(prefix: string): Promise<Credential | undefined> {
		const row = await keys.findByPrefix(prefix);
		if (row === undefined) return undefined;
		const profile = await tenants.profileOf(row.tenant);
		if (profile === undefined) return undefined;
		const credential: Credential = {
			hash: row.hash,
			expires_at: row.expires_at,
			profile,
			caller: {
				kind: 'tenant',
				tenant: profile.tenant,
				tenant_id: profile.tenant_id,
				key_id: row.key_id,
				user_id: null,
				permissions: expandGrants(JSON.parse(row.permissions)),
				rate: profile.rate,
				stamp: generations.stamp(profile.tenant_id, row.key_id),
			},
		};
		cache.set(prefix, credential);
		return credential;
	}

	return {
		/**
		 * The tenant credential of a request, in `X-API-Key` or as a bearer token.
		 *
		 * @throws `AUTHENTICATION_ERROR` when it is missing, malformed, unknown, expired or revoked.
		 * @throws `RATE_LIMIT_EXCEEDED` for a bad one after too many bad ones from this address.
		 */
		async tenant(headers: Headers, address: () => string): Promise<Credential> {
			const key = headers.get('X-API-Key') ?? bearerOf(headers);
			if (key === null) throw new AppError('AUTHENTICATION_ERROR', 'Missing X-API-Key header');
			const parts = parseApiKey(key);
			if (parts !== undefined) {
				const cached = cache.get(parts.prefix);
				const isCurrent = cached !== undefined && generations.isCurrent(cached.caller.stamp);
				const credential = isCurrent ? cached : await load(parts.prefix);
				if (credential !== undefined && isSameHash(credential.hash, parts.hash)) {
					if (credential.expires_at === null || credential.expires_at > clock.now()) {
						log.debug({ tenant_id: credential.caller.tenant_id }, 'Tenant validated');
						return credential;
					}
				}
			}
			log.warn({ error: 'tenant not found' }, 'Invalid API key');
			throw refuse('Invalid API key', address);
		},

		/** The operator, by the master key in `X-Master-Key` or as a bearer token. @throws as `tenant`. */
		operator(headers: Headers, address: () => string): OperatorCaller {
			const key = headers.get('X-Master-Key') ?? bearerOf(headers);
			if (key === null) throw new AppError('AUTHENTICATION_ERROR', 'Unauthorized');
			if (isSameHash(sha256(key), masterHash)) return { kind: 'operator' };
			log.warn({ error: 'not the master key' }, 'Unauthorized');
			throw refuse('Unauthorized', address);
		},
	};
}

export type Authentication = ReturnType<typeof createAuthentication>;

function bearerOf(headers: Headers): string | null {
	const authorization = headers.get('Authorization');
	return authorization === null ? null : (/^Bearer ([^ ]+)$/i.exec(authorization)?.[1] ?? '');
}

/**
 * The user that a tenant's key acts as, from `X-User-Id`; null when none is named.
 *
 * @throws `VALIDATION_ERROR` for what is no user id; a repeated header arrives as a list and is none.
 */
export function userIdOf(headers: Headers): UserId | null {
	const text = headers.get('X-User-Id');
	if (text === null) return null;
	if (USER_ID.test(text)) return text as UserId;
	throw new AppError(
		'VALIDATION_ERROR',
		'Must be one user id: 1 to 128 of A-Z a-z 0-9 . _ : @ | -',
		{ field: 'X-User-Id' },
	);
}
