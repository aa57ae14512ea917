import type { TObject, TSchema } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { type ValueError, ValueErrorType } from '@sinclair/typebox/errors';
import { AppError, assert } from './errors.ts';
import type { Bound } from './fields.ts';
import { fieldOf } from './json.ts';
import type { InputOf, Operation, OutputOf } from './operation.ts';

/** Sizes that are settings, so that no schema can hold them. */
export interface Bounds {
	/** UTF-8 bytes of a message's content. */
	contentBytesMax: number;
	/** UTF-8 bytes of metadata as compact JSON. */
	metadataBytesMax: number;
}

const METADATA_DEPTH_MAX = 16;
const METADATA_KEYS_MAX = 256;

const utf8Bytes = (text: string) => Buffer.byteLength(text, 'utf8');

/**
 * Makes the only check an operation's input gets, whichever face it came through: the compiled
 * schema, then the bounds that are settings: of its fields, and of the members of what it lists. Fills
 * in defaults.
 *
 * @throws (the parser) `VALIDATION_ERROR` naming the field, `PAYLOAD_TOO_LARGE` stating the limit.
 */
export function createInputParser<Op extends Operation>(
	operation: Op,
	bounds: Bounds,
): (input: Record<string, unknown>) => InputOf<Op> {
	const schema: TObject = operation.input;
	assert(schema.additionalProperties === false, `${operation.name} refuses unknown fields`);
	const check = TypeCompiler.Compile(schema);
	const properties = Object.entries(schema.properties);
	const defaults = properties.filter(([, property]) => 'default' in property);
	const bounded = properties.filter(([, property]) => boundOf(property) !== undefined);
	const lists = properties.flatMap(([name, property]) => {
		const members = Object.entries<TSchema>(property.items?.properties ?? {});
		const measured = members.filter(([, member]) => boundOf(member) !== undefined);
		return measured.length === 0 ? [] : [{ name, measured }];
	});

	function requireSize(value: unknown, property: TSchema, field: string): void {
		if (value === undefined || value === null) return;
		if (boundOf(property) === 'content') requireContentSize(value as string, field, bounds);
		else requireMetadataSize(value, field, bounds);
	}

	return function parse(input) {
		for (const [name, property] of defaults) {
			// Not where null was sent: that is a value, and refused like any other that does not fit.
			if (input[name] === undefined) input[name] = property.default;
		}
		if (!check.Check(input)) throw describe(check.Errors(input).First());
		for (const [name, property] of bounded) {
			requireSize(input[name], property, name);
		}
		for (const { name, measured } of lists) {
			for (const [index, item] of ((input[name] ?? []) as Record<string, unknown>[]).entries()) {
				for (const [member, property] of measured) {
					requireSize(item[member], property, `/${name}/${index}/${member}`);
				}
			}
		}
		return input as InputOf<Op>;
	};
}

/** Makes the check that our own answers fit what their operation declares. */
export function createOutputCheck<Op extends Operation>(
	operation: Op,
): (output: unknown) => asserts output is OutputOf<Op> {
	const check: TypeCheck<TSchema> = TypeCompiler.Compile(operation.output);
	return (output) => {
		if (check.Check(output)) return;
		const path = check.Errors(output).First()?.path ?? '';
		assert(false, `${operation.name} answers what it declares (at ${path || '/'})`);
	};
}

const boundOf = (schema: TSchema): Bound | undefined =>
	schema.bound ??
	schema.anyOf?.map(boundOf).find((bound: Bound | undefined) => bound !== undefined);

function requireContentSize(content: string, field: string, bounds: Bounds): void {
	const limit = bounds.contentBytesMax;
	// A UTF-16 unit is at most three bytes of UTF-8: most content needs no counting.
	if (content.length * 3 <= limit || utf8Bytes(content) <= limit) return;
	throw new AppError('PAYLOAD_TOO_LARGE', `Must be at most ${limit} bytes of UTF-8`, { field });
}

/**
 * Refuses metadata that is too large as compact JSON, too deep, or has too many keys.
 * Exported for what is merged after parsing.
 *
 * @throws `PAYLOAD_TOO_LARGE` stating the limit, `VALIDATION_ERROR` for a number that JSON cannot give back.
 */
export function requireMetadataSize(metadata: unknown, field: string, bounds: Bounds): void {
	let keys = 0;
	function measure(value: unknown, depth: number): string | undefined {
		// JSON can write 1e400, and would give it back as null.
		if (typeof value === 'number' && !Number.isFinite(value)) {
			throw new AppError('VALIDATION_ERROR', 'A number in it is too large', { field });
		}
		if (typeof value !== 'object' || value === null) return undefined;
		if (depth > METADATA_DEPTH_MAX) return `${METADATA_DEPTH_MAX} levels`;
		const items = Object.values(value);
		if (!Array.isArray(value)) keys += items.length;
		if (keys > METADATA_KEYS_MAX) return `${METADATA_KEYS_MAX} keys`;
		for (const item of items) {
			const exceeded = measure(item, depth + 1);
			if (exceeded !== undefined) return exceeded;
		}
		return undefined;
	}
	const limit = bounds.metadataBytesMax;
	const exceeded =
		utf8Bytes(JSON.stringify(metadata)) > limit ? `${limit} bytes of JSON` : measure(metadata, 1);
	if (exceeded === undefined) return;
	throw new AppError('PAYLOAD_TOO_LARGE', `Must be at most ${exceeded}`, { field });
}

/** What is wrong, in words that repeat nothing of the value. */
function describe(error: ValueError | undefined): AppError {
	assert(error !== undefined, 'a failed check has an error');
	const isNullable = error.schema.anyOf?.[1]?.type === 'null';
	// Of "this or null" it is this that was missed; the union itself has nothing to say.
	if (isNullable) return describe(error.errors[0]?.First());
	return new AppError('VALIDATION_ERROR', messageOf(error), fieldOf(error.path));
}

function messageOf({ type, path, schema, message }: ValueError): string {
	switch (type) {
		case ValueErrorType.ObjectAdditionalProperties:
			return unknownFieldOf(path, schema);
		case ValueErrorType.ObjectRequiredProperty:
			return 'Missing field';
		case ValueErrorType.IntegerMinimum:
		case ValueErrorType.IntegerMaximum:
		case ValueErrorType.NumberMinimum:
		case ValueErrorType.NumberMaximum:
			return schema.maximum === Number.MAX_SAFE_INTEGER
				? `Must be at least ${schema.minimum}`
				: `Must be between ${schema.minimum} and ${schema.maximum}`;
		default:
			return typeof schema.error === 'string'
				? schema.error
				: (plainWords(type, schema) ?? message);
	}
}

/** A field that is nested has its siblings named; at the top, some of them belong into the path. */
function unknownFieldOf(path: string, { properties }: TSchema): string {
	const known = Object.keys(properties ?? {});
	const isNested = path.indexOf('/', 1) !== -1;
	return isNested && known.length > 0
		? `Unknown field. Must be one of: ${known.join(', ')}`
		: 'Unknown field';
}

/** What a value must be where its schema has no sentence of its own. */
function plainWords(type: ValueErrorType, schema: TSchema): string | undefined {
	switch (type) {
		case ValueErrorType.String:
			return 'Must be a string';
		case ValueErrorType.StringMinLength:
			return schema.minLength === 1
				? 'Must not be empty'
				: `Must have at least ${schema.minLength} characters`;
		case ValueErrorType.StringMaxLength:
			return `Must have at most ${schema.maxLength} characters`;
		case ValueErrorType.Integer:
			return 'Must be a whole number';
		case ValueErrorType.Number:
			return 'Must be a number';
		case ValueErrorType.Boolean:
			return 'Must be true or false';
		case ValueErrorType.Array:
			return 'Must be an array';
		case ValueErrorType.ArrayMinItems:
			return schema.minItems === 1
				? 'Must not be empty'
				: `Must have at least ${schema.minItems} items`;
		case ValueErrorType.ArrayMaxItems:
			return `Must have at most ${schema.maxItems} items`;
		case ValueErrorType.ArrayUniqueItems:
			return 'Must have each item once';
		case ValueErrorType.Object:
			return 'Must be an object';
		default:
			return undefined;
	}
}
