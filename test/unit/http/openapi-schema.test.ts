import { describe, expect, test } from 'bun:test';
import { type TSchema, Type } from '@sinclair/typebox';
import { nullable, oneOf } from '../../../src/core/fields.ts';
import { toOpenApiSchema } from '../../../src/http/openapi-schema.ts';

describe('toOpenApiSchema', () => {
	const cases: [string, TSchema, object][] = [
		['a literal', Type.Literal('dm'), { type: 'string', enum: ['dm'] }],
		['literals', oneOf('type', ['dm', 'group']), { type: 'string', enum: ['dm', 'group'] }],
		[
			'literals or null',
			Type.Union([Type.Literal('a'), Type.Literal('b'), Type.Null()]),
			{ type: 'string', nullable: true, enum: ['a', 'b', null] },
		],
		[
			'literals of two types',
			Type.Union([Type.Literal('a'), Type.Literal(1)]),
			{
				anyOf: [
					{ type: 'string', enum: ['a'] },
					{ type: 'number', enum: [1] },
				],
			},
		],
		[
			'a string or null',
			nullable(Type.String({ maxLength: 3, description: 'Short' })),
			{ type: 'string', maxLength: 3, description: 'Short', nullable: true },
		],
		[
			'one of two, or null',
			Type.Union([Type.String(), Type.Integer(), Type.Null()]),
			{
				anyOf: [
					{ type: 'string' },
					{ type: 'integer' },
					{ type: 'string', nullable: true, enum: [null] },
				],
			},
		],
		['anything', Type.Unknown({ bound: 'metadata' }), {}],
		['anything or null', nullable(Type.Unknown()), {}],
		['null alone', Type.Null(), { type: 'string', nullable: true, enum: [null] }],
		[
			'limits that exclude',
			Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 9 }),
			{ type: 'number', minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: true },
		],
		[
			'a record',
			Type.Record(Type.String(), nullable(Type.Integer())),
			{ type: 'object', additionalProperties: { type: 'integer', nullable: true } },
		],
		[
			'a tuple',
			Type.Tuple([Type.String(), Type.Integer()]),
			{
				type: 'array',
				items: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
				minItems: 2,
				maxItems: 2,
			},
		],
		[
			'an intersection',
			Type.Intersect([Type.Object({ a: Type.Null() }), Type.Object({})]),
			{
				allOf: [
					{
						type: 'object',
						properties: { a: { type: 'string', nullable: true, enum: [null] } },
						required: ['a'],
					},
					{ type: 'object' },
				],
			},
		],
		[
			'an object, with what is its own only',
			Type.Object(
				{ a: Type.Optional(Type.Array(Type.String({ examples: ['x', 'y'] }), { maxItems: 2 })) },
				{ $id: 'Thing', error: 'No', additionalProperties: false },
			),
			{
				type: 'object',
				properties: {
					a: { type: 'array', items: { type: 'string', example: 'x' }, maxItems: 2 },
				},
				additionalProperties: false,
			},
		],
	];
	for (const [name, schema, expected] of cases) {
		test(`translates ${name}`, () => {
			const before = structuredClone(JSON.parse(JSON.stringify(schema)));

			expect(toOpenApiSchema(schema) as unknown).toEqual(expected);

			expect(JSON.parse(JSON.stringify(schema))).toEqual(before);
		});
	}

	test('refuses a schema that refers to another', () => {
		expect(() => toOpenApiSchema(Type.Ref('Thing'))).toThrow('refers to no other');
	});
});
