import type { KeyId, TenantId, UserId } from '../core/ids.ts';

/** A socket, as the hub and the registry see it. */
export interface Connection {
	readonly connection_id: string;
	readonly tenant_id: TenantId;
	readonly user_id: UserId;
	readonly key_id: KeyId;
	subscribe(topic: string): void;
	unsubscribe(topic: string): void;
	/** Sends a frame now. */
	send(frame: string): void;
	/** Sends a frame with the others of this turn of the event loop, in one write, in their order. */
	sendSoon(frame: string): void;
	close(code: number, reason: string): void;
	/** Bytes that the client has not taken yet. */
	bufferedBytes(): number;
	/** The notification topics it follows by name. */
	readonly topics: Set<string>;
	/** Counts a frame that made no sense; too many close the socket. */
	countBadFrame(): void;
}

/** The open sockets of this process, by everything they are looked up by. */
export interface Connections {
	add(connection: Connection): void;
	/** Idempotent. */
	remove(connection: Connection): void;
	ofTenant(tenant_id: TenantId): Iterable<Connection>;
	ofUser(tenant_id: TenantId, user_id: UserId): Iterable<Connection>;
	ofKey(key_id: KeyId): Iterable<Connection>;
	countOfTenant(tenant_id: TenantId): number;
	countOfUser(tenant_id: TenantId, user_id: UserId): number;
	all(): Iterable<Connection>;
	readonly size: number;
}

export function createConnections(): Connections {
	const all = new Set<Connection>();
	const byTenant = new Map<string, Set<Connection>>();
	const byUser = new Map<string, Set<Connection>>();
	const byKey = new Map<string, Set<Connection>>();

	const userKey = (tenant_id: TenantId, user_id: UserId) => `${tenant_id}/${user_id}`;
	const indexesOf = (connection: Connection): [Map<string, Set<Connection>>, string][] => [
		[byTenant, connection.tenant_id],
		[byUser, userKey(connection.tenant_id, connection.user_id)],
		[byKey, connection.key_id],
	];

	// Copies: closing a connection removes it while a caller walks.
	const copyOf = (set: Set<Connection> | undefined) => (set === undefined ? [] : [...set]);

	return {
		add(connection) {
			all.add(connection);
			for (const [index, key] of indexesOf(connection)) {
				const set = index.get(key);
				if (set === undefined) index.set(key, new Set([connection]));
				else set.add(connection);
			}
		},
		remove(connection) {
			if (!all.delete(connection)) return;
			for (const [index, key] of indexesOf(connection)) {
				const set = index.get(key);
				set?.delete(connection);
				if (set?.size === 0) index.delete(key);
			}
		},
		ofTenant: (tenant_id) => copyOf(byTenant.get(tenant_id)),
		ofUser: (tenant_id, user_id) => copyOf(byUser.get(userKey(tenant_id, user_id))),
		ofKey: (key_id) => copyOf(byKey.get(key_id)),
		countOfTenant: (tenant_id) => byTenant.get(tenant_id)?.size ?? 0,
		countOfUser: (tenant_id, user_id) => byUser.get(userKey(tenant_id, user_id))?.size ?? 0,
		all: () => copyOf(all),
		get size() {
			return all.size;
		},
	};
}
