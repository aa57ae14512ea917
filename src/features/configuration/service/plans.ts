import type { PlanId } from '../../../core/ids.ts';
import type { PlanWanted } from '../schema.ts';
import { changesOf, differenceOf, plainOf } from './differences.ts';
import { keep, type Pass, planNamed } from './pass.ts';

/**
 * Makes one plan what the document says.
 *
 * @throws `NOT_FOUND` for an id that is none; `CONFLICT` for a name that several have.
 */
export async function reconcilePlan(pass: Pass, wanted: PlanWanted): Promise<void> {
	const { caller, operations, isDry, changes } = pass;
	const { plan_id: pinned, ...fields } = wanted;
	const plan_id = pinned ?? (await planNamed(pass, wanted.name));
	if (plan_id === undefined) {
		pass.newPlans.add(wanted.name);
		const made = isDry ? undefined : await operations.plans.create(caller, newOf(fields));
		if (made !== undefined) keep(pass, made.plan_id);
		changes.push({
			...{ action: 'created', kind: 'plan', name: wanted.name, id: made?.plan_id ?? null },
			fields: newFields(fields),
		});
		return;
	}
	const before = await operations.plans.get(caller, { plan_id });
	keep(pass, plan_id);
	const { patch, fields: changed } = differenceOf(before, fields);
	if (changed.length === 0) {
		pass.unchanged.plans++;
		return;
	}
	if (before.name !== wanted.name) pass.newPlans.add(wanted.name);
	if (!isDry) await operations.plans.update(caller, { ...patch, plan_id });
	changes.push({
		...{ action: 'changed', kind: 'plan', name: wanted.name, id: plan_id },
		fields: changed,
	});
}

/** What a new thing begins with: what is null in the document, it does not have. */
export const newOf = <Made extends { name: string }>(fields: { name: string }): Made =>
	Object.fromEntries(
		Object.entries(fields)
			.map(([name, value]) => [name, plainOf(value)])
			.filter(([, value]) => value !== null),
	) as Made;

/** The same for whoever reads what changes: all but the name, which is said anyway. */
export const newFields = ({ name: _, ...fields }: { name: string }) =>
	Object.entries(fields).flatMap(([field, value]) => changesOf(field, null, plainOf(value)));

/**
 * Removes a plan that the document does not name; one that a tenant is on stays.
 *
 * A tenant that was deleted is on its plan for as long as it can be restored.
 */
export async function prunePlan(pass: Pass, plan_id: PlanId, name: string): Promise<void> {
	const { caller, operations, isDry, changes, names } = pass;
	const about = { kind: 'plan' as const, name, id: plan_id, fields: [] };
	const left = (await names.countTenantsOn(plan_id)) - (pass.leaving.get(plan_id) ?? 0);
	if (left > 0) {
		changes.push({ action: 'kept', ...about, reason: 'Tenants are on it' });
		return;
	}
	if (!isDry) await operations.plans.remove(caller, { plan_id });
	changes.push({ action: 'pruned', ...about });
}
