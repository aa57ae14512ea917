/**
 * Writes down when keys were used last: once a minute, for those used since, through the writer.
 *
 * Called by: the server's start and stop. Lifecycle: `start` and `stop` once; the stop writes what is left.
 * What fails is lost: the next use is written a minute later.
 *
 * Must never: end the process, or hold up a request.
 */
import type { Clock } from '../../core/clock.ts';
import type { KeyId, TenantNo } from '../../core/ids.ts';
import type { Log } from '../../core/log.ts';
import { controlPlane } from '../../db/change.ts';
import type { Writer } from '../../db/writer.ts';
import type { KeysTables } from './service/changes.ts';

export interface UseRecorderDeps {
	writer: Writer<KeysTables>;
	clock: Pick<Clock, 'now'>;
	log: Log;
	/** The keys that were used since it was asked last. */
	takeUsed(): readonly { tenant: TenantNo; key_id: KeyId }[];
}

const INTERVAL_MS = 60_000;
/** Written in one change: sends take turns with them. */
const KEYS_A_CHANGE = 200;

export function createUseRecorder({ writer, clock, log, takeUsed }: UseRecorderDeps) {
	let timer: ReturnType<typeof setInterval> | undefined;

	/** Writes what there is to write. */
	async function flush(): Promise<void> {
		const used = takeUsed();
		const used_at = clock.now();
		for (let start = 0; start < used.length; start += KEYS_A_CHANGE) {
			const slice = used.slice(start, start + KEYS_A_CHANGE);
			await writer.commit(controlPlane({}), async (tx) => {
				for (const { tenant, key_id } of slice) await tx.keys.noteUse(tenant, key_id, used_at);
				return { value: undefined };
			});
		}
	}

	const tick = (): Promise<void> =>
		flush().catch((error) => log.warn({ err: error }, 'Last uses of keys not written'));

	return {
		flush,
		start(): void {
			timer = setInterval(tick, INTERVAL_MS);
		},
		stop(): void {
			clearInterval(timer);
			void tick();
		},
	};
}

export type UseRecorder = ReturnType<typeof createUseRecorder>;
