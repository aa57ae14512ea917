import { describe, expect, test } from 'bun:test';
import { type TSchema, Type } from '@sinclair/typebox';
import { defineEvent, type EventType } from '../../src/core/event.ts';
import { NameField, NoInput } from '../../src/core/fields.ts';
import { defineOperation, type Operation } from '../../src/core/operation.ts';
import { eventViolations, operationViolations } from './operations.ts';

describe('operations', () => {
	const good = defineOperation({
		name: 'things.rename',
		summary: 'Rename a thing',
		actor: 'any',
		permission: 'rooms:write',
		cost: 1,
		input: Type.Object({ name: NameField }, { additionalProperties: false }),
		output: Type.Object({ name: NameField }),
		errors: ['NOT_FOUND'],
		example: { input: { name: 'a' }, output: { name: 'a' } },
	});
	const event = defineEvent({
		type: 'thing.renamed',
		summary: 'A thing was renamed',
		data: Type.Object({ name: NameField }),
		example: { name: 'a' },
	});

	// Deliberately wrong, hence past the compiler.
	const changed = (change: object): Operation => ({ ...good, ...change }) as unknown as Operation;
	const takes = (field: TSchema): Operation => {
		const input = Type.Object({ field: Type.Optional(field) }, { additionalProperties: false });
		return changed({ input, example: { input: {}, output: { name: 'a' } } });
	};
	const gives = (field: TSchema): Operation =>
		changed({
			output: Type.Object({ field: Type.Optional(field) }),
			example: { input: { name: 'a' }, output: {} },
		});

	const UNBOUNDED: readonly [string, TSchema][] = [
		['a string', Type.String()],
		['a string with a pattern alone', Type.String({ pattern: '^a$' })],
		['an integer', Type.Integer()],
		['an integer with one end', Type.Integer({ minimum: 0 })],
		['a number without an end', Type.Number({ minimum: 0, maximum: Number.POSITIVE_INFINITY })],
		['an array', Type.Array(Type.Boolean())],
		['an array of what is unbounded', Type.Array(Type.String(), { maxItems: 1 })],
		['anything', Type.Unknown()],
		['a record', Type.Record(Type.String({ maxLength: 1 }), Type.Boolean())],
		['an open object without members', Type.Object({})],
		['a string in an object', Type.Object({ a: Type.String() }, { additionalProperties: false })],
		['a string or null', Type.Union([Type.String(), Type.Null()])],
		['a string in a tuple', Type.Tuple([Type.String()])],
	];

	test.each([
		['another name', changed({ name: 'rename' })],
		['a name in camel case', changed({ name: 'things.renameAll' })],
		['no summary', changed({ summary: '' })],
		['a summary of two lines', changed({ summary: 'Rename\na thing' })],
		['a summary that ends in a full stop', changed({ summary: 'Rename a thing.' })],
		['an input that takes unknown fields', changed({ input: Type.Object({ name: NameField }) })],
		['a member that takes unknown fields', takes(Type.Object({ a: Type.Optional(NameField) }))],
		[
			'a metadata that the parser does not see',
			takes(Type.Array(Type.Unknown({ bound: 'metadata' }), { maxItems: 1 })),
		],
		['an unknown error', changed({ errors: ['TEAPOT'] })],
		['an error that every object knows', changed({ errors: ['toString'] })],
		['an error twice', changed({ errors: ['NOT_FOUND', 'NOT_FOUND'] })],
		['an unknown permission', changed({ permission: 'things:write' })],
		['no cost', changed({ cost: undefined })],
		['a negative cost', changed({ cost: -1 })],
		['no example', changed({ example: undefined })],
		[
			'an example input that it refuses',
			changed({ example: { input: {}, output: { name: 'a' } } }),
		],
		[
			'an example output it never gives',
			changed({ example: { input: { name: 'a' }, output: {} } }),
		],
		...UNBOUNDED.map(([what, field]) => [`${what} in its input`, takes(field)] as const),
		...UNBOUNDED.map(([what, field]) => [`${what} in its output`, gives(field)] as const),
	])('with %s are refused', (_, operation) => {
		expect(operationViolations([operation]).length).toBeGreaterThan(0);
	});

	test('of the same name are refused', () => {
		expect(operationViolations([good, good])).toEqual(['things.rename is declared more than once']);
	});

	test('are allowed when nothing is wrong with them', () => {
		const visitor = { ...changed({ actor: 'visitor', input: NoInput, name: 'status.get' }) };
		const fine = { ...visitor, example: { input: {}, output: { name: 'a' } } } as Operation;

		expect(operationViolations([good, fine])).toEqual([]);
		expect(operationViolations([takes(Type.Unknown({ bound: 'metadata' }))])).toEqual([]);
	});

	test.each([
		['another name', { type: 'renamed' }],
		['no summary', { summary: '' }],
		['an unbounded field', { data: Type.Object({ name: Type.String() }) }],
		['an example that does not fit', { example: {} }],
	])('tell of events; an event with %s is refused', (_, change) => {
		const wrong = { ...event, ...change } as unknown as EventType;

		expect(eventViolations([event])).toEqual([]);
		expect(eventViolations([wrong])).not.toEqual([]);
		expect(eventViolations([event, event])).toHaveLength(1);
	});
});
