/**
 * Encrypts what the server has to know in clear: passwords for other servers. AES-256-GCM, under a key that is
 * not in the database. Each secret is bound to what it is about, so it opens nowhere else, and names the
 * key that it is under, so that another key is told from damage.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { AppError } from './errors.ts';
import type { Random } from './random.ts';

export interface Vault {
	/** @throws `UNAVAILABLE` where the server has no key. */
	seal(text: string, about: string): Uint8Array;
	/** Undefined for what is under another key, about something else, or damaged. */
	open(sealed: Uint8Array, about: string): string | undefined;
}

const CIPHER = 'aes-256-gcm';
const NAME_BYTES = 4;
const IV_BYTES = 12;
const TAG_BYTES = 16;

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
			const iv = random.bytes(IV_BYTES);
			const cipher = createCipheriv(CIPHER, secret, iv).setAAD(Buffer.from(about));
			const body = [cipher.update(text, 'utf8'), cipher.final()];
			return Buffer.concat([name, iv, cipher.getAuthTag(), ...body]);
		},
		open(sealed, about) {
			const bytes = Buffer.from(sealed);
			const isOurs = key !== undefined && bytes.subarray(0, NAME_BYTES).equals(name);
			if (!isOurs || bytes.length < NAME_BYTES + IV_BYTES + TAG_BYTES) return undefined;
			const [iv, rest] = [bytes.subarray(NAME_BYTES, NAME_BYTES + IV_BYTES), NAME_BYTES + IV_BYTES];
			const decipher = createDecipheriv(CIPHER, secret, iv).setAAD(Buffer.from(about));
			decipher.setAuthTag(bytes.subarray(rest, rest + TAG_BYTES));
			try {
				const body = decipher.update(bytes.subarray(rest + TAG_BYTES));
				return Buffer.concat([body, decipher.final()]).toString('utf8');
			} catch {
				// The tag does not fit: it is about something else, or damaged.
				return undefined;
			}
		},
	};
}
