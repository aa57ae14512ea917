import type { Database } from 'bun:sqlite';
import type { SubscriptionId, TenantNo, UserId } from '../../core/ids.ts';
import { prepare } from '../../db/statement.ts';

/** A type, not an interface: SQLite's named parameters want an index signature. */
export type SubscriptionRow = {
	topic: string;
	/** It holds what has this cursor or a later one. */
	from_cursor: number;
	subscription_id: SubscriptionId;
	created_at: number;
};

/** A topic as a user followed it: from one cursor on, up to and without another. */
export interface FollowedTopicRow {
	topic: string;
	from_cursor: number;
	until_cursor: number | null;
}

const SUBSCRIPTION = 'topic, from_cursor, subscription_id, created_at FROM subscriptions';
// INDEXED BY: the ended ones of a user may be many.
const LASTING = `${SUBSCRIPTION} INDEXED BY subscriptions_lasting
	WHERE tenant = $tenant AND user_id = $user_id AND until_cursor IS NULL`;

const SQL = {
	insert: `INSERT INTO subscriptions
			(tenant, user_id, topic, from_cursor, until_cursor, subscription_id, created_at)
		VALUES ($tenant, $user_id, $topic, $from_cursor, NULL, $subscription_id, $created_at)`,
	byTopic: `SELECT ${LASTING} AND topic = $topic`,
	byId: `SELECT ${LASTING} AND subscription_id = $subscription_id`,
	page: `SELECT ${LASTING} AND topic > $after ORDER BY topic LIMIT $limit`,
	count: `SELECT count(*) AS count FROM subscriptions INDEXED BY subscriptions_lasting
		WHERE tenant = $tenant AND user_id = $user_id AND until_cursor IS NULL`,
	followed: `SELECT topic, from_cursor, until_cursor FROM subscriptions
		WHERE tenant = $tenant AND user_id = $user_id
			AND (until_cursor IS NULL OR until_cursor > $after)`,
	holds: `SELECT cursor FROM notification_targets
		WHERE tenant = $tenant AND stream = $stream AND cursor >= $start LIMIT 1`,
	end: `UPDATE subscriptions SET until_cursor = $until
		WHERE tenant = $tenant AND user_id = $user_id AND topic = $topic AND from_cursor = $start`,
	remove: `DELETE FROM subscriptions
		WHERE tenant = $tenant AND user_id = $user_id AND topic = $topic AND from_cursor = $start`,
};

/** All SQL of durable subscriptions. */
export function createSubscriptionsStore(db: Database) {
	type OfUser = { tenant: TenantNo; user_id: UserId };
	type Key = OfUser & { topic: string; start: number };
	const insert = prepare<null, OfUser & SubscriptionRow>(db, SQL.insert);
	const byTopic = prepare<SubscriptionRow, OfUser & { topic: string }>(db, SQL.byTopic);
	const byId = prepare<SubscriptionRow, OfUser & { subscription_id: SubscriptionId }>(db, SQL.byId);
	const page = prepare<SubscriptionRow, OfUser & { after: string; limit: number }>(db, SQL.page);
	const count = prepare<{ count: number }, OfUser>(db, SQL.count);
	const followed = prepare<FollowedTopicRow, OfUser & { after: number }>(db, SQL.followed);
	const holds = prepare<{ cursor: number }, { tenant: TenantNo; stream: string; start: number }>(
		db,
		SQL.holds,
	);
	const end = prepare<null, Key & { until: number }>(db, SQL.end);
	const remove = prepare<null, Key>(db, SQL.remove);

	return {
		insert: (row: OfUser & SubscriptionRow): void => void insert.run(row),
		/** The one that lasts; undefined for none. */
		findByTopic: (tenant: TenantNo, user_id: UserId, topic: string): SubscriptionRow | undefined =>
			byTopic.get({ tenant, user_id, topic }) ?? undefined,
		find: (
			tenant: TenantNo,
			user_id: UserId,
			subscription_id: SubscriptionId,
		): SubscriptionRow | undefined => byId.get({ tenant, user_id, subscription_id }) ?? undefined,
		/** Those that last, with a topic above `after`, in the order of topics. */
		list: (tenant: TenantNo, user_id: UserId, after: string, limit: number): SubscriptionRow[] =>
			page.all({ tenant, user_id, after, limit }),
		count: (tenant: TenantNo, user_id: UserId): number =>
			count.get({ tenant, user_id })?.count ?? 0,
		/** Those that last, and those that ended after a cursor. */
		listFollowed: (tenant: TenantNo, user_id: UserId, after: number): FollowedTopicRow[] =>
			followed.all({ tenant, user_id, after }),
		/** Ends one. It stays for who was away if its stream held something meanwhile. */
		end(row: Key & { stream: string; until: number }): void {
			const { stream, until, ...key } = row;
			const held = holds.get({ tenant: key.tenant, stream, start: key.start });
			if (held === null) remove.run(key);
			else end.run({ ...key, until });
		},
	};
}

export type SubscriptionsStore = ReturnType<typeof createSubscriptionsStore>;
