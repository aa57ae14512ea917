/**
 * A small validator for the schemas of an OpenAPI document. It knows the keywords below and fails on
 * any other, so that a schema it cannot judge is never taken for a match.
 */

export type Schema = { [keyword: string]: unknown };

type Check = (argument: unknown, value: unknown, context: Context) => string | undefined;

interface Context {
	schema: Schema;
	/** Where the value stands, as a JSON pointer. */
	path: string;
	/** The document that `$ref` points into. */
	root: unknown;
}

/** What is wrong with `value`, or undefined when it matches. */
export function mismatchOf(
	value: unknown,
	schema: unknown,
	root: unknown,
	path = '',
): string | undefined {
	if (schema === true) return undefined;
	if (schema === false) return `${path}: nothing may stand here`;
	if (!isRecord(schema)) throw new Error(`No schema at ${path}`);
	if (value === null && schema.nullable === true) return undefined;
	for (const [keyword, argument] of Object.entries(schema)) {
		if (ANNOTATIONS.has(keyword) || keyword.startsWith('x-')) continue;
		const check = CHECKS[keyword];
		if (check === undefined) throw new Error(`The schema at ${path} has an unknown "${keyword}"`);
		const problem = check(argument, value, { schema, path, root });
		if (problem !== undefined) return problem;
	}
	return undefined;
}

const ANNOTATIONS = new Set(
	'title description example examples default format deprecated readOnly nullable $id'.split(' '),
);

const isRecord = (value: unknown): value is Record<string, unknown> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

const TYPES: Record<string, (value: unknown) => boolean> = {
	string: (value) => typeof value === 'string',
	number: (value) => typeof value === 'number',
	integer: (value) => Number.isInteger(value),
	boolean: (value) => typeof value === 'boolean',
	object: isRecord,
	array: Array.isArray,
	null: (value) => value === null,
};

/** A check of values of one type: others pass, as JSON Schema has it. */
const ofType =
	<T>(is: (value: unknown) => boolean, holds: (value: T, argument: never) => boolean) =>
	(name: string): Check =>
	(argument, value, { path }) =>
		!is(value) || holds(value as T, argument as never) ? undefined : `${path}: ${name} ${argument}`;

const text = (holds: (value: string, argument: never) => boolean) =>
	ofType((value) => typeof value === 'string', holds);
const number = (holds: (value: number, argument: never) => boolean) =>
	ofType((value) => typeof value === 'number', holds);
const list = (holds: (value: unknown[], argument: never) => boolean) =>
	ofType(Array.isArray, holds);

const some = (argument: unknown, value: unknown, { root, path }: Context) =>
	(argument as unknown[]).filter((schema) => mismatchOf(value, schema, root, path) === undefined)
		.length;

const codePoints = (value: string) => [...value].length;

const CHECKS: Record<string, Check> = {
	$ref: (pointer, value, { root, path }) =>
		mismatchOf(value, resolve(String(pointer), root), root, path),
	type(types, value, { path }) {
		const names = [types].flat().map(String);
		if (names.some((name) => TYPES[name]?.(value))) return undefined;
		return `${path}: is no ${names.join(' or ')}`;
	},
	enum: (values, value, { path }) =>
		(values as unknown[]).includes(value) ? undefined : `${path}: is none of ${values}`,
	const: (only, value, { path }) => (value === only ? undefined : `${path}: is not ${only}`),
	anyOf: (schemas, value, context) =>
		some(schemas, value, context) > 0 ? undefined : `${context.path}: matches no anyOf`,
	oneOf: (schemas, value, context) =>
		some(schemas, value, context) === 1 ? undefined : `${context.path}: matches not one oneOf`,
	allOf: (schemas, value, context) =>
		some(schemas, value, context) === (schemas as unknown[]).length
			? undefined
			: `${context.path}: matches not all of allOf`,
	properties(properties, value, { path, root }) {
		if (!isRecord(value)) return undefined;
		for (const [name, schema] of Object.entries(properties as Schema)) {
			if (!Object.hasOwn(value, name)) continue;
			const problem = mismatchOf(value[name], schema, root, `${path}/${name}`);
			if (problem !== undefined) return problem;
		}
		return undefined;
	},
	required(names, value, { path }) {
		if (!isRecord(value)) return undefined;
		const missing = (names as string[]).find((name) => !Object.hasOwn(value, name));
		return missing === undefined ? undefined : `${path}: lacks ${missing}`;
	},
	additionalProperties(rest, value, { schema, path, root }) {
		if (!isRecord(value)) return undefined;
		const known = Object.keys((schema.properties ?? {}) as Schema);
		for (const [name, item] of Object.entries(value)) {
			if (known.includes(name)) continue;
			if (rest === false) return `${path}/${name}: is not declared`;
			const problem = mismatchOf(item, rest, root, `${path}/${name}`);
			if (problem !== undefined) return problem;
		}
		return undefined;
	},
	items(schema, value, { path, root }) {
		if (!Array.isArray(value)) return undefined;
		for (const [index, item] of value.entries()) {
			const problem = mismatchOf(item, schema, root, `${path}/${index}`);
			if (problem !== undefined) return problem;
		}
		return undefined;
	},
	pattern: text((value, pattern: string) => new RegExp(pattern, 'u').test(value))('pattern'),
	minLength: text((value, length: number) => codePoints(value) >= length)('minLength'),
	maxLength: text((value, length: number) => codePoints(value) <= length)('maxLength'),
	minimum: number((value, limit: number) => value >= limit)('minimum'),
	maximum: number((value, limit: number) => value <= limit)('maximum'),
	exclusiveMinimum: number((value, limit: number) => value > limit)('exclusiveMinimum'),
	minItems: list((value, count: number) => value.length >= count)('minItems'),
	maxProperties: (most, value, { path }) =>
		!isRecord(value) || Object.keys(value).length <= Number(most)
			? undefined
			: `${path}: maxProperties ${most}`,
	maxItems: list((value, count: number) => value.length <= count)('maxItems'),
	uniqueItems: list(
		(value, isUnique: boolean) =>
			!isUnique || new Set(value.map((item) => JSON.stringify(item))).size === value.length,
	)('uniqueItems'),
};

function resolve(pointer: string, root: unknown): unknown {
	let target = root;
	for (const part of pointer.replace(/^#\//, '').split('/')) {
		const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
		target = isRecord(target) ? target[name] : undefined;
	}
	if (target === undefined) throw new Error(`Nothing is at ${pointer}`);
	return target;
}
