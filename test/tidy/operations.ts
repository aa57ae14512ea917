/** What every operation and event must declare; read from the modules, as the server reads them. */
import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import { ERRORS } from '../../src/core/errors.ts';
import type { EventType } from '../../src/core/event.ts';
import type { Operation } from '../../src/core/operation.ts';
import { PERMISSIONS } from '../../src/core/permissions.ts';

const NAME = /^[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*$/;

/** What a module of operations exports, sorted by what it is. */
export function declarationsOf(modules: readonly object[]): {
	operations: Operation[];
	events: EventType[];
} {
	const exported = modules.flatMap((module) => Object.values(module) as unknown[]);
	return { operations: exported.filter(isOperation), events: exported.filter(isEvent) };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
	typeof value === 'object' && value !== null;

const isOperation = (value: unknown): value is Operation =>
	isObject(value) && typeof value.name === 'string' && isObject(value.input) && 'output' in value;

const isEvent = (value: unknown): value is EventType =>
	isObject(value) && typeof value.type === 'string' && isObject(value.data) && 'summary' in value;

export function operationViolations(operations: readonly Operation[]): string[] {
	const found = repeated(operations.map(({ name }) => name));
	for (const operation of operations) {
		const { name, input, output, example } = operation;
		const wrong = (what: string) => found.push(`${name} ${what}`);
		if (!NAME.test(name)) wrong('is not named noun.verb');
		if (!isSentence(operation.summary)) wrong('has no summary of one line');
		if (input.type !== 'object') wrong('has an input that is no object');
		for (const place of unbounded(input, 'input', 'refuse-unknown'))
			wrong(`has no bound at ${place}`);
		for (const place of unbounded(output, 'output')) wrong(`has no bound at ${place}`);
		for (const place of hiddenBounds(input)) wrong(`has a bound at ${place} that no parser sees`);
		for (const code of operation.errors) {
			if (!Object.hasOwn(ERRORS, code)) wrong(`declares an unknown error ${code}`);
		}
		if (new Set(operation.errors).size !== operation.errors.length) wrong('repeats an error');
		const isTenants = operation.actor === 'user' || operation.actor === 'any';
		if (isTenants && !PERMISSIONS.some((known) => known === operation.permission)) {
			wrong('asks for no known permission');
		}
		if (isTenants && !(Number.isInteger(operation.cost) && Number(operation.cost) >= 0)) {
			wrong('has no cost');
		}
		for (const place of misfits(input, example?.input)) wrong(`refuses its own input at ${place}`);
		for (const place of misfits(output, example?.output)) wrong(`gives no such output at ${place}`);
	}
	return found;
}

export function eventViolations(events: readonly EventType[]): string[] {
	const found = repeated(events.map(({ type }) => type));
	for (const event of events) {
		const wrong = (what: string) => found.push(`${event.type} ${what}`);
		if (!NAME.test(event.type)) wrong('is not named noun.past');
		if (!isSentence(event.summary)) wrong('has no summary of one line');
		for (const place of unbounded(event.data, 'data')) wrong(`has no bound at ${place}`);
		for (const place of misfits(event.data, event.example)) wrong(`tells no such data at ${place}`);
	}
	return found;
}

const repeated = (names: readonly string[]): string[] =>
	[...new Set(names.filter((name, index) => names.indexOf(name) !== index))].map(
		(name) => `${name} is declared more than once`,
	);

const isSentence = (text: unknown): boolean =>
	typeof text === 'string' && /^[A-Z][^\n]{4,99}[^.\n]$/.test(text);

/** The first place where an example does not fit. */
function misfits(schema: TSchema, example: unknown): string[] {
	const error = TypeCompiler.Compile(schema).Errors(example).First();
	return error === undefined ? [] : [`example${error.path}`];
}

/**
 * Every place of a schema where a value could be of any size. `refuse-unknown`: objects must also
 * refuse members that they do not name.
 */
function unbounded(schema: TSchema, place: string, mode?: 'refuse-unknown'): string[] {
	const within = (inner: TSchema, name: string) => unbounded(inner, `${place}/${name}`, mode);
	if ('const' in schema) return [];
	const variants: unknown = schema.anyOf ?? schema.oneOf ?? schema.allOf;
	if (Array.isArray(variants)) return variants.flatMap((v, index) => within(v, String(index)));
	switch (schema.type) {
		case 'null':
		case 'boolean':
			return [];
		case 'string':
			return isCount(schema.maxLength) ? [] : [place];
		case 'integer':
		case 'number':
			return Number.isFinite(schema.minimum) && Number.isFinite(schema.maximum) ? [] : [place];
		case 'array':
			return [...(isCount(schema.maxItems) ? [] : [place]), ...within(schema.items, 'items')];
		case 'object':
			return unboundedObject(schema, place, within, mode);
		default:
			// Any JSON at all: only what the parser measures by its settings.
			return schema.bound === 'metadata' ? [] : [place];
	}
}

function unboundedObject(
	schema: TSchema,
	place: string,
	within: (inner: TSchema, name: string) => string[],
	mode: 'refuse-unknown' | undefined,
): string[] {
	const members: [string, TSchema][] = Object.entries(schema.properties ?? {});
	const found = members.flatMap(([name, member]) => within(member, name));
	const patterns: [string, TSchema][] = Object.entries(schema.patternProperties ?? {});
	if (patterns.length > 0) {
		if (!isCount(schema.maxProperties)) found.push(place);
		return [...found, ...patterns.flatMap(([pattern, member]) => within(member, pattern))];
	}
	const isOpen = schema.additionalProperties !== false;
	if (isOpen && (mode === 'refuse-unknown' || members.length === 0)) found.push(place);
	return found;
}

const isCount = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0;

/** Bounds where the input parser does not look: below the top level, but for the members of a list's items. */
function hiddenBounds(input: TSchema): string[] {
	const found: string[] = [];
	function visit(schema: unknown, place: string, isTop: boolean): void {
		if (!isObject(schema)) return;
		if (schema.bound !== undefined && !isTop) found.push(place);
		for (const variant of (schema.anyOf as unknown[] | undefined) ?? [])
			visit(variant, place, isTop);
		for (const [name, member] of Object.entries(schema.properties ?? {})) {
			visit(member, `${place}/${name}`, false);
		}
		visit(schema.items, `${place}/items`, false);
	}
	for (const [name, member] of Object.entries<TSchema>(input.properties ?? {})) {
		const items = member.type === 'array' && isObject(member.items) ? member.items : undefined;
		if (items?.type !== 'object') visit(member, `input/${name}`, true);
		for (const [inner, each] of Object.entries((items?.properties ?? {}) as TSchema)) {
			visit(each, `input/${name}/items/${inner}`, true);
		}
	}
	return found;
}
