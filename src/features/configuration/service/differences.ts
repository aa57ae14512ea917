/** What a field is to become, and what that changes: no I/O, and nothing of what the fields mean. */
import type { FieldChange } from '../schema.ts';

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Record<string, unknown> =>
	typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A value as a merge patch can store it: members that are null are none, and so is an object
 * without any. Two values are the same configuration when these are equal.
 */
export function plainOf(value: unknown): unknown {
	const plain = withoutNulls(value ?? null);
	return isObject(plain) && Object.keys(plain).length === 0 ? null : plain;
}

function withoutNulls(value: unknown): unknown {
	if (!isObject(value)) return value;
	return Object.fromEntries(
		Object.entries(value)
			.filter(([, member]) => member !== null && member !== undefined)
			.map(([name, member]) => [name, withoutNulls(member)]),
	);
}

/**
 * The merge patch (RFC 7396) that makes a value exactly another; undefined where it is so already.
 * Both are plain.
 */
export function patchTo(before: unknown, after: unknown): unknown {
	if (Bun.deepEquals(before, after)) return undefined;
	// Member by member, also to nothing: not every field takes null for the whole.
	if (!isObject(before) || !(isObject(after) || after === null)) return after;
	const wanted = after ?? {};
	const patch = new Map<string, unknown>();
	for (const name of Object.keys(before)) if (!Object.hasOwn(wanted, name)) patch.set(name, null);
	for (const [name, member] of Object.entries(wanted)) {
		const change = patchTo(own(before, name), member);
		if (change !== undefined) patch.set(name, change);
	}
	return Object.fromEntries(patch);
}

const own = (object: Fields, name: string): unknown =>
	Object.hasOwn(object, name) ? object[name] : undefined;

/** Never told, whatever it is a member of. */
const SECRETS: ReadonlySet<string> = new Set(['pass']);

/** Every leaf that differs between two plain values, by its path. */
export function changesOf(field: string, before: unknown, after: unknown): FieldChange[] {
	if (Bun.deepEquals(before, after)) return [];
	const [one, other] = [before ?? {}, after ?? {}];
	const names = isObject(one) && isObject(other) ? namesOf(one, other) : [];
	if (names.length === 0) {
		const path = field.slice(0, FIELD_MAX).toWellFormed();
		return [{ field: path, before: before ?? null, after: after ?? null }];
	}
	return names.flatMap((name) => {
		const path = `${field}.${name}`;
		const [was, becomes] = [own(one as Fields, name), own(other as Fields, name)];
		if (!SECRETS.has(name)) return changesOf(path, was, becomes);
		return becomes === undefined ? [] : [{ field: path, before: null, after: '(secret)' }];
	});
}

const FIELD_MAX = 4096;

const namesOf = (one: Fields, other: Fields): string[] =>
	[...new Set([...Object.keys(one), ...Object.keys(other)])].sort();

export interface Difference {
	/** For the use-case that changes the thing. */
	patch: Record<string, unknown>;
	/** For whoever reads what changes. */
	fields: FieldChange[];
}

/** What of the wanted fields differs from those that are there. Fields that are undefined are not wanted. */
export function differenceOf(before: Fields, wanted: Fields): Difference {
	const patch: Record<string, unknown> = {};
	const fields: FieldChange[] = [];
	for (const [name, value] of Object.entries(wanted)) {
		if (value === undefined) continue;
		const [was, becomes] = [plainOf(before[name]), plainOf(value)];
		const change = patchTo(was, becomes);
		if (change === undefined) continue;
		patch[name] = change;
		fields.push(...changesOf(name, was, becomes));
	}
	return { patch, fields };
}
