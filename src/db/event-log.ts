import type { Database } from 'bun:sqlite';
import type { TenantNo } from '../core/ids.ts';
import { prepare } from './statement.ts';

/** The end of a tenant's event log. */
export interface LogHead {
	epoch: string;
	/** The number of the last event; 0 before the first. */
	last_cursor: number;
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
	const moveHead = prepare<null, [number, number]>(
		db,
		'UPDATE tenant_heads SET last_cursor = ? WHERE tenant = ?',
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
		moveHead: (tenant: TenantNo, last_cursor: number): void =>
			void moveHead.run(last_cursor, tenant),
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
