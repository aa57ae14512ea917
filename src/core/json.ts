import { AppError } from './errors.ts';

/** Nested deeper than any body of ours, and far below what serialising again would choke on. */
export const JSON_DEPTH_MAX = 32;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The JSON value in these bytes (or this text): valid UTF-8, at most `JSON_DEPTH_MAX` levels deep,
 * no lone surrogate and no NUL in any string.
 *
 * SQLite would store a lone surrogate as U+FFFD (two ids become one), and SQL's `length()` ends at NUL.
 *
 * @throws `VALIDATION_ERROR` that says which of these it was and never repeats the input.
 */
export function parseJson(source: Uint8Array | string): unknown {
	let text: string;
	try {
		text = typeof source === 'string' ? source : utf8.decode(source);
	} catch {
		throw new AppError('VALIDATION_ERROR', 'Not valid UTF-8');
	}
	if (isTooDeep(text)) {
		throw new AppError('VALIDATION_ERROR', `JSON is nested deeper than ${JSON_DEPTH_MAX} levels`);
	}
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		throw new AppError('VALIDATION_ERROR', 'Not valid JSON');
	}
	// Valid UTF-8 holds no lone surrogate and JSON no bare NUL: only an escape brings either in, or
	// a text that never was bytes.
	if (text.includes('\\u') || !text.isWellFormed()) requirePlainStrings(value, '');
	return value;
}

/** Counts brackets outside strings before anything is parsed; linear, and stops at the limit. */
function isTooDeep(text: string): boolean {
	let depth = 0;
	let isString = false;
	for (let index = 0; index < text.length; index++) {
		const code = text.charCodeAt(index);
		if (isString) {
			if (code === 0x5c) index++;
			else if (code === 0x22) isString = false;
		} else if (code === 0x22) isString = true;
		else if (code === 0x7b || code === 0x5b) {
			if (++depth > JSON_DEPTH_MAX) return true;
		} else if (code === 0x7d || code === 0x5d) depth--;
	}
	return false;
}

function requirePlainStrings(value: unknown, pointer: string): void {
	if (typeof value === 'string') {
		requirePlain(value, pointer);
	} else if (Array.isArray(value)) {
		for (const [index, item] of value.entries()) requirePlainStrings(item, `${pointer}/${index}`);
	} else if (typeof value === 'object' && value !== null) {
		for (const [key, item] of Object.entries(value)) {
			requirePlain(key, pointer);
			requirePlainStrings(item, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
		}
	}
}

function requirePlain(text: string, pointer: string): void {
	const problem = text.includes('\0')
		? 'NUL'
		: text.isWellFormed()
			? undefined
			: 'a lone surrogate';
	if (problem === undefined) return;
	throw new AppError('VALIDATION_ERROR', `Text must not contain ${problem}`, fieldOf(pointer));
}

/**
 * How an error names the place of a JSON pointer: a top-level name as it is, what is deeper by the
 * pointer. At most 128 characters.
 */
export function fieldOf(pointer: string): { field?: string } {
	if (pointer === '') return {};
	const isTopLevel = pointer.indexOf('/', 1) === -1;
	const field = isTopLevel ? pointer.slice(1).replaceAll('~1', '/').replaceAll('~0', '~') : pointer;
	// The cut may fall within a surrogate pair.
	return { field: field.slice(0, 128).toWellFormed() };
}

/** What a column of JSON holds of an optional value: null for none, and for null. */
export const toJsonColumn = (value: unknown): string | null =>
	value === undefined || value === null ? null : JSON.stringify(value);

/** The value that `toJsonColumn` wrote. */
export const fromJsonColumn = (text: string | null) => (text === null ? null : JSON.parse(text));
