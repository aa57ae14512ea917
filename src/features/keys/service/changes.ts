/** What is done to a tenant's keys, whoever asks for it: the operator, or the tenant itself. */
import { createApiKey, parseApiKey } from '../../../core/api-key.ts';
import { type Clock, parseTimestamp, toTimestamp } from '../../../core/clock.ts';
import { AppError, assert } from '../../../core/errors.ts';
import type { Ids, KeyId, TenantNo } from '../../../core/ids.ts';
import { pageOf } from '../../../core/page.ts';
import type { Random } from '../../../core/random.ts';
import type { Stored } from '../../../db/client.ts';
import { KEYS_MAX } from '../schema.ts';
import type { KeyRow, KeysStore, Later } from '../store.ts';

export interface KeysTables {
	keys: Stored<KeysStore>;
}

/** What is written of a new key, and the secret that is told. */
export interface NewKey {
	api_key: string;
	row: Omit<KeyRow, Later | 'tenant'>;
}

/** What may change of a key. */
export interface KeyPatch {
	name?: string;
	permissions?: string[];
	expires_at?: string | null;
}

/** A secret, and what is kept of it. */
export function newSecret(random: Random): Pick<KeyRow, 'prefix' | 'hash'> & { api_key: string } {
	const api_key = createApiKey(random.bytes);
	const parts = parseApiKey(api_key);
	assert(parts !== undefined, 'a new key is well-formed');
	return { api_key, prefix: parts.prefix, hash: Buffer.from(parts.hash) };
}

/** Makes a key, ready to be inserted by a change. Pure but for the randomness handed in. */
export function newKey(
	input: { name: string; permissions: readonly string[]; expires_at: number | null },
	from: { ids: Ids; random: Random; now: number },
): NewKey {
	const { api_key, ...secret } = newSecret(from.random);
	return {
		api_key,
		row: {
			key_id: from.ids('key'),
			name: input.name,
			...secret,
			permissions: JSON.stringify(input.permissions),
			created_at: from.now,
			expires_at: input.expires_at,
		},
	};
}

/** Stores a new key. @throws `CONFLICT` where the tenant has as many as it may. */
export async function insertKey(tx: KeysTables, tenant: TenantNo, { row }: NewKey): Promise<void> {
	requireRoom(await tx.keys.count(tenant));
	await tx.keys.insert({ ...row, tenant });
}

/** Whether a tenant with so many keys may have one more. @throws `CONFLICT`. */
export function requireRoom(count: number): void {
	if (count < KEYS_MAX) return;
	throw new AppError('CONFLICT', `At most ${KEYS_MAX} API keys: revoke one first`);
}

/** A live key of the tenant. @throws `NOT_FOUND`. */
export async function getKey(tx: KeysTables, tenant: TenantNo, key_id: KeyId): Promise<KeyRow> {
	const row = await tx.keys.find(tenant, key_id);
	if (row !== undefined) return row;
	throw new AppError('NOT_FOUND', 'API key not found');
}

/** Writes what becomes of a key, under a version more. Returns the row that it is then: the same one where nothing changes. */
export async function writeKey(tx: KeysTables, before: KeyRow, changed: KeyRow): Promise<KeyRow> {
	if (Bun.deepEquals(changed, before)) return before;
	const row = { ...changed, version: before.version + 1 };
	await tx.keys.update(row);
	return row;
}

/** The key with a patch merged in. @throws `VALIDATION_ERROR` as `newKey`'s input is refused. */
export function patched(row: KeyRow, patch: KeyPatch, clock: Pick<Clock, 'now'>): KeyRow {
	const { name = row.name, permissions, expires_at } = patch;
	return {
		...row,
		name,
		permissions: permissions === undefined ? row.permissions : JSON.stringify(permissions),
		expires_at: expires_at === undefined ? row.expires_at : expiryOf(expires_at, clock.now()),
	};
}

/** The key with another secret; the one it has stays good for a while. */
export const rotated = (
	row: KeyRow,
	{ prefix, hash }: Pick<KeyRow, 'prefix' | 'hash'>,
	old_until: number,
): KeyRow => ({ ...row, prefix, hash, old_prefix: row.prefix, old_hash: row.hash, old_until });

/** A page of live keys, newest first. */
export async function listPage(
	read: KeysTables,
	tenant: TenantNo,
	{ limit = 50, cursor }: { limit?: number; cursor?: string },
	now: number,
) {
	// '~' sorts after every id.
	const rows = await read.keys.list(tenant, cursor ?? '~', limit + 1);
	const { items, next_cursor } = pageOf(rows, limit, ({ key_id }) => key_id);
	return { api_keys: items.map((row) => shown(row, now)), next_cursor };
}

/** When a key is to end. @throws `VALIDATION_ERROR` for a time that is past. */
export function expiryOf(text: string | null, now: number): number | null {
	if (text === null) return null;
	const expires_at = parseTimestamp(text);
	if (expires_at === undefined || expires_at <= now) {
		throw new AppError('VALIDATION_ERROR', 'Must be a time in the future', { field: 'expires_at' });
	}
	return expires_at;
}

const timeOf = (at: number | null | undefined) => (at == null ? null : toTimestamp(at));

/** A key as it is shown: never with anything of a secret but its public beginning. */
export const shown = (row: NewKey['row'] & Partial<Pick<KeyRow, Later>>, now: number) => ({
	key_id: row.key_id,
	name: row.name,
	prefix: row.prefix,
	permissions: JSON.parse(row.permissions) as string[],
	created_at: toTimestamp(row.created_at),
	expires_at: timeOf(row.expires_at),
	last_used_at: timeOf(row.last_used_at),
	grace_until: timeOf((row.old_until ?? 0) > now ? row.old_until : null),
	version: row.version ?? 1,
});
