import type { OperatorCaller } from '../../../core/caller.ts';
import type { Clock } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { PlanNo } from '../../../core/ids.ts';
import type { Random } from '../../../core/random.ts';
import type { Scope } from '../../../db/change.ts';
import type { Writer } from '../../../db/writer.ts';
import { type AuditTx, newAct, record } from '../service.ts';

export interface ReadingDeps {
	writer: Writer<AuditTx>;
	clock: Pick<Clock, 'now'>;
	random: Pick<Random, 'bytes'>;
}

/** Records a read, and resolves when that is on disk: not before may it be answered. */
export type RecordRead = (
	caller: OperatorCaller,
	action: string,
	scope: Scope & { plan: PlanNo | null },
	/** What was asked for: ids, and which page. Never what was found. */
	asked: Record<string, unknown>,
) => Promise<void>;

/** Makes what every use-case calls in which the operator reads what belongs to a tenant. */
export function createRecordRead({ writer, clock, random }: ReadingDeps): RecordRead {
	return async function recordRead(caller, action, { tenant, tenant_id, plan }, asked) {
		const act = newAct(action, { clock, random });
		await writer.commit({ tenant, tenant_id }, async (tx) => {
			// Purged meanwhile: what the log said of it is erased, and no more is to be said.
			if ((await tx.audit.findTenant(tenant_id)) !== tenant) {
				throw new AppError('NOT_FOUND', 'Tenant not found');
			}
			await record(tx, caller, { ...act, tenant, plan, target: { tenant_id, ...asked } });
			return { value: undefined };
		});
	};
}
