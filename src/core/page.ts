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
