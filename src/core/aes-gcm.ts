/** AES-256-GCM as everything that is stored encrypted has it: nonce, tag, and then the text. */
import { createCipheriv, createDecipheriv } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const TAG_BYTES = 16;

/** Of a nonce, which must be random and new each time. */
export const IV_BYTES = 12;
/** What encryption adds to a text. */
export const SEAL_BYTES = IV_BYTES + TAG_BYTES;

/** Encrypts a text under a secret of 32 bytes, bound to what it is about. */
export function encrypt(secret: Uint8Array, iv: Uint8Array, text: string, about = ''): Uint8Array {
	const cipher = createCipheriv(CIPHER, secret, iv).setAAD(Buffer.from(about));
	const body = [cipher.update(text, 'utf8'), cipher.final()];
	return Buffer.concat([iv, cipher.getAuthTag(), ...body]);
}

/** @throws for what is under another secret, about something else, or damaged. */
export function decrypt(secret: Uint8Array, sealed: Uint8Array, about = ''): string {
	const iv = sealed.subarray(0, IV_BYTES);
	const decipher = createDecipheriv(CIPHER, secret, iv).setAAD(Buffer.from(about));
	decipher.setAuthTag(sealed.subarray(IV_BYTES, SEAL_BYTES));
	const body = [decipher.update(sealed.subarray(SEAL_BYTES)), decipher.final()];
	return Buffer.concat(body).toString('utf8');
}
