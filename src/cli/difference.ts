/** What a document changes, as people read it. */
import type { OutputOf } from '../core/operation.ts';
import type { applyConfiguration, Change } from '../features/configuration/schema.ts';

export type Applied = OutputOf<typeof applyConfiguration>;

const SIGNS = { created: '+', changed: '~', pruned: '-', kept: '!' } as const;
/** Green, yellow, red, yellow. */
const COLOURS = { created: 32, changed: 33, pruned: 31, kept: 33 } as const;
const KINDS = { plan: 'plan', tenant: 'tenant', api_key: 'key' } as const;

/** Every change, a line each and a line for each of its fields. */
export function* differenceLines(
	changes: readonly Change[],
	isColoured: boolean,
): Generator<string, void, void> {
	for (const change of changes) {
		const { action, kind, name, tenant, fields, reason } = change;
		const whose = tenant === undefined ? '' : ` of ${shown(tenant)}`;
		const why = reason === undefined ? '' : ` stays: ${reason}`;
		const line = `${SIGNS[action]} ${KINDS[kind]} ${shown(name)}${whose}${why}`;
		yield isColoured ? `\u001b[${COLOURS[action]}m${line}\u001b[0m` : line;
		for (const { field, before, after } of fields) {
			const value = action === 'created' ? shown(after) : `${shown(before)} -> ${shown(after)}`;
			yield `    ${plain(field)}: ${value}`;
		}
	}
}

/** `2 to create, 1 to change, 14 unchanged`, or what was done. */
export function summaryOf({ changes, unchanged, dry_run }: Applied): string {
	const count = (action: Change['action']) =>
		changes.filter((change) => change.action === action).length;
	const counts = (['created', 'changed', 'pruned'] as const).map(
		(action) => `${count(action)} ${dry_run ? INFINITIVES[action] : action}`,
	);
	const same = unchanged.plans + unchanged.tenants + unchanged.api_keys;
	return [...counts, `${same} unchanged`].join(', ');
}

const INFINITIVES = { created: 'to create', changed: 'to change', pruned: 'to prune' } as const;

const VALUE_MAX = 200;

function shown(value: unknown): string {
	const text = plain(JSON.stringify(value ?? null));
	return text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX)}…` : text;
}

/** Nothing that a terminal would obey, or that turns the text around. */
const plain = (text: string): string =>
	text
		.toWellFormed()
		.replaceAll(
			/[\p{Cc}\p{Cf}\u2028\u2029]/gu,
			(found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`,
		);
