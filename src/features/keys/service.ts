import { createApiKey, parseApiKey } from '../../core/api-key.ts';
import type { OperatorCaller } from '../../core/caller.ts';
import { type Clock, parseTimestamp, toTimestamp } from '../../core/clock.ts';
import { AppError, assert } from '../../core/errors.ts';
import type { Ids, KeyId, PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { pageOf } from '../../core/page.ts';
import { expandGrants } from '../../core/permissions.ts';
import type { Random } from '../../core/random.ts';
import type { Scope } from '../../db/change.ts';
import type { Stored } from '../../db/client.ts';
import type { Writer } from '../../db/writer.ts';
import { type AuditTx, newAct, record } from '../audit/service.ts';
import type { createKey, listKeys, revokeKey } from './schema.ts';
import type { KeyRow, KeysStore } from './store.ts';

export interface KeysTx extends AuditTx {
	keys: Stored<KeysStore>;
}

/** What is written of a new key, and the secret that is told. */
export interface NewKey {
	api_key: string;
	row: Omit<KeyRow, 'revoked_at' | 'tenant'>;
}

/** Makes a key, ready to be inserted by a change. Pure but for the randomness handed in. */
export function newKey(
	input: { name: string; permissions: readonly string[]; expires_at: number | null },
	from: { ids: Ids; random: Random; now: number },
): NewKey {
	const api_key = createApiKey(from.random.bytes);
	const parts = parseApiKey(api_key);
	assert(parts !== undefined, 'a new key is well-formed');
	return {
		api_key,
		row: {
			key_id: from.ids('key'),
			name: input.name,
			prefix: parts.prefix,
			hash: Buffer.from(parts.hash),
			permissions: JSON.stringify(input.permissions),
			created_at: from.now,
			expires_at: input.expires_at,
		},
	};
}

/** Stores a new key within another feature's change. */
export const insertKey = (tx: KeysTx, tenant: TenantNo, { row }: NewKey) =>
	tx.keys.insert({ ...row, tenant });

export interface KeysDeps {
	writer: Writer<KeysTx>;
	read: Pick<KeysTx, 'keys'>;
	clock: Clock;
	ids: Ids;
	random: Random;
	/** @throws `NOT_FOUND` for a tenant that does not exist for the caller. */
	tenantOf(caller: OperatorCaller, tenant_id: TenantId): Promise<Scope & { plan: PlanNo | null }>;
}

/** The use-cases of API keys, and the look-up that authentication makes. */
export function createKeys({ writer, read, clock, ids, random, tenantOf }: KeysDeps) {
	return {
		/**
		 * Creates a key. The only answer that ever holds its secret.
		 *
		 * @throws `NOT_FOUND` for an unknown tenant.
		 * @throws `VALIDATION_ERROR` for an unknown permission, or an `expires_at` that is past.
		 */
		create: async (
			caller: OperatorCaller,
			input: InputOf<typeof createKey>,
		): Promise<OutputOf<typeof createKey>> => {
			const scope = await tenantOf(caller, input.tenant_id);
			expandGrants(input.permissions);
			const act = newAct('keys.create', { clock, random });
			const expires_at = expiryOf(input.expires_at ?? null, act.at);
			const key = newKey({ ...input, expires_at }, { ids, random, now: act.at });
			const { tenant, plan, tenant_id } = scope;
			return writer.commit(scope, async (tx) => {
				await insertKey(tx, tenant, key);
				const value = shown(key.row);
				const target = { tenant_id, key_id: value.key_id };
				await record(tx, caller, { ...act, tenant, plan, target, after: value });
				return { value: { ...value, api_key: key.api_key } };
			});
		},

		/** A page of a tenant's live keys, newest first. @throws `NOT_FOUND` for an unknown tenant. */
		list: async (
			caller: OperatorCaller,
			input: InputOf<typeof listKeys>,
		): Promise<OutputOf<typeof listKeys>> => {
			const { tenant } = await tenantOf(caller, input.tenant_id);
			const limit = input.limit ?? 50;
			// '~' sorts after every id.
			const rows = await read.keys.list(tenant, input.cursor ?? '~', limit + 1);
			const { items, next_cursor } = pageOf(rows, limit, ({ key_id }) => key_id);
			return { api_keys: items.map(shown), next_cursor };
		},

		/**
		 * Revokes a key: its next request is refused, its sockets are closed, its waiting writes fail.
		 *
		 * @throws `NOT_FOUND` for an unknown tenant, or a key it has not (or no longer).
		 */
		revoke: async (
			caller: OperatorCaller,
			{ tenant_id, key_id }: InputOf<typeof revokeKey>,
		): Promise<OutputOf<typeof revokeKey>> => {
			const scope = await tenantOf(caller, tenant_id);
			const act = newAct('keys.revoke', { clock, random });
			const { tenant, plan } = scope;
			return writer.commit(scope, async (tx) => {
				const wasLive = await tx.keys.revoke(tenant, key_id, act.at);
				if (!wasLive) throw new AppError('NOT_FOUND', 'API key not found');
				await record(tx, caller, { ...act, tenant, plan, target: { tenant_id, key_id } });
				return {
					value: { success: true as const },
					effects: [{ name: 'key.revoked', tenant_id, key_id }],
				};
			});
		},

		/** The live key with this public part, for authentication. Expiry is the asker's to compare. */
		findByPrefix: async (prefix: string): Promise<KeyRow | undefined> =>
			read.keys.findByPrefix(prefix),

		/** The live key that made a token. Expiry is the asker's to compare. */
		findById: async (tenant: TenantNo, key_id: KeyId): Promise<KeyRow | undefined> =>
			read.keys.find(tenant, key_id),
	};
}

export type Keys = ReturnType<typeof createKeys>;

function expiryOf(text: string | null, now: number): number | null {
	if (text === null) return null;
	const expires_at = parseTimestamp(text);
	if (expires_at === undefined || expires_at <= now) {
		throw new AppError('VALIDATION_ERROR', 'Must be a time in the future', { field: 'expires_at' });
	}
	return expires_at;
}

const shown = (row: Omit<KeyRow, 'revoked_at' | 'tenant' | 'hash'> & { key_id: KeyId }) => ({
	key_id: row.key_id,
	name: row.name,
	prefix: row.prefix,
	permissions: JSON.parse(row.permissions) as string[],
	created_at: toTimestamp(row.created_at),
	expires_at: row.expires_at === null ? null : toTimestamp(row.expires_at),
});
