import { describe, expect, test } from 'bun:test';
import type { TSchema } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import * as fields from '../../../src/core/fields.ts';

const accepts = (schema: TSchema, value: unknown) => TypeCompiler.Compile(schema).Check(value);

/** What each field takes and refuses at its edges. */
const EDGES: [string, TSchema, readonly unknown[], readonly unknown[]][] = [
	[
		'room id',
		fields.RoomIdField,
		['room_1', `room_${'z'.repeat(40)}`],
		[
			'',
			'room_',
			'room',
			`room_${'z'.repeat(41)}`,
			'msg_1',
			'room_a\n',
			'room_\0',
			'room_é',
			5,
			null,
		],
	],
	[
		'user id',
		fields.UserIdField,
		['a', 'x'.repeat(128), 'a.b_c:d@e|f-g'],
		['', 'x'.repeat(129), 'a b', 'a\n', 'a\0', 'ä', '\ud800', 7, null, ['a'], {}],
	],
	[
		'name',
		fields.NameField,
		['a', 'General 😀', 'x'.repeat(128), '<script>', '\u00a0', '__proto__'],
		['', 'x'.repeat(129), 'a\0', 'a\nb', '\u001f', '\u007f', '\u0085', '\u202e', '\u2066', 1, null],
	],
	[
		'content',
		fields.ContentField,
		['a', '\n', 'x'.repeat(1_048_576)],
		['', 'x'.repeat(1_048_577), 1, null, {}],
	],
	[
		'client_msg_id',
		fields.ClientMsgIdField,
		['a', 'A-Z.a_z:0', 'x'.repeat(64)],
		['', 'x'.repeat(65), 'a b', 'a@b', 'a\n', 'a\0', 1],
	],
	[
		'seq',
		fields.SeqField,
		[1, Number.MAX_SAFE_INTEGER],
		[0, -1, 1.5, Number.MAX_SAFE_INTEGER + 1, Number.NaN, Number.POSITIVE_INFINITY, '1', null],
	],
	['head seq', fields.HeadSeqField, [0, 1], [-1, 0.5, '0']],
	['limit', fields.LimitField, [1, 50, 100], [0, 101, 1.5, '50']],
	[
		'cursor',
		fields.CursorField,
		['0123456789abcdef', 'v'.repeat(16)],
		['', 'v'.repeat(15), 'v'.repeat(17), 'w'.repeat(16), 'V'.repeat(16), `${'v'.repeat(15)}\n`],
	],
	[
		'page cursor',
		fields.PageCursorField,
		['a', 'x'.repeat(256)],
		['', 'x'.repeat(257), 'a b', 'a\0', 'a/b'],
	],
	[
		'time of a client',
		fields.TimeInputField,
		['2026-11-21T03:45:00Z', '2026-11-21T03:45:00.123456789+05:30'],
		['', '2026-11-21', '2026-11-21 03:45:00Z', '2026-11-21T03:45:00', '2026-11-21T03:45:00z', 0],
	],
];

test.each(EDGES)(
	'the field %s takes what it should at its edges, and nothing beyond',
	(_, schema, good, bad) => {
		const refused = good.filter((value) => !accepts(schema, value));
		const taken = bad.filter((value) => accepts(schema, value));

		expect(refused).toEqual([]);
		expect(taken).toEqual([]);
	},
);

describe('fields', () => {
	test('take a timestamp of ours without anything else having been loaded first', () => {
		expect(accepts(fields.TimestampField, new Date(0).toISOString())).toBe(true);
		expect(accepts(fields.TimestampField, '1970-01-01T00:00:00Z')).toBe(false);
	});

	test('name every choice to whoever made another', () => {
		const schema = fields.oneOf('room type', ['dm', 'group']);

		expect(accepts(schema, 'dm')).toBe(true);
		expect(accepts(schema, 'DM')).toBe(false);
		expect(schema.error).toBe('Invalid room type. Must be one of: dm, group');
	});

	test('may be null only where they say so', () => {
		expect(accepts(fields.NextCursorField, null)).toBe(true);
		expect(accepts(fields.NextCursorField, 'a')).toBe(true);
		expect(accepts(fields.NextCursorField, undefined)).toBe(false);
	});

	test('take no input as an empty object and nothing more', () => {
		expect(accepts(fields.NoInput, {})).toBe(true);
		expect(accepts(fields.NoInput, { a: 1 })).toBe(false);
		expect(accepts(fields.NoInput, JSON.parse('{"__proto__":1}'))).toBe(false);
	});
});
