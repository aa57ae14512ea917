import type { Database } from 'bun:sqlite';
import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/bun-sqlite';
import type { KeyId, TenantNo } from '../../core/ids.ts';
import { apiKeys } from '../../db/tables.ts';

export type KeyRow = typeof apiKeys.$inferSelect;

/** All SQL of API keys. */
export function createKeysStore(db: Database) {
	const orm = drizzle({ client: db });
	const p = sql.placeholder;
	const ofTenant = and(eq(apiKeys.tenant, p('tenant')), isNull(apiKeys.revoked_at));

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
	const byPrefix = orm
		.select()
		.from(apiKeys)
		.where(and(eq(apiKeys.prefix, p('prefix')), isNull(apiKeys.revoked_at)))
		.limit(1)
		.prepare();
	const byId = orm
		.select()
		.from(apiKeys)
		.where(and(ofTenant, eq(apiKeys.key_id, p('key_id'))))
		.limit(1)
		.prepare();
	// Ids are UUIDv7: their text order is the order of creation, within the millisecond's chance.
	const page = orm
		.select()
		.from(apiKeys)
		.where(and(ofTenant, lt(apiKeys.key_id, p('before'))))
		.orderBy(desc(apiKeys.key_id))
		.limit(p('limit'))
		.prepare();
	const revoke = orm
		.update(apiKeys)
		.set({ revoked_at: sql`${p('revoked_at')}` })
		.where(and(ofTenant, eq(apiKeys.key_id, p('key_id'))))
		.returning({ key_id: apiKeys.key_id })
		.prepare();

	return {
		insert: (row: Omit<KeyRow, 'revoked_at'>): void => void insert.run(row),
		/** The one look-up without a tenant: it is what finds the tenant. Live keys only. */
		findByPrefix: (prefix: string): KeyRow | undefined => byPrefix.get({ prefix }),
		/** A live key of the tenant. */
		find: (tenant: TenantNo, key_id: KeyId): KeyRow | undefined => byId.get({ tenant, key_id }),
		/** Live keys below `before`, newest first. */
		list: (tenant: TenantNo, before: string, limit: number): KeyRow[] =>
			page.all({ tenant, before, limit }),
		/** False when the tenant has no such live key. */
		revoke: (tenant: TenantNo, key_id: KeyId, revoked_at: number): boolean =>
			revoke.all({ tenant, key_id, revoked_at }).length > 0,
	};
}

export type KeysStore = ReturnType<typeof createKeysStore>;
