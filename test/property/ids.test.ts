import { describe, test } from 'bun:test';
import fc from 'fast-check';
import { encodeUuid } from '../../src/core/ids.ts';

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';
const uuids = fc.uint8Array({ minLength: 16, maxLength: 16 });

/** The number that 26 characters of Crockford base32 write: the reference, by another way. */
function decode(text: string): bigint {
	let number = 0n;
	for (const character of text) number = number * 32n + BigInt(CROCKFORD.indexOf(character));
	return number;
}

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

describe('an id', () => {
	test('writes its 16 bytes as the same number in base32, in 26 characters', () => {
		fc.assert(
			fc.property(uuids, (bytes) => {
				const text = encodeUuid(bytes);
				return /^[0-7][0-9a-hjkmnp-tv-z]{25}$/.test(text) && decode(text) === numberOf(bytes);
			}),
			{ numRuns: 5000 },
		);
	});

	test('differs wherever one bit of its bytes does', () => {
		fc.assert(
			fc.property(uuids, fc.integer({ min: 0, max: 127 }), (bytes, bit) => {
				const flipped = Uint8Array.from(bytes);
				const index = bit >> 3;
				flipped[index] = (flipped[index] as number) ^ (1 << (bit & 7));
				return encodeUuid(bytes) !== encodeUuid(flipped);
			}),
			{ numRuns: 2000 },
		);
	});

	test('leaves the bytes it was made from as they were', () => {
		fc.assert(
			fc.property(uuids, (bytes) => {
				const before = numberOf(bytes);
				encodeUuid(bytes);
				return numberOf(bytes) === before;
			}),
		);
	});
});
