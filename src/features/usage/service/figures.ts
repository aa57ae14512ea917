import {
	type Days,
	dayOf,
	dayText,
	firstDayOf,
	lastDayOf,
	monthOf,
	monthText,
	parsePeriod,
} from '../../../core/calendar.ts';
import { toTimestamp } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { TenantNo } from '../../../core/ids.ts';
import type { UsageDayRow } from '../store.ts';
import type { UsageTx } from './flushing.ts';

/** What a tenant used, as every answer shows it; all but the storage. */
export type Figures = ReturnType<typeof figuresOf>;

/** A month or a day, and its name. */
export interface Period extends Days {
	period: string;
}

/** The period that was asked for, or the month of now. @throws `VALIDATION_ERROR` for a day there never is. */
export function periodOf(text: string | undefined, now: number): Period {
	if (text === undefined) {
		const month = monthOf(dayOf(now));
		return { from: firstDayOf(month), through: lastDayOf(month), period: monthText(month) };
	}
	const days = parsePeriod(text);
	if (days !== undefined) return { ...days, period: text };
	throw new AppError(
		'VALIDATION_ERROR',
		'Must be a month or a day, such as 2026-11 or 2026-11-21',
		{
			field: 'period',
		},
	);
}

/** The days of a period on which there was something, ascending; at most a month of them. */
export async function readDays(
	read: UsageTx,
	tenant: TenantNo,
	period: Days,
): Promise<UsageDayRow[]> {
	const rows = new Map<number, UsageDayRow>();
	for (const row of await read.usage.listDays(tenant, period)) rows.set(row.day, row);
	const open = await read.usage.findOpenDay(tenant);
	if (open !== undefined && open.day >= period.from && open.day <= period.through) {
		const row = rows.get(open.day) ?? emptyDay(open.day);
		rows.set(open.day, { ...row, messages_sent: open.messages });
	}
	return [...rows.values()].sort((a, b) => a.day - b.day);
}

export const emptyDay = (day: number): UsageDayRow => ({
	...{ day, messages_sent: 0, messages_delivered: 0, api_requests: 0, active_users: 0 },
	...{ new_users: 0, peak_connections: 0, peak_at: 0, connection_ms: 0, storage_bytes: null },
});

/** The days of a month, or a part of it, taken together. Of a day alone: the users of that day. */
export function figuresOf(days: readonly UsageDayRow[], isDay: boolean) {
	const sum = (of: (day: UsageDayRow) => number) => days.reduce((total, day) => total + of(day), 0);
	// The first moment of the largest.
	const peak = days.reduce<UsageDayRow | undefined>(
		(most, day) => (day.peak_connections > (most?.peak_connections ?? 0) ? day : most),
		undefined,
	);
	return {
		messages_sent: sum((day) => day.messages_sent),
		messages_delivered: sum((day) => day.messages_delivered),
		api_requests: sum((day) => day.api_requests),
		active_users: sum((day) => (isDay ? day.active_users : day.new_users)),
		peak_connections: peak?.peak_connections ?? 0,
		peak_connections_at: peak === undefined ? null : toTimestamp(peak.peak_at),
		connection_minutes: Math.floor(sum((day) => day.connection_ms) / 60_000),
		webhooks_delivered: 0,
		emails_sent: 0,
		emails_delivered: 0,
		emails_bounced: 0,
	};
}

/** Every day of a period up to `last`, or to the last one with something, each with its storage. */
export function everyDay(
	{ from, through }: Days,
	rows: readonly UsageDayRow[],
	{ today, storage, before }: { today: number; storage: number; before: number },
) {
	const byDay = new Map(rows.map((row) => [row.day, row]));
	const last = Math.min(through, Math.max(today, rows.at(-1)?.day ?? 0));
	let storage_bytes = before;
	return Array.from({ length: Math.max(0, last - from + 1) }, (_, index) => {
		const row = byDay.get(from + index) ?? emptyDay(from + index);
		storage_bytes = row.day === today ? storage : (row.storage_bytes ?? storage_bytes);
		return { day: dayText(row.day), ...figuresOf([row], true), storage_bytes };
	});
}
