import type { Database, SQLQueryBindings } from 'bun:sqlite';
import { is } from 'drizzle-orm';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { Days } from '../../core/calendar.ts';
import type { RoomId, RoomNo, TenantNo, UserId } from '../../core/ids.ts';
import * as notificationTables from '../../db/notification-tables.ts';
import { prepare } from '../../db/statement.ts';
import * as tables from '../../db/tables.ts';

export interface UsageDayRow {
	day: number;
	messages_sent: number;
	messages_delivered: number;
	api_requests: number;
	active_users: number;
	new_users: number;
	peak_connections: number;
	/** 0 where no socket was open. */
	peak_at: number;
	connection_ms: number;
	storage_bytes: number | null;
}

/** What is added to a day. */
export type UsageAddition = Omit<UsageDayRow, 'messages_sent' | 'storage_bytes'> & {
	tenant: TenantNo;
};

/** A user's days of a month, a bit each. */
export interface UsageUserRow {
	user_id: UserId;
	days: number;
}

/** The place of a row in its table, within its tenant. */
export type RowKey = readonly (string | number)[];

/** A table of tenants' rows, to be weighed in slices. */
export interface WeighedTable {
	name: string;
	/** Before every row. */
	start: RowKey;
	/** The key of the last row of the slice after a key; undefined where the slice is the last. */
	findEnd(tenant: TenantNo, after: RowKey): RowKey | undefined;
	/** The rows after a key, through another or to the end. */
	weigh(tenant: TenantNo, after: RowKey, through?: RowKey): { rows: number; bytes: number };
}

/** Rows of a slice: about half a millisecond. */
const SLICE_ROWS = 1000;
/** Our own books, and no storage of the tenant. */
const NOT_WEIGHED = /^usage_/;

const SQL = {
	days: `SELECT day, messages_sent, messages_delivered, api_requests, active_users, new_users,
			peak_connections, peak_at, connection_ms, storage_bytes
		FROM usage_days WHERE tenant = ? AND day >= ? AND day <= ? ORDER BY day`,
	open: 'SELECT message_day AS day, day_messages AS messages FROM tenant_heads WHERE tenant = ?',
	storage: `SELECT storage_bytes FROM usage_days
		WHERE tenant = ? AND day <= ? AND storage_bytes IS NOT NULL ORDER BY day DESC LIMIT 1`,
	// From tenants: what a tenant used that is gone by now must not come back.
	add: `INSERT INTO usage_days (tenant, day, messages_delivered, api_requests, active_users, new_users,
			peak_connections, peak_at, connection_ms)
		SELECT tenant, ?, ?, ?, ?, ?, ?, ?, ? FROM tenants WHERE tenant = ?
		ON CONFLICT (tenant, day) DO UPDATE SET
			messages_delivered = messages_delivered + excluded.messages_delivered,
			api_requests = api_requests + excluded.api_requests,
			active_users = active_users + excluded.active_users,
			new_users = new_users + excluded.new_users,
			peak_at = CASE WHEN excluded.peak_connections > peak_connections
				THEN excluded.peak_at ELSE peak_at END,
			peak_connections = max(peak_connections, excluded.peak_connections),
			connection_ms = connection_ms + excluded.connection_ms`,
	putStorage: `INSERT INTO usage_days (tenant, day, storage_bytes)
		SELECT tenant, ?, ? FROM tenants WHERE tenant = ?
		ON CONFLICT (tenant, day) DO UPDATE SET storage_bytes = excluded.storage_bytes`,
	user: 'SELECT days FROM usage_users WHERE tenant = ? AND month = ? AND user_id = ?',
	putUser: `INSERT INTO usage_users (tenant, month, user_id, days)
		SELECT tenant, ?, ?, ? FROM tenants WHERE tenant = ?
		ON CONFLICT (tenant, month, user_id) DO UPDATE SET days = excluded.days`,
	users: `SELECT user_id, days FROM usage_users
		WHERE tenant = ? AND month = ? AND user_id > ? ORDER BY user_id LIMIT ?`,
	rooms: `SELECT r.room, r.room_id, h.last_seq FROM rooms r
		JOIN room_heads h ON h.tenant = r.tenant AND h.room = r.room
		WHERE r.tenant = ? AND r.room_id > ? ORDER BY r.room_id LIMIT ?`,
	createdAt: 'SELECT created_at FROM messages WHERE tenant = ? AND room = ? AND seq = ?',
};

/** All SQL of usage, but for the counting of messages, which is the writer's. */
export function createUsageStore(db: Database) {
	const days = prepare<UsageDayRow, [number, number, number]>(db, SQL.days);
	const open = prepare<{ day: number; messages: number }, [number]>(db, SQL.open);
	const storage = prepare<{ storage_bytes: number }, [number, number]>(db, SQL.storage);
	const add = prepare<null, number[]>(db, SQL.add);
	const putStorage = prepare<null, [number, number, number]>(db, SQL.putStorage);
	const user = prepare<{ days: number }, [number, number, string]>(db, SQL.user);
	const putUser = prepare<null, [number, string, number, number]>(db, SQL.putUser);
	const users = prepare<UsageUserRow, [number, number, string, number]>(db, SQL.users);
	const rooms = prepare<
		{ room: RoomNo; room_id: RoomId; last_seq: number },
		[number, string, number]
	>(db, SQL.rooms);
	const createdAt = prepare<{ created_at: number }, [number, number, number]>(db, SQL.createdAt);
	const weighed = weighedTables(db);

	return {
		/** Days on which there was something, ascending. The messages of the open day are not in them. */
		listDays: (tenant: TenantNo, { from, through }: Days): UsageDayRow[] =>
			days.all(tenant, from, through),
		/** The day whose messages the head of the tenant's log counts. */
		findOpenDay: (tenant: TenantNo): { day: number; messages: number } | undefined =>
			open.get(tenant) ?? undefined,
		/** What was measured last, on a day or before it. */
		findStorage: (tenant: TenantNo, day: number): number | undefined =>
			storage.get(tenant, day)?.storage_bytes,
		/** Nothing for a tenant that is gone. */
		addToDay: (added: UsageAddition): void =>
			void add.run(
				added.day,
				added.messages_delivered,
				added.api_requests,
				added.active_users,
				added.new_users,
				added.peak_connections,
				added.peak_at,
				added.connection_ms,
				added.tenant,
			),
		putStorage: (tenant: TenantNo, day: number, bytes: number): void =>
			void putStorage.run(day, bytes, tenant),
		/** The user's days of a month; 0 for none. */
		findUserDays: (tenant: TenantNo, month: number, user_id: UserId): number =>
			user.get(tenant, month, user_id)?.days ?? 0,
		putUserDays: (tenant: TenantNo, month: number, { user_id, days }: UsageUserRow): void =>
			void putUser.run(month, user_id, days, tenant),
		listUsers: (tenant: TenantNo, month: number, after: string, limit: number): UsageUserRow[] =>
			users.all(tenant, month, after, limit),
		listRooms: (tenant: TenantNo, after: string, limit: number) => rooms.all(tenant, after, limit),
		/** When the message of a seq was stored; undefined where there is none. */
		findCreatedAt: (tenant: TenantNo, room: RoomNo, seq: number): number | undefined =>
			createdAt.get(tenant, room, seq)?.created_at,
		/** Every table that holds rows of tenants. */
		weighed: (): readonly WeighedTable[] => weighed,
	};
}

export type UsageStore = ReturnType<typeof createUsageStore>;

/** From the declared tables, so that a new one is weighed too. */
function weighedTables(db: Database): WeighedTable[] {
	return Object.values({ ...tables, ...notificationTables })
		.filter((table) => is(table, SQLiteTable))
		.map(getTableConfig)
		.filter((table) => keyOf(table)[0]?.name === 'tenant' && !NOT_WEIGHED.test(table.name))
		.map((table) => weighedTable(db, table));
}

const keyOf = ({ columns, primaryKeys }: ReturnType<typeof getTableConfig>) => [
	...columns.filter((column) => column.primary),
	...primaryKeys.flatMap((primary) => primary.columns),
];

function weighedTable(db: Database, table: ReturnType<typeof getTableConfig>): WeighedTable {
	const { name, columns } = table;
	const [, ...key] = keyOf(table);
	const bytes = columns
		.map((column) =>
			column.getSQLType() === 'integer'
				? `(${column.name} IS NOT NULL) * 8`
				: `coalesce(octet_length(${column.name}), 0)`,
		)
		.join(' + ');
	const sum = `SELECT count(*) AS rows, coalesce(sum(${bytes}), 0) AS bytes FROM ${name} WHERE tenant = ?`;
	type Weight = { rows: number; bytes: number };
	const weighBy = (sql: string) => {
		const statement = prepare<Weight, SQLQueryBindings[]>(db, sql);
		return (...given: (string | number)[]) => statement.get(...given) ?? { rows: 0, bytes: 0 };
	};
	if (key.length === 0) {
		const one = weighBy(sum);
		return { name, start: [], findEnd: () => undefined, weigh: (tenant) => one(tenant) };
	}
	const row = `(${key.map((column) => column.name).join(', ')})`;
	const given = `(${key.map(() => '+?').join(', ')})`;
	const order = key.map((column) => column.name).join(', ');
	const end = prepare<Record<string, string | number>, SQLQueryBindings[]>(
		db,
		`SELECT ${order} FROM ${name} WHERE tenant = ? AND ${row} > ${given}
			ORDER BY ${order} LIMIT 1 OFFSET ${SLICE_ROWS - 1}`,
	);
	const rest = weighBy(`${sum} AND ${row} > ${given}`);
	const slice = weighBy(`${sum} AND ${row} > ${given} AND ${row} <= ${given}`);
	return {
		name,
		start: key.map((column) => (column.getSQLType() === 'integer' ? -1 : '')),
		findEnd(tenant, after) {
			const found = end.get(tenant, ...after);
			return found === null ? undefined : Object.values(found);
		},
		weigh: (tenant, after, through) =>
			through === undefined ? rest(tenant, ...after) : slice(tenant, ...after, ...through),
	};
}
