import type { TSchema } from '@sinclair/typebox';
import type { DocumentDecoration } from 'elysia';
import { assert } from '../core/errors.ts';

type Parameter = Extract<NonNullable<DocumentDecoration['parameters']>[number], { in: string }>;
export type SchemaObject = Exclude<NonNullable<Parameter['schema']>, { $ref: string }>;

/** A schema on its way: a plain object of keywords. */
type Keywords = { [keyword: string]: unknown };

/**
 * What means the same in JSON Schema and in OpenAPI 3.0.3, and is taken over as it is. Everything
 * else is translated below or left out, as our own annotations (`bound`, `error`) and `$id` are.
 */
const KEPT = [
	...['title', 'description', 'format', 'default', 'example', 'deprecated', 'readOnly'],
	...['pattern', 'minLength', 'maxLength', 'minimum', 'maximum', 'multipleOf', 'required'],
	...['minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties'],
] as const;

/** OpenAPI 3.0.3 has no null type: a string of which only null is left. */
const NULL: Keywords = { type: 'string', nullable: true, enum: [null] };

/**
 * A TypeBox schema as an OpenAPI 3.0.3 Schema Object, which is not quite JSON Schema: no `const`,
 * no null type, no `patternProperties`, exclusive limits as booleans. A new, plain object.
 *
 * @see https://spec.openapis.org/oas/v3.0.3#schema-object
 */
export const toOpenApiSchema = (schema: TSchema): SchemaObject => convert(schema) as SchemaObject;

function convert(schema: Keywords): Keywords {
	assert(schema.$ref === undefined, 'a documented schema refers to no other');
	const kept = KEPT.filter((keyword) => schema[keyword] !== undefined);
	return {
		...shapeOf(schema),
		...Object.fromEntries(kept.map((keyword) => [keyword, schema[keyword]])),
		...(Array.isArray(schema.examples) ? { example: schema.examples[0] } : {}),
		...limitOf(schema, 'minimum', 'exclusiveMinimum'),
		...limitOf(schema, 'maximum', 'exclusiveMaximum'),
	};
}

function shapeOf(schema: Keywords): Keywords {
	if (isNull(schema)) return NULL;
	if ('const' in schema) return { type: schema.type ?? typeof schema.const, enum: [schema.const] };
	if (Array.isArray(schema.enum)) return { ...typeOf(schema), enum: schema.enum };
	if (Array.isArray(schema.anyOf)) return unionOf(schema.anyOf);
	if (Array.isArray(schema.oneOf)) return unionOf(schema.oneOf);
	if (Array.isArray(schema.allOf)) return { allOf: schema.allOf.map(convert) };
	if (isKeywords(schema.not)) return { not: convert(schema.not) };
	if (schema.type === 'array') return { type: 'array', items: itemsOf(schema.items) };
	if (schema.type === 'object') return objectOf(schema);
	return typeOf(schema);
}

/** No type at all means any value, null too. */
function typeOf({ type }: Keywords): Keywords {
	assert(type === undefined || typeof type === 'string', 'a documented schema has one type');
	return type === undefined ? {} : { type };
}

function objectOf(schema: Keywords): Keywords {
	const properties = Object.entries((schema.properties ?? {}) as Record<string, Keywords>);
	return {
		type: 'object',
		...(properties.length === 0
			? {}
			: { properties: Object.fromEntries(properties.map(([name, of]) => [name, convert(of)])) }),
		...restOf(schema),
	};
}

/** What other properties may be. A record's key pattern has no place in OpenAPI 3.0.3. */
function restOf({ additionalProperties, patternProperties }: Keywords): Keywords {
	if (isKeywords(patternProperties)) {
		return { additionalProperties: unionOf(Object.values(patternProperties) as Keywords[]) };
	}
	if (additionalProperties === undefined) return {};
	if (!isKeywords(additionalProperties)) return { additionalProperties };
	return { additionalProperties: convert(additionalProperties) };
}

/** A tuple's places cannot be told apart in OpenAPI 3.0.3: each may be any of them. */
function itemsOf(items: unknown): Keywords {
	if (Array.isArray(items)) return unionOf(items);
	return isKeywords(items) ? convert(items) : {};
}

function unionOf(branches: readonly Keywords[]): Keywords {
	const others = branches.filter((branch) => !isNull(branch)).map(convert);
	const [first, ...rest] = others;
	if (first === undefined) return NULL;
	const isEnum = others.every((other) => isBareEnum(other) && other.type === first.type);
	const union = isEnum
		? { type: first.type, enum: others.flatMap((other) => other.enum) }
		: rest.length === 0
			? first
			: { anyOf: others };
	return others.length === branches.length ? union : withNull(union);
}

/** `nullable` says nothing without a `type` beside it, and `enum` has to name null as well. */
function withNull(schema: Keywords): Keywords {
	if (Array.isArray(schema.anyOf)) return { ...schema, anyOf: [...schema.anyOf, NULL] };
	if (schema.allOf !== undefined || schema.not !== undefined) return { anyOf: [schema, NULL] };
	if (schema.type === undefined) return schema;
	if (!Array.isArray(schema.enum)) return { ...schema, nullable: true };
	return { ...schema, nullable: true, enum: [...schema.enum, null] };
}

function limitOf(schema: Keywords, limit: string, exclusive: string): Keywords {
	return typeof schema[exclusive] === 'number'
		? { [limit]: schema[exclusive], [exclusive]: true }
		: {};
}

const isNull = (schema: Keywords) => schema.type === 'null' || schema.const === null;

const isBareEnum = (schema: Keywords) =>
	Array.isArray(schema.enum) &&
	Object.keys(schema).every((keyword) => keyword === 'type' || keyword === 'enum');

const isKeywords = (value: unknown): value is Keywords =>
	typeof value === 'object' && value !== null && !Array.isArray(value);
