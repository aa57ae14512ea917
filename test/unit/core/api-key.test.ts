import { describe, expect, test } from 'bun:test';
import { createApiKey, isSameHash, parseApiKey, sha256 } from '../../../src/core/api-key.ts';

const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
const zeros = (bytes: number) => new Uint8Array(bytes);

describe('API key', () => {
	test('is sk_ and 45 characters of base62', () => {
		expect(createApiKey(random)).toMatch(/^sk_[0-9A-Za-z]{45}$/);
	});

	test('ends in the CRC-32 of what stands before it, in base62', () => {
		const body = '0'.repeat(39);

		const key = createApiKey(zeros);

		let number = 0;
		for (const digit of key.slice(-6)) {
			number = number * 62 + base62Of(digit);
		}
		expect(key.slice(3, -6)).toBe(body);
		expect(number).toBe(Bun.hash.crc32(body));
	});

	test('is recognised by its public ten characters and the hash of its secret alone', () => {
		const key = createApiKey(random);

		const parts = parseApiKey(key);

		expect(parts?.prefix).toBe(key.slice(0, 13));
		expect(parts?.hash).toEqual(sha256(key.slice(13, 42)));
		expect(JSON.stringify(parts)).not.toContain(key.slice(13, 42));
	});

	test('draws every character evenly, though 256 is no multiple of 62', () => {
		const counts = new Map<string, number>();

		for (let round = 0; round < 3000; round++) {
			for (const character of createApiKey(random).slice(3, 42)) {
				counts.set(character, (counts.get(character) ?? 0) + 1);
			}
		}

		// 117,000 draws: 1,887 of each, within six standard deviations. A modulus without rejection
		// would give the first eight characters 2,285.
		expect(counts.size).toBe(62);
		for (const count of counts.values()) {
			expect(count).toBeGreaterThan(1627);
			expect(count).toBeLessThan(2147);
		}
	});

	test('passes over random bytes that would favour some characters', () => {
		const bytes = [255, 248, 61, 254];
		let index = 0;
		const source = (count: number) =>
			Uint8Array.from({ length: count }, () => bytes[index++ % bytes.length] as number);

		const key = createApiKey(source);

		expect(key.slice(3, 42)).toBe('z'.repeat(39));
	});

	test.each([
		['nothing', () => ''],
		['the prefix alone', () => 'sk_'],
		['another prefix', () => createApiKey(zeros).replace('sk_', 'pk_')],
		['a space before it', () => ` ${createApiKey(zeros)}`],
		['a newline after it', () => `${createApiKey(zeros)}\n`],
		['a NUL after it', () => `${createApiKey(zeros)}\0`],
		['one character missing', () => createApiKey(zeros).slice(0, -1)],
		['one character too many', () => `${createApiKey(zeros)}0`],
		['a letter beyond ASCII', () => createApiKey(zeros).replace('0', 'é')],
		['a lone surrogate', () => createApiKey(zeros).replace('0', '\ud800')],
		['__proto__', () => '__proto__'],
		['a megabyte', () => `sk_${'0'.repeat(1_000_000)}`],
	])('is refused with %s', (_, make) => {
		expect(parseApiKey(make())).toBeUndefined();
	});
});

describe('hashes', () => {
	test('are SHA-256 of the UTF-8 bytes', () => {
		const hash = Buffer.from(sha256('abc')).toString('hex');

		expect(hash).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
	});

	test('are the same only when every byte and the length is', () => {
		const hash = sha256('abc');
		const other = Uint8Array.from(hash);
		other[31] = (other[31] as number) ^ 1;

		expect(isSameHash(hash, sha256('abc'))).toBe(true);
		expect(isSameHash(hash, other)).toBe(false);
		expect(isSameHash(hash, hash.subarray(0, 31))).toBe(false);
		expect(isSameHash(hash, new Uint8Array(0))).toBe(false);
	});
});

function base62Of(digit: string): number {
	return '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'.indexOf(digit);
}
