import type { Database } from 'bun:sqlite';
import type { TenantNo, UserId } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';

/** When a user was seen, as it was last written. */
export type SeenRow = {
	user_id: UserId;
	/** When the first socket opened, or the last one went. */
	last_seen_at: number;
	/** 1: the user had a socket when this was written. */
	is_online: number;
};

const SQL = {
	find: `SELECT p.user_id, CASE p.is_online WHEN 1 THEN max(p.last_seen_at, coalesce(h.alive_at, 0))
			ELSE p.last_seen_at END AS last_seen_at
		FROM presences p
		LEFT JOIN presence_heads h ON h.tenant = p.tenant
		WHERE p.tenant = $tenant AND p.user_id = $user_id`,
	// Through the tenant's row: what was purged meanwhile does not come back.
	upsert: `INSERT INTO presences (tenant, user_id, last_seen_at, is_online)
		SELECT tenant, $user_id, $last_seen_at, $is_online FROM tenants WHERE tenant = $tenant
		ON CONFLICT (tenant, user_id) DO UPDATE SET
			last_seen_at = max(last_seen_at, excluded.last_seen_at), is_online = excluded.is_online`,
	updateAlive: `INSERT INTO presence_heads (tenant, alive_at)
		SELECT tenant, $alive_at FROM tenants WHERE tenant = $tenant
		ON CONFLICT (tenant) DO UPDATE SET alive_at = max(alive_at, excluded.alive_at)`,
	settle: `UPDATE presences SET is_online = 0, last_seen_at = max(last_seen_at,
			coalesce((SELECT alive_at FROM presence_heads WHERE tenant = $tenant), 0))
		WHERE tenant = $tenant AND user_id IN (
			SELECT user_id FROM presences INDEXED BY presences_online
			WHERE tenant = $tenant AND is_online = 1 LIMIT $limit)`,
};

/** All SQL of when users were last seen. */
export function createPresenceStore(db: Database) {
	type OfUser = { tenant: TenantNo; user_id: UserId };
	const find = prepare<Pick<SeenRow, 'user_id' | 'last_seen_at'>, OfUser>(db, SQL.find);
	const upsert = prepare<null, SeenRow & { tenant: TenantNo }>(db, SQL.upsert);
	const updateAlive = prepare<null, { tenant: TenantNo; alive_at: number }>(db, SQL.updateAlive);
	const settle = prepare<null, { tenant: TenantNo; limit: number }>(db, SQL.settle);

	return {
		/** When the user was seen; of who was online when the server was killed, when it last ran. */
		findSeen: (tenant: TenantNo, user_id: UserId): number | undefined =>
			find.get({ tenant, user_id })?.last_seen_at,
		/** Notes a coming or going. The time never goes back. */
		upsert: (tenant: TenantNo, row: SeenRow): void => void upsert.run({ ...row, tenant }),
		/** Notes that whoever is marked as online still was. */
		updateAlive: (tenant: TenantNo, alive_at: number): void =>
			void updateAlive.run({ tenant, alive_at }),
		/** Ends what a killed server left marked as online, at most `limit` of it. Returns how much that was. */
		settle: (tenant: TenantNo, limit: number): number => settle.run({ tenant, limit }).changes,
	};
}

export type PresenceStore = ReturnType<typeof createPresenceStore>;
