import type { OwnCaller } from '../../../core/caller.ts';
import { AppError } from '../../../core/errors.ts';
import type { KeyId } from '../../../core/ids.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { expandGrants, type Permission } from '../../../core/permissions.ts';
import { requireVersion } from '../../../core/precondition.ts';
import type {
	createOwnKey,
	listOwnKeys,
	revokeOwnKey,
	rotateOwnKey,
	updateOwnKey,
} from '../schema.ts';
import { changedOf, type KeysDeps } from '../service.ts';
import type { KeyRow } from '../store.ts';
import {
	expiryOf,
	getKey,
	insertKey,
	listPage,
	newKey,
	newSecret,
	patched,
	rotated,
	shown,
	writeKey,
} from './changes.ts';

/** The use-cases of a tenant's own keys: what a key of it may do with `keys:manage`. */
export function createOwnKeys({ writer, read, clock, ids, random }: Omit<KeysDeps, 'tenantOf'>) {
	/** Changes a key that may do no more than the caller. */
	async function change<Value>(
		caller: OwnCaller,
		key_id: KeyId,
		changed: (before: KeyRow) => KeyRow,
		toValue: (key: ReturnType<typeof shown>) => Value,
	): Promise<Value> {
		const { tenant, tenant_id } = caller;
		const now = clock.now();
		return writer.commit(caller, async (tx) => {
			const before = await getKey(tx, tenant, key_id);
			requireNoMore(caller, expandGrants(JSON.parse(before.permissions)));
			requireNoLonger(caller, before);
			requireVersion(caller, before.version);
			const row = await writeKey(tx, before, changed(before));
			const value = toValue(shown(row, now));
			return row === before ? { value } : { value, effects: [changedOf(tenant_id)] };
		});
	}

	return {
		/**
		 * Creates a key. The only answer that ever holds its secret.
		 *
		 * @throws `AUTHORIZATION_ERROR` for what the caller may not do itself; `CONFLICT` for one key too many.
		 * @throws `VALIDATION_ERROR` for a user, an unknown permission, or an `expires_at` that is past.
		 */
		create: async (
			caller: OwnCaller,
			input: InputOf<typeof createOwnKey>,
		): Promise<OutputOf<typeof createOwnKey>> => {
			requireNoMore(caller, expandGrants(input.permissions));
			const now = clock.now();
			const expires_at = endWithin(caller, expiryOf(input.expires_at ?? null, now));
			const key = newKey({ ...input, expires_at }, { ids, random, now });
			return writer.commit(caller, async (tx) => {
				await insertKey(tx, caller.tenant, key);
				return { value: { ...shown(key.row, now), api_key: key.api_key } };
			});
		},

		/** A page of the live keys, newest first. @throws `VALIDATION_ERROR` for a user. */
		list: async (
			caller: OwnCaller,
			input: InputOf<typeof listOwnKeys>,
		): Promise<OutputOf<typeof listOwnKeys>> => {
			return listPage(read, caller.tenant, input, clock.now());
		},

		/** Changes a key. @throws as `create`; `NOT_FOUND`; `PRECONDITION_FAILED`. */
		update: async (
			caller: OwnCaller,
			{ key_id, ...patch }: InputOf<typeof updateOwnKey>,
		): Promise<OutputOf<typeof updateOwnKey>> => {
			if (patch.permissions !== undefined) {
				requireNoMore(caller, expandGrants(patch.permissions));
			}
			return change(
				caller,
				key_id,
				(before) => {
					const row = patched(before, patch, clock);
					return { ...row, expires_at: endWithin(caller, row.expires_at) };
				},
				(key) => key,
			);
		},

		/** Gives a key a new secret. @throws as `update`. */
		rotate: async (
			caller: OwnCaller,
			{ key_id, grace_seconds = 0 }: InputOf<typeof rotateOwnKey>,
		): Promise<OutputOf<typeof rotateOwnKey>> => {
			const secret = newSecret(random);
			const until = clock.now() + grace_seconds * 1000;
			return change(
				caller,
				key_id,
				(before) => rotated(before, secret, until),
				(key) => ({ ...key, api_key: secret.api_key }),
			);
		},

		/** Revokes a key, itself too. @throws `NOT_FOUND`; `VALIDATION_ERROR` for a user. */
		revoke: async (
			caller: OwnCaller,
			{ key_id }: InputOf<typeof revokeOwnKey>,
		): Promise<OutputOf<typeof revokeOwnKey>> => {
			const { tenant, tenant_id } = caller;
			const now = clock.now();
			return writer.commit(caller, async (tx) => {
				const wasLive = await tx.keys.revoke(tenant, key_id, now);
				if (!wasLive) throw new AppError('NOT_FOUND', 'API key not found');
				return {
					value: { success: true as const },
					effects: [{ name: 'key.revoked', tenant_id, key_id }],
				};
			});
		},
	};
}

export type OwnKeys = ReturnType<typeof createOwnKeys>;

/** @throws `AUTHORIZATION_ERROR` naming the first permission that the caller has not. */
function requireNoMore({ permissions }: OwnCaller, wanted: ReadonlySet<Permission>): void {
	for (const permission of wanted) {
		if (permissions.has(permission)) continue;
		throw new AppError('AUTHORIZATION_ERROR', `The API key lacks the permission ${permission}`);
	}
}

/** @throws `AUTHORIZATION_ERROR` for a key that outlives the caller's. */
function requireNoLonger({ expires_at }: OwnCaller, key: KeyRow): void {
	if (expires_at === null || (key.expires_at !== null && key.expires_at <= expires_at)) return;
	throw new AppError(
		'AUTHORIZATION_ERROR',
		'An API key neither changes nor rotates one that ends later than itself',
	);
}

/** A key that ends makes none that outlives it. */
const endWithin = ({ expires_at }: OwnCaller, end: number | null): number | null =>
	expires_at === null ? end : Math.min(end ?? expires_at, expires_at);
