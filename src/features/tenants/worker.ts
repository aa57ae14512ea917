/**
 * Looks for tenants whose time to be restored is over, and erases them; at the start too, for what a stop
 * or a kill has left half done.
 *
 * Called by: the server's start and stop. Concurrency: one tenant at a time. Lifecycle: `start` and `stop`
 * once; a slice that is under way at the stop ends in the writer.
 *
 * Must never: end the process. What fails is tried again at the next look.
 */
import { AppError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Purging } from './service/purging.ts';

export interface PurgerDeps {
	purging: Pick<Purging, 'eraseDue'>;
	log: Log;
}

/** How late a tenant is erased at most, where nothing else is to be. */
const LOOK_MS = 5000;

export function createPurger({ purging, log }: PurgerDeps) {
	let timer: ReturnType<typeof setTimeout> | undefined;
	let isStopped = false;

	async function run(): Promise<void> {
		while (!isStopped) {
			try {
				await purging.eraseDue();
			} catch (error) {
				// The writer is full, or the disk is: the next time will do.
				if (!(error instanceof AppError)) log.error({ err: error }, 'Purging failed');
			}
			if (isStopped) return;
			await new Promise<void>((resolve) => {
				timer = setTimeout(resolve, LOOK_MS);
			});
		}
	}

	return {
		start: (): void => void run(),
		stop(): void {
			isStopped = true;
			clearTimeout(timer);
		},
	};
}
