import type { OperatorCaller } from '../../../core/caller.ts';
import { AppError } from '../../../core/errors.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { answered } from '../../../db/answered.ts';
import type { deleteTenant } from '../schema.ts';
import { createSteps, type HaltingDeps, type Step } from './halting.ts';
import { newPurge, type Purging } from './purging.ts';
import { requireTenantRow, type TenantsRead } from './rows.ts';

export interface RemovingDeps extends HaltingDeps {
	read: TenantsRead;
	purging: Pick<Purging, 'erase'>;
	/** For how long a deleted tenant may be restored. */
	retentionMs: number;
	pause(ms: number): Promise<unknown>;
}

/** How long the request that erases a tenant waits for it. */
const AWAIT_MS = 5000;

const RESTORE: Step = {
	action: 'tenants.restore',
	effect: 'tenant.resumed',
	become(before) {
		if (before.status === 'purging') {
			throw new AppError('CONFLICT', 'This tenant is being erased: it cannot be restored');
		}
		if (before.status !== 'deleting') return undefined;
		const status = before.suspended_at === null ? 'active' : 'suspended';
		return { ...before, status, purge_at: null, purge: null };
	},
};

/** The use-cases that delete a tenant, and bring it back. */
export function createRemoving(deps: RemovingDeps) {
	const { writer, read, purging, retentionMs, pause } = deps;
	const step = createSteps(deps);

	const DELETE: Step = {
		action: 'tenants.delete',
		effect: 'tenant.deleted',
		become(before, at, caller) {
			if (before.status === 'deleting' || before.status === 'purging') return undefined;
			const purge = JSON.stringify(newPurge(caller, null));
			return { ...before, status: 'deleting', purge_at: at + retentionMs, purge };
		},
	};

	const PURGE: Step = {
		action: 'tenants.delete',
		effect: 'tenant.deleted',
		become(before, at, caller) {
			if (before.status === 'purging') return undefined;
			const purge = JSON.stringify(newPurge(caller, at));
			return { ...before, status: 'purging', purge_at: at, purge };
		},
	};
	const [markDeleted, markPurged] = [step(DELETE), step(PURGE)];

	return {
		restore: step(RESTORE),

		/**
		 * Deletes a tenant: to be restored until its `purge_at`, or erased at once. Repeated, it changes nothing.
		 *
		 * @throws `NOT_FOUND` for an unknown tenant, and for one that is erased by now; `AUTHORIZATION_ERROR` for
		 * erasing one at once without the master key.
		 */
		remove: async (
			{ once, ...caller }: OperatorCaller,
			input: InputOf<typeof deleteTenant>,
		): Promise<OutputOf<typeof deleteTenant>> =>
			answered(writer, once, await remove(caller, input)),
	};

	async function remove(
		caller: OperatorCaller,
		{ tenant_id, purge }: InputOf<typeof deleteTenant>,
	): Promise<OutputOf<typeof deleteTenant>> {
		if (purge === undefined) {
			const { status, purge_at } = await markDeleted(caller, { tenant_id });
			return { tenant_id, status: status as 'deleting' | 'purging', purge_at };
		}
		const { tenant } = await requireTenantRow(read, caller, tenant_id);
		requireMaster(caller);
		const { purge_at } = await markPurged(caller, { tenant_id });
		// Whatever keeps it from ending here, the worker goes on.
		const erasing = purging.erase({ tenant, tenant_id }).catch(() => undefined);
		const receipt = await Promise.race([erasing, pause(AWAIT_MS).then(() => undefined)]);
		return receipt !== undefined
			? { tenant_id, status: 'purged' as const, purge_at, receipt }
			: { tenant_id, status: 'purging' as const, purge_at };
	}
}

/** What a tenant used goes with it: who is confined to a plan could empty its pool, as often as it is full. */
function requireMaster({ plan }: OperatorCaller): void {
	if (plan === null) return;
	throw new AppError('AUTHORIZATION_ERROR', 'Only the master key erases a tenant at once', {
		field: 'purge',
	});
}
