import { describe, test } from 'bun:test';
import fc from 'fast-check';
import { createApiKey, isSameHash, parseApiKey, sha256 } from '../../src/core/api-key.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Keys of every look: fast-check supplies the randomness, so that a failure can be repeated. */
const keys = fc.uint8Array({ minLength: 39, maxLength: 39, max: 247 }).map((bytes) => {
	let used = 0;
	return createApiKey((count) =>
		Uint8Array.from({ length: count }, () => bytes[used++ % 39] as number),
	);
});

const replaceAt = (text: string, index: number, character: string) =>
	text.slice(0, index) + character + text.slice(index + 1);

describe('API key', () => {
	test('has its form, and is read back to its own prefix and secret', () => {
		fc.assert(
			fc.property(keys, (key) => {
				const parts = parseApiKey(key);
				return (
					/^sk_[0-9A-Za-z]{45}$/.test(key) &&
					parts?.prefix === key.slice(0, 13) &&
					isSameHash(parts.hash, sha256(key.slice(13, 42)))
				);
			}),
			{ numRuns: 500 },
		);
	});

	test('with any one character changed to any other is refused', () => {
		fc.assert(
			fc.property(keys, (key) => {
				for (let index = 0; index < key.length; index++) {
					for (const character of `${BASE62}_- \0é`) {
						if (character === key[index]) continue;
						if (parseApiKey(replaceAt(key, index, character)) !== undefined) return false;
					}
				}
				return true;
			}),
			{ numRuns: 30 },
		);
	});

	// A CRC-32 finds every exchange within what it covers, and of neighbours at its seam. Those
	// across the seam and further apart it finds but for one in four thousand million.
	test('with any two of its characters exchanged is refused', () => {
		fc.assert(
			fc.property(keys, (key) => {
				for (let left = 0; left < key.length; left++) {
					for (let right = left + 1; right < key.length; right++) {
						const [a, b] = [key[left] as string, key[right] as string];
						if (a === b) continue;
						if (parseApiKey(replaceAt(replaceAt(key, left, b), right, a)) !== undefined)
							return false;
					}
				}
				return true;
			}),
			{ numRuns: 50 },
		);
	});

	test('with a character lost, doubled, or added is refused', () => {
		fc.assert(
			fc.property(keys, fc.nat(48), fc.constantFrom(...BASE62), (key, at, character) => {
				const lost = key.slice(0, at) + key.slice(at + 1);
				const added = key.slice(0, at) + character + key.slice(at);
				return (
					(lost === key || parseApiKey(lost) === undefined) && parseApiKey(added) === undefined
				);
			}),
			{ numRuns: 1000 },
		);
	});

	test('is read from any text without throwing', () => {
		const texts = fc.oneof(
			fc.string({ unit: 'binary', maxLength: 100 }),
			fc
				.string({ unit: fc.constantFrom(...BASE62), minLength: 45, maxLength: 45 })
				.map((t) => `sk_${t}`),
		);
		fc.assert(
			fc.property(texts, (text) => parseApiKey(text) === undefined),
			{ numRuns: 3000 },
		);
	});
});
