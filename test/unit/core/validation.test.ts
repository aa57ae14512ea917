import { describe, expect, test } from 'bun:test';
import { Type } from '@sinclair/typebox';
import { AppError } from '../../../src/core/errors.ts';
import {
	ContentField,
	LimitField,
	MetadataField,
	NameField,
	nullable,
	oneOf,
	TimestampField,
} from '../../../src/core/fields.ts';
import { defineOperation } from '../../../src/core/operation.ts';
import {
	createInputParser,
	createOutputCheck,
	requireMetadataSize,
} from '../../../src/core/validation.ts';
import { appErrorOf, thrownBy } from './thrown.ts';

const bounds = { contentBytesMax: 16, metadataBytesMax: 64 };

const create = defineOperation({
	name: 'things.create',
	summary: 'Create a thing',
	actor: 'visitor',
	input: Type.Object(
		{
			name: NameField,
			kind: Type.Optional(oneOf('kind', ['dm', 'group'])),
			content: Type.Optional(ContentField),
			metadata: Type.Optional(nullable(MetadataField)),
			limit: Type.Optional(LimitField),
			members: Type.Optional(
				Type.Array(
					Type.Object(
						{ id: NameField, metadata: Type.Optional(nullable(MetadataField)) },
						{ additionalProperties: false },
					),
					{ maxItems: 2 },
				),
			),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({ name: NameField, created_at: TimestampField }),
	errors: [],
	example: { input: { name: 'a' }, output: { name: 'a', created_at: '2026-11-21T03:45:00.000Z' } },
});
const parse = createInputParser(create, bounds);

describe('the input parser', () => {
	test('gives back what fits, with the defaults filled in', () => {
		const input = parse({ name: 'general', kind: 'dm' });

		expect(input).toEqual({ name: 'general', kind: 'dm', limit: 50 });
	});

	test('keeps a given value where there is a default', () => {
		expect(parse({ name: 'general', limit: 7 }).limit).toBe(7);
	});

	test('measures metadata within a list too, and names its place', () => {
		const members = [
			{ id: 'a', metadata: null },
			{ id: 'b', metadata: 'x'.repeat(63) },
		];

		const error = appErrorOf(() => parse({ name: 'general', members }));

		expect([error.errorCode, error.details.field]).toEqual([
			'PAYLOAD_TOO_LARGE',
			'/members/1/metadata',
		]);
		expect(parse({ name: 'general', members: members.slice(0, 1) }).members).toHaveLength(1);
	});

	// Input, the field it names, and the sentence.
	test.each([
		['a missing field', {}, 'name', 'Missing field'],
		['an unknown field', { name: 'a', nmae: 1 }, 'nmae', 'Unknown field'],
		['__proto__', JSON.parse('{"name":"a","__proto__":{}}'), '__proto__', 'Unknown field'],
		['constructor', { name: 'a', constructor: 1 }, 'constructor', 'Unknown field'],
		[
			'another choice',
			{ name: 'a', kind: 'DM' },
			'kind',
			'Invalid kind. Must be one of: dm, group',
		],
		['a number below', { name: 'a', limit: 0 }, 'limit', 'Must be between 1 and 100'],
		['a number above', { name: 'a', limit: 101 }, 'limit', 'Must be between 1 and 100'],
		['no list', { name: 'a', members: 'b' }, 'members', 'Must be an array'],
		['no text', { name: 'a', content: 5 }, 'content', 'Must be a string'],
		['empty text', { name: 'a', content: '' }, 'content', 'Must not be empty'],
		['a broken number', { name: 'a', limit: 1.5 }, 'limit', 'Must be a whole number'],
		[
			'a nested wrong',
			{ name: 'a', members: [{ id: 'b' }, { id: '' }] },
			'/members/1/id',
			undefined,
		],
		[
			'a nested unknown',
			{ name: 'a', members: [{ id: 'b', x: 1 }] },
			'/members/0/x',
			'Unknown field. Must be one of: id, metadata',
		],
		[
			'too many items',
			{ name: 'a', members: [{ id: 'b' }, { id: 'c' }, { id: 'd' }] },
			'members',
			'Must have at most 2 items',
		],
	])('refuses %s and names it', (_, input, field, message) => {
		const error = appErrorOf(() => parse(input));

		expect(error.errorCode).toBe('VALIDATION_ERROR');
		expect(error.details.field).toBe(field);
		if (message !== undefined) expect(error.message).toBe(message);
	});

	test.each(['name', 'kind', 'content', 'limit', 'members'])(
		'never repeats what a client sent as %s',
		(field) => {
			const secret = 'hunter2'.repeat(40);

			const error = appErrorOf(() => parse({ name: 'a', [field]: { [secret]: secret } }));

			expect(error.message).not.toContain('hunter2');
		},
	);

	test('measures content in bytes of UTF-8, exactly', () => {
		expect(parse({ name: 'a', content: 'x'.repeat(16) }).content).toHaveLength(16);
		expect(parse({ name: 'a', content: '😀'.repeat(4) }).content).toHaveLength(8);

		for (const content of ['x'.repeat(17), 'é'.repeat(9), `${'😀'.repeat(4)}x`]) {
			const error = appErrorOf(() => parse({ name: 'a', content }));
			expect(error.errorCode).toBe('PAYLOAD_TOO_LARGE');
			expect(error.message).toBe('Must be at most 16 bytes of UTF-8');
			expect(error.details.field).toBe('content');
		}
	});

	test('finds the bound of metadata that may be null too', () => {
		expect(parse({ name: 'a', metadata: null }).metadata).toBeNull();

		const error = appErrorOf(() => parse({ name: 'a', metadata: 'x'.repeat(63) }));

		expect(error.errorCode).toBe('PAYLOAD_TOO_LARGE');
		expect(error.details.field).toBe('metadata');
	});

	test('is not made at all for an operation that takes unknown fields', () => {
		const open = { ...create, input: Type.Object({ name: NameField }) };

		const error = thrownBy(() => createInputParser(open, bounds));

		expect(error).not.toBeInstanceOf(AppError);
		expect(error.message).toContain('things.create refuses unknown fields');
	});
});

describe('the size of metadata', () => {
	const roomy = { contentBytesMax: 1, metadataBytesMax: 100_000 };
	const check = (metadata: unknown) => requireMetadataSize(metadata, 'meta', roomy);
	const nested = (depth: number) => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
	const withKeys = (count: number) =>
		Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 0]));

	test('is counted in bytes of compact JSON, exactly', () => {
		expect(() => requireMetadataSize('x'.repeat(62), 'meta', bounds)).not.toThrow();

		const error = appErrorOf(() => requireMetadataSize('x'.repeat(63), 'meta', bounds));

		expect(error.message).toBe('Must be at most 64 bytes of JSON');
		expect(error.details.field).toBe('meta');
	});

	test('has an edge at 16 levels', () => {
		expect(() => check(nested(16))).not.toThrow();
		expect(appErrorOf(() => check(nested(17))).message).toBe('Must be at most 16 levels');
	});

	test('has an edge at 256 keys, over all its objects together', () => {
		expect(() => check(withKeys(256))).not.toThrow();
		expect(() => check(new Array(1000).fill(0))).not.toThrow();
		expect(() => check({ a: withKeys(127), b: withKeys(127) })).not.toThrow();
		expect(appErrorOf(() => check(withKeys(257))).message).toBe('Must be at most 256 keys');
		expect(appErrorOf(() => check({ a: withKeys(128), b: withKeys(127) })).message).toBe(
			'Must be at most 256 keys',
		);
	});

	test('takes any kind of JSON value', () => {
		for (const metadata of [null, 0, '', false, 'text', [], {}]) {
			expect(() => check(metadata)).not.toThrow();
		}
	});
});

describe('the output check', () => {
	const check: (output: unknown) => void = createOutputCheck(create);

	test('lets pass what the operation declares', () => {
		expect(() => check(create.example.output)).not.toThrow();
	});

	test('makes a defect of anything else and says where, not what', () => {
		const error = thrownBy(() => check({ name: 'secret\0', created_at: '' }));

		expect(error).not.toBeInstanceOf(AppError);
		expect(error.message).toContain('things.create');
		expect(error.message).toContain('/name');
		expect(error.message).not.toContain('secret');
	});
});
