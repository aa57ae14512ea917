/**
 * Prunes events older than `EVENT_RETENTION`, and notifications and dead letters that were kept long
 * enough: looks at all tenants once an interval, and takes one after the other, slice by slice,
 * through the writer, where sends take turns with it.
 *
 * Called by: the server's start and stop. Concurrency: one slice at a time, with a pause after each that
 * is a multiple of what it took. Lifecycle: `start` and `stop` once; a slice that is under way at the
 * stop ends in the writer.
 *
 * Must never: end the process. What fails is tried again an interval later.
 */
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Scope } from '../../db/change.ts';
import type { Writer } from '../../db/writer.ts';
import { pruneNotifications } from '../notifications/service/pruning.ts';
import { KEPT_MS, type NotificationsTx } from '../notifications/service.ts';
import { pruneSlice, SLICE_ROWS } from './service/pruning.ts';
import type { EventsTx } from './service.ts';

export interface PrunerDeps {
	writer: Writer<EventsTx & NotificationsTx>;
	read: EventsTx & NotificationsTx;
	clock: Clock;
	log: Log;
	retentionMs: number;
}

export interface Pruner {
	/** Prunes all there is to prune now. */
	prune(): Promise<void>;
	start(): void;
	stop(): void;
}

const INTERVAL_MS_MAX = 60_000;
/** So many intervals a retention: what is pruned is never older by more than that part of it. */
const INTERVALS = 10;
/** Looked at in one turn of the event loop: under a millisecond. */
const TENANTS_A_LOOK = 256;
/** A pause is so many times as long as its slice took: the writer is for sends. */
const PAUSE_FACTOR = 4;

export function createPruner({ writer, read, clock, log, retentionMs }: PrunerDeps): Pruner {
	const intervalMs = Math.min(INTERVAL_MS_MAX, retentionMs / INTERVALS);
	let isStopped = false;
	let timer: ReturnType<typeof setTimeout> | undefined;

	const pause = (ms: number) =>
		new Promise<void>((resolve) => {
			timer = setTimeout(resolve, ms);
		});

	/** Takes slices until there is no more. */
	async function pruneTenant(prune: () => Promise<boolean>): Promise<void> {
		for (let hasMore = true; hasMore && !isStopped; ) {
			const startedAt = clock.monotonic();
			hasMore = await prune();
			await pause((clock.monotonic() - startedAt) * PAUSE_FACTOR);
		}
	}

	async function pruneEvents(scope: Scope): Promise<void> {
		const now = clock.now();
		const times = { before: now - retentionMs, now };
		await pruneTenant(() => pruneSlice(writer, scope, times));
	}

	async function pruneKept(scope: Scope): Promise<void> {
		const before = clock.now() - KEPT_MS;
		await pruneTenant(() => pruneNotifications(writer, scope, before, SLICE_ROWS));
	}

	async function prune(): Promise<void> {
		const now = clock.now();
		const last = await read.events.findLastTenant();
		for (let after = 0; after < last && !isStopped; after += TENANTS_A_LOOK) {
			const tenants = { after, through: after + TENANTS_A_LOOK };
			for (const scope of await read.events.listDue(tenants, now - retentionMs)) {
				if (!isStopped) await pruneEvents(scope);
			}
			for (const scope of await read.notifications.listDue(tenants, now - KEPT_MS)) {
				if (!isStopped) await pruneKept(scope);
			}
			await pause(0);
		}
	}

	async function run(): Promise<void> {
		while (!isStopped) {
			await pause(intervalMs);
			try {
				if (!isStopped) await prune();
			} catch (error) {
				// The writer is full, the disk is, or a defect: which the writer logs if it was in the change.
				const isExpected = error instanceof AppError;
				if (!isExpected) log.error({ err: error }, 'Pruning failed');
			}
		}
	}

	return {
		prune,
		start: () => void run(),
		stop() {
			isStopped = true;
			clearTimeout(timer);
		},
	};
}
