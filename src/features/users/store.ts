import type { Database } from 'bun:sqlite';
import type { KeyId, TenantNo, UserId } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';

/** A type, not an interface: SQLite's named parameters want an index signature. */
export type UserRow = {
	user_id: UserId;
	name: string | null;
	avatar_url: string | null;
	metadata: string | null;
	created_at: number;
	updated_at: number;
	deactivated_at: number | null;
};

export type UserTokenRow = {
	tenant: TenantNo;
	prefix: string;
	user_id: UserId;
	key_id: KeyId;
	hash: Uint8Array;
	created_at: number;
	expires_at: number;
};

const SQL = {
	find: `SELECT user_id, name, avatar_url, metadata, created_at, updated_at, deactivated_at
		FROM users WHERE tenant = $tenant AND user_id = $user_id`,
	page: `SELECT user_id, name, avatar_url, metadata, created_at, updated_at, deactivated_at
		FROM users WHERE tenant = $tenant AND user_id > $after ORDER BY user_id LIMIT $limit`,
	deactivated: `SELECT user_id FROM users INDEXED BY users_deactivated
		WHERE tenant = $tenant AND deactivated_at IS NOT NULL LIMIT $limit`,
	upsert: `INSERT INTO users
			(tenant, user_id, name, avatar_url, metadata, created_at, updated_at, deactivated_at)
		VALUES ($tenant, $user_id, $name, $avatar_url, $metadata, $created_at, $updated_at,
			$deactivated_at)
		ON CONFLICT (tenant, user_id) DO UPDATE SET name = excluded.name,
			avatar_url = excluded.avatar_url, metadata = excluded.metadata,
			updated_at = excluded.updated_at, deactivated_at = excluded.deactivated_at`,
	insertToken: `INSERT INTO user_tokens
			(tenant, prefix, user_id, key_id, hash, created_at, expires_at)
		VALUES ($tenant, $prefix, $user_id, $key_id, $hash, $created_at, $expires_at)`,
	tokenByPrefix: `SELECT tenant, prefix, user_id, key_id, hash, created_at, expires_at
		FROM user_tokens WHERE prefix = $prefix`,
	countTokens: `SELECT count(*) AS count FROM user_tokens
		WHERE tenant = $tenant AND user_id = $user_id AND expires_at > $now`,
	removeEnded: `DELETE FROM user_tokens WHERE tenant = $tenant AND prefix IN (
			SELECT prefix FROM user_tokens WHERE tenant = $tenant AND expires_at <= $now
			ORDER BY expires_at LIMIT $limit)`,
	removeTokens: `DELETE FROM user_tokens INDEXED BY user_tokens_by_user
		WHERE tenant = $tenant AND user_id = $user_id`,
};

/** All SQL of users and their tokens. */
export function createUsersStore(db: Database) {
	type OfUser = { tenant: TenantNo; user_id: UserId };
	const find = prepare<UserRow, OfUser>(db, SQL.find);
	const page = prepare<UserRow, { tenant: TenantNo; after: string; limit: number }>(db, SQL.page);
	const deactivated = prepare<{ user_id: UserId }, { tenant: TenantNo; limit: number }>(
		db,
		SQL.deactivated,
	);
	const upsert = prepare<null, UserRow & { tenant: TenantNo }>(db, SQL.upsert);
	const insertToken = prepare<null, UserTokenRow>(db, SQL.insertToken);
	const tokenByPrefix = prepare<UserTokenRow, { prefix: string }>(db, SQL.tokenByPrefix);
	const countTokens = prepare<{ count: number }, OfUser & { now: number }>(db, SQL.countTokens);
	const removeEnded = prepare<null, { tenant: TenantNo; now: number; limit: number }>(
		db,
		SQL.removeEnded,
	);
	const removeTokens = prepare<null, OfUser>(db, SQL.removeTokens);

	return {
		find: (tenant: TenantNo, user_id: UserId): UserRow | undefined =>
			find.get({ tenant, user_id }) ?? undefined,
		/** Users with an id above `after`, in the order of ids. */
		list: (tenant: TenantNo, after: string, limit: number): UserRow[] =>
			page.all({ tenant, after, limit }),
		/** Some of those that nobody may act as. */
		listDeactivated: (tenant: TenantNo, limit: number): UserId[] =>
			deactivated.all({ tenant, limit }).map(({ user_id }) => user_id),
		/** Inserts the user, or replaces all but `created_at`. */
		upsert: (tenant: TenantNo, row: UserRow): void => void upsert.run({ ...row, tenant }),
		insertToken: (row: UserTokenRow): void => void insertToken.run(row),
		/** A look-up without a tenant, as that of keys: it is what finds the tenant. */
		findToken: (prefix: string): UserTokenRow | undefined =>
			tokenByPrefix.get({ prefix }) ?? undefined,
		/** Those that have not ended. */
		countTokens: (tenant: TenantNo, user_id: UserId, now: number): number =>
			countTokens.get({ tenant, user_id, now })?.count ?? 0,
		/** Removes some of the tenant's tokens that have ended. */
		removeEnded: (tenant: TenantNo, now: number, limit: number): void =>
			void removeEnded.run({ tenant, now, limit }),
		removeTokens: (tenant: TenantNo, user_id: UserId): void =>
			void removeTokens.run({ tenant, user_id }),
	};
}

export type UsersStore = ReturnType<typeof createUsersStore>;
