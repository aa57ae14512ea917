import { describe, expect, test } from 'bun:test';
import { fieldOf, JSON_DEPTH_MAX, parseJson } from '../../../src/core/json.ts';
import { appErrorOf } from './thrown.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('parseJson', () => {
	test.each([
		'null',
		'0',
		'-1.5e3',
		'"text"',
		'[]',
		'{}',
		' {"a":[1,{"b":null}]} ',
		'"\\ud83d\\ude00"',
	])('reads %s as JSON.parse does, as text and as bytes', (text) => {
		expect(parseJson(text)).toEqual(JSON.parse(text));
		expect(parseJson(bytesOf(text))).toEqual(JSON.parse(text));
	});

	test.each([
		['nothing', ''],
		['white space', ' \n'],
		['two values', '1 2'],
		['a trailing comma', '[1,]'],
		['single quotes', "{'a':1}"],
		['a bare word', 'undefined'],
		['NaN', 'NaN'],
		['an open string', '"abc'],
		['an open string that ends in a backslash', '"abc\\'],
		['brackets that close first', ']]][[['],
		['a bare NUL', '"\0"'],
		['a comment', '/* */ 1'],
	])('refuses %s without repeating it', (_, text) => {
		const error = appErrorOf(() => parseJson(text));

		expect(error.errorCode).toBe('VALIDATION_ERROR');
		expect(error.message).toBe('Not valid JSON');
	});

	test.each([
		['a byte that begins no character', [0x22, 0xff, 0x22]],
		['an overlong NUL', [0x22, 0xc0, 0x80, 0x22]],
		['a surrogate written as UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
		['a character cut short', [0x22, 0xe2, 0x82]],
		['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
	])('refuses %s as no UTF-8', (_, bytes) => {
		const error = appErrorOf(() => parseJson(Uint8Array.from(bytes)));

		expect(error.message).toBe('Not valid UTF-8');
	});

	test('reads what is nested up to the limit, and refuses one level more', () => {
		const deepest = parseJson(nested(JSON_DEPTH_MAX));
		const error = appErrorOf(() => parseJson(nested(JSON_DEPTH_MAX + 1)));

		expect(JSON.stringify(deepest)).toBe(nested(JSON_DEPTH_MAX));
		expect(error.message).toBe(`JSON is nested deeper than ${JSON_DEPTH_MAX} levels`);
	});

	test('counts objects and arrays alike, but neither neighbours nor brackets inside strings', () => {
		const mixed = '{"a":['.repeat(16) + ']}'.repeat(16);
		const quoted = JSON.stringify({ text: `"\\${'[{'.repeat(1000)}` });

		expect(JSON.stringify(parseJson(mixed))).toBe(mixed);
		expect(parseJson(`[${'[],{},'.repeat(100)}0]`)).toHaveLength(201);
		expect(parseJson(quoted)).toEqual(JSON.parse(quoted));
		expect(appErrorOf(() => parseJson(`[${mixed}]`)).message).toContain('nested deeper');
	});

	test('refuses a million open brackets without a deep stack or a long wait', () => {
		const error = appErrorOf(() => parseJson('['.repeat(1_000_000)));

		expect(error.message).toContain('nested deeper');
	});

	test.each([
		['a NUL', '{"a":{"b":["x","\\u0000"]}}', 'Text must not contain NUL', '/a/b/1'],
		['a high surrogate alone', '{"a":"\\ud800"}', 'Text must not contain a lone surrogate', 'a'],
		['a low surrogate alone', '{"a":"\\udc00x"}', 'Text must not contain a lone surrogate', 'a'],
		[
			'a pair the wrong way round',
			'["\\udc00\\ud800"]',
			'Text must not contain a lone surrogate',
			'0',
		],
		['a NUL in a key', '{"a":{"\\u0000":1}}', 'Text must not contain NUL', 'a'],
		[
			'a lone surrogate in a key',
			'{"\\ud800":1}',
			'Text must not contain a lone surrogate',
			undefined,
		],
		['a NUL at the top', '"\\u0000"', 'Text must not contain NUL', undefined],
	])('refuses %s and names the place', (_, text, message, field) => {
		const error = appErrorOf(() => parseJson(text));

		expect(error.message).toBe(message);
		expect(error.details.field).toBe(field);
	});

	test('refuses a lone surrogate that stands in the text itself, not as an escape', () => {
		const error = appErrorOf(() => parseJson('{"a":"\ud800"}'));

		expect(error.message).toBe('Text must not contain a lone surrogate');
	});

	test('keeps a surrogate pair, however it is written', () => {
		expect(parseJson('["\\ud83d\\ude00","😀"]')).toEqual(['😀', '😀']);
	});

	test('makes __proto__ a member like any other and touches no prototype', () => {
		const value = parseJson('{"__proto__":{"polluted":true}}');

		expect(Object.keys(value as object)).toEqual(['__proto__']);
		expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
		expect('polluted' in {}).toBe(false);
	});

	test('names a place below a name with a slash or a tilde as RFC 6901 writes it', () => {
		const error = appErrorOf(() => parseJson('{"a":{"b/c~d":"\\u0000"}}'));

		expect(error.details.field).toBe('/a/b~1c~0d');
	});

	test('names a place in at most 128 characters, none of them half a character', () => {
		const key = `${'x'.repeat(124)}${'😀'.repeat(100)}`;
		const error = appErrorOf(() => parseJson(`{"a":{"${key}":"\\u0000"}}`));

		expect(error.details.field?.length).toBeLessThanOrEqual(128);
		expect(error.details.field?.isWellFormed()).toBe(true);
	});
});

describe('fieldOf', () => {
	test.each([
		['', undefined],
		['/name', 'name'],
		['/a/b', '/a/b'],
		['/0', '0'],
		['/', ''],
		['/a~1b~0c', 'a/b~c'],
		['/~01', '~1'],
	])('turns %p into %p', (pointer, field) => {
		expect(fieldOf(pointer).field).toBe(field as string);
	});
});
