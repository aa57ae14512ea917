import type { OperatorCaller } from '../../../core/caller.ts';
import type { Clock } from '../../../core/clock.ts';
import type { Effect } from '../../../core/effect.ts';
import { AppError } from '../../../core/errors.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import type { Random } from '../../../core/random.ts';
import type { Vault } from '../../../core/vault.ts';
import { controlPlane } from '../../../db/change.ts';
import type { Writer } from '../../../db/writer.ts';
import { newAct, record } from '../../audit/service.ts';
import type { suspendTenant } from '../schema.ts';
import type { TenantRow } from '../store.ts';
import { requireTenantRow, shownOf, type TenantsTx } from './rows.ts';

export interface HaltingDeps {
	writer: Writer<TenantsTx>;
	clock: Clock;
	random: Random;
	vault: Vault;
}

/** What becomes of a tenant. */
export interface Step {
	action: string;
	/** The row as it becomes; undefined where it is so already. @throws `CONFLICT` where it cannot become so. */
	become(before: TenantRow, at: number, by: OperatorCaller): TenantRow | undefined;
	/** What it means for whoever is connected. */
	effect: Extract<Effect['name'], 'tenant.suspended' | 'tenant.resumed' | 'tenant.deleted'>;
}

const SUSPEND: Step = {
	action: 'tenants.suspend',
	effect: 'tenant.suspended',
	become(before, at) {
		requireNotDeleting(before);
		if (before.status === 'suspended') return undefined;
		return { ...before, status: 'suspended', suspended_at: at };
	},
};

const RESUME: Step = {
	action: 'tenants.resume',
	effect: 'tenant.resumed',
	become(before) {
		requireNotDeleting(before);
		if (before.status === 'active') return undefined;
		return { ...before, status: 'active', suspended_at: null };
	},
};

/** Makes the use-case of a step. */
export function createSteps({ writer, clock, random, vault }: HaltingDeps) {
	/**
	 * Does one step, with its entry in the audit log; one that was done already changes nothing.
	 *
	 * In the operator's own scope: it does not queue behind what the tenant has waiting, and whatever of
	 * that comes after it is refused.
	 *
	 * @throws `NOT_FOUND` for an unknown tenant; `CONFLICT` for one that is in no state for it.
	 */
	return function step({ action, become, effect }: Step) {
		return async (
			caller: OperatorCaller,
			{ tenant_id }: InputOf<typeof suspendTenant>,
		): Promise<OutputOf<typeof suspendTenant>> => {
			const act = newAct(action, { clock, random });
			return writer.commit(controlPlane(caller), async (tx) => {
				const before = await requireTenantRow(tx, caller, tenant_id);
				const changed = become(before, act.at, caller);
				if (changed === undefined) return { value: await shownOf(tx, before, vault) };
				const row = { ...changed, version: before.version + 1, updated_at: act.at };
				await tx.tenants.update(row);
				const value = await shownOf(tx, row, vault);
				const { tenant, plan } = row;
				const told = { before: await shownOf(tx, before, vault), after: value };
				await record(tx, caller, { ...act, tenant, plan, target: { tenant_id }, ...told });
				return { value, effects: [{ name: effect, tenant_id }] };
			});
		};
	};
}

/** The use-cases that stop a tenant for a while, and let it go on. */
export function createHalting(deps: HaltingDeps) {
	const step = createSteps(deps);
	return { suspend: step(SUSPEND), resume: step(RESUME) };
}

function requireNotDeleting({ status }: TenantRow): void {
	if (status !== 'deleting' && status !== 'purging') return;
	throw new AppError('CONFLICT', 'This tenant is being deleted');
}
