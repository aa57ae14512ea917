import { AppError } from '../../../core/errors.ts';
import type { InputOf } from '../../../core/operation.ts';
import type { applyConfiguration } from '../schema.ts';
import { isPruned, located, type Pass } from './pass.ts';
import { prunePlan, reconcilePlan } from './plans.ts';
import { reconcileTenant } from './tenants.ts';

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
		throw new AppError('VALIDATION_ERROR', 'Only with prune', { field: 'prune_ids' });
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
export async function* listPrunable(pass: Pass, { plans }: Wanted): AsyncGenerator<Item> {
	if (pass.prune === undefined || plans === undefined) return;
	let after = 0;
	for (;;) {
		const rows = await pass.names.listPlansAfter(after, PAGE);
		for (const { plan, plan_id, name } of rows) {
			after = plan;
			if (!isPruned(pass, plan_id)) continue;
			yield { reconcile: (each) => prunePlan(each, plan_id, name), weight: 0 };
		}
		if (rows.length < PAGE) return;
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
