/** One thing changed about something valid. */
import { CANARY, CANARY_NUMBER } from '../contract/bad-input/judge.ts';
import type { Random } from './random.ts';

/** JSON texts that some field, somewhere, may choke on. */
const VALUES: readonly string[] = [
	'null',
	'true',
	'false',
	'0',
	'-0',
	'1',
	'-1',
	'1.5',
	'1e3',
	'1e308',
	'1e400',
	'-1e400',
	'5e-324',
	'2147483648',
	'4294967296',
	'9007199254740991',
	'9007199254740992',
	'9223372036854775808',
	'7316498025'.repeat(20),
	String(CANARY_NUMBER),
	'""',
	'" "',
	'"0"',
	'"null"',
	'"\\u0000"',
	`"${CANARY}\\u0000"`,
	`"${CANARY}\\ud800"`,
	'"\\udc00"',
	'"\\u202e"',
	'"\\uffff"',
	'"\\n"',
	'"\\\\"',
	'"\\""',
	'"%00"',
	'"\'; DROP TABLE rooms; --"',
	'"{{1+1}}"',
	'"../../etc/passwd"',
	`"${CANARY}"`,
	`"${'x'.repeat(129)}"`,
	`"${'x'.repeat(65)}"`,
	`"${'€'.repeat(6_000)}"`,
	`"${'\\ud83d\\ude00'.repeat(200)}"`,
	'"room_00000000000000000000000000"',
	'"tenant_00000000000000000000000000"',
	'"dm"',
	'"owner"',
	'"alice"',
	'[]',
	'[null]',
	'[[]]',
	'["alice","alice"]',
	`["${CANARY}"]`,
	'{}',
	'{"a":1}',
	'{"__proto__":{"a":1}}',
	'{"constructor":{"prototype":{"a":1}}}',
	'{"length":1e9}',
	'{"toJSON":1}',
	'{"":""}',
	'{"a/b~c":{"\\u0000":1}}',
];

/** Names that nobody expects, or that mean something to the language. */
const NAMES: readonly string[] = [
	'surprise',
	'__proto__',
	'constructor',
	'prototype',
	'toString',
	'hasOwnProperty',
	'length',
	'then',
	'toJSON',
	'',
	' ',
	'a/b',
	'~0',
	'tenant',
	'tenant_id',
	'room_id',
	'user_id',
	'sender_id',
	'seq',
	'type',
	'data',
	'request_id',
	'limit',
];

/** Any JSON text: one of those above, or something deep or long. */
export function anyJson(random: Random): string {
	const levels = 1 + random.below(random.chance(0.2) ? 900 : 40);
	return random.weighted([
		[20, () => random.pick(VALUES)],
		[2, () => String(random.below(2 ** 31) * (random.chance(0.5) ? 1 : -1))],
		[1, () => '['.repeat(levels) + ']'.repeat(levels)],
		[1, () => `${'{"a":'.repeat(Math.min(levels, 300))}1${'}'.repeat(Math.min(levels, 300))}`],
		[2, () => JSON.stringify(anyText(random))],
		[1, () => `[${Array.from({ length: random.below(1_500) }, () => '"u"').join()}]`],
	])();
}

/** Text of any characters, lone surrogates among them. */
export function anyText(random: Random): string {
	const kinds = [0x80, 0x100, 0x800, 0x10_000] as const;
	const codes = Array.from({ length: random.below(200) }, () => random.below(random.pick(kinds)));
	return String.fromCharCode(...codes);
}

type Field = readonly [name: string, json: string];

/** The JSON text of an object in which one field is another, missing, doubled, or one too many. */
export function mutateObject(random: Random, object: Readonly<Record<string, unknown>>): string {
	const fields: Field[] = Object.entries(object).map(([name, value]) => [
		JSON.stringify(name),
		JSON.stringify(value),
	]);
	const newName = JSON.stringify(random.pick(NAMES));
	const at = random.below(Math.max(1, fields.length));
	const [name, json] = fields[at] ?? [newName, '0'];
	const others = fields.filter((_, index) => index !== at);
	const changed = random.weighted<() => readonly Field[]>([
		[12, () => [...others, [name, anyJson(random)]]],
		[3, () => others],
		[4, () => [...fields, [newName, anyJson(random)]]],
		[2, () => [...fields, [name, anyJson(random)]]],
		[1, () => [...others, [newName, json]]],
		[2, () => [...others, [name, bent(random, json)]]],
	])();
	return `{${changed.map((field) => field.join(':')).join()}}`;
}

/** The value, a little longer, shorter or larger. */
function bent(random: Random, json: string): string {
	const value: unknown = JSON.parse(json);
	if (typeof value === 'number') {
		return String(value + random.pick([1, -1, 0.5, 2 ** 31, 2 ** 53, -(2 ** 53)]));
	}
	if (typeof value !== 'string') return anyJson(random);
	const at = random.below(value.length + 1);
	const inserted = random.pick(['x', ' ', '\0', '\n', '/', '\u00e9', '\ud800', '%', "'"]);
	return JSON.stringify(
		value.slice(0, at) + inserted + value.slice(random.chance(0.5) ? at : at + 1),
	);
}

/** The bytes of a text with some of them cut, changed, doubled, or strewn in. */
export function mutateBytes(random: Random, text: string): Buffer {
	const bytes = Buffer.from(text);
	const at = random.below(bytes.length + 1);
	const noise = Buffer.from(Array.from({ length: 1 + random.below(4) }, () => random.below(256)));
	const rest = bytes.subarray(random.chance(0.5) ? at : Math.min(bytes.length, at + noise.length));
	return random.weighted([
		[2, () => bytes.subarray(0, at)],
		[4, () => Buffer.concat([bytes.subarray(0, at), noise, rest])],
		[1, () => Buffer.concat([bytes, bytes])],
		[1, () => Buffer.concat([noise, bytes])],
		[1, () => Buffer.concat([bytes, noise])],
		[1, () => bytes.subarray(at)],
	])();
}
