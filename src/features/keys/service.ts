import type { OperatorCaller } from '../../core/caller.ts';
import type { Clock } from '../../core/clock.ts';
import type { Effect } from '../../core/effect.ts';
import { AppError } from '../../core/errors.ts';
import type { Ids, KeyId, PlanNo, TenantId, TenantNo } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { expandGrants } from '../../core/permissions.ts';
import { requireVersion } from '../../core/precondition.ts';
import type { Random } from '../../core/random.ts';
import type { Scope } from '../../db/change.ts';
import type { Writer } from '../../db/writer.ts';
import { type AuditTx, newAct, record } from '../audit/service.ts';
import type { createKey, listKeys, revokeKey, rotateKey, updateKey } from './schema.ts';
import {
	expiryOf,
	getKey,
	insertKey,
	type KeysTables,
	listPage,
	newKey,
	newSecret,
	patched,
	rotated,
	shown,
	writeKey,
} from './service/changes.ts';
import type { KeyRow } from './store.ts';

export { insertKey, type NewKey, newKey } from './service/changes.ts';

export interface KeysTx extends AuditTx, KeysTables {}

export interface KeysDeps {
	writer: Writer<KeysTx>;
	read: KeysTables;
	clock: Clock;
	ids: Ids;
	random: Random;
	/** @throws `NOT_FOUND` for a tenant that does not exist for the caller. */
	tenantOf(caller: OperatorCaller, tenant_id: TenantId): Promise<Scope & { plan: PlanNo | null }>;
}

/** The use-cases of API keys, and the look-up that authentication makes. */
export function createKeys({ writer, read, clock, ids, random, tenantOf }: KeysDeps) {
	/** Writes what becomes of a key, with its entry in the audit log; what stays as it is has none. */
	async function change<Value>(
		caller: OperatorCaller,
		action: string,
		{ tenant_id, key_id }: { tenant_id: TenantId; key_id: KeyId },
		changed: (before: KeyRow) => { row: KeyRow; value: (shown: ShownKey) => Value },
	): Promise<Value> {
		const scope = await tenantOf(caller, tenant_id);
		const act = newAct(action, { clock, random });
		const { tenant, plan } = scope;
		return writer.commit(scope, async (tx) => {
			const before = await getKey(tx, tenant, key_id);
			requireVersion(caller, before.version);
			const { row: changedRow, value } = changed(before);
			const row = await writeKey(tx, before, changedRow);
			const after = shown(row, act.at);
			if (row === before) return { value: value(after) };
			const told = { before: shown(before, act.at), after };
			await record(tx, caller, { ...act, tenant, plan, target: { tenant_id, key_id }, ...told });
			return { value: value(after), effects: [changedOf(tenant_id)] };
		});
	}

	return {
		/**
		 * Creates a key. The only answer that ever holds its secret.
		 *
		 * @throws `NOT_FOUND` for an unknown tenant; `CONFLICT` for one that has as many as it may.
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
				const value = shown(key.row, act.at);
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
			return listPage(read, tenant, input, clock.now());
		},

		/**
		 * Changes a key. Takes effect on the next request, and on open sockets.
		 *
		 * @throws `NOT_FOUND` for an unknown tenant, or a key it has not (or no longer).
		 * @throws `PRECONDITION_FAILED` when it is no longer the version that was named.
		 * @throws `VALIDATION_ERROR` as for `create`.
		 */
		update: async (
			caller: OperatorCaller,
			{ tenant_id, key_id, ...patch }: InputOf<typeof updateKey>,
		): Promise<OutputOf<typeof updateKey>> => {
			if (patch.permissions !== undefined) expandGrants(patch.permissions);
			return change(caller, 'keys.update', { tenant_id, key_id }, (before) => ({
				row: patched(before, patch, clock),
				value: (key) => key,
			}));
		},

		/** Gives a key a new secret; the one before stays good for a while. @throws `NOT_FOUND` as `update`. */
		rotate: async (
			caller: OperatorCaller,
			{ tenant_id, key_id, grace_seconds = 0 }: InputOf<typeof rotateKey>,
		): Promise<OutputOf<typeof rotateKey>> => {
			const secret = newSecret(random);
			const until = clock.now() + grace_seconds * 1000;
			return change(caller, 'keys.rotate', { tenant_id, key_id }, (before) => ({
				row: rotated(before, secret, until),
				value: (key) => ({ ...key, api_key: secret.api_key }),
			}));
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
			read.keys.findByPrefix(prefix, clock.now()),

		/** The live key that made a token. Expiry is the asker's to compare. */
		findById: async (tenant: TenantNo, key_id: KeyId): Promise<KeyRow | undefined> =>
			read.keys.find(tenant, key_id),
	};
}

export type Keys = ReturnType<typeof createKeys>;

type ShownKey = ReturnType<typeof shown>;

/** What its credentials may do has changed. */
export const changedOf = (tenant_id: TenantId): Effect => ({ name: 'tenant.changed', tenant_id });
