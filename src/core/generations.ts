import { AppError } from './errors.ts';
import { haltedError, type TenantHalt } from './tenant-halt.ts';

/** What a credential hangs on, besides its user: bumping either voids every caller made before. */
export type GenerationKind = 'tenant' | 'key';

/** The generations a caller was made under. */
export interface Stamp {
	tenant_id: string;
	tenant: number;
	key_id: string;
	key: number;
	/** Null for the tenant itself, which no user's revocation concerns. */
	user_id: string | null;
	/** How often anything had been bumped when the user was stamped. */
	user: number;
}

/**
 * Counts how often a tenant, key or user was revoked or changed. A caller carries the counts it was
 * made under; whoever is about to act for it later (an authentication cache, the writer, an open
 * socket) compares. Only what was ever bumped takes memory.
 */
export interface Generations {
	bump(kind: GenerationKind, id: string): void;
	/**
	 * Voids what was stamped for a user. Of so many users a tenant the last ones are remembered; beyond,
	 * what was stamped for any of that tenant's users before the ones forgotten is void too.
	 */
	bumpUser(tenant_id: string, user_id: string): void;
	/** Voids what was stamped for a tenant and any of its users and keys, and notes why. */
	halt(tenant_id: string, why: TenantHalt): void;
	stamp(tenant_id: string, key_id: string): Stamp;
	/** The same stamp for a caller that acts as a user. */
	stampUser(stamp: Stamp, user_id: string): Stamp;
	isCurrent(stamp: Stamp): boolean;
	/** Notes that what a tenant's credentials may do is another; they stay good. */
	touch(tenant_id: string): void;
	/** How often it was. What was read under another number is to be read anew. */
	revisionOf(tenant_id: string): number;
	/** Forgets the users of a halted tenant; what was stamped stays void. */
	forget(tenant_id: string): void;
	/** Why nothing is done for what was stamped, in words for its sender; undefined while it is current. */
	refusalOf(stamp: Stamp): AppError | undefined;
	/** Why the tenant was halted since it was stamped; undefined where it was not. */
	haltOf(stamp: Stamp): TenantHalt | undefined;
	/** How often anything was bumped or touched. Unchanged, nothing that was read meanwhile was revoked since. */
	readonly bumps: number;
}

/** Anybody who may revoke users could name new ones for ever. */
export const USERS_PER_TENANT_MAX = 10_000;

interface Users {
	/** When each was bumped last, the longest ago first. */
	bumpedAt: Map<string, number>;
	/** The last bump of those forgotten. */
	forgottenAt: number;
}

export function createGenerations(usersMax = USERS_PER_TENANT_MAX): Generations {
	const bumped = new Map<string, number>();
	const users = new Map<string, Users>();
	const revisions = new Map<string, number>();
	/** Of each tenant that ever was: its generation then, and why. */
	const halts = new Map<string, { generation: number; why: TenantHalt }>();
	let bumps = 0;
	const current = (kind: GenerationKind, id: string) =>
		bumps === 0 ? 0 : (bumped.get(`${kind}/${id}`) ?? 0);

	function isUserCurrent({ tenant_id, user_id, user }: Stamp): boolean {
		if (user_id === null || user === bumps) return true;
		const known = users.get(tenant_id);
		return known === undefined || (known.bumpedAt.get(user_id) ?? known.forgottenAt) <= user;
	}

	function bump(kind: GenerationKind, id: string): void {
		bumped.set(`${kind}/${id}`, current(kind, id) + 1);
		bumps++;
	}

	const isCurrent = (stamp: Stamp): boolean =>
		current('tenant', stamp.tenant_id) === stamp.tenant &&
		current('key', stamp.key_id) === stamp.key &&
		isUserCurrent(stamp);

	function haltOf({ tenant_id, tenant }: Stamp): TenantHalt | undefined {
		const halt = halts.get(tenant_id);
		return halt !== undefined && tenant < halt.generation ? halt.why : undefined;
	}

	return {
		bump,
		halt(tenant_id, why) {
			bump('tenant', tenant_id);
			halts.set(tenant_id, { generation: current('tenant', tenant_id), why });
		},
		forget(tenant_id) {
			users.delete(tenant_id);
			revisions.delete(tenant_id);
		},
		bumpUser(tenant_id, user_id) {
			bumps++;
			const known = users.get(tenant_id) ?? { bumpedAt: new Map(), forgottenAt: 0 };
			users.set(tenant_id, known);
			known.bumpedAt.delete(user_id);
			known.bumpedAt.set(user_id, bumps);
			if (known.bumpedAt.size <= usersMax) return;
			for (const [oldest, at] of known.bumpedAt) {
				known.bumpedAt.delete(oldest);
				known.forgottenAt = at;
				return;
			}
		},
		touch(tenant_id) {
			revisions.set(tenant_id, (revisions.get(tenant_id) ?? 0) + 1);
			bumps++;
		},
		revisionOf: (tenant_id) => revisions.get(tenant_id) ?? 0,
		stamp: (tenant_id, key_id) => ({
			tenant_id,
			tenant: current('tenant', tenant_id),
			key_id,
			key: current('key', key_id),
			user_id: null,
			user: 0,
		}),
		stampUser: (stamp, user_id) => ({ ...stamp, user_id, user: bumps }),
		isCurrent,
		haltOf,
		refusalOf(stamp) {
			if (isCurrent(stamp)) return undefined;
			const why = haltOf(stamp);
			if (why !== undefined) return haltedError(why);
			const isKeyGood = isCurrent({ ...stamp, user_id: null });
			return new AppError(
				'AUTHENTICATION_ERROR',
				isKeyGood ? 'Invalid or expired token' : 'Invalid API key',
			);
		},
		get bumps() {
			return bumps;
		},
	};
}
