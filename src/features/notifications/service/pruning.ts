import type { TenantNo } from '../../../core/ids.ts';
import type { Scope } from '../../../db/change.ts';
import type { Writer } from '../../../db/writer.ts';
import type { NotificationsTx } from '../store.ts';

/**
 * To be done before events up to a cursor are pruned, within a change: what was not confirmed becomes a
 * dead letter, and subscriptions that ended are forgotten, at most `limit` of each. Returns whether
 * there may be more.
 */
export async function giveUp(
	tx: NotificationsTx,
	slice: { tenant: TenantNo; through: number; limit: number; failed_at: number },
): Promise<boolean> {
	const letters = await tx.notifications.buryUnconfirmed(slice);
	const ended = await tx.notifications.removeEnded(slice);
	return letters === slice.limit || ended === slice.limit;
}

/**
 * Removes the oldest notifications and dead letters of a tenant as far as they are from before a time,
 * at most `limit` rows of each; a notification only once its event is pruned. Returns whether there
 * may be more.
 */
export const pruneNotifications = (
	writer: Writer<NotificationsTx>,
	scope: Scope,
	before: number,
	limit: number,
): Promise<boolean> =>
	writer.commit(scope, async (tx) => {
		const { tenant } = scope;
		const letters = await tx.notifications.listOldLetters(tenant, limit);
		const oldLetters = leading(letters, ({ failed_at }) => failed_at < before);
		const lastLetter = oldLetters.at(-1);
		if (lastLetter !== undefined) await tx.notifications.removeLetters(tenant, lastLetter);
		const rows = await tx.notifications.listOld(tenant, limit);
		const old = leading(rows, ({ created_at }) => created_at < before);
		const last = old.at(-1);
		if (last === undefined) return { value: oldLetters.length === limit };
		const through = last.cursor;
		const isGone = await tx.notifications.removeThrough({ tenant, through, limit });
		return { value: !isGone || old.length === limit || oldLetters.length === limit };
	});

/** Those in front of the first that is not: the clock may have been set back. */
function leading<Row>(rows: Row[], isOld: (row: Row) => boolean): Row[] {
	const young = rows.findIndex((row) => !isOld(row));
	return young === -1 ? rows : rows.slice(0, young);
}
