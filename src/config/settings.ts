import type { Static } from 'typebox';
import Value from 'typebox/value';
import { parseAddressRange } from '../core/address.ts';
import { OPTIONS, type Option, type OptionName } from './options.ts';

/** Every setting by the name of its environment variable. Durations are milliseconds, sizes bytes. */
export type Settings = {
	readonly [Name in OptionName]: Static<(typeof OPTIONS)[Name]['schema']>;
};

/** All that is wrong with the environment, told at once. */
export class SettingsRefused extends Error {
	override readonly name = 'SettingsRefused';

	constructor(readonly mistakes: readonly string[]) {
		super(mistakes.join('\n'));
	}
}

const DURATION_MS: Record<string, number> = {
	ms: 1,
	s: 1000,
	m: 60_000,
	h: 3_600_000,
	d: 86_400_000,
};
const SIZE_BYTES: Record<string, number> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2 };

/** What an option's text means, or undefined when it is not written as its kind is. */
function read({ kind }: Option, text: string): unknown {
	switch (kind) {
		case 'integer':
			return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
		case 'duration':
			return scaled(/^(\d{1,9})(ms|s|m|h|d)$/.exec(text), DURATION_MS);
		case 'bytes':
			return scaled(/^(\d{1,12})(|B|KiB|MiB)$/.exec(text), SIZE_BYTES);
		case 'list':
			return itemsOf(text);
		case 'ranges':
			return itemsOf(text).every((item) => parseAddressRange(item) !== undefined)
				? itemsOf(text)
				: undefined;
		default:
			return text;
	}
}

const itemsOf = (text: string): string[] =>
	text
		.split(',')
		.map((item) => item.trim())
		.filter((item) => item !== '');

const scaled = (match: RegExpExecArray | null, units: Record<string, number>) => {
	const unit = units[match?.[2] ?? '?'];
	return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
};

/** What is wrong with the text of an option: what it must be, and never what it is. */
function mistakeIn(name: OptionName, { kind, schema, summary }: Option): string {
	const { minimum, maximum, enum: words } = schema as Bounds;
	const within = (unit: number, shown: string) =>
		`from ${(minimum ?? 0) / unit}${shown} to ${(maximum ?? 0) / unit}${shown}`;
	if (words !== undefined) return `${name} must be one of: ${words.join(', ')}`;
	switch (kind) {
		case 'integer':
			return `${name} must be a whole number ${within(1, '')}`;
		case 'duration':
			return `${name} must be a duration ${within(1000, 's')}, such as 500ms, 30s, 5m, 7d`;
		case 'bytes':
			return `${name} must be a size ${within(1, ' bytes')}, such as 65536, 256KiB, 1MiB`;
		default:
			return `${name} is not of the right form. ${summary}`;
	}
}

interface Bounds {
	minimum?: number;
	maximum?: number;
	enum?: readonly string[];
}

/**
 * The settings that an environment amounts to. A secret may stand in a file that `NAME_FILE` names.
 * No mistake repeats a value: one of them could be a secret.
 *
 * @throws SettingsRefused with every mistake there is.
 */
export function readSettings(
	env: Readonly<Record<string, string | undefined>>,
	readFile: (path: string) => string,
): Settings {
	const mistakes: string[] = [];
	const settings: Record<string, unknown> = {};
	for (const [name, option] of Object.entries(OPTIONS) as [OptionName, Option][]) {
		const text = textOf(name, option, env, readFile, mistakes);
		if (text === undefined) continue;
		const value = read(option, text);
		if (value !== undefined && Value.Check(option.schema, value)) settings[name] = value;
		else mistakes.push(mistakeIn(name, option));
	}
	const master = settings.MASTER_API_KEY;
	if (typeof master === 'string' && master !== '') {
		const weakness = weaknessOfMasterKey(master);
		if (weakness !== undefined) mistakes.push(`MASTER_API_KEY ${weakness}`);
	}
	if (mistakes.length > 0) throw new SettingsRefused(mistakes);
	return settings as unknown as Settings;
}

function textOf(
	name: OptionName,
	option: Option,
	env: Readonly<Record<string, string | undefined>>,
	readFile: (path: string) => string,
	mistakes: string[],
): string | undefined {
	const file = option.kind === 'secret' ? env[`${name}_FILE`] : undefined;
	const text = env[name];
	if (file === undefined || file === '') {
		return text === undefined || text === '' ? option.default : text;
	}
	if (text !== undefined && text !== '') {
		mistakes.push(`${name} and ${name}_FILE are both set: keep one`);
		return undefined;
	}
	try {
		const secret = readFile(file).trim();
		if (secret !== '') return secret;
		// Whoever names a file did not mean "none".
		mistakes.push(`${name}_FILE names a file that is empty`);
	} catch {
		mistakes.push(`${name}_FILE names a file that cannot be read`);
	}
	return undefined;
}

/** Keys that are printed in documents anybody can read. */
const EXAMPLE_KEYS = new Set(['s08XLS75G2SHN3owC2WkYtcdddHpUPBJXCG/3cKc66M=']);
const MASTER_KEY_LENGTH_MIN = 32;
/** 16 random bytes in hex have more; a held-down key and a word repeated have fewer. */
const MASTER_KEY_VARIETY_MIN = 8;

/** Why a text will not do as the master key; undefined when it will. */
export function weaknessOfMasterKey(key: string): string | undefined {
	if (EXAMPLE_KEYS.has(key)) return 'is an example from the documentation: make your own';
	if (key.length < MASTER_KEY_LENGTH_MIN) {
		return `is too short: at least ${MASTER_KEY_LENGTH_MIN} characters (openssl rand -hex 32)`;
	}
	if (new Set(key).size < MASTER_KEY_VARIETY_MIN) {
		return 'is too regular: make a random one (openssl rand -hex 32)';
	}
	if (!/^[\x21-\x7e]+$/.test(key))
		return 'must be of printable ASCII without spaces: it is a header';
	return undefined;
}
