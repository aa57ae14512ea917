import type { UserCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Ids } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { pageOf } from '../../core/page.ts';
import type { Stored } from '../../db/client.ts';
import type { Writer } from '../../db/writer.ts';
import { namedStream } from '../../realtime/topics.ts';
import type { createSubscription, listSubscriptions, removeSubscription } from './schema.ts';
import type { FollowedTopicRow, SubscriptionRow, SubscriptionsStore } from './store.ts';

export interface SubscriptionsTx {
	subscriptions: Stored<SubscriptionsStore>;
}

export interface SubscriptionsDeps {
	writer: Writer<SubscriptionsTx>;
	read: SubscriptionsTx;
	clock: Clock;
	ids: Ids;
	/** How many a user may have; 0: any number. */
	userSubscriptionsMax: number;
}

/** The topics that a user followed at a time after a cursor. */
export const listFollowedTopics = (
	tx: SubscriptionsTx,
	{ tenant, user_id }: UserCaller,
	after: number,
): FollowedTopicRow[] | Promise<FollowedTopicRow[]> =>
	tx.subscriptions.listFollowed(tenant, user_id, after);

/** The use-cases of durable subscriptions. */
export function createSubscriptions(deps: SubscriptionsDeps) {
	const { writer, read, clock, ids, userSubscriptionsMax } = deps;

	/** Idempotent per topic. @throws `CONFLICT` beyond the limit of a user's subscriptions. */
	async function create(
		caller: UserCaller,
		{ topic }: InputOf<typeof createSubscription>,
	): Promise<OutputOf<typeof createSubscription>> {
		const { tenant, tenant_id, user_id } = caller;
		const made = { topic, subscription_id: ids('sub'), created_at: clock.now() };
		return writer.commit(caller, async (tx, { cursor }) => {
			const earlier = await tx.subscriptions.findByTopic(tenant, user_id, topic);
			if (earlier !== undefined) return { value: { ...shown(earlier), duplicate: true as const } };
			const count = await tx.subscriptions.count(tenant, user_id);
			if (userSubscriptionsMax > 0 && count >= userSubscriptionsMax) {
				throw new AppError('CONFLICT', `A user has at most ${userSubscriptionsMax} subscriptions`);
			}
			const row = { ...made, from_cursor: cursor };
			await tx.subscriptions.insert({ tenant, user_id, ...row });
			const effects = [{ name: 'subscription.added' as const, tenant_id, user_id, topic }];
			return { value: shown(row), effects };
		});
	}

	/** A page of the caller's subscriptions, in the order of their topics. */
	async function list(
		{ tenant, user_id }: UserCaller,
		{ cursor = '', limit = 50 }: InputOf<typeof listSubscriptions>,
	): Promise<OutputOf<typeof listSubscriptions>> {
		const rows = await read.subscriptions.list(tenant, user_id, cursor, limit + 1);
		const { items, next_cursor } = pageOf(rows, limit, ({ topic }) => topic);
		return { subscriptions: items.map(shown), next_cursor };
	}

	/** @throws `NOT_FOUND` for one that is not the caller's. */
	async function remove(
		caller: UserCaller,
		{ subscription_id }: InputOf<typeof removeSubscription>,
	): Promise<OutputOf<typeof removeSubscription>> {
		const { tenant, tenant_id, user_id } = caller;
		return writer.commit(caller, async (tx, { cursor: until }) => {
			const row = await tx.subscriptions.find(tenant, user_id, subscription_id);
			if (row === undefined) throw new AppError('NOT_FOUND', 'Subscription not found');
			const { topic, from_cursor: start } = row;
			const stream = namedStream(topic).key;
			await tx.subscriptions.end({ tenant, user_id, topic, start, until, stream });
			const effects = [{ name: 'subscription.removed' as const, tenant_id, user_id, topic }];
			return { value: { success: true as const }, effects };
		});
	}

	return {
		create,
		list,
		remove,

		/** The topics that a user is subscribed to now: what its sockets follow. */
		topicsOf: async ({ tenant, user_id }: UserCaller): Promise<string[]> => {
			const rows = await read.subscriptions.list(tenant, user_id, '', Number.MAX_SAFE_INTEGER);
			return rows.map(({ topic }) => topic);
		},

		/** Whether a user is subscribed to a topic now. */
		isSubscribed: async ({ tenant, user_id }: UserCaller, topic: string): Promise<boolean> =>
			(await read.subscriptions.findByTopic(tenant, user_id, topic)) !== undefined,
	};
}

export type Subscriptions = ReturnType<typeof createSubscriptions>;

const shown = ({ subscription_id, topic, created_at }: Omit<SubscriptionRow, 'from_cursor'>) => ({
	subscription_id,
	topic,
	created_at: toTimestamp(created_at),
});
