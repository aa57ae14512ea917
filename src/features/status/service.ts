import type { Clock } from '../../core/clock.ts';
import type { OutputOf } from '../../core/operation.ts';
import type { getHealth, getLive, getReady } from './schema.ts';

export interface StatusDeps {
	clock: Clock;
	version: string;
	durability: 'full' | 'relaxed';
	/** False once the database has failed for good. */
	isWritable(): boolean;
	/** Whether the disk has room for writes. */
	hasRoom(): boolean;
	isDraining(): boolean;
}

/** What probes ask. Cheap enough to be asked every second by many. */
export function createStatus(deps: StatusDeps) {
	const { clock, version, durability, isWritable, hasRoom, isDraining } = deps;
	const startedAt = clock.monotonic();
	const uptimeS = () => (clock.monotonic() - startedAt) / 1000;

	return {
		health: async (): Promise<OutputOf<typeof getHealth>> => {
			const db_writable = isWritable() && hasRoom();
			return {
				status: db_writable ? 'ok' : 'unavailable',
				service: 'chatapi',
				version,
				uptime: durationOf(uptimeS()),
				db_writable,
				durability,
				...(hasRoom() ? {} : { reason: 'disk_full' as const }),
			};
		},

		live: async (): Promise<OutputOf<typeof getLive>> => ({ status: 'ok' }),

		// A full disk is no reason to be taken out of service: reads go on.
		ready: async (): Promise<OutputOf<typeof getReady>> => ({
			status: isWritable() && !isDraining() ? 'ok' : 'unavailable',
		}),
	};
}

export type Status = ReturnType<typeof createStatus>;

/** `2h30m45s`, as Go writes durations: leading zero parts are left out. */
function durationOf(seconds: number): string {
	const whole = Math.floor(seconds);
	const h = Math.floor(whole / 3600);
	const m = Math.floor((whole % 3600) / 60);
	const s = whole % 60;
	if (h > 0) return `${h}h${m}m${s}s`;
	return m > 0 ? `${m}m${s}s` : `${s}s`;
}
