import type { Database } from 'bun:sqlite';
import { and, eq, getTableColumns, gt, isNull, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/bun-sqlite';
import type { KeyId, TenantNo } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';
import { apiKeys } from '../../db/tables.ts';

export type KeyRow = typeof apiKeys.$inferSelect;

/** What a new key does not have yet. */
export type Later =
	| 'revoked_at'
	| 'last_used_at'
	| 'old_prefix'
	| 'old_hash'
	| 'old_until'
	| 'version';

/** All SQL of API keys. */
export const createKeysStore = (db: Database) => {
	const orm = drizzle({ client: db });
	return { ...prepareReads(orm), ...prepareLive(db), ...prepareWrites(orm) };
};

export type KeysStore = ReturnType<typeof createKeysStore>;

type Orm = ReturnType<typeof drizzle<Record<string, never>, Database>>;
const p = sql.placeholder;
const COLUMNS = Object.values(getTableColumns(apiKeys)).map(({ name }) => name);
const ofTenant = and(eq(apiKeys.tenant, p('tenant')), isNull(apiKeys.revoked_at));

function prepareReads(orm: Orm) {
	const byPrefix = orm
		.select()
		.from(apiKeys)
		.where(and(eq(apiKeys.prefix, p('prefix')), isNull(apiKeys.revoked_at)))
		.limit(1)
		.prepare();
	const byOldPrefix = orm
		.select()
		.from(apiKeys)
		.where(
			and(
				eq(apiKeys.old_prefix, p('prefix')),
				gt(apiKeys.old_until, p('now')),
				isNull(apiKeys.revoked_at),
			),
		)
		.limit(1)
		.prepare();
	const byId = orm
		.select()
		.from(apiKeys)
		.where(and(ofTenant, eq(apiKeys.key_id, p('key_id'))))
		.limit(1)
		.prepare();
	return {
		/**
		 * The one look-up without a tenant: it is what finds the tenant. A live key; by an old secret, with that
		 * one's hash and end in the place of its own.
		 */
		findByPrefix(prefix: string, now: number): KeyRow | undefined {
			const row = byPrefix.get({ prefix });
			if (row !== undefined) return row;
			const old = byOldPrefix.get({ prefix, now });
			if (old?.old_hash == null || old.old_until === null) return undefined;
			const expires_at = Math.min(old.old_until, old.expires_at ?? old.old_until);
			return { ...old, hash: old.old_hash, expires_at };
		},
		/** A live key of the tenant. */
		find: (tenant: TenantNo, key_id: KeyId): KeyRow | undefined => byId.get({ tenant, key_id }),
	};
}

/**
 * The live keys of a tenant, by the index that has no others: SQLite would rather walk through the primary key,
 * past all that were ever revoked.
 */
function prepareLive(db: Database) {
	const LIVE = 'api_keys INDEXED BY api_keys_live WHERE tenant = ? AND revoked_at IS NULL';
	const count = prepare<{ count: number }, [number]>(db, `SELECT count(*) AS count FROM ${LIVE}`);
	// Ids are UUIDv7: their text order is the order of creation, within the millisecond's chance.
	const page = prepare<KeyRow, [number, string, number]>(
		db,
		`SELECT ${COLUMNS.join(', ')} FROM ${LIVE} AND key_id < ? ORDER BY key_id DESC LIMIT ?`,
	);
	return {
		/** How many the tenant has. */
		count: (tenant: TenantNo): number => count.get(tenant)?.count ?? 0,
		/** Those below `before`, newest first. */
		list: (tenant: TenantNo, before: string, limit: number): KeyRow[] =>
			page.all(tenant, before, limit),
	};
}

function prepareWrites(orm: Orm) {
	const insert = orm
		.insert(apiKeys)
		.values({
			tenant: p('tenant'),
			key_id: p('key_id'),
			name: p('name'),
			prefix: p('prefix'),
			hash: p('hash'),
			permissions: p('permissions'),
			created_at: p('created_at'),
			expires_at: p('expires_at'),
		})
		.prepare();
	const update = orm
		.update(apiKeys)
		.set({
			name: sql`${p('name')}`,
			permissions: sql`${p('permissions')}`,
			expires_at: sql`${p('expires_at')}`,
			prefix: sql`${p('prefix')}`,
			hash: sql`${p('hash')}`,
			old_prefix: sql`${p('old_prefix')}`,
			old_hash: sql`${p('old_hash')}`,
			old_until: sql`${p('old_until')}`,
			version: sql`${p('version')}`,
		})
		.where(and(ofTenant, eq(apiKeys.key_id, p('key_id'))))
		.prepare();
	const use = orm
		.update(apiKeys)
		.set({ last_used_at: sql`max(coalesce(${apiKeys.last_used_at}, 0), ${p('used_at')})` })
		.where(and(ofTenant, eq(apiKeys.key_id, p('key_id'))))
		.prepare();
	const revoke = orm
		.update(apiKeys)
		.set({ revoked_at: sql`${p('revoked_at')}` })
		.where(and(ofTenant, eq(apiKeys.key_id, p('key_id'))))
		.returning({ key_id: apiKeys.key_id })
		.prepare();

	return {
		insert: (row: Omit<KeyRow, Later>): void => void insert.run(row),
		/** Writes what can change of a live key, its secret included. */
		update: (row: KeyRow): void => void update.run(row),
		/** Notes when a live key was used last; never an earlier time. */
		noteUse: (tenant: TenantNo, key_id: KeyId, used_at: number): void =>
			void use.run({ tenant, key_id, used_at }),
		/** False when the tenant has no such live key. */
		revoke: (tenant: TenantNo, key_id: KeyId, revoked_at: number): boolean =>
			revoke.all({ tenant, key_id, revoked_at }).length > 0,
	};
}
