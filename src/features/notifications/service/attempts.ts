/**
 * Counts how often a notification was sent to a user who was named, in memory; written in slices, some
 * time later, so that a send costs no write.
 *
 * Called by: the hub as it sends, a replay as it sends, and the worker that writes. Bounded: beyond
 * ATTEMPTS_MAX that wait to be written further ones are not counted.
 *
 * Must never: throw, or wait, in `note` or `forget`.
 */
import type { Clock } from '../../../core/clock.ts';
import type { TenantId, UserId } from '../../../core/ids.ts';
import type { Writer } from '../../../db/writer.ts';
import type { NotificationsTx } from '../store.ts';

export interface AttemptsDeps {
	writer: Writer<NotificationsTx>;
	read: NotificationsTx;
	clock: Pick<Clock, 'now'>;
}

export interface Attempts {
	/** Counts a send to at least one open socket of the user. */
	note(tenant_id: TenantId, user_id: UserId, cursor: number): void;
	/** What a user has confirmed, up to a cursor, needs no count. */
	forget(tenant_id: TenantId, user_id: UserId, through: number): void;
	/** Writes what was counted so far. @throws what the writer throws; counts of that tenant are lost. */
	flush(): Promise<void>;
	/** How many deliveries have counts that are not written. */
	readonly size: number;
}

interface Count {
	attempts: number;
	at: number;
}

type OfUser = Map<number, Count>;

const ATTEMPTS_MAX = 100_000;
/** Rows of one change: a millisecond or so of a batch that sends are in too. */
const SLICE_ROWS = 500;

export function createAttempts({ writer, read, clock }: AttemptsDeps): Attempts {
	const tenants = new Map<TenantId, Map<UserId, OfUser>>();
	let size = 0;

	function userOf(tenant_id: TenantId, user_id: UserId): OfUser {
		const users = tenants.get(tenant_id) ?? new Map<UserId, OfUser>();
		tenants.set(tenant_id, users);
		const counts = users.get(user_id) ?? new Map<number, Count>();
		users.set(user_id, counts);
		return counts;
	}

	/** Takes out some of a tenant's counts. */
	function take(users: Map<UserId, OfUser>) {
		const slice: { user_id: UserId; cursor: number; attempts: number; at: number }[] = [];
		for (const [user_id, counts] of users) {
			for (const [cursor, count] of counts) {
				if (slice.length === SLICE_ROWS) return slice;
				slice.push({ user_id, cursor, ...count });
				counts.delete(cursor);
				size--;
			}
			users.delete(user_id);
		}
		return slice;
	}

	async function flushTenant(tenant_id: TenantId, users: Map<UserId, OfUser>): Promise<void> {
		try {
			const tenant = await read.notifications.findTenant(tenant_id);
			if (tenant === undefined) return;
			const scope = { tenant, tenant_id };
			for (let rows = take(users); rows.length > 0; rows = take(users)) {
				const slice = rows;
				await writer.commit(scope, async (tx) => {
					for (const row of slice) await tx.notifications.addAttempts({ tenant, ...row });
					return { value: undefined };
				});
			}
		} finally {
			while (take(users).length > 0);
		}
	}

	return {
		note(tenant_id, user_id, cursor) {
			const counts = userOf(tenant_id, user_id);
			const count = counts.get(cursor);
			if (count === undefined) {
				if (size >= ATTEMPTS_MAX) return;
				size++;
			}
			counts.set(cursor, { attempts: (count?.attempts ?? 0) + 1, at: clock.now() });
		},
		forget(tenant_id, user_id, through) {
			const users = tenants.get(tenant_id);
			const counts = users?.get(user_id);
			if (users === undefined || counts === undefined) return;
			for (const cursor of counts.keys()) {
				if (cursor > through) continue;
				counts.delete(cursor);
				size--;
			}
			if (counts.size === 0) users.delete(user_id);
		},
		async flush() {
			for (const [tenant_id, users] of [...tenants]) {
				// What is counted from here on is for the next time.
				tenants.delete(tenant_id);
				await flushTenant(tenant_id, users);
			}
		},
		get size() {
			return size;
		},
	};
}
