import { AppError } from '../../../core/errors.ts';
import type { PlanId, TenantId } from '../../../core/ids.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import type { SmtpPatch } from '../../../core/smtp.ts';
import type { createTenant, getTenant } from '../../tenants/schema.ts';
import { rateOf } from '../../tenants/service/rate.ts';
import { mergedSmtp } from '../../tenants/service/smtp.ts';
import type { FieldChange, TenantWanted } from '../schema.ts';
import { differenceOf, plainOf } from './differences.ts';
import { reconcileKeys, tellNew } from './keys.ts';
import { keep, located, type Pass, planNamed, tenantNamed } from './pass.ts';
import { newFields, newOf } from './plans.ts';

export type ShownTenant = OutputOf<typeof getTenant>;

/** What a tenant is to be on. `id` is undefined for a plan that a dry run would make. */
interface WantedPlan {
	id: PlanId | null | undefined;
	name: string | null;
}

/**
 * Makes one tenant, and its keys, what the document says. `place`: where it stands, for errors.
 *
 * @throws `NOT_FOUND` for an id, or a plan, that is none; `CONFLICT` for a name that several have.
 */
export async function reconcileTenant(
	pass: Pass,
	wanted: TenantWanted,
	{ place, now }: { place: string; now: number },
): Promise<void> {
	const { keys } = wanted;
	const tenant_id = await located(place, async () => {
		const found = wanted.tenant_id ?? (await tenantNamed(pass, wanted.name));
		return found === undefined ? create(pass, wanted) : update(pass, wanted, found);
	});
	if (keys === undefined) return;
	const owner = { tenant_id, name: wanted.name };
	await reconcileKeys(pass, owner, { wanted: keys, place, now });
}

async function create(pass: Pass, wanted: TenantWanted): Promise<TenantId | null> {
	const { plan: _plan, plan_id: _id, tenant_id: _pin, keys, ...fields } = wanted;
	const plan = await planOf(pass, wanted);
	requireRate(fields);
	if (fields.smtp != null) mergedSmtp(null, fields.smtp);
	const told = [...planChange(null, plan), ...newFields(fields)];
	const change = { action: 'created' as const, kind: 'tenant' as const, name: wanted.name };
	const firstKey = [{ field: 'permissions', before: null, after: ['full_access'] }];
	if (pass.isDry) {
		pass.changes.push({ ...change, id: null, fields: told });
		if (keys !== undefined) return null;
		pass.changes.push({
			...{ action: 'created', kind: 'api_key', name: 'default', id: null, tenant: wanted.name },
			fields: firstKey,
		});
		return null;
	}
	const input = {
		...newOf<InputOf<typeof createTenant>>(fields),
		...(plan?.id && { plan_id: plan.id }),
	};
	const { smtp } = input as Pick<TenantWanted, 'smtp'>;
	const setSmtp = async (tenant_id: TenantId) => {
		if (smtp == null) return;
		await pass.operations.tenants.update(pass.caller, { tenant_id, smtp });
	};
	if (keys !== undefined) {
		const { tenant_id } = await pass.operations.tenants.createWithoutKey(pass.caller, input);
		await setSmtp(tenant_id);
		keep(pass, tenant_id);
		pass.changes.push({ ...change, id: tenant_id, fields: told });
		return tenant_id;
	}
	const { tenant_id, api_key } = await pass.operations.tenants.create(pass.caller, input);
	await setSmtp(tenant_id);
	keep(pass, tenant_id);
	pass.changes.push({ ...change, id: tenant_id, fields: told });
	const { api_keys } = await pass.operations.keys.list(pass.caller, { tenant_id });
	for (const { key_id, name } of api_keys) {
		tellNew(pass, { tenant_id, name: wanted.name }, { key_id, name, api_key }, firstKey);
	}
	return tenant_id;
}

async function update(pass: Pass, wanted: TenantWanted, tenant_id: TenantId): Promise<TenantId> {
	const { plan: _plan, plan_id: _id, tenant_id: _pin, keys: _keys, ...fields } = wanted;
	const before = await pass.operations.tenants.get(pass.caller, { tenant_id });
	requireLive(before);
	keep(pass, tenant_id);
	const { smtp, ...plainFields } = fields;
	const { patch, fields: changed } = differenceOf(before, plainFields);
	const mail = smtpDifference(before, smtp);
	if (mail !== undefined) {
		// A dry run tells of what is missing, too.
		if (mail.patch !== null) mergedSmtp(before.smtp, mail.patch);
		patch.smtp = mail.patch;
		changed.push(...mail.fields);
	}
	const plan = await planOf(pass, wanted);
	if (plan !== undefined && plan.id !== before.plan_id) {
		const was = await nameOfPlan(pass, before.plan_id);
		if (plan.id !== undefined) patch.plan_id = plan.id;
		if (pass.isDry && before.plan_id !== null) {
			pass.leaving.set(before.plan_id, (pass.leaving.get(before.plan_id) ?? 0) + 1);
		}
		changed.unshift({ field: 'plan', before: was, after: plan.name });
	}
	if (changed.length === 0) {
		pass.unchanged.tenants++;
		return tenant_id;
	}
	requireRate(fields);
	if (!pass.isDry) await pass.operations.tenants.update(pass.caller, { ...patch, tenant_id });
	pass.changes.push({
		...{ action: 'changed', kind: 'tenant', name: wanted.name, id: tenant_id },
		fields: changed,
	});
	return tenant_id;
}

/** @throws `VALIDATION_ERROR` for a rate limit that has both of its units: a dry run tells it too. */
const requireRate = ({ rate_limit }: Pick<TenantWanted, 'rate_limit'>) =>
	rateOf(plainOf(rate_limit) as Parameters<typeof rateOf>[0], 0);

/** The plan that the document wants a tenant to be on; undefined where it does not say. */
async function planOf(
	pass: Pass,
	{ plan, plan_id }: TenantWanted,
): Promise<WantedPlan | undefined> {
	if (plan_id !== undefined) {
		if (plan !== undefined) {
			throw new AppError('VALIDATION_ERROR', 'Must have one of plan and plan_id', {
				field: 'plan_id',
			});
		}
		return { id: plan_id, name: await nameOfPlan(pass, plan_id) };
	}
	if (plan === undefined || plan === null) return plan === null ? { id: null, name: null } : plan;
	const id = await planNamed(pass, plan);
	if (id === undefined && !(pass.isDry && pass.newPlans.has(plan))) {
		throw new AppError('NOT_FOUND', 'Plan not found', { field: 'plan' });
	}
	return { id, name: plan };
}

async function nameOfPlan(pass: Pass, plan_id: PlanId | null): Promise<string | null> {
	if (plan_id === null) return null;
	return (await pass.operations.plans.get(pass.caller, { plan_id })).name;
}

const planChange = (before: string | null, plan: WantedPlan | undefined): FieldChange[] =>
	plan === undefined || plan.name === before ? [] : [{ field: 'plan', before, after: plan.name }];

/** @throws `CONFLICT` for a tenant that was deleted: whether it is to come back is not the document's to say. */
function requireLive({ status }: Pick<ShownTenant, 'status'>): void {
	if (isLive(status)) return;
	throw new AppError('CONFLICT', 'This tenant is deleted: restore it first, or erase it');
}

export const isLive = (status: ShownTenant['status']): boolean =>
	status === 'active' || status === 'suspended';

/** Deletes a tenant that the document does not name; it can be restored as any that is deleted. */
export async function pruneTenant(pass: Pass, tenant_id: TenantId, name: string): Promise<void> {
	const { caller, operations, isDry, changes } = pass;
	const { status } = await operations.tenants.get(caller, { tenant_id });
	if (!isLive(status)) return;
	if (!isDry) await operations.tenants.remove(caller, { tenant_id });
	changes.push({ action: 'pruned', kind: 'tenant', name, id: tenant_id, fields: [] });
}

/** What of a tenant's smtp a document can say: nobody can read its password. */
export function writtenSmtp({ smtp }: Pick<ShownTenant, 'smtp'>): object | null {
	if (smtp === null) return null;
	const { password: _, ...written } = smtp;
	return written;
}

/**
 * What is to become of a tenant's smtp; undefined where it stays. A password goes with other changes, or where none
 * can be read: one that differs alone cannot be noticed.
 */
function smtpDifference(
	before: ShownTenant,
	smtp: TenantWanted['smtp'],
): { patch: SmtpPatch | null; fields: FieldChange[] } | undefined {
	if (smtp === undefined) return undefined;
	const { pass, ...written } = smtp ?? {};
	const wanted = smtp === null ? null : written;
	const { patch, fields } = differenceOf({ smtp: writtenSmtp(before) }, { smtp: wanted });
	const isUnreadable = pass !== undefined && before.smtp?.password !== 'set';
	if (fields.length === 0 && !isUnreadable) return undefined;
	if (wanted === null) return { patch: null, fields };
	if (pass === undefined) return { patch: patch.smtp as SmtpPatch, fields };
	const secret = { field: 'smtp.pass', before: null, after: '(secret)' };
	return { patch: { ...(patch.smtp as SmtpPatch), pass }, fields: [...fields, secret] };
}
