import type { KeyId, TenantId, TenantNo, UserId } from '../core/ids.ts';

/** A socket, as the hub and the registry see it. */
export interface Connection {
	readonly connection_id: string;
	readonly tenant: TenantNo;
	readonly tenant_id: TenantId;
	/** Null for a backend socket: the tenant's own, which follows all of it. */
	readonly user_id: UserId | null;
	readonly key_id: KeyId;
	/** Events are for it: its first frame is out, and nobody has closed it. */
	readonly isLive: boolean;
	subscribe(topic: string): void;
	unsubscribe(topic: string): void;
	isSubscribed(topic: string): boolean;
	/** Sends a frame now. > 0: bytes; -1: it waits, for the client lags; 0: it is lost. */
	send(frame: string): number;
	/** Sends a frame with the others of this turn of the event loop, in one write, in their order. */
	sendSoon(frame: string): void;
	close(code: number, reason: string): void;
	/** What its credential may do has changed: reads it anew. */
	regrant(): void;
	/** Bytes that the client has not taken yet. */
	bufferedBytes(): number;
	/** The notification topics it follows by name. */
	readonly topics: Set<string>;
	/** Counts a frame that made no sense; too many close the socket. */
	countBadFrame(): void;
}

/** A socket of a user, not of a backend. */
export type UserConnection = Connection & { readonly user_id: UserId };

const isOfUser = (connection: Connection): connection is UserConnection =>
	connection.user_id !== null;

/** Told at once of what becomes of users and sockets. Must not wait, and must be quick. */
export interface ConnectionsWatch {
	/** A user's first socket was added. */
	came(first: UserConnection): void;
	/** A user's last socket was removed. */
	went(last: UserConnection): void;
	/** A socket was removed, the last one or not. */
	removed(connection: Connection): void;
}

/** The open sockets of this process. Whoever walks over them may remove them. */
export interface Connections {
	/** Idempotent. */
	add(connection: Connection): void;
	/** Idempotent. Returns whether it was there. */
	remove(connection: Connection): boolean;
	ofTenant(tenant_id: TenantId): Iterable<Connection>;
	/** A user's; with null the tenant's own, its backends'. */
	ofUser(tenant_id: TenantId, user_id: UserId | null): Iterable<Connection>;
	/** Looks at all of the tenant's: keys are revoked rarely, and an index would weigh on every socket. */
	ofKey(tenant_id: TenantId, key_id: KeyId): Iterable<Connection>;
	countOfTenant(tenant_id: TenantId): number;
	countOfUser(tenant_id: TenantId, user_id: UserId | null): number;
	all(): Iterable<Connection>;
	/** One watches, from before the first socket. */
	watch(watch: ConnectionsWatch): void;
	readonly size: number;
}

/** A user's only socket, as with most of them, or all: a Set costs more than the socket in it. */
type Sockets = Connection | Set<Connection>;

interface Tenant {
	readonly users: Map<UserId | null, Sockets>;
	count: number;
}

const listOf = (sockets: Sockets | undefined): Iterable<Connection> => {
	if (sockets === undefined) return [];
	return sockets instanceof Set ? sockets : [sockets];
};

function* socketsOf(tenant: Tenant | undefined): Iterable<Connection> {
	if (tenant === undefined) return;
	for (const sockets of tenant.users.values()) yield* listOf(sockets);
}

export function createConnections(): Connections {
	const tenants = new Map<TenantId, Tenant>();
	let size = 0;
	let watching: ConnectionsWatch | undefined;

	function tenantOf(tenant_id: TenantId): Tenant {
		const known = tenants.get(tenant_id);
		if (known !== undefined) return known;
		const tenant: Tenant = { users: new Map(), count: 0 };
		tenants.set(tenant_id, tenant);
		return tenant;
	}

	const ofUser = (tenant_id: TenantId, user_id: UserId | null) =>
		tenants.get(tenant_id)?.users.get(user_id);

	return {
		add(connection) {
			const { tenant_id, user_id } = connection;
			const tenant = tenantOf(tenant_id);
			const { users } = tenant;
			const sockets = users.get(user_id);
			if (sockets === undefined) users.set(user_id, connection);
			else if (sockets === connection) return;
			else if (!(sockets instanceof Set)) users.set(user_id, new Set([sockets, connection]));
			else if (sockets.has(connection)) return;
			else sockets.add(connection);
			tenant.count++;
			size++;
			if (sockets === undefined && isOfUser(connection)) watching?.came(connection);
		},
		remove(connection) {
			const { tenant_id, user_id } = connection;
			const tenant = tenants.get(tenant_id);
			const sockets = tenant?.users.get(user_id);
			if (tenant === undefined || sockets === undefined) return false;
			if (sockets instanceof Set) {
				if (!sockets.delete(connection)) return false;
				if (sockets.size === 0) tenant.users.delete(user_id);
			} else {
				if (sockets !== connection) return false;
				tenant.users.delete(user_id);
			}
			if (--tenant.count === 0) tenants.delete(tenant_id);
			size--;
			if (!tenant.users.has(user_id) && isOfUser(connection)) watching?.went(connection);
			watching?.removed(connection);
			return true;
		},
		ofTenant: (tenant_id) => socketsOf(tenants.get(tenant_id)),
		ofUser: (tenant_id, user_id) => listOf(ofUser(tenant_id, user_id)),
		*ofKey(tenant_id, key_id) {
			for (const connection of socketsOf(tenants.get(tenant_id))) {
				if (connection.key_id === key_id) yield connection;
			}
		},
		countOfTenant: (tenant_id) => tenants.get(tenant_id)?.count ?? 0,
		countOfUser(tenant_id, user_id) {
			const sockets = ofUser(tenant_id, user_id);
			if (sockets === undefined) return 0;
			return sockets instanceof Set ? sockets.size : 1;
		},
		*all() {
			for (const tenant of tenants.values()) yield* socketsOf(tenant);
		},
		watch(watch) {
			watching = watch;
		},
		get size() {
			return size;
		},
	};
}
