/**
 * `Idempotency-Key`: a request that comes again is answered what it was answered first, for a day.
 *
 * The answer is stored in the transaction of what the request did, so there is no moment in which one
 * is done without the other. It is sealed under the key, of which only a hash is stored, for it may
 * hold a secret that is shown once. Refusals are not stored: they changed nothing, and may be tried again.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */
import { hkdfSync } from 'node:crypto';
import { decrypt, encrypt, IV_BYTES } from '../core/aes-gcm.ts';
import { sha256 } from '../core/api-key.ts';
import type { Caller } from '../core/caller.ts';
import { AppError, assert } from '../core/errors.ts';
import type { TenantNo } from '../core/ids.ts';
import type { Once } from '../core/once.ts';
import type { Operation } from '../core/operation.ts';
import type { Random } from '../core/random.ts';
import { CONTROL_PLANE } from '../db/change.ts';

const HEADER = 'Idempotency-Key';
/** Printable ASCII: a repeated header arrives as a list, which is a key like any other. */
const KEY = /^[\x20-\x7e]{1,255}$/;

/**
 * What the `Idempotency-Key` of a request amounts to; undefined without one.
 *
 * @throws `VALIDATION_ERROR` for one that is empty, too long or no plain text.
 */
export function repeatableOf(
	headers: Headers,
	request: { caller: Caller; operation: Pick<Operation, 'name' | 'hasSecret'>; input: unknown },
	random: Pick<Random, 'bytes'>,
): Once | undefined {
	const key = headers.get(HEADER);
	if (key === null) return undefined;
	if (!KEY.test(key)) {
		throw new AppError('VALIDATION_ERROR', 'Must be 1 to 255 printable ASCII characters', {
			field: HEADER,
		});
	}
	const { tenant, whose } = ownerOf(request.caller);
	const { caller, operation, input } = request;
	// To another key of the tenant, which may be allowed less, it would be told a secret that is not its own.
	const told = operation.hasSecret === true && caller.kind === 'tenant' ? [caller.key_id] : [];
	const request_hash = sha256(JSON.stringify([operation.name, sorted(input), ...told]));
	const secret = () => new Uint8Array(hkdfSync('sha256', key, whose, 'stored answer', 32));
	const onceOf = (name: unknown[]): Once => ({
		tenant,
		key_hash: sha256(JSON.stringify(name)),
		request_hash,
		seal: (answer) => encrypt(secret(), random.bytes(IV_BYTES), JSON.stringify(answer)),
		open(stored) {
			if (Buffer.compare(stored.request_hash, request_hash) !== 0) {
				throw new AppError('CONFLICT', 'This Idempotency-Key came with another request', {
					field: HEADER,
				});
			}
			return JSON.parse(decrypt(secret(), stored.answer));
		},
		part: (index) => onceOf([...name, index]),
	});
	return onceOf([whose, key]);
}

/** Whose keys they are: two who choose the same one must not meet. */
function ownerOf(caller: Caller): { tenant: TenantNo; whose: string } {
	assert(caller.kind !== 'visitor', 'a visitor changes nothing');
	if (caller.kind === 'operator') {
		return {
			tenant: CONTROL_PLANE,
			whose: caller.plan === null ? 'master' : `plan/${caller.plan}`,
		};
	}
	const { tenant, user_id } = caller;
	return { tenant, whose: user_id === null ? `${tenant}` : `${tenant}/${user_id}` };
}

/** The same value with the keys of its objects in order: a client may write them in any. */
function sorted(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(sorted);
	if (typeof value !== 'object' || value === null) return value;
	// An object again: as a list of pairs it could not be told from one that was sent.
	return Object.fromEntries(
		Object.entries(value)
			.sort(([one], [other]) => (one < other ? -1 : 1))
			.map(([name, each]) => [name, sorted(each)]),
	);
}
