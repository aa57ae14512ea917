import { timingSafeEqual } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 10;
const SECRET_LENGTH = 29;
const CHECKSUM_LENGTH = 6;
const BODY = /^[0-9A-Za-z]{45}$/;

/** How a secret of ours begins: an API key, a user token, a ticket for a socket, management credentials. */
export type SecretKind = 'sk_' | 'ut_' | 'wst_' | 'mk_';

/** What the server keeps of a secret: enough to recognise it, nothing to make it from. */
export interface SecretParts {
	/** The kind and the secret's public 10 characters. Unique; of a key it is shown in lists. */
	prefix: string;
	/** SHA-256 of the secret: 32 bytes. The secret has 172 random bits, so no slow hash is owed. */
	hash: Uint8Array;
}

function randomBase62(length: number, random: (bytes: number) => Uint8Array): string {
	let text = '';
	while (text.length < length) {
		for (const byte of random(length)) {
			// 248 is the largest multiple of 62 below 256: what lies above would favour some characters.
			if (byte < 248 && text.length < length) text += ALPHABET[byte % 62];
		}
	}
	return text;
}

function checksumOf(body: string): string {
	let number = Bun.hash.crc32(body);
	let text = '';
	for (let index = 0; index < CHECKSUM_LENGTH; index++) {
		text = ALPHABET[number % 62] + text;
		number = Math.floor(number / 62);
	}
	return text;
}

/** A new secret: its kind, then 10 characters of id, 29 of secret, 6 of CRC-32 over both, all base62. */
export function createSecret(kind: SecretKind, random: (bytes: number) => Uint8Array): string {
	const body = randomBase62(ID_LENGTH + SECRET_LENGTH, random);
	return kind + body + checksumOf(body);
}

/** The parts of a well-formed secret of this kind, or undefined: a typo needs no database read. */
export function parseSecret(kind: SecretKind, text: string): SecretParts | undefined {
	const body = text.slice(kind.length);
	if (!text.startsWith(kind) || !BODY.test(body)) return undefined;
	const secretEnd = ID_LENGTH + SECRET_LENGTH;
	if (checksumOf(body.slice(0, secretEnd)) !== body.slice(secretEnd)) return undefined;
	return {
		prefix: kind + body.slice(0, ID_LENGTH),
		hash: sha256(body.slice(ID_LENGTH, secretEnd)),
	};
}

export const createApiKey = (random: (bytes: number) => Uint8Array): string =>
	createSecret('sk_', random);

export const parseApiKey = (key: string): SecretParts | undefined => parseSecret('sk_', key);

/**
 * A secret of ours, whole or the beginning of one, in a text of which it may be a part. A word that ends
 * like the name of a kind, as `task_`, is none. A master key or the secret of management credentials
 * begins like nothing: it is more letters and digits in a row than any id of a trace has, which is 32.
 */
const LIKE_SECRET = /(?<![0-9A-Za-z])(?:sk|ut|wst)_|[0-9A-Za-z]{33}/;

/** Whether a text that a client chose must not be logged or sent back, for it may hold a secret. */
export const looksLikeSecret = (text: string): boolean => LIKE_SECRET.test(text);

export const sha256 = (text: string): Uint8Array =>
	new Bun.CryptoHasher('sha256').update(text).digest();

/** Compares two secrets' hashes in constant time. */
export const isSameHash = (left: Uint8Array, right: Uint8Array): boolean =>
	left.length === right.length && timingSafeEqual(left, right);
