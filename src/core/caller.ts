import type { FeatureSwitches } from './features.ts';
import type { Stamp } from './generations.ts';
import type { KeyId, PlanNo, TenantId, TenantNo, UserId } from './ids.ts';
import type { Once } from './once.ts';
import type { Permission } from './permissions.ts';
import type { TenantSettings } from './tenant-settings.ts';
import type { BucketRate } from './token-bucket.ts';

/**
 * Whoever asks with a tenant's credential. Made by authentication only, so the tenant it names is
 * the credential's, never one a client wrote down.
 */
export interface TenantCaller {
	kind: 'tenant';
	tenant: TenantNo;
	tenant_id: TenantId;
	/** The key itself, or the one that made the token or ticket: they end with it. */
	key_id: KeyId;
	/** The user the key acts as; null when it acts as the tenant itself. */
	user_id: UserId | null;
	/** It came with a token or ticket of that user, and acts as nobody else. */
	isBound: boolean;
	/** When the credential ends; null for never by itself. */
	expires_at: number | null;
	permissions: ReadonlySet<Permission>;
	/** The tenant's request bucket; null when the limit is switched off. */
	rate: BucketRate | null;
	/** Messages that the tenant may store on a UTC day; absent where that is not limited. */
	messagesPerDay?: number;
	/** Of the tenant, as they are in effect. */
	settings: TenantSettings;
	/** Of its plan. */
	features: FeatureSwitches;
	/** Compared again by the writer and by open sockets: a revoked credential's work is refused. */
	stamp: Stamp;
	/** Of a request with an `Idempotency-Key`. */
	once?: Once;
	/** Of a request with `If-Match`: the versions that what it changes may have. */
	ifMatch?: readonly number[];
}

/**
 * Whose eyes a tenant's things are read with: a caller's, or without a user those of the tenant itself, which the
 * operator's are too.
 */
export interface TenantReader extends Pick<TenantCaller, 'tenant' | 'tenant_id' | 'user_id'> {
	settings: Pick<TenantSettings, 'history'>;
}

/** A tenant credential that acts as one user. */
export interface UserCaller extends TenantCaller {
	user_id: UserId;
}

/** A key without a user: the tenant itself. */
export interface OwnCaller extends TenantCaller {
	user_id: null;
}

/** Whether a tenant's caller acts as one of its users; else it is the tenant itself. */
export const isUser = (caller: TenantCaller): caller is UserCaller => caller.user_id !== null;

/** Whoever holds the master key, or management credentials of one plan. */
export interface OperatorCaller {
	kind: 'operator';
	/** As the audit log names it: `master`, the key of the management credentials, or `commandCredential`. */
	credential: string;
	/** The plan it is confined to: other tenants do not exist for it. Null for the whole server. */
	plan: PlanNo | null;
	request_id: string;
	/** Of a request with an `Idempotency-Key`. */
	once?: Once;
	/** Of a request with `If-Match`: the versions that what it changes may have. */
	ifMatch?: readonly number[];
}

/** Names of users as systems have them, those of a domain too. */
const SYSTEM_USER = /^[A-Za-z0-9._@+\\-]{1,48}$/;

/** How the audit log names the command line: with the user of the system who typed it, as far as that is known. */
export const commandCredential = (user: unknown): string =>
	typeof user === 'string' && SYSTEM_USER.test(user) ? `command:${user}` : 'command';

/** Nobody in particular: `/health` and its like. */
export interface VisitorCaller {
	kind: 'visitor';
}

export type Caller = TenantCaller | OperatorCaller | VisitorCaller;

/** What an operation asks of its caller. `tenant`: the tenant itself; `any`: that, or one of its users. */
export type Actor = 'user' | 'tenant' | 'any' | 'operator' | 'visitor';

/** The caller a use-case of such an operation is given. */
export interface CallerOf {
	user: UserCaller;
	tenant: OwnCaller;
	any: TenantCaller;
	operator: OperatorCaller;
	visitor: VisitorCaller;
}
