/**
 * Encrypts what the server has to know in clear: passwords for other servers. AES-256-GCM, under a key that is
 * not in the database. Each secret is bound to what it is about, so it opens nowhere else, and names the
 * key that it is under, so that another key is told from damage.
 */
import { hkdfSync } from 'node:crypto';
import { decrypt, encrypt, IV_BYTES, SEAL_BYTES } from './aes-gcm.ts';
import { AppError } from './errors.ts';
import type { Random } from './random.ts';

export interface Vault {
	/** @throws `UNAVAILABLE` where the server has no key. */
	seal(text: string, about: string): Uint8Array;
	/** Undefined for what is under another key, about something else, or damaged. */
	open(sealed: Uint8Array, about: string): string | undefined;
}

const NAME_BYTES = 4;

/** Without a key nothing can be sealed or opened. */
export function createVault(key: string | undefined, random: Pick<Random, 'bytes'>): Vault {
	const derived = (purpose: string, bytes: number) =>
		new Uint8Array(hkdfSync('sha256', key ?? '', 'chatapi', purpose, bytes));
	const secret = derived('secrets', 32);
	const name = derived('name of the key', NAME_BYTES);

	return {
		seal(text, about) {
			if (key === undefined) {
				throw new AppError('UNAVAILABLE', 'The server has no key to keep secrets under');
			}
			return Buffer.concat([name, encrypt(secret, random.bytes(IV_BYTES), text, about)]);
		},
		open(sealed, about) {
			const bytes = Buffer.from(sealed);
			const isOurs = key !== undefined && bytes.subarray(0, NAME_BYTES).equals(name);
			if (!isOurs || bytes.length < NAME_BYTES + SEAL_BYTES) return undefined;
			try {
				return decrypt(secret, bytes.subarray(NAME_BYTES), about);
			} catch {
				// The tag does not fit: it is about something else, or damaged.
				return undefined;
			}
		},
	};
}
