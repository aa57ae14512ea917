import { toTimestamp } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { TenantNo, UserId } from '../../../core/ids.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { pageOf } from '../../../core/page.ts';
import { DELIVERY_ERRORS, type listDeadLetters } from '../schema.ts';
import type { DeadLetterRow, LetterPlace, NotificationsTx } from '../store.ts';

/** Behind every letter. */
const END: LetterPlace = { cursor: Number.MAX_SAFE_INTEGER, user_id: '' as UserId };

/** A page of a tenant's dead letters, newest first. @throws `VALIDATION_ERROR` for a cursor of another list. */
export async function lettersOf(
	read: NotificationsTx,
	tenant: TenantNo,
	{ cursor, limit = 50 }: InputOf<typeof listDeadLetters>,
): Promise<OutputOf<typeof listDeadLetters>> {
	const before = cursor === undefined ? END : placeOf(cursor);
	const rows = await read.notifications.listLetters(tenant, before, limit + 1);
	const { items, next_cursor } = pageOf(rows, limit, (row) => `${row.cursor}:${row.user_id}`);
	return { failed_messages: [], failed_notifications: items.map(shown), next_cursor };
}

function placeOf(cursor: string): LetterPlace {
	const [, number, user_id] = /^(\d{1,15}):(.+)$/.exec(cursor) ?? [];
	if (number !== undefined && user_id !== undefined) {
		return { cursor: Number(number), user_id: user_id as UserId };
	}
	throw new AppError('VALIDATION_ERROR', 'Must be the next_cursor of a page', { field: 'cursor' });
}

const shown = (row: DeadLetterRow) => ({
	notification_id: row.notification_id,
	user_id: row.user_id,
	topic: row.topic,
	attempts: row.attempts,
	last_attempt_at: row.last_attempt_at === null ? null : toTimestamp(row.last_attempt_at),
	error: row.attempts === 0 ? DELIVERY_ERRORS.untried : DELIVERY_ERRORS.unconfirmed,
	failed_at: toTimestamp(row.failed_at),
});
