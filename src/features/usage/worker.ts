/**
 * Writes every few seconds what was counted in memory, slice by slice through the writer, where sends
 * take turns with it.
 *
 * Called by: the server's start and stop. Concurrency: one flush at a time. Lifecycle: `start` once, then
 * `stop` once, after the last socket is closed and before the writer is drained: it writes the rest.
 *
 * Must never: end the process, or hold up a stop. What fails is written with the next flush.
 */
import { AppError } from '../../core/errors.ts';
import type { TenantNo } from '../../core/ids.ts';
import type { Log } from '../../core/log.ts';
import type { Flushing } from './service/flushing.ts';
import type { Storage } from './service/storage.ts';

/** So much is lost at most when the process is killed. */
const INTERVAL_MS = 4000;

export interface UsageWriterDeps {
	flushing: Pick<Flushing, 'flush' | 'noteStorage'>;
	storage: Pick<Storage, 'stop'>;
	/** Told of who was at work, once that is written. */
	review(tenants: ReadonlySet<TenantNo>): Promise<void>;
	log: Log;
}

export function createUsageWriter({ flushing, storage, review, log }: UsageWriterDeps) {
	let timer: ReturnType<typeof setTimeout> | undefined;
	let isStopped = false;
	/** The storage of who was at work; it takes as long as it takes, and flushes go on beside it. */
	let noting: Promise<void> | undefined;

	function complain(error: unknown, isLast: boolean): void {
		// The writer is full, the disk is, or a defect: which the writer logs if it was in the change.
		if (!(error instanceof AppError)) log.error({ err: error }, 'Usage not written');
		else if (isLast) log.warn({ err: error }, 'Usage lost');
	}

	function note(tenants: ReadonlySet<TenantNo>): void {
		noting ??= flushing
			.noteStorage(tenants)
			.catch((error) => complain(error, false))
			.finally(() => {
				noting = undefined;
			});
	}

	async function write(isLast: boolean): Promise<void> {
		try {
			const tenants = await flushing.flush(isLast);
			if (isStopped) return;
			note(tenants);
			await review(tenants);
		} catch (error) {
			complain(error, isLast);
		}
	}

	function start(): void {
		timer = setTimeout(() => {
			void write(false).then(() => {
				if (!isStopped) start();
			});
		}, INTERVAL_MS);
	}

	return {
		start,
		/** Resolves when the rest is written, or cannot be. */
		async stop(): Promise<void> {
			isStopped = true;
			clearTimeout(timer);
			storage.stop();
			await noting;
			await write(true);
		},
	};
}
