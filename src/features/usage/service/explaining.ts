import type { Static } from '@sinclair/typebox';
import { DAY_MS, dayText, firstDayOf, monthOf } from '../../../core/calendar.ts';
import { toTimestamp } from '../../../core/clock.ts';
import type { RoomNo, TenantNo } from '../../../core/ids.ts';
import { pageOf } from '../../../core/page.ts';
import type { Explained } from '../schema.ts';
import type { UsageDayRow } from '../store.ts';
import type { Period } from './figures.ts';
import type { UsageTx } from './flushing.ts';
import type { Weight } from './storage.ts';

/** A page of what stands behind a number. */
export type Explanation = Static<typeof Explained>;

export interface Page {
	limit: number;
	/** The last one of the page before. */
	after: string;
}

/** The users of a period, by id. A page of a day is cut from its month, and may have gaps. */
export async function explainUsers(
	read: UsageTx,
	tenant: TenantNo,
	{ from, through }: Period,
	{ limit, after }: Page,
): Promise<Omit<Explanation, 'field'>> {
	const month = monthOf(from);
	const rows = await read.usage.listUsers(tenant, month, after, limit + 1);
	const { items, next_cursor } = pageOf(rows, limit, ({ user_id }) => user_id);
	const first = firstDayOf(month);
	const isOfDay = (days: number) => from !== through || (days & (1 << (from - first))) !== 0;
	return {
		items: items
			.filter(({ days }) => isOfDay(days))
			.map(({ user_id, days }) => ({ user_id, days: countBits(days) })),
		next_cursor,
	};
}

const countBits = (bits: number): number => {
	let count = 0;
	for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
	return count;
};

/** The rooms in which messages of a period lie, by id. Rooms without one leave gaps in a page. */
export async function explainMessages(
	read: UsageTx,
	tenant: TenantNo,
	{ from, through }: Period,
	{ limit, after }: Page,
): Promise<Omit<Explanation, 'field'>> {
	const rows = await read.usage.listRooms(tenant, after, limit + 1);
	const { items, next_cursor } = pageOf(rows, limit, ({ room_id }) => room_id);
	const counted: Explanation['items'] = [];
	for (const { room, room_id, last_seq } of items) {
		const start = await firstSeqFrom(read, { tenant, room, last_seq }, from * DAY_MS);
		const end = await firstSeqFrom(read, { tenant, room, last_seq }, (through + 1) * DAY_MS);
		if (end > start) counted.push({ room_id, messages: end - start });
	}
	return { items: counted, next_cursor };
}

/**
 * The first seq of a room that was stored at a time or later; one more than the last where there is
 * none. Halves the room, for times rise with seqs, but for a clock that was set back: hence `explain`
 * may be off by what was sent around that moment, and the figure itself is not.
 */
async function firstSeqFrom(
	read: UsageTx,
	{ tenant, room, last_seq }: { tenant: TenantNo; room: RoomNo; last_seq: number },
	ms: number,
): Promise<number> {
	let [low, high] = [1, last_seq + 1];
	while (low < high) {
		const middle = Math.floor((low + high) / 2);
		const created_at = await read.usage.findCreatedAt(tenant, room, middle);
		// Only of a room that is being erased, from its front.
		if (created_at === undefined || created_at < ms) low = middle + 1;
		else high = middle;
	}
	return low;
}

/** The days with open sockets, each with its peak. */
export const explainPeak = (rows: readonly UsageDayRow[]): Omit<Explanation, 'field'> => ({
	items: rows
		.filter(({ peak_connections }) => peak_connections > 0)
		.map(({ day, peak_connections, peak_at }) => ({
			...{ day: dayText(day), peak_connections, peak_connections_at: toTimestamp(peak_at) },
		})),
	next_cursor: null,
});

/** What the tables hold now. */
export const explainStorage = ({ tables }: Weight): Omit<Explanation, 'field'> => ({
	items: tables.filter(({ rows }) => rows > 0),
	next_cursor: null,
});
