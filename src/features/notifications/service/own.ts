import type { UserCaller } from '../../../core/caller.ts';
import { roomStream, userStream } from '../../../core/event.ts';
import { namedStream, TENANT_STREAM } from '../../../realtime/topics.ts';
import { listFollowed, type MembersTx } from '../../members/service.ts';
import { listFollowedTopics, type SubscriptionsTx } from '../../subscriptions/service.ts';
import type { Between, NotificationRow, NotificationsTx } from '../store.ts';

/** A stream as a user followed it. */
interface Followed {
	key: string;
	between: Between;
}

/** Cursors before this one, of notifications that are not older than this. */
interface Place {
	before: number;
	since: number;
}

export interface OwnPage {
	rows: readonly (NotificationRow & { cursor: number })[];
	/** Where the next page goes on: before this cursor. */
	next?: number;
}

/**
 * What a user was notified of, the last one first, once each. A page of so many is in the streams with
 * so many newest ones: the others are asked for their newest one only.
 */
export async function listOwn(
	read: NotificationsTx & MembersTx & SubscriptionsTx,
	caller: UserCaller,
	{ before, since }: Place,
	limit: number,
): Promise<OwnPage> {
	const { tenant } = caller;
	const newest: (Followed & { cursor: number })[] = [];
	for (const followed of await streamsOf(read, caller, before)) {
		const { key, between } = followed;
		const cursor = await read.notifications.findNewest(tenant, key, between);
		if (cursor !== undefined) newest.push({ ...followed, cursor });
	}
	newest.sort((one, other) => other.cursor - one.cursor);
	// Several streams may have the same one as their newest.
	const tops = [...new Set(newest.map(({ cursor }) => cursor))];
	const lowest = tops[limit] ?? 0;
	const found = new Set<number>();
	for (const { key, between, cursor } of newest) {
		if (cursor < lowest) break;
		const cursors = await read.notifications.listNewest(tenant, key, between, limit + 1);
		for (const each of cursors) found.add(each);
	}
	const cursors = [...found].sort((one, other) => other - one).slice(0, limit + 1);
	const rows: (NotificationRow & { cursor: number })[] = [];
	for (const cursor of cursors) {
		const row = await read.notifications.find(tenant, cursor);
		// What is too old is removed some time later.
		if (row !== undefined && row.created_at >= since) rows.push({ ...row, cursor });
	}
	const last = rows[limit - 1];
	const hasMore = rows.length > limit && last !== undefined;
	return { rows: rows.slice(0, limit), ...(hasMore ? { next: last.cursor } : {}) };
}

async function streamsOf(
	read: MembersTx & SubscriptionsTx,
	caller: UserCaller,
	before: number,
): Promise<Followed[]> {
	const always = { after: 0, before };
	const until = (end: number | null) => (end === null ? before : Math.min(before, end));
	const rooms = (await listFollowed(read, caller, 0)).map((room) => ({
		key: roomStream(room).key,
		between: {
			after: room.joined_cursor - 1,
			before: until(room.left_cursor === null ? null : room.left_cursor + 1),
		},
	}));
	const topics = (await listFollowedTopics(read, caller, 0)).map((followed) => ({
		key: namedStream(followed.topic).key,
		between: { after: followed.from_cursor - 1, before: until(followed.until_cursor) },
	}));
	return [
		{ key: userStream(caller.user_id).key, between: always },
		{ key: TENANT_STREAM.key, between: always },
		...topics,
		...rooms,
	];
}
