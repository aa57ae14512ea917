import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { AppError } from '../../src/core/errors.ts';
import { JSON_DEPTH_MAX, parseJson } from '../../src/core/json.ts';

/** The value, or what kept it from being read; anything but an AppError fails the property. */
function read(source: string | Uint8Array): { value: unknown } | { error: AppError } {
	try {
		return { value: parseJson(source) };
	} catch (error) {
		if (error instanceof AppError) return { error };
		throw error;
	}
}

/** Text made of what JSON is made of: far more often nearly valid than random characters are. */
const tokens = [
	...'{}[],:"\\ \n\0',
	'null',
	'true',
	'-1',
	'1e999',
	'0.1',
	'"a"',
	'"\\u0000"',
	'"\\ud800"',
	'"\\udc00"',
	'"😀"',
	'"__proto__"',
	'\ud800',
	'\ufeff',
	'[[[[',
	']]]]',
	'{"a":',
	'\\u',
	'é',
];
const nearlyJson = fc
	.array(fc.constantFrom(...tokens), { maxLength: 40, size: 'max' })
	.map((parts) => parts.join(''));
const texts = fc.oneof(
	nearlyJson,
	fc.json({ maxDepth: 6 }),
	fc.string({ unit: 'binary', maxLength: 60 }),
	fc.array(fc.nat(0xffff), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
);

/** What parseJson promises of a value, judged by other means than its own. */
function isClean(value: unknown, depth = 0): boolean {
	if (typeof value === 'string') return !/\0|\p{Surrogate}/u.test(value);
	if (typeof value !== 'object' || value === null) return true;
	if (depth >= JSON_DEPTH_MAX) return false;
	return Object.entries(value).every(([key, item]) => isClean(key) && isClean(item, depth + 1));
}

function reference(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

describe('parseJson', () => {
	test('of any text gives what JSON.parse gives, or an error for the client', () => {
		fc.assert(
			fc.property(texts, (text) => {
				const answer = read(text);
				if ('value' in answer) expect(answer.value).toEqual(JSON.parse(text));
			}),
			{ numRuns: 5000 },
		);
	});

	test('of any text accepts exactly the JSON that is clean and no deeper than the limit', () => {
		fc.assert(
			fc.property(texts, (text) => {
				const value = reference(text);
				return 'value' in read(text) === (value !== undefined && isClean(value));
			}),
			{ numRuns: 5000 },
		);
	});

	test('of any bytes gives a value or an error for the client', () => {
		const mangled = fc
			.tuple(fc.json(), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
			.map(([text, changes]) => {
				const bytes = new TextEncoder().encode(text);
				for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
				return bytes;
			});
		fc.assert(
			fc.property(fc.oneof(mangled, fc.uint8Array({ maxLength: 80 })), (bytes) => {
				const answer = read(bytes);
				if ('error' in answer) return answer.error.errorCode === 'VALIDATION_ERROR';
				return isClean(answer.value);
			}),
			{ numRuns: 5000 },
		);
	});

	test('reads the bytes of a text as it reads the text', () => {
		fc.assert(
			fc.property(fc.json(), (text) => {
				expect(read(new TextEncoder().encode(text))).toEqual(read(text));
			}),
			{ numRuns: 1000 },
		);
	});

	test('names a place of at most 128 well-formed characters, and says nothing of the value', () => {
		const poisoned = fc.tuple(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.nat(20));
		fc.assert(
			fc.property(poisoned, ([name, depth]) => {
				const key = JSON.stringify(`${name.toWellFormed().replaceAll('\0', '')}_`);
				const open = `{${key}:`.repeat(depth + 1);
				const answer = read(`${open}"hunter2\\u0000"${'}'.repeat(depth + 1)}`);
				if (!('error' in answer)) return false;
				const field = answer.error.details.field ?? '';
				return (
					field.length > 0 &&
					field.length <= 128 &&
					field.isWellFormed() &&
					!answer.error.message.includes('hunter2')
				);
			}),
			{ numRuns: 1000 },
		);
	});
});
