import { AppError } from '../../../core/errors.ts';
import type { InputOf } from '../../../core/operation.ts';
import type { applyConfiguration } from '../schema.ts';
import { isPruned, located, type Pass } from './pass.ts';
import { prunePlan, reconcilePlan } from './plans.ts';
import { isLive, pruneTenant, reconcileTenant } from './tenants.ts';

/** One thing of a document, or one that it does not name and that is to go. */
export interface Item {
	/** Compares it, or makes it so. */
	reconcile(pass: Pass): Promise<void>;
	/** How many changes it amounts to. */
	weight: number;
}

type Wanted = InputOf<typeof applyConfiguration>;

/**
 * The things of a document, in the order in which they are made: plans before tenants.
 *
 * @throws `VALIDATION_ERROR` for a name that stands there twice.
 */
export function itemsOf({ plans = [], tenants = [], ...rest }: Wanted, now: number): Item[] {
	if (rest.prune_ids !== undefined && rest.prune !== true) {
		throw new AppError('VALIDATION_ERROR', 'Goes with prune=true only', { field: 'prune_ids' });
	}
	requireNames('/plans', plans);
	requireNames('/tenants', tenants);
	for (const [index, { keys = [] }] of tenants.entries()) {
		requireNames(`/tenants/${index}/keys`, keys);
	}
	return [
		...plans.map((plan, index) => ({
			reconcile: (pass: Pass) => located(`/plans/${index}`, () => reconcilePlan(pass, plan)),
			weight: 0,
		})),
		...tenants.map((tenant, index) => ({
			reconcile: (pass: Pass) => reconcileTenant(pass, tenant, { place: `/tenants/${index}`, now }),
			weight: 0,
		})),
	];
}

/**
 * What the document does not name, after all that it does has been looked at: only of kinds that it
 * lists.
 */
export async function* listPrunable(
	pass: Pass,
	{ plans, tenants }: Wanted,
): AsyncGenerator<Item, void, void> {
	const { names, prune } = pass;
	if (prune === undefined) return;
	if (tenants !== undefined) {
		const rows = rowsOf((after) => names.listTenantsAfter(after, PAGE), 'tenant');
		for await (const { tenant_id, name, status } of rows) {
			if (!isLive(status) || !isPruned(pass, tenant_id)) continue;
			yield { reconcile: (each) => pruneTenant(each, tenant_id, name), weight: 0 };
		}
	}
	if (plans !== undefined) {
		const rows = rowsOf((after) => names.listPlansAfter(after, PAGE), 'plan');
		for await (const { plan_id, name } of rows) {
			if (!isPruned(pass, plan_id)) continue;
			yield { reconcile: (each) => prunePlan(each, plan_id, name), weight: 0 };
		}
	}
}

/** All rows of a list that is read in pages, each after the number of the last. */
async function* rowsOf<Name extends string, Row extends Record<Name, number>>(
	page: (after: number) => Row[] | Promise<Row[]>,
	number: Name,
): AsyncGenerator<Row, void, void> {
	for (let after = 0; ; ) {
		const rows = await page(after);
		yield* rows;
		const last = rows.at(-1);
		if (last === undefined || rows.length < PAGE) return;
		after = last[number];
	}
}

const PAGE = 100;

/** @throws `VALIDATION_ERROR` naming the second of two that have the same name, and say no id. */
function requireNames(place: string, things: readonly { name: string }[]): void {
	const names = new Set<string>();
	for (const [index, thing] of things.entries()) {
		const isPinned = 'plan_id' in thing || 'tenant_id' in thing || 'key_id' in thing;
		if (isPinned) continue;
		if (names.has(thing.name)) {
			throw new AppError('VALIDATION_ERROR', 'The document has this name before', {
				field: `${place}/${index}/name`,
			});
		}
		names.add(thing.name);
	}
}
