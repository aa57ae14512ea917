import type { OperatorCaller } from '../../../core/caller.ts';
import { toTimestamp } from '../../../core/clock.ts';
import type { PlanId, PlanNo, TenantId, TenantNo } from '../../../core/ids.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import type { Stored } from '../../../db/client.ts';
import type { listAudit } from '../schema.ts';
import type { AuditStore, ShownEntryRow } from '../store.ts';

export interface AuditDeps {
	read: { audit: Stored<AuditStore> };
	/** @throws `NOT_FOUND` for a tenant that does not exist for the caller. */
	tenantOf(caller: OperatorCaller, tenant_id: TenantId): Promise<{ tenant: TenantNo }>;
	/** @throws `NOT_FOUND` for a plan that does not exist for the caller. */
	planOf(caller: OperatorCaller, plan_id: PlanId): Promise<{ plan: PlanNo }>;
}

/** The use-cases of the audit log. */
export function createAudit({ read, tenantOf, planOf }: AuditDeps) {
	return {
		/**
		 * A page of the entries that exist for the caller, ascending. For who is confined to a plan those of that
		 * plan: an entry says on which its tenant was when it was written, and keeps to it.
		 *
		 * @throws `NOT_FOUND` for an unknown tenant or plan.
		 */
		list: async (
			caller: OperatorCaller,
			{ tenant_id, plan_id, action, after, before, limit = 50 }: InputOf<typeof listAudit>,
		): Promise<OutputOf<typeof listAudit>> => {
			const named = plan_id === undefined ? null : (await planOf(caller, plan_id)).plan;
			const filter = {
				tenant: tenant_id === undefined ? null : (await tenantOf(caller, tenant_id)).tenant,
				plan: caller.plan ?? named,
				action: action ?? null,
			};
			const range = { after: after ?? 0, before: before ?? Number.MAX_SAFE_INTEGER };
			const isForward = after !== undefined;
			const rows = await read.audit.list(filter, range, isForward, limit + 1);
			const has_more = rows.length > limit;
			if (has_more) isForward ? rows.pop() : rows.shift();
			return { entries: rows.map(shown), has_more };
		},
	};
}

export type Audit = ReturnType<typeof createAudit>;

/** What `record` wrote. */
interface Details {
	target: unknown;
	before?: unknown;
	after?: unknown;
}

function shown(row: ShownEntryRow) {
	const details: Details | undefined = row.details === null ? undefined : JSON.parse(row.details);
	return {
		entry: row.entry,
		at: toTimestamp(row.created_at),
		credential: row.credential,
		action: row.action,
		request_id: row.request_id,
		tenant_id: row.tenant_id,
		plan_id: row.plan_id,
		target: details?.target ?? null,
		before: details?.before ?? null,
		after: details?.after ?? null,
		hash: Buffer.from(row.hash).toString('hex'),
		erased: details === undefined,
	};
}
