/**
 * When users were last seen, kept across restarts: noted in memory as they come and go, written in the
 * background. Called by: the registry (`note`), the worker (`flush`), use-cases (`find`).
 *
 * Who comes is marked as online in the table, who goes is not any more; and every 10 seconds a tenant
 * notes that it is alive. So a kill loses what happened within the last seconds, and who was online then
 * was last seen within them, however long ago they came.
 *
 * Memory: what is not written yet, and a few words for each tenant with somebody online.
 */
import type { Clock } from '../../../core/clock.ts';
import type { TenantId, TenantNo, UserId } from '../../../core/ids.ts';
import type { Scope } from '../../../db/change.ts';
import type { Stored } from '../../../db/client.ts';
import type { Writer } from '../../../db/writer.ts';
import type { TenantUser } from '../../../realtime/presence.ts';
import type { PresenceStore } from '../store.ts';

export interface PresenceTx {
	presences: Stored<PresenceStore>;
}

export interface LastSeenDeps {
	writer: Writer<PresenceTx>;
	read: PresenceTx;
	clock: Clock;
	/** Whether the user has an open socket. */
	isConnected(tenant_id: TenantId, user_id: UserId): boolean;
	/** Whether anybody of the tenant has. */
	hasConnections(tenant_id: TenantId): boolean;
}

/** How old the sign of life of a tenant gets. */
const ALIVE_MS = 10_000;
/** Rows of one change: about a millisecond of a batch that sends are in too. */
const ROWS = 128;
/** Tenants whose changes wait at the same time. */
const TENANTS_AT_ONCE = 16;
/** Beyond it a coming or going is not written: the disk has been full for long. */
const UNWRITTEN_MAX = 100_000;

interface Noted {
	readonly at: number;
}

interface TenantSeen {
	readonly scope: Scope;
	/** What is not written yet, the oldest first. */
	readonly users: Map<UserId, Noted>;
	/** Nobody is marked as online by a process that was killed. */
	isSettled: boolean;
	/** Monotonic. */
	aliveAt: number;
}

export function createLastSeen(deps: LastSeenDeps) {
	const { writer, read, clock, isConnected, hasConnections } = deps;
	const tenants = new Map<TenantNo, TenantSeen>();
	let unwritten = 0;
	let isEnding = false;

	function tenantOf({ tenant, tenant_id }: TenantUser): TenantSeen {
		const known = tenants.get(tenant);
		if (known !== undefined) return known;
		const scope = { tenant, tenant_id };
		const seen = { scope, users: new Map(), isSettled: false, aliveAt: Number.NEGATIVE_INFINITY };
		tenants.set(tenant, seen);
		return seen;
	}

	/** Writes some of what is noted of a tenant. Returns whether there is more. */
	async function write(seen: TenantSeen): Promise<boolean> {
		const { scope, users, isSettled } = seen;
		const { tenant, tenant_id } = scope;
		const [noted, alive_at] = [[...users.entries()].slice(0, ROWS), clock.now()];
		const rows = noted.map(([user_id, { at }]) => ({
			user_id,
			last_seen_at: at,
			is_online: !isEnding && isConnected(tenant_id, user_id) ? 1 : 0,
		}));
		const isDone = await writer.commit(scope, async (tx) => {
			// Before the first sign of life, for the last one is when they were seen.
			if (!isSettled && (await tx.presences.settle(tenant, ROWS)) === ROWS) return { value: false };
			for (const row of rows) await tx.presences.upsert(tenant, row);
			await tx.presences.updateAlive(tenant, alive_at);
			return { value: true };
		});
		if (!isDone) return true;
		seen.isSettled = true;
		seen.aliveAt = clock.monotonic();
		for (const [user_id, at] of noted) {
			// Else it moved meanwhile, and is to be written again.
			if (users.get(user_id) === at && users.delete(user_id)) unwritten--;
		}
		return users.size > 0;
	}

	function isDue({ users, aliveAt }: TenantSeen): boolean {
		return users.size > 0 || (!isEnding && clock.monotonic() - aliveAt >= ALIVE_MS);
	}

	/** @throws what the writer throws; what was not written then is written by a later one. */
	async function flush(pace: () => Promise<void>): Promise<void> {
		const due: TenantSeen[] = [];
		for (const [tenant, seen] of tenants) {
			const isOver = seen.users.size === 0 && !hasConnections(seen.scope.tenant_id);
			if (isOver) tenants.delete(tenant);
			else if (isDue(seen)) due.push(seen);
		}
		while (due.length > 0) {
			const some = due.splice(0, TENANTS_AT_ONCE);
			const hasMore = await Promise.all(some.map(write));
			due.push(...some.filter((_, index) => hasMore[index]));
			await pace();
		}
	}

	return {
		/** A user comes or goes. */
		note(user: TenantUser, at: number): void {
			const { users } = tenantOf(user);
			if (!users.has(user.user_id)) {
				if (unwritten >= UNWRITTEN_MAX) return;
				unwritten++;
			}
			users.set(user.user_id, { at });
		},

		/** When a user who is offline was last seen, in epoch milliseconds; undefined for never. */
		async find(tenant: TenantNo, user_id: UserId): Promise<number | undefined> {
			const noted = tenants.get(tenant)?.users.get(user_id);
			return noted?.at ?? (await read.presences.findSeen(tenant, user_id));
		},

		flush,

		/** Writes what is left, and that nobody is online any more. */
		async end(): Promise<void> {
			isEnding = true;
			await flush(async () => {});
		},

		/** Users whose coming or going is not written. */
		get unwritten() {
			return unwritten;
		},
	};
}

export type LastSeen = ReturnType<typeof createLastSeen>;
