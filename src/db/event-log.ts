import type { Database } from 'bun:sqlite';
import type { Days } from '../core/calendar.ts';
import type { TenantNo } from '../core/ids.ts';
import { prepare } from './statement.ts';

/** The end of a tenant's event log. */
export interface LogHead {
	epoch: string;
	/** The number of the last event; 0 before the first. */
	last_cursor: number;
}

/** Messages of the day that the last one was stored on, and of its month. @see MessageCount */
export interface MessageTally {
	message_day: number;
	day_messages: number;
	month_messages: number;
}

export interface EventRow {
	tenant: TenantNo;
	cursor: number;
	stream: string;
	type: string;
	ref: number | null;
	payload: string | null;
	created_at: number;
}

/** The event log over one connection. Only the writer appends. */
export function createEventLog(db: Database) {
	const head = prepare<LogHead, [number]>(
		db,
		'SELECT epoch, last_cursor FROM tenant_heads WHERE tenant = ?',
	);
	const whole = prepare<LogHead & MessageTally, [number]>(
		db,
		'SELECT epoch, last_cursor, message_day, day_messages, month_messages FROM tenant_heads WHERE tenant = ?',
	);
	const moveHead = prepare<null, [number, number, number, number, number]>(
		db,
		`UPDATE tenant_heads SET last_cursor = ?, message_day = ?, day_messages = ?, month_messages = ?
			WHERE tenant = ?`,
	);
	const day = prepare<{ messages_sent: number }, [number, number]>(
		db,
		'SELECT messages_sent FROM usage_days WHERE tenant = ? AND day = ?',
	);
	const days = prepare<{ sum: number }, [number, number, number]>(
		db,
		`SELECT coalesce(sum(messages_sent), 0) AS sum FROM usage_days
			WHERE tenant = ? AND day >= ? AND day <= ?`,
	);
	const putDay = prepare<null, [number, number, number]>(
		db,
		`INSERT INTO usage_days (tenant, day, messages_sent) VALUES (?, ?, ?)
			ON CONFLICT (tenant, day) DO UPDATE SET messages_sent = excluded.messages_sent`,
	);
	const insert = prepare<
		null,
		[number, number, string, string, number | null, string | null, number]
	>(
		db,
		'INSERT INTO events (tenant, cursor, stream, type, ref, payload, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
	);
	return {
		findHead: (tenant: TenantNo): LogHead | undefined => head.get(tenant) ?? undefined,
		/** The head with the count of messages beside it, for the writer. */
		findWhole: (tenant: TenantNo): (LogHead & MessageTally) | undefined =>
			whole.get(tenant) ?? undefined,
		moveHead: (tenant: TenantNo, last_cursor: number, tally: Readonly<MessageTally>): void =>
			void moveHead.run(
				last_cursor,
				tally.message_day,
				tally.day_messages,
				tally.month_messages,
				tenant,
			),
		/** The messages of a day that is not open. */
		findDay: (tenant: TenantNo, which: number): number =>
			day.get(tenant, which)?.messages_sent ?? 0,
		sumDays: (tenant: TenantNo, { from, through }: Days): number =>
			days.get(tenant, from, through)?.sum ?? 0,
		putDay: (tenant: TenantNo, which: number, messages: number): void =>
			void putDay.run(tenant, which, messages),
		append: (row: EventRow): void =>
			void insert.run(
				row.tenant,
				row.cursor,
				row.stream,
				row.type,
				row.ref,
				row.payload,
				row.created_at,
			),
	};
}

export type EventLog = ReturnType<typeof createEventLog>;
