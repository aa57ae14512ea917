import { timingSafeEqual } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PREFIX = 'sk_';
const ID_LENGTH = 10;
const SECRET_LENGTH = 29;
const CHECKSUM_LENGTH = 6;
const API_KEY = /^sk_[0-9A-Za-z]{45}$/;

/** What the server keeps of an API key: enough to recognise it, nothing to make it from. */
export interface ApiKeyParts {
	/** `sk_` and the key's public 10 characters. Unique; shown in lists. */
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

/** A new key: `sk_` + 10 characters of id, 29 of secret, 6 of CRC-32 over both, all base62. */
export function createApiKey(random: (bytes: number) => Uint8Array): string {
	const body = randomBase62(ID_LENGTH + SECRET_LENGTH, random);
	return PREFIX + body + checksumOf(body);
}

/** The parts of a well-formed key, or undefined: a typo is recognised without a database read. */
export function parseApiKey(key: string): ApiKeyParts | undefined {
	if (!API_KEY.test(key)) return undefined;
	const idEnd = PREFIX.length + ID_LENGTH;
	const secretEnd = idEnd + SECRET_LENGTH;
	if (checksumOf(key.slice(PREFIX.length, secretEnd)) !== key.slice(secretEnd)) return undefined;
	return { prefix: key.slice(0, idEnd), hash: sha256(key.slice(idEnd, secretEnd)) };
}

export const sha256 = (text: string): Uint8Array =>
	new Bun.CryptoHasher('sha256').update(text).digest();

/** Compares two secrets' hashes in constant time. */
export const isSameHash = (left: Uint8Array, right: Uint8Array): boolean =>
	left.length === right.length && timingSafeEqual(left, right);
