/**
 * Makes a caller of a request's credential. The tenant comes from here and from nowhere else.
 *
 * A key or token that was seen before costs a checksum, one SHA-256 and no database read. An entry
 * of the cache is current as long as the generations it was made under are: revoking bumps them.
 */
import { LRUCache } from 'lru-cache';
import { isSameHash, parseSecret, sha256 } from '../core/api-key.ts';
import { commandCredential, type OperatorCaller, type TenantCaller } from '../core/caller.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Generations } from '../core/generations.ts';
import { type TenantId, USER_ID, type UserId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import { expandGrants, USER_PERMISSIONS } from '../core/permissions.ts';
import type { RateLimiter } from '../core/rate-limiter.ts';
import { haltedError } from '../core/tenant-halt.ts';
import type { BucketRate } from '../core/token-bucket.ts';
import type { Keys } from '../features/keys/service.ts';
import type { ManagementKeys } from '../features/plans/service/management-keys.ts';
import type { TenantProfile, Tenants } from '../features/tenants/service.ts';
import type { Users } from '../features/users/service.ts';

/** What is stored of a credential: the caller it makes, before a key has named its user. */
interface Granted {
	caller: TenantCaller;
	profile: TenantProfile;
}

/** A credential of a tenant, recognised. Open sockets hold on to theirs. */
export interface Credential extends Readonly<Granted> {
	/** Reads anew what it may do, if that has changed. What is gone by then has ended. */
	refresh(): Promise<void>;
}

/** With the hash of its secret. */
interface Loaded extends Granted {
	hash: Uint8Array;
}

interface Known extends Loaded, Credential {
	caller: TenantCaller;
	profile: TenantProfile;
	/** How often the tenant had changed when it was read. */
	revision: number;
}

export interface AuthenticationDeps {
	keys: Pick<Keys, 'findByPrefix' | 'findById'>;
	users: Pick<Users, 'findToken' | 'takeTicket' | 'isActive'>;
	tenants: Pick<Tenants, 'profileOf'>;
	managementKeys: Pick<ManagementKeys, 'planOf'>;
	generations: Generations;
	clock: Clock;
	log: Log;
	masterKey: string;
	/** What our own control socket sends in the place of the master key. Of this process; nobody is told. */
	commandKey: string;
	/** Failed attempts by address. */
	failures: RateLimiter;
	/** Null when they are not limited. */
	failureRate: BucketRate | null;
}

/** An operator, before anything is known of the request. */
type Operator = Omit<OperatorCaller, 'request_id'>;

const MASTER: Operator = { kind: 'operator', credential: 'master', plan: null };

/** An end that lies in the past by every clock, one that is set back too. */
const ENDED = 0;

/** The user of the system who typed a command; believed of our own control socket only. */
export const COMMAND_USER = 'X-Command-User';

/** Credentials kept; each is about half a kibibyte. */
const CACHE_MAX = 20_000;

export function createAuthentication(deps: AuthenticationDeps) {
	const { keys, users, tenants, generations, clock, log } = deps;
	const cache = new LRUCache<string, Known>({ max: CACHE_MAX });
	const masterHash = sha256(deps.masterKey);
	const commandHash = sha256(deps.commandKey);
	let used = new Set<Known>();

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

	async function loadKey(prefix: string): Promise<Loaded | undefined> {
		const row = await keys.findByPrefix(prefix);
		if (row === undefined) return undefined;
		const profile = await tenants.profileOf(row.tenant);
		if (profile === undefined) return undefined;
		const { tenant, tenant_id } = profile;
		const { key_id, hash, expires_at } = row;
		const permissions = expandGrants(JSON.parse(row.permissions));
		const stamp = generations.stamp(tenant_id, key_id);
		const is = { kind: 'tenant', user_id: null, isBound: false } as const;
		return {
			hash,
			profile,
			caller: {
				...is,
				tenant,
				tenant_id,
				key_id,
				permissions,
				expires_at,
				stamp,
				...limitsOf(profile),
			},
		};
	}

	async function loadToken(prefix: string): Promise<Loaded | undefined> {
		const row = await users.findToken(prefix);
		if (row === undefined) return undefined;
		const key = await keys.findById(row.tenant, row.key_id);
		if (key === undefined) return undefined;
		const profile = await tenants.profileOf(row.tenant);
		if (profile === undefined) return undefined;
		const { tenant, tenant_id } = profile;
		const { user_id, key_id, hash } = row;
		const expires_at = Math.min(row.expires_at, key.expires_at ?? row.expires_at);
		const stamp = generations.stampUser(generations.stamp(tenant_id, key_id), user_id);
		const is = { kind: 'tenant', isBound: true, permissions: USER_PERMISSIONS } as const;
		return {
			hash,
			profile,
			caller: {
				...is,
				tenant,
				tenant_id,
				key_id,
				user_id,
				expires_at,
				stamp,
				...limitsOf(profile),
			},
		};
	}

	const isFresh = ({ caller: { stamp }, revision }: Known): boolean =>
		generations.isCurrent(stamp) && revision === generations.revisionOf(stamp.tenant_id);

	/** What a read of several rows gives that nothing came between: a revocation its stamp has seen, say. */
	async function consistent<Value>(read: () => Promise<Value>): Promise<Value> {
		for (;;) {
			const { bumps } = generations;
			const value = await read();
			if (bumps === generations.bumps) return value;
		}
	}

	async function find(
		prefix: string,
		load: (prefix: string) => Promise<Loaded | undefined>,
	): Promise<Known | undefined> {
		const cached = cache.get(prefix);
		if (cached !== undefined && isFresh(cached)) return cached;
		const loaded = await consistent(() => load(prefix));
		if (loaded === undefined) return undefined;
		const { tenant_id } = loaded.caller;
		const known: Known = {
			...loaded,
			revision: generations.revisionOf(tenant_id),
			async refresh() {
				if (known.revision === generations.revisionOf(tenant_id)) return;
				const again = await consistent(() => load(prefix));
				known.revision = generations.revisionOf(tenant_id);
				if (again === undefined) {
					// A secret that was rotated out; the cache has it still, and counts as current from here on.
					known.caller = { ...known.caller, expires_at: ENDED };
					return;
				}
				known.caller = { ...again.caller, stamp: known.caller.stamp };
				known.profile = again.profile;
			},
		};
		cache.set(prefix, known);
		return known;
	}

	/** What a ticket makes: it was made by a key or a token, and ends with it. */
	async function heldByTicket(taken: TenantCaller): Promise<Credential | undefined> {
		const profile = await tenants.profileOf(taken.tenant);
		if (profile === undefined) return undefined;
		const held: Granted & Credential = {
			caller: { ...withoutLimits(taken), ...limitsOf(profile) },
			profile,
			async refresh() {
				const [now, key] = await consistent(() =>
					Promise.all([tenants.profileOf(taken.tenant), keys.findById(taken.tenant, taken.key_id)]),
				);
				if (now === undefined || key === undefined) return;
				const ends = [taken.expires_at, key.expires_at].filter((end) => end !== null);
				const expires_at = ends.length === 0 ? null : Math.min(...ends);
				held.caller = { ...withoutLimits(taken), ...limitsOf(now), expires_at };
				held.profile = now;
			},
		};
		return held;
	}

	const hasEnded = ({ expires_at }: TenantCaller): boolean =>
		expires_at !== null && expires_at <= clock.now();

	/** @throws `AUTHORIZATION_ERROR` while nothing is done for the tenant. */
	function welcome(credential: Credential): Credential {
		const { halt } = credential.profile;
		if (halt !== null) throw haltedError(halt);
		log.debug({ tenant_id: credential.caller.tenant_id }, 'Tenant validated');
		return credential;
	}

	function refuseToken(address: () => string): AppError {
		log.warn({ error: 'no such token' }, 'Invalid token');
		return refuse('Invalid or expired token', address);
	}

	return {
		/**
		 * The tenant credential of a request: an API key in `X-API-Key` or as a bearer token, or a user's
		 * token as the latter.
		 *
		 * @throws `AUTHENTICATION_ERROR` when it is missing, malformed, unknown, expired or revoked.
		 * @throws `RATE_LIMIT_EXCEEDED` for a bad one after too many bad ones from this address.
		 * @throws `AUTHORIZATION_ERROR` for a good one of a tenant that is suspended or being deleted.
		 */
		async tenant(headers: Headers, address: () => string): Promise<Credential> {
			const key = headers.get('X-API-Key');
			const text = key ?? bearerOf(headers);
			if (text === null) throw new AppError('AUTHENTICATION_ERROR', 'Missing X-API-Key header');
			const isToken = key === null && text.startsWith('ut_');
			const parts = parseSecret(isToken ? 'ut_' : 'sk_', text);
			if (parts !== undefined) {
				const known = await find(parts.prefix, isToken ? loadToken : loadKey);
				if (known !== undefined && isSameHash(known.hash, parts.hash) && !hasEnded(known.caller)) {
					if (!isToken) used.add(known);
					return welcome(known);
				}
			}
			if (isToken) throw refuseToken(address);
			log.warn({ error: 'tenant not found' }, 'Invalid API key');
			throw refuse('Invalid API key', address);
		},

		/** Takes the credentials of a tenant out of the cache. */
		forget(tenant_id: TenantId): void {
			for (const [prefix, { caller }] of cache.entries()) {
				if (caller.tenant_id === tenant_id) cache.delete(prefix);
			}
			for (const known of used) if (known.caller.tenant_id === tenant_id) used.delete(known);
		},

		/** The keys that were recognised since this was asked last. */
		takeUsed(): readonly Pick<TenantCaller, 'tenant' | 'key_id'>[] {
			const taken = used;
			used = new Set();
			return Array.from(taken, ({ caller: { tenant, key_id } }) => ({ tenant, key_id }));
		},

		/** The holder of a ticket, which this uses up, whatever comes of it. @throws as `tenant`. */
		async ticket(text: string, address: () => string): Promise<Credential> {
			const caller = users.takeTicket(text);
			if (caller === undefined || hasEnded(caller)) throw refuseToken(address);
			const held = await heldByTicket(caller);
			if (held === undefined) throw refuseToken(address);
			const isVoid = held.profile.halt === null && !generations.isCurrent(caller.stamp);
			if (isVoid) throw refuseToken(address);
			return welcome(held);
		},

		/**
		 * The caller as the user it names; without a name, as whoever it is by itself.
		 *
		 * @throws `VALIDATION_ERROR` for another user than the one that a credential is bound to.
		 * @throws `AUTHORIZATION_ERROR` for a deactivated user.
		 */
		async actAs(caller: TenantCaller, user_id: UserId | null): Promise<TenantCaller> {
			if (user_id === null || user_id === caller.user_id) return caller;
			if (caller.isBound) {
				throw new AppError('VALIDATION_ERROR', 'Must be the user of the token, or left out', {
					field: 'X-User-Id',
				});
			}
			// First: what is read after it is at least as new.
			const stamp = generations.stampUser(caller.stamp, user_id);
			if (!(await users.isActive(caller.tenant, user_id))) {
				throw new AppError('AUTHORIZATION_ERROR', 'This user is deactivated');
			}
			return { ...caller, user_id, stamp };
		},

		/**
		 * The operator: by the master key in `X-Master-Key` or as a bearer token, or by management
		 * credentials in `key` and `secret`, which are confined to their plan. @throws as `tenant`.
		 */
		async operator(headers: Headers, address: () => string): Promise<Operator> {
			const key = headers.get('X-Master-Key') ?? bearerOf(headers);
			const managementKey = headers.get('key');
			if (key === null && managementKey === null) {
				throw new AppError('AUTHENTICATION_ERROR', 'Unauthorized');
			}
			if (key !== null) {
				const hash = sha256(key);
				if (isSameHash(hash, masterHash)) return MASTER;
				if (isSameHash(hash, commandHash)) {
					return { ...MASTER, credential: commandCredential(headers.get(COMMAND_USER)) };
				}
				log.warn({ error: 'not the master key' }, 'Unauthorized');
			} else if (managementKey !== null) {
				const plan = await deps.managementKeys.planOf(managementKey, headers.get('secret') ?? '');
				if (plan !== undefined) return { kind: 'operator', credential: managementKey, plan };
				log.warn({ error: 'no such management key' }, 'Unauthorized');
			}
			throw refuse('Unauthorized', address);
		},
	};
}

export type Authentication = ReturnType<typeof createAuthentication>;

/** What a caller has of its tenant's limits and settings. */
const limitsOf = ({ rate, settings, features, messagesPerDay }: TenantProfile) => ({
	rate,
	settings,
	features,
	...(messagesPerDay === undefined ? {} : { messagesPerDay }),
});

function withoutLimits({ messagesPerDay: _, ...caller }: TenantCaller): TenantCaller {
	return caller;
}

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
