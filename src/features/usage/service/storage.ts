import { LRUCache } from 'lru-cache';
import type { Clock } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { TenantNo } from '../../../core/ids.ts';
import type { Stored } from '../../../db/client.ts';
import type { UsageStore } from '../store.ts';

/** What a tenant's rows hold, table by table. */
export interface Weight {
	bytes: number;
	tables: readonly { table: string; rows: number; bytes: number }[];
}

export interface StorageDeps {
	read: { usage: Stored<UsageStore> };
	clock: Clock;
	/** Lets others go on between two slices. */
	pause(): Promise<void>;
}

/** A weight is good for so many times as long as the weighing took: at most a twentieth of the time goes there. */
const GOOD_FACTOR = 20;
/** Below this a weighing is not worth remembering. */
const CHEAP_MS = 5;
const WEIGHTS_MAX = 1000;

/**
 * Weighs what a tenant has stored: the bytes of every row's values, 8 for a number, in slices of a
 * thousand rows. Pages, indexes and free space are the server's and not in it.
 *
 * Not counted as it is written: nearly every use-case writes, prunes or erases rows, and a counter that
 * each of them would have to keep is one that drifts.
 */
export function createStorage({ read, clock, pause }: StorageDeps) {
	const known = new LRUCache<TenantNo, { weight: Weight; goodUntil: number }>({ max: WEIGHTS_MAX });
	let isStopped = false;
	const running = new Map<TenantNo, Promise<Weight>>();

	async function weigh(tenant: TenantNo): Promise<Weight> {
		const tables: { table: string; rows: number; bytes: number }[] = [];
		let [workedMs, startedAt] = [0, clock.monotonic()];
		for (const table of await read.usage.weighed()) {
			const sum = { table: table.name, rows: 0, bytes: 0 };
			for (let after = table.start; ; ) {
				const through = table.findEnd(tenant, after);
				const { rows, bytes } = table.weigh(tenant, after, through);
				sum.rows += rows;
				sum.bytes += bytes;
				if (through === undefined) break;
				after = through;
				workedMs += clock.monotonic() - startedAt;
				await pause();
				if (isStopped) throw new AppError('UNAVAILABLE', 'The server is shutting down');
				startedAt = clock.monotonic();
			}
			tables.push(sum);
		}
		workedMs += clock.monotonic() - startedAt;
		const weight = { bytes: tables.reduce((total, { bytes }) => total + bytes, 0), tables };
		if (workedMs > CHEAP_MS) {
			known.set(tenant, { weight, goodUntil: clock.monotonic() + workedMs * GOOD_FACTOR });
		}
		return weight;
	}

	/** The weight of a tenant; of a large one as it was some seconds ago. Whoever asks meanwhile gets the same. */
	function weightOf(tenant: TenantNo): Promise<Weight> {
		const last = known.get(tenant);
		if (last !== undefined && clock.monotonic() < last.goodUntil)
			return Promise.resolve(last.weight);
		const earlier = running.get(tenant);
		if (earlier !== undefined) return earlier;
		const weighing = weigh(tenant).finally(() => running.delete(tenant));
		running.set(tenant, weighing);
		return weighing;
	}

	return {
		weightOf,
		/** Ends what is under way, before the database is closed. */
		stop(): void {
			isStopped = true;
		},
	};
}

export type Storage = ReturnType<typeof createStorage>;
