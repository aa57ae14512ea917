/**
 * Who is online, and which changes of it are still to be told. One per process; told of users by the
 * open connections, asked by the presence feature.
 *
 * A user is online with the first socket and until 5 seconds after the last: who comes back within
 * them was never away. What is told is the difference to what was told before: who is gone before anybody
 * heard of the coming is not told about at all.
 *
 * Memory: nothing of who is online and told, nor of who is offline and told.
 *
 * Must never: do work in `came` or `went` that grows with anything, for connects come by the thousand.
 */
import type { Clock } from '../core/clock.ts';
import type { TenantId, TenantNo, UserId } from '../core/ids.ts';

/** A user with the tenant whose user it is. */
export interface TenantUser {
	readonly tenant: TenantNo;
	readonly tenant_id: TenantId;
	readonly user_id: UserId;
}

/** What the others believe no longer. */
export interface PresenceChange extends TenantUser {
	status: 'online' | 'offline';
	/** When the last socket went, in epoch milliseconds; null for who is online. */
	last_seen_at: number | null;
}

export interface PresenceRegistry {
	/** The first socket of a user opened. */
	came(user: TenantUser): void;
	/** The last socket of a user went. */
	went(user: TenantUser): void;
	isOnline(tenant_id: TenantId, user_id: UserId): boolean;
	/** Ends the grace of who did not come back in time. To be called some times a second. */
	sweep(): void;
	/** The next change to tell, which is then no longer to be told. Tenants take turns. */
	take(): PresenceChange | undefined;
	/** How many changes are to be told. */
	readonly waiting: number;
	/** How many users went and may still come back. */
	readonly leaving: number;
}

export interface PresenceRegistryDeps {
	clock: Clock;
	/** Whether the user has an open socket. */
	isConnected(tenant_id: TenantId, user_id: UserId): boolean;
	/** Told of every coming and going, as it happens, with the time in epoch milliseconds. */
	onMove(user: TenantUser, at: number): void;
}

/** How long a user stays online without a socket. */
export const GRACE_MS = 5000;
/** More than a server has sockets. Beyond it a change is not told: clients ask after a connect anyway. */
export const WAITING_MAX = 50_000;

interface Leaving {
	user: TenantUser;
	/** Monotonic. */
	leftAt: number;
	last_seen_at: number;
	/** Somebody may have been told that the user is online. */
	isTold: boolean;
}

// Neither kind of id has a slash.
const keyOf = (tenant_id: TenantId, user_id: UserId): string => `${tenant_id}/${user_id}`;

export function createPresenceRegistry(deps: PresenceRegistryDeps): PresenceRegistry {
	const { clock, isConnected, onMove } = deps;
	/** The one that went longest ago first. */
	const leaving = new Map<string, Leaving>();
	const changes = createChanges();

	return {
		came(user) {
			onMove(user, clock.now());
			const { tenant_id, user_id } = user;
			const key = keyOf(tenant_id, user_id);
			const left = leaving.get(key);
			leaving.delete(key);
			if (left?.isTold === true) return;
			// Who was not told of the going need not be told of the return.
			const isUndone = left === undefined && changes.find(user)?.status === 'offline';
			if (isUndone) changes.remove(user);
			else changes.set({ ...onlyUser(user), status: 'online', last_seen_at: null });
		},
		went(given) {
			const user = onlyUser(given);
			const [leftAt, last_seen_at] = [clock.monotonic(), clock.now()];
			onMove(user, last_seen_at);
			const isTold = changes.find(user)?.status !== 'online';
			if (!isTold) changes.remove(user);
			const left = { user, leftAt, last_seen_at, isTold };
			leaving.set(keyOf(user.tenant_id, user.user_id), left);
		},
		isOnline: (tenant_id, user_id) =>
			isConnected(tenant_id, user_id) || leaving.has(keyOf(tenant_id, user_id)),
		sweep() {
			const now = clock.monotonic();
			for (const [key, { user, leftAt, last_seen_at, isTold }] of leaving) {
				if (now - leftAt < GRACE_MS) return;
				leaving.delete(key);
				if (isTold) changes.set({ ...user, status: 'offline', last_seen_at });
			}
		},
		take: changes.take,
		get waiting() {
			return changes.size;
		},
		get leaving() {
			return leaving.size;
		},
	};
}

/** Without what else the socket that came with it holds on to. */
const onlyUser = ({ tenant, tenant_id, user_id }: TenantUser): TenantUser => ({
	tenant,
	tenant_id,
	user_id,
});

/** At most one change a user, in the order of their coming; tenants take turns. */
function createChanges() {
	// A Map iterates in insertion order: its first entry is whose turn it is.
	const tenants = new Map<TenantId, Map<UserId, PresenceChange>>();
	let size = 0;

	function remove({ tenant_id, user_id }: TenantUser): void {
		const users = tenants.get(tenant_id);
		if (users?.delete(user_id) !== true) return;
		size--;
		if (users.size === 0) tenants.delete(tenant_id);
	}

	return {
		find: ({ tenant_id, user_id }: TenantUser) => tenants.get(tenant_id)?.get(user_id),
		remove,
		set(change: PresenceChange): void {
			remove(change);
			if (size >= WAITING_MAX) return;
			const users = tenants.get(change.tenant_id) ?? new Map<UserId, PresenceChange>();
			tenants.set(change.tenant_id, users.set(change.user_id, change));
			size++;
		},
		take(): PresenceChange | undefined {
			for (const [tenant_id, users] of tenants) {
				for (const change of users.values()) {
					remove(change);
					if (users.size > 0 && tenants.size > 1) {
						tenants.delete(tenant_id);
						tenants.set(tenant_id, users);
					}
					return change;
				}
			}
			return undefined;
		},
		get size() {
			return size;
		},
	};
}
