import { assert } from '../../../core/errors.ts';
import type { RoomNo, TenantNo } from '../../../core/ids.ts';
import type { Scope } from '../../../db/change.ts';
import type { Writer } from '../../../db/writer.ts';
import { memberRemoved } from '../../members/schema.ts';
import { giveUp } from '../../notifications/service/pruning.ts';
import type { NotificationsTx } from '../../notifications/service.ts';
import { roomDeleted } from '../../rooms/schema.ts';
import type { EventsTx } from '../service.ts';
import type { OldRow } from '../store.ts';

/** Rows of one change: a millisecond or so of a batch that sends are in too. */
export const SLICE_ROWS = 500;

/**
 * Removes the oldest events of a tenant's log as far as they are from before a time, at most a slice
 * of them. What was kept for who was away goes with the event that tells of it: the ended membership
 * with `member.removed`; with `room.deleted` all of the room, first, in slices of its own. What nobody
 * confirmed by then becomes a dead letter, in slices of its own too.
 *
 * Returns whether there may be more.
 */
export const pruneSlice = (
	writer: Writer<EventsTx & NotificationsTx>,
	scope: Scope,
	{ before, now }: { before: number; now: number },
): Promise<boolean> =>
	writer.commit(scope, async (tx) => {
		const { tenant } = scope;
		const ends = await tx.events.findEnds(tenant);
		assert(ends !== undefined, 'every tenant has a log head');
		const rows = await tx.events.listOld(tenant, ends.pruned_through, SLICE_ROWS);
		const young = rows.findIndex(({ created_at }) => created_at >= before);
		// Only from the front: the clock may have been set back, and a log has no holes.
		const old = young === -1 ? rows : rows.slice(0, young);
		const [first] = old;
		if (first === undefined) return { value: false };
		if (first.type === roomDeleted.type) {
			const room = roomOf(first);
			const isGone = await tx.events.removeRoom({ tenant, room, limit: SLICE_ROWS });
			if (isGone) await tx.events.removeThrough(tenant, first.cursor);
			return { value: true };
		}
		const end = old.findIndex(({ type }) => type === roomDeleted.type);
		const slice = end === -1 ? old : old.slice(0, end);
		const through = slice.at(-1)?.cursor ?? first.cursor;
		const given = { tenant, through, limit: SLICE_ROWS, failed_at: now };
		if (await giveUp(tx, given)) return { value: true };
		await removeEnded(tx, tenant, slice);
		await tx.events.removeThrough(tenant, through);
		return { value: end !== -1 || young === -1 };
	});

async function removeEnded(tx: EventsTx, tenant: TenantNo, rows: OldRow[]): Promise<void> {
	for (const { type, cursor, user_id } of rows) {
		if (type !== memberRemoved.type || user_id === null) continue;
		await tx.events.removeEnded({ tenant, user_id, cursor });
	}
}

/** The number of the room whose stream it is: see `roomStream`. */
const roomOf = ({ stream }: OldRow) => Number(stream.slice('r/'.length)) as RoomNo;
