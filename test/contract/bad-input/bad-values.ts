/** For every schema of a field, values that it must refuse; each with the one thing wrong named. */
import type { Schema } from '../../helpers/json-schema.ts';
import { CANARY, CANARY_NUMBER } from './judge.ts';

export interface BadValue {
	what: string;
	/** JSON text, so that it may be what no JavaScript value is. */
	json: string;
	statuses: readonly number[];
	/** Whether it is refused before anybody looks at fields. */
	isUnnamed?: boolean;
}

interface FieldSchema extends Schema {
	type?: string;
	nullable?: boolean;
	minLength?: number;
	maxLength?: number;
	minimum?: number;
	maximum?: number;
	minItems?: number;
	maxItems?: number;
	items?: Schema;
	properties?: Record<string, Schema>;
	required?: string[];
	pattern?: string;
	enum?: unknown[];
}

const INVALID = [400];
const TOO_LARGE = [413];

const bad = (what: string, json: string, statuses = INVALID): BadValue => ({
	what,
	json,
	statuses,
});

const text = (value: unknown): string => JSON.stringify(value);

/** Wrong for whatever wants no such type. */
const OF_TYPE: Readonly<Record<string, readonly BadValue[]>> = {
	string: [bad('a string', text(CANARY)), bad('a number in a string', text('5'))],
	number: [
		bad('a number', String(CANARY_NUMBER)),
		bad('a fraction', '1.5'),
		bad('a huge number', '1e400'),
		bad('a hugely negative number', '-1e400'),
		bad('a number of 300 digits', '7316498025'.repeat(30)),
	],
	boolean: [bad('true', 'true'), bad('false', 'false')],
	array: [bad('an empty list', '[]'), bad('a list', text([CANARY]))],
	object: [
		bad('an empty object', '{}'),
		bad('an object', text({ a: CANARY })),
		bad('an object with a prototype', `{"__proto__":${text(CANARY)},"length":1}`),
	],
};

/** The bad values for a field of this schema. */
export function badValuesFor(schema: Schema): BadValue[] {
	const { type, nullable, ...rest } = schema as FieldSchema;
	if (type === undefined) return badValuesForAnything();
	const isNumeric = type === 'integer' || type === 'number';
	const own = isNumeric ? 'number' : type;
	const others = Object.entries(OF_TYPE).flatMap(([each, values]) => (each === own ? [] : values));
	return [
		...others,
		...(nullable === true ? [] : [bad('null', 'null')]),
		...(type === 'string' ? badStrings(rest) : []),
		...(isNumeric ? badNumbers(rest) : []),
		...(type === 'array' ? badLists(rest) : []),
		...(type === 'object' ? badObjects(rest) : []),
	];
}

/** What is wrong in any string. */
const BROKEN_TEXT: readonly BadValue[] = [
	bad('NUL', `"${CANARY}\\u0000"`),
	bad('a lone high surrogate', `"${CANARY}\\ud800"`),
	bad('a lone low surrogate', `"\\udc00${CANARY}"`),
	bad('surrogates the wrong way round', `"\\udc00\\ud800${CANARY}"`),
];

function badStrings({
	minLength = 0,
	maxLength = 0,
	enum: values,
	pattern,
}: FieldSchema): BadValue[] {
	const found = [...BROKEN_TEXT];
	if (minLength > 0) found.push(bad('nothing', '""'));
	if (values !== undefined) {
		found.push(bad('no such choice', text(CANARY)));
		found.push(bad('a choice in capitals', text(String(values[0]).toUpperCase())));
		found.push(bad('a choice and a blank', text(`${values[0]} `)));
		return found;
	}
	if (pattern !== undefined) {
		found.push(bad('a control character', text(`${CANARY}\u0007`)));
		found.push(bad('a line break at the end', text(`${CANARY}\n`)));
		found.push(bad('text that runs the other way', text(`${CANARY}\u202e`)));
	}
	// The largest texts have a setting as their limit, which is another error.
	const isLimitASetting = maxLength > 100_000;
	const tooLong = isLimitASetting ? 20_000 : maxLength + 1;
	if (maxLength > 0) {
		found.push(
			bad('one too long', text('x'.repeat(tooLong)), isLimitASetting ? TOO_LARGE : INVALID),
		);
	}
	return found;
}

function badNumbers({ minimum, maximum }: FieldSchema): BadValue[] {
	return [
		bad('a fraction', '1.5'),
		bad('a huge number', '1e400'),
		bad('a hugely negative number', '-1e400'),
		bad('more than a number can hold', '9007199254740993'),
		...(minimum === undefined ? [] : [bad('one too small', String(minimum - 1))]),
		...(maximum === undefined || maximum > 2 ** 52 ? [] : [bad('one too large', `${maximum + 1}`)]),
		bad('minus one', '-1'),
	];
}

function badLists({ minItems = 0, maxItems, items }: FieldSchema): BadValue[] {
	const itemValues = items === undefined ? [] : badValuesFor(items);
	const inItems = itemValues.map(({ what, json, ...rest }) => ({
		...{ ...rest, what: `in a list: ${what}`, json: `[${json}]` },
	}));
	const many = (count: number) => text(Array.from({ length: count }, (_, index) => `u${index}`));
	return [
		...inItems,
		bad('a list in a list', text([[CANARY]])),
		bad('a hole', '[null]'),
		...(minItems > 0 ? [bad('an empty list', '[]')] : []),
		...(maxItems === undefined ? [] : [bad('one item too many', many(maxItems + 1))]),
	];
}

function badObjects({ properties = {}, required = [] }: FieldSchema): BadValue[] {
	const inside = Object.entries(properties).flatMap(([name, schema]) =>
		badValuesFor(schema).map(({ what, json, statuses, ...rest }) => ({
			...{ ...rest, what: `in ${name}: ${what}`, json: `{${text(name)}:${json}}` },
			// It lacks what else the object must have, which is seen first.
			statuses: required.some((other) => other !== name) ? INVALID : statuses,
		})),
	);
	return [
		...inside,
		bad('an unknown field', text({ surprise: CANARY })),
		bad('a field called __proto__', `{"__proto__":{"a":${text(CANARY)}}}`),
		bad('a field called constructor', `{"constructor":${text(CANARY)}}`),
	];
}

/** For fields that take any JSON: only what no text may hold, and what is too much of it. */
function badValuesForAnything(): BadValue[] {
	const keys = Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`k${index}`, 1]));
	return [
		...BROKEN_TEXT,
		...BROKEN_TEXT.map(({ what, json }) => bad(`deep inside: ${what}`, `{"a":[{"b":${json}}]}`)),
		bad('NUL in a key', '{"a\\u0000":1}'),
		bad('a lone surrogate in a key', '{"a\\ud800":1}'),
		bad('a number that JSON cannot give back', '1e400'),
		bad('such a number, deep inside', '{"a":[-1e400]}'),
		bad('too many bytes', text(CANARY.repeat(1000)), TOO_LARGE),
		bad('17 levels', '['.repeat(17) + ']'.repeat(17), TOO_LARGE),
		bad('257 keys', text(keys), TOO_LARGE),
		...[40, 10_000].flatMap((levels) => [
			{ ...bad(`${levels} levels`, '['.repeat(levels) + ']'.repeat(levels)), isUnnamed: true },
			{
				...bad(`${levels} levels of objects`, `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`),
				isUnnamed: true,
			},
		]),
	];
}
