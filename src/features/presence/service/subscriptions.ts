import { AppError } from '../../../core/errors.ts';
import type { TenantId, UserId } from '../../../core/ids.ts';
import type { Connection } from '../../../realtime/connections.ts';
import { PRESENCE_USERS_MAX } from '../schema.ts';

/**
 * Which sockets asked to be told of which users. That they asked does not mean that they may know: see
 * `tell`. Ends with the socket.
 */
export function createPresenceSubscriptions() {
	/** By whom they are about, `tenant_id/user_id`. */
	const subscribers = new Map<string, Set<Connection>>();
	const subscribed = new Map<Connection, Set<string>>();
	const keyOf = (tenant_id: TenantId, user_id: UserId): string => `${tenant_id}/${user_id}`;

	function removeKey(connection: Connection, key: string): void {
		const connections = subscribers.get(key);
		connections?.delete(connection);
		if (connections?.size === 0) subscribers.delete(key);
	}

	return {
		/** Idempotent. @throws `CONFLICT` for more than 200 users a socket; then nothing changes. */
		add(connection: Connection, user_ids: readonly UserId[]): void {
			const wanted = user_ids.map((user_id) => keyOf(connection.tenant_id, user_id));
			const keys = new Set([...(subscribed.get(connection) ?? []), ...wanted]);
			if (keys.size > PRESENCE_USERS_MAX) {
				throw new AppError(
					'CONFLICT',
					`A socket subscribes to the presence of at most ${PRESENCE_USERS_MAX} users`,
				);
			}
			subscribed.set(connection, keys);
			for (const key of wanted) {
				const connections = subscribers.get(key) ?? new Set();
				subscribers.set(key, connections.add(connection));
			}
		},
		/** Idempotent. */
		remove(connection: Connection, user_ids: readonly UserId[]): void {
			const keys = subscribed.get(connection);
			if (keys === undefined) return;
			for (const user_id of user_ids) {
				const key = keyOf(connection.tenant_id, user_id);
				if (keys.delete(key)) removeKey(connection, key);
			}
			if (keys.size === 0) subscribed.delete(connection);
		},
		/** The socket is closed. */
		removeAll(connection: Connection): void {
			const keys = subscribed.get(connection);
			if (keys === undefined) return;
			subscribed.delete(connection);
			for (const key of keys) removeKey(connection, key);
		},
		/** Who asked to be told of this user. May change while it is walked over. */
		of: (tenant_id: TenantId, user_id: UserId): Iterable<Connection> =>
			subscribers.get(keyOf(tenant_id, user_id)) ?? [],
		get size() {
			return subscribers.size;
		},
	};
}

export type PresenceSubscriptions = ReturnType<typeof createPresenceSubscriptions>;
