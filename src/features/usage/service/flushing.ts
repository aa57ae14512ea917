import { LRUCache } from 'lru-cache';
import { dayOf, firstDayOf, monthOf } from '../../../core/calendar.ts';
import type { Clock } from '../../../core/clock.ts';
import type { TenantNo, UserId } from '../../../core/ids.ts';
import { controlPlane, type Scope } from '../../../db/change.ts';
import type { Stored } from '../../../db/client.ts';
import type { Writer } from '../../../db/writer.ts';
import type { UsageStore } from '../store.ts';
import type { Tally, UsageMeter } from './meter.ts';
import type { Storage } from './storage.ts';

export interface UsageTx {
	usage: Stored<UsageStore>;
}

export interface FlushingDeps {
	writer: Writer<UsageTx>;
	clock: Clock;
	meter: UsageMeter;
	storage: Storage;
}

/** Rows of one change: a millisecond or so of a batch that sends are in too. */
const SLICE_ROWS = 200;
/** Users who are known to be written for their day; each is about a tenth of a kibibyte. */
const SEEN_MAX = 50_000;
/** How often the storage of a tenant at work is noted in its day. */
const STORAGE_MS = 60 * 60_000;
const NOTED_MAX = 20_000;

/** Writes what the meter has counted. */
export function createFlushing({ writer, clock, meter, storage }: FlushingDeps) {
	const seen = new LRUCache<string, number>({ max: SEEN_MAX });
	/** When the storage of a tenant was noted, on the monotonic clock, and for which day. */
	const noted = new LRUCache<TenantNo, { at: number; day: number }>({ max: NOTED_MAX });
	/** What is being written for all tenants: whoever reads one's figures waits for it. Never rejects. */
	let background: Promise<unknown> = Promise.resolve();
	const settling = new Map<TenantNo, Promise<void>>();
	/** Who was written by a read of its figures since the last flush. */
	const settled = new Set<TenantNo>();

	const nameOf = (tenant: TenantNo, user_id: UserId) => `${tenant}/${user_id}`;

	/** Notes the users of a tally; counts those who are new on its day, and in its month. */
	async function putUsers(tx: UsageTx, { tenant, day, users }: Tally) {
		const month = monthOf(day);
		const bit = 1 << (day - firstDayOf(month));
		let [active_users, new_users] = [0, 0];
		for (const user_id of users) {
			const days = await tx.usage.findUserDays(tenant, month, user_id);
			if ((days & bit) !== 0) continue;
			await tx.usage.putUserDays(tenant, month, { user_id, days: days | bit });
			active_users++;
			if (days === 0) new_users++;
		}
		return { active_users, new_users };
	}

	async function writeSlice(scope: Scope, slice: readonly Tally[]): Promise<void> {
		await writer.commit(scope, async (tx) => {
			for (const tally of slice) {
				const { tenant, day, messages_delivered, api_requests, peak_connections, peak_at } = tally;
				const connection_ms = Math.round(tally.connection_ms);
				const users = await putUsers(tx, tally);
				const counts = { messages_delivered, api_requests, connection_ms, ...users };
				await tx.usage.addToDay({ tenant, day, ...counts, peak_connections, peak_at });
			}
			return { value: undefined };
		});
		for (const { tenant, day, users } of slice) {
			for (const user_id of users) seen.set(nameOf(tenant, user_id), day);
		}
	}

	/**
	 * Writes tallies, a slice at a time.
	 *
	 * @throws as the writer; what is not written then is with the meter again.
	 */
	async function write(scope: Scope, tallies: readonly Tally[]): Promise<void> {
		const isSeen = ({ tenant, day }: Tally, user_id: UserId) =>
			seen.get(nameOf(tenant, user_id)) === day;
		const slices = slicesOf(tallies.flatMap((tally) => partsOf(tally, isSeen)));
		for (const [index, slice] of slices.entries()) {
			try {
				await writeSlice(scope, slice);
			} catch (error) {
				meter.putBack(slices.slice(index).flat());
				throw error;
			}
		}
	}

	/** Notes the storage of tenants that were at work, where it is time. @throws as the writer. */
	async function noteStorage(tenants: ReadonlySet<TenantNo>): Promise<void> {
		for (const tenant of tenants) {
			const last = noted.get(tenant);
			const day = dayOf(clock.now());
			if (last?.day === day && clock.monotonic() - last.at < STORAGE_MS) continue;
			const { bytes } = await storage.weightOf(tenant);
			await writer.commit(controlPlane({}), async (tx) => {
				await tx.usage.putStorage(tenant, day, bytes);
				return { value: undefined };
			});
			noted.set(tenant, { at: clock.monotonic(), day });
		}
	}

	/**
	 * Writes what there is of all tenants, and returns which. `isLast`: also what is hardly worth it.
	 *
	 * @throws as the writer.
	 */
	async function flush(isLast: boolean): Promise<ReadonlySet<TenantNo>> {
		await background;
		const settledSince = new Set(settled);
		settled.clear();
		const tallies = meter.take(isLast ? 'all' : 'due');
		const writing = write(controlPlane({}), tallies);
		background = writing.catch(() => {});
		await writing;
		for (const { tenant } of tallies) settledSince.add(tenant);
		return settledSince;
	}

	/**
	 * Writes what there is of one tenant, so that reads see all that came before.
	 *
	 * @throws as the writer.
	 */
	function settle({ tenant, tenant_id }: Scope): Promise<void> {
		const earlier = settling.get(tenant) ?? Promise.resolve();
		const mine = earlier
			.catch(() => {})
			.then(async () => {
				await background;
				settled.add(tenant);
				await write({ tenant, tenant_id }, meter.take(tenant));
			})
			.finally(() => {
				if (settling.get(tenant) === mine) settling.delete(tenant);
			});
		settling.set(tenant, mine);
		return mine;
	}

	return { flush, settle, noteStorage };
}

export type Flushing = ReturnType<typeof createFlushing>;

/** A tally with no more users than a change takes, and the others of its users behind it. */
function partsOf(tally: Tally, isSeen: (tally: Tally, user_id: UserId) => boolean): Tally[] {
	const users = [...tally.users].filter((user_id) => !isSeen(tally, user_id));
	const [first, ...others] = Array.from(
		{ length: Math.max(1, Math.ceil(users.length / SLICE_ROWS)) },
		(_, index) => new Set(users.slice(index * SLICE_ROWS, (index + 1) * SLICE_ROWS)),
	);
	const { tenant, day } = tally;
	const nothing = { api_requests: 0, messages_delivered: 0, connection_ms: 0 };
	return [
		{ ...tally, users: first ?? new Set<UserId>() },
		...others.map((more) => ({
			...{ tenant, day, ...nothing, peak_connections: 0, peak_at: 0, users: more },
		})),
	];
}

/** Tallies by the change: as many as have so many rows together. */
function slicesOf(tallies: readonly Tally[]): Tally[][] {
	const slices: Tally[][] = [];
	let rows = SLICE_ROWS;
	for (const tally of tallies) {
		rows += 1 + tally.users.size;
		if (rows > SLICE_ROWS) {
			slices.push([]);
			rows = 1 + tally.users.size;
		}
		slices.at(-1)?.push(tally);
	}
	return slices;
}
