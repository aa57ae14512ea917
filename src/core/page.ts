import { AppError } from './errors.ts';

/** What a cursor is told that no page of the list ever had. */
export const NO_CURSOR = 'Must be the next_cursor of a page';

/**
 * A page of a list, from one row more than it may hold: the row too many says that there is a next
 * page, and is not shown.
 */
export function pageOf<Row>(
	rows: readonly Row[],
	limit: number,
	cursorOf: (row: Row) => string,
): { items: readonly Row[]; next_cursor: string | null } {
	const items = rows.slice(0, limit);
	const last = items.at(-1);
	const hasMore = rows.length > limit && last !== undefined;
	return { items, next_cursor: hasMore ? cursorOf(last) : null };
}

/**
 * Where a list goes on whose pages are cut at a number, going down; without a cursor, from the top.
 *
 * @throws `VALIDATION_ERROR` for a cursor of another list.
 */
export function numberBefore(cursor: string | undefined): number {
	const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
	if (Number.isSafeInteger(before)) return before;
	throw new AppError('VALIDATION_ERROR', NO_CURSOR, { field: 'cursor' });
}
