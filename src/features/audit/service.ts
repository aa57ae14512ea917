import { sha256 } from '../../core/api-key.ts';
import type { OperatorCaller } from '../../core/caller.ts';
import type { Clock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import type { PlanNo, TenantNo } from '../../core/ids.ts';
import type { Random } from '../../core/random.ts';
import type { Stored } from '../../db/client.ts';
import type { AuditStore, EntryRow } from './store.ts';

export interface AuditTx {
	audit: Stored<AuditStore>;
}

/** What an operator did, for the audit log. */
export interface Act {
	/** The operation: `tenants.create`. */
	action: string;
	/** About which tenant, and which plan it is on; left out for what is no tenant's. */
	tenant?: TenantNo;
	plan?: PlanNo | null;
	/** The ids on the wire of what it is about: `{tenant_id, key_id}`. */
	target: Record<string, unknown>;
	/** What changed, as it was and as it is. Never a secret. */
	before?: unknown;
	after?: unknown;
	/** Makes what was erased unguessable from its hash: 16 random bytes, in hexadecimal. */
	nonce: string;
	at: number;
}

/** What of an act is settled before its change runs, which may be run again. */
export const newAct = (
	action: string,
	{ clock, random }: { clock: Pick<Clock, 'now'>; random: Pick<Random, 'bytes'> },
): Pick<Act, 'action' | 'at' | 'nonce'> => ({
	action,
	at: clock.now(),
	nonce: Buffer.from(random.bytes(16)).toString('hex'),
});

/** Who did it, as the log names them. */
export type Recorded = Pick<OperatorCaller, 'credential' | 'plan' | 'request_id'>;

/** What every entry's hash begins from. */
export const GENESIS = new Uint8Array(32);

/**
 * Writes an entry at the end of the chain, in the transaction of what it tells of. Each entry's hash
 * covers the one before, so that none can be changed, taken out or put in without breaking all that
 * follow.
 */
export async function record(tx: AuditTx, caller: Recorded, act: Act): Promise<void> {
	const { target, before, after, nonce } = act;
	const details = JSON.stringify({ nonce, target, before, after });
	const last = await tx.audit.findLast();
	const entry = {
		entry: (last?.entry ?? 0) + 1,
		created_at: act.at,
		credential: caller.credential,
		action: act.action,
		request_id: caller.request_id,
		plan: act.plan ?? caller.plan,
		tenant: act.tenant ?? null,
		details,
		details_hash: sha256(details),
	};
	const hash = hashOf(last?.hash ?? GENESIS, entry);
	await tx.audit.insert({ ...entry, hash });
}

/** Erases what the log says of a tenant, at most so many entries of it. The chain stays whole. Returns how many. */
export const eraseAbout = (tx: AuditTx, tenant: TenantNo, limit: number) =>
	tx.audit.eraseSome(tenant, limit);

/** The hash of an entry that follows one of this hash. The tenant's number may be erased, so it is not in it. */
export function hashOf(
	before: Uint8Array,
	entry: Omit<EntryRow, 'hash' | 'details' | 'tenant'>,
): Uint8Array {
	const { entry: number, created_at, credential, action, request_id, plan, details_hash } = entry;
	assert(before.length === 32 && details_hash.length === 32, 'hashes are SHA-256');
	const text = JSON.stringify([number, created_at, credential, action, request_id, plan]);
	return new Bun.CryptoHasher('sha256').update(before).update(details_hash).update(text).digest();
}
