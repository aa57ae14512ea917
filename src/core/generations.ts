import { AppError } from './errors.ts';
import { haltedError, type TenantHalt } from './tenant-halt.ts';

/** The generations a caller was made under. */
export interface Stamp {
	tenant_id: string;
	tenant: number;
	key_id: string;
	/** How often anything had been bumped when the key was stamped. */
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
	/** Voids what was stamped for a tenant and any of its users and keys. */
	bumpTenant(tenant_id: string): void;
	/**
	 * Voids what was stamped for a key. Of so many keys a tenant the last ones are remembered; beyond, what was
	 * stamped for any of that tenant's keys before the ones forgotten is void too, and has to be read anew.
	 */
	bumpKey(tenant_id: string, key_id: string): void;
	/** The same for a user. */
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
	/** Forgets the keys and users of a halted tenant; what was stamped stays void. */
	forget(tenant_id: string): void;
	/** Why nothing is done for what was stamped, in words for its sender; undefined while it is current. */
	refusalOf(stamp: Stamp): AppError | undefined;
	/** Why the tenant was halted since it was stamped; undefined where it was not. */
	haltOf(stamp: Stamp): TenantHalt | undefined;
	/** How often anything was bumped or touched. Unchanged, nothing that was read meanwhile was revoked since. */
	readonly bumps: number;
}

/** Anybody who may revoke users could name new ones for ever, and who manages keys could make them. */
export const BUMPED_PER_TENANT_MAX = 10_000;

/** Of a tenant's keys, or of its users. */
interface Bumped {
	/** When each was bumped last, the longest ago first. */
	at: Map<string, number>;
	/** The last bump of those forgotten. */
	forgottenAt: number;
}

export function createGenerations(bumpedMax = BUMPED_PER_TENANT_MAX): Generations {
	const tenants = new Map<string, number>();
	const keys = new Map<string, Bumped>();
	const users = new Map<string, Bumped>();
	const revisions = new Map<string, number>();
	/** Of each tenant that ever was: its generation then, and why. */
	const halts = new Map<string, { generation: number; why: TenantHalt }>();
	let bumps = 0;
	const generationOf = (tenant_id: string) => (bumps === 0 ? 0 : (tenants.get(tenant_id) ?? 0));

	/** Whether nothing of this id was bumped since it was stamped. */
	function isUntouched(known: Bumped | undefined, id: string, stampedAt: number): boolean {
		if (known === undefined || stampedAt === bumps) return true;
		return (known.at.get(id) ?? known.forgottenAt) <= stampedAt;
	}

	const isUserCurrent = ({ tenant_id, user_id, user }: Stamp): boolean =>
		user_id === null || isUntouched(users.get(tenant_id), user_id, user);

	function bumpOne(all: Map<string, Bumped>, tenant_id: string, id: string): void {
		bumps++;
		const known = all.get(tenant_id) ?? { at: new Map(), forgottenAt: 0 };
		all.set(tenant_id, known);
		known.at.delete(id);
		known.at.set(id, bumps);
		if (known.at.size <= bumpedMax) return;
		for (const [oldest, at] of known.at) {
			known.at.delete(oldest);
			known.forgottenAt = at;
			return;
		}
	}

	function bumpTenant(tenant_id: string): void {
		tenants.set(tenant_id, generationOf(tenant_id) + 1);
		bumps++;
	}

	const isCurrent = (stamp: Stamp): boolean =>
		generationOf(stamp.tenant_id) === stamp.tenant &&
		isUntouched(keys.get(stamp.tenant_id), stamp.key_id, stamp.key) &&
		isUserCurrent(stamp);

	function haltOf({ tenant_id, tenant }: Stamp): TenantHalt | undefined {
		const halt = halts.get(tenant_id);
		return halt !== undefined && tenant < halt.generation ? halt.why : undefined;
	}

	return {
		bumpTenant,
		bumpKey: (tenant_id, key_id) => bumpOne(keys, tenant_id, key_id),
		bumpUser: (tenant_id, user_id) => bumpOne(users, tenant_id, user_id),
		halt(tenant_id, why) {
			bumpTenant(tenant_id);
			halts.set(tenant_id, { generation: generationOf(tenant_id), why });
		},
		forget(tenant_id) {
			keys.delete(tenant_id);
			users.delete(tenant_id);
			revisions.delete(tenant_id);
		},
		touch(tenant_id) {
			revisions.set(tenant_id, (revisions.get(tenant_id) ?? 0) + 1);
			bumps++;
		},
		revisionOf: (tenant_id) => revisions.get(tenant_id) ?? 0,
		stamp: (tenant_id, key_id) => ({
			tenant_id,
			tenant: generationOf(tenant_id),
			key_id,
			key: bumps,
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
