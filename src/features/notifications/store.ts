import type { Database } from 'bun:sqlite';
import type { NotificationId, TenantId, TenantNo, UserId } from '../../core/ids.ts';
import type { Stored } from '../../db/client.ts';
import { prepare } from '../../db/statement.ts';

/** A type, not an interface: SQLite's named parameters want an index signature. */
export type NotificationRow = {
	/** The data of its event, as JSON. */
	data: string;
	created_at: number;
};

export type DeadLetterRow = {
	cursor: number;
	user_id: UserId;
	notification_id: NotificationId;
	topic: string;
	attempts: number;
	last_attempt_at: number | null;
	failed_at: number;
};

/** Where a page of dead letters goes on: before this one. */
export type LetterPlace = Pick<DeadLetterRow, 'cursor' | 'user_id'>;

const LETTER = 'cursor, user_id, notification_id, topic, attempts, last_attempt_at, failed_at';

const SQL = {
	insert: `INSERT INTO notifications (tenant, cursor, data, created_at)
		VALUES ($tenant, $cursor, $data, $created_at)`,
	insertTargets: `INSERT INTO notification_targets (tenant, stream, cursor)
		SELECT $tenant, value, $cursor FROM json_each($streams)`,
	insertDeliveries: `INSERT INTO deliveries (tenant, user_id, cursor, attempts)
		SELECT $tenant, value, $cursor, 0 FROM json_each($user_ids)`,
	tenant: 'SELECT tenant FROM tenants WHERE tenant_id = $tenant_id',
	find: 'SELECT data, created_at FROM notifications WHERE tenant = $tenant AND cursor = $cursor',
	newest: `SELECT max(cursor) AS cursor FROM notification_targets
		WHERE tenant = $tenant AND stream = $stream AND cursor > $after AND cursor < $before`,
	ofStream: `SELECT cursor FROM notification_targets
		WHERE tenant = $tenant AND stream = $stream AND cursor > $after AND cursor < $before
		ORDER BY cursor DESC LIMIT $limit`,
	pending: `SELECT cursor FROM deliveries
		WHERE tenant = $tenant AND user_id = $user_id AND cursor > $after AND cursor <= $through
		ORDER BY cursor LIMIT $limit`,
	confirm: `DELETE FROM deliveries
		WHERE tenant = $tenant AND user_id = $user_id AND cursor <= $through`,
	addAttempts: `UPDATE deliveries SET attempts = attempts + $attempts, last_attempt_at = $at
		WHERE tenant = $tenant AND user_id = $user_id AND cursor = $cursor`,
	letters: `SELECT ${LETTER} FROM dead_letters
		WHERE tenant = $tenant AND (cursor, user_id) < ($cursor, $user_id)
		ORDER BY cursor DESC, user_id DESC LIMIT $limit`,
	unconfirmed: `SELECT d.cursor, d.user_id, n.data ->> 'notification_id' AS notification_id,
			n.data ->> 'topic' AS topic, d.attempts, d.last_attempt_at, $failed_at AS failed_at
		FROM deliveries d INDEXED BY deliveries_by_cursor
		JOIN notifications n ON n.tenant = d.tenant AND n.cursor = d.cursor
		WHERE d.tenant = $tenant AND d.cursor <= $through
		ORDER BY d.cursor, d.user_id LIMIT $limit`,
	insertLetter: `INSERT INTO dead_letters (tenant, ${LETTER})
		VALUES ($tenant, $cursor, $user_id, $notification_id, $topic, $attempts, $last_attempt_at,
			$failed_at)`,
	removeDelivery: `DELETE FROM deliveries
		WHERE tenant = $tenant AND user_id = $user_id AND cursor = $cursor`,
	someEnded: `SELECT user_id, topic, from_cursor FROM subscriptions INDEXED BY subscriptions_ended
		WHERE tenant = $tenant AND until_cursor IS NOT NULL AND until_cursor <= $through LIMIT $limit`,
	removeEnded: `DELETE FROM subscriptions
		WHERE tenant = $tenant AND user_id = $user_id AND topic = $topic AND from_cursor = $from_cursor`,
	// The bounds that hold for all rows make a range of what would be a walk.
	due: `SELECT t.tenant, t.tenant_id FROM tenants t
		JOIN tenant_heads h ON h.tenant = t.tenant
		WHERE t.tenant > $after AND t.tenant <= $through AND (
			(SELECT n.created_at FROM notifications n
				WHERE n.tenant = t.tenant AND n.cursor <= h.pruned_through ORDER BY n.cursor LIMIT 1) < $before
			OR (SELECT l.failed_at FROM dead_letters l
				WHERE l.tenant = t.tenant AND l.cursor > 0 ORDER BY l.cursor, l.user_id LIMIT 1) < $before)`,
	old: `SELECT cursor, created_at FROM notifications
		WHERE tenant = $tenant AND cursor <=
			(SELECT pruned_through FROM tenant_heads WHERE tenant = $tenant)
		ORDER BY cursor LIMIT $limit`,
	someTargets: `SELECT stream, cursor FROM notification_targets
		INDEXED BY notification_targets_by_cursor
		WHERE tenant = $tenant AND cursor <= $through LIMIT $limit`,
	removeTarget: `DELETE FROM notification_targets
		WHERE tenant = $tenant AND stream = $stream AND cursor = $cursor`,
	removeThrough: 'DELETE FROM notifications WHERE tenant = $tenant AND cursor <= $through',
	oldLetters: `SELECT cursor, user_id, failed_at FROM dead_letters
		WHERE tenant = $tenant AND cursor > 0 ORDER BY cursor, user_id LIMIT $limit`,
	removeLetters: `DELETE FROM dead_letters
		WHERE tenant = $tenant AND (cursor, user_id) <= ($cursor, $user_id)`,
};

type OfTenant = { tenant: TenantNo };
type OfUser = OfTenant & { user_id: UserId };

/** Cursors above `after` and below `before`. */
export type Between = { after: number; before: number };

/** All SQL of notifications, of their deliveries by name, and of dead letters. */
export function createNotificationsStore(db: Database) {
	return { ...createWrites(db), ...createReads(db), ...createRemovals(db) };
}

export type NotificationsStore = ReturnType<typeof createNotificationsStore>;

export interface NotificationsTx {
	notifications: Stored<NotificationsStore>;
}

function createWrites(db: Database) {
	type At = OfTenant & { cursor: number };
	const insert = prepare<null, At & NotificationRow>(db, SQL.insert);
	const insertTargets = prepare<null, At & { streams: string }>(db, SQL.insertTargets);
	const insertDeliveries = prepare<null, At & { user_ids: string }>(db, SQL.insertDeliveries);
	const confirm = prepare<null, OfUser & { through: number }>(db, SQL.confirm);
	const addAttempts = prepare<null, OfUser & { cursor: number; attempts: number; at: number }>(
		db,
		SQL.addAttempts,
	);
	return {
		/** Stores a notification in these streams, to be confirmed by these users; none twice. */
		insert(
			row: At & NotificationRow,
			streams: readonly string[],
			user_ids: readonly UserId[],
		): void {
			const { tenant, cursor } = row;
			insert.run(row);
			insertTargets.run({ tenant, cursor, streams: JSON.stringify(streams) });
			if (user_ids.length === 0) return;
			insertDeliveries.run({ tenant, cursor, user_ids: JSON.stringify(user_ids) });
		},
		/** Confirms what the user was notified of by name up to a cursor. */
		confirm: (row: OfUser & { through: number }): void => void confirm.run(row),
		/** Counts sends of one that is not confirmed. */
		addAttempts: (row: OfUser & { cursor: number; attempts: number; at: number }): void =>
			void addAttempts.run(row),
	};
}

function createReads(db: Database) {
	const tenant = prepare<{ tenant: TenantNo }, { tenant_id: TenantId }>(db, SQL.tenant);
	const find = prepare<NotificationRow, OfTenant & { cursor: number }>(db, SQL.find);
	const newest = prepare<{ cursor: number | null }, OfTenant & Between & { stream: string }>(
		db,
		SQL.newest,
	);
	const ofStream = prepare<
		{ cursor: number },
		OfTenant & Between & { stream: string; limit: number }
	>(db, SQL.ofStream);
	const pending = prepare<
		{ cursor: number },
		OfUser & { after: number; through: number; limit: number }
	>(db, SQL.pending);
	const letters = prepare<DeadLetterRow, OfTenant & LetterPlace & { limit: number }>(
		db,
		SQL.letters,
	);
	return {
		/** The number of a tenant; undefined for one that is no more. */
		findTenant: (tenant_id: TenantId): TenantNo | undefined => tenant.get({ tenant_id })?.tenant,
		find: (tenant: TenantNo, cursor: number): NotificationRow | undefined =>
			find.get({ tenant, cursor }) ?? undefined,
		/** The last cursor of a stream within bounds; undefined where there is none. */
		findNewest: (tenant: TenantNo, stream: string, between: Between): number | undefined =>
			newest.get({ tenant, stream, ...between })?.cursor ?? undefined,
		/** The last cursors of a stream within bounds, the last one first. */
		listNewest: (tenant: TenantNo, stream: string, between: Between, limit: number): number[] =>
			ofStream.all({ tenant, stream, ...between, limit }).map(({ cursor }) => cursor),
		/** The first cursors that the user was notified of by name and has not confirmed. */
		listPending: (row: OfUser & { after: number; through: number }, limit: number): number[] =>
			pending.all({ ...row, limit }).map(({ cursor }) => cursor),
		/** The last dead letters before a place, the last one first. */
		listLetters: (tenant: TenantNo, before: LetterPlace, limit: number): DeadLetterRow[] =>
			letters.all({ tenant, ...before, limit }),
	};
}

function createRemovals(db: Database) {
	type Slice = OfTenant & { through: number; limit: number };
	type Ended = { user_id: UserId; topic: string; from_cursor: number };
	const unconfirmed = prepare<DeadLetterRow, Slice & { failed_at: number }>(db, SQL.unconfirmed);
	const insertLetter = prepare<null, OfTenant & DeadLetterRow>(db, SQL.insertLetter);
	const removeDelivery = prepare<null, OfUser & { cursor: number }>(db, SQL.removeDelivery);
	const someEnded = prepare<Ended, Slice>(db, SQL.someEnded);
	const removeEnded = prepare<null, OfTenant & Ended>(db, SQL.removeEnded);
	const due = prepare<
		{ tenant: TenantNo; tenant_id: TenantId },
		{ after: number; through: number; before: number }
	>(db, SQL.due);
	const old = prepare<{ cursor: number; created_at: number }, OfTenant & { limit: number }>(
		db,
		SQL.old,
	);
	const someTargets = prepare<{ stream: string; cursor: number }, Slice>(db, SQL.someTargets);
	const removeTarget = prepare<null, OfTenant & { stream: string; cursor: number }>(
		db,
		SQL.removeTarget,
	);
	const removeThrough = prepare<null, OfTenant & { through: number }>(db, SQL.removeThrough);
	const oldLetters = prepare<LetterPlace & { failed_at: number }, OfTenant & { limit: number }>(
		db,
		SQL.oldLetters,
	);
	const removeLetters = prepare<null, OfTenant & LetterPlace>(db, SQL.removeLetters);
	return {
		/** Makes dead letters of some deliveries up to a cursor. Returns of how many. */
		buryUnconfirmed(slice: Slice & { failed_at: number }): number {
			const { tenant } = slice;
			const rows = unconfirmed.all(slice);
			for (const row of rows) {
				insertLetter.run({ tenant, ...row });
				removeDelivery.run({ tenant, user_id: row.user_id, cursor: row.cursor });
			}
			return rows.length;
		},

		/** Removes some subscriptions that ended up to a cursor. Returns how many. */
		removeEnded(slice: Slice): number {
			const rows = someEnded.all(slice);
			for (const row of rows) removeEnded.run({ tenant: slice.tenant, ...row });
			return rows.length;
		},

		/** Tenants with a number above `after`, up to `through`, with something from before a time. */
		listDue: (tenants: { after: number; through: number }, before: number) =>
			due.all({ ...tenants, before }),

		/** The first notifications whose event is pruned. */
		listOld: (tenant: TenantNo, limit: number) => old.all({ tenant, limit }),

		/** Removes some targets of the notifications up to one, and these with the last of them: then true. */
		removeThrough(slice: Slice): boolean {
			const { tenant, through } = slice;
			const rows = someTargets.all(slice);
			for (const row of rows) removeTarget.run({ tenant, ...row });
			if (rows.length === slice.limit) return false;
			removeThrough.run({ tenant, through });
			return true;
		},

		/** The first dead letters. */
		listOldLetters: (tenant: TenantNo, limit: number) => oldLetters.all({ tenant, limit }),

		/** Removes the dead letters up to and with one. */
		removeLetters: (tenant: TenantNo, place: LetterPlace): void =>
			void removeLetters.run({ tenant, cursor: place.cursor, user_id: place.user_id }),
	};
}
