import type { TenantNo } from './ids.ts';

/**
 * What the `Idempotency-Key` of a request amounts to: it takes effect once, however often it comes.
 * What it was answered is stored in the transaction of its effect, sealed: the key alone opens it.
 */
export interface Once {
	/** Whose keys these are; 0 for those of the control plane. */
	tenant: TenantNo;
	/** Of the key, and of who sent it. */
	key_hash: Uint8Array;
	/** Of the operation and all that it was told. */
	request_hash: Uint8Array;
	/** Encrypts an answer under the key. */
	seal(answer: unknown): Uint8Array;
	/** Reads a sealed one again. @throws `CONFLICT` when the key came with another request. */
	open(stored: StoredAnswer): unknown;
	/**
	 * One of several changes that the request makes, each of which takes effect once: what they were
	 * worth is stored with them, for the same request that comes after it was cut short.
	 */
	part(index: number): Once;
}

/** An answer that is stored, as it was sealed. */
export interface StoredAnswer {
	request_hash: Uint8Array;
	answer: Uint8Array;
}

/** How long the same key is answered the same. */
export const ANSWER_LIFE_MS = 24 * 60 * 60 * 1000;

/** The same request was answered while this one waited its turn. */
export class AlreadyAnswered extends Error {
	override readonly name = 'AlreadyAnswered';

	constructor(readonly stored: StoredAnswer) {
		super('The request was answered before');
	}
}
