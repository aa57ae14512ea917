import { createSecret, isSameHash, parseSecret } from '../../../core/api-key.ts';
import type { OperatorCaller } from '../../../core/caller.ts';
import { toTimestamp } from '../../../core/clock.ts';
import { AppError, assert } from '../../../core/errors.ts';
import type { PlanId, PlanNo } from '../../../core/ids.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { pageOf } from '../../../core/page.ts';
import { controlPlane } from '../../../db/change.ts';
import { newAct, record } from '../../audit/service.ts';
import type { createManagementKey, listManagementKeys, revokeManagementKey } from '../schema.ts';
import { type PlansDeps, requirePlan } from '../service.ts';
import type { ManagementKeyRow } from '../store.ts';

/** `mk_` and the public 10 characters. */
const KEY_LENGTH = 13;

/** The use-cases of management credentials, and the look-up that authentication makes. */
export function createManagementKeys({ writer, read, clock, random }: PlansDeps) {
	return {
		/** Creates credentials. The only answer that ever holds their secret. @throws `NOT_FOUND`. */
		create: async (
			caller: OperatorCaller,
			{ plan_id }: InputOf<typeof createManagementKey>,
		): Promise<OutputOf<typeof createManagementKey>> => {
			const text = createSecret('mk_', random.bytes);
			const parts = parseSecret('mk_', text);
			assert(parts !== undefined, 'new credentials are well-formed');
			const key = parts.prefix;
			const act = newAct('management_keys.create', { clock, random });
			const created_at = act.at;
			return writer.commit(controlPlane(caller), async (tx) => {
				const { plan } = await requirePlan(tx, caller, plan_id);
				const row = { key, plan, hash: Buffer.from(parts.hash), created_at };
				await tx.plans.insertKey(row);
				await record(tx, caller, { ...act, plan, target: { plan_id, key } });
				return { value: { ...shown(row, plan_id), secret: text.slice(KEY_LENGTH) } };
			});
		},

		/** A page of a plan's credentials. @throws `NOT_FOUND`. */
		list: async (
			caller: OperatorCaller,
			input: InputOf<typeof listManagementKeys>,
		): Promise<OutputOf<typeof listManagementKeys>> => {
			const { plan, plan_id } = await requirePlan(read, caller, input.plan_id);
			const limit = input.limit ?? 50;
			const rows = await read.plans.listKeys(plan, input.cursor ?? '', limit + 1);
			const { items, next_cursor } = pageOf(rows, limit, ({ key }) => key);
			return { management_keys: items.map((row) => shown(row, plan_id)), next_cursor };
		},

		/** Ends credentials: their next request is refused. @throws `NOT_FOUND`. */
		revoke: async (
			caller: OperatorCaller,
			{ plan_id, key }: InputOf<typeof revokeManagementKey>,
		): Promise<OutputOf<typeof revokeManagementKey>> => {
			const act = newAct('management_keys.revoke', { clock, random });
			return writer.commit(controlPlane(caller), async (tx) => {
				const { plan } = await requirePlan(tx, caller, plan_id);
				if (!(await tx.plans.removeKey(plan, key))) {
					throw new AppError('NOT_FOUND', 'Management key not found');
				}
				await record(tx, caller, { ...act, plan, target: { plan_id, key } });
				return { value: { success: true as const } };
			});
		},

		/** The plan that these credentials are for; undefined for bad ones. */
		async planOf(key: string, secret: string): Promise<PlanNo | undefined> {
			const parts = parseSecret('mk_', key + secret);
			if (parts === undefined || parts.prefix !== key) return undefined;
			const row = await read.plans.findKey(key);
			return row !== undefined && isSameHash(row.hash, parts.hash) ? row.plan : undefined;
		},
	};
}

export type ManagementKeys = ReturnType<typeof createManagementKeys>;

const shown = ({ key, created_at }: ManagementKeyRow, plan_id: PlanId) => ({
	key,
	plan_id,
	created_at: toTimestamp(created_at),
});
