/**
 * Tells what a member's state is at most once a second: the first change at once, and then, at the end
 * of each second, the latest of those that came in it.
 *
 * Called by: the one who publishes, after a commit, in commit order; the server's stop. Concurrency:
 * everything within one turn of the event loop. Lifecycle: `close` once.
 *
 * Only the latest is kept, so nothing that can be queued grows: one entry a member and kind, for a
 * second. On the monotonic clock: a clock that is set back holds nothing up.
 *
 * Must never: tell of a member what was before it left, throw, or wait.
 */
import type { Clock } from '../core/clock.ts';
import type { LiveFrame, Paced } from '../core/event.ts';
import type { RoomId, TenantId, UserId } from '../core/ids.ts';

export interface Pacer {
	/** Tells a frame now, or with the end of the second the latest of its kind. */
	publish(tenant_id: TenantId, frame: PacedFrame): void;
	/** What waits to be told of a member, or of all members of a room, is not. */
	forget(tenant_id: TenantId, room_id: RoomId, user_id?: UserId): void;
	/** Tells what is due. Called by a timer of its own. */
	sweep(): void;
	/** Drops what waits, and paces nothing any more: who resumes is told the positions. */
	close(): void;
	/** Members and kinds that were told of within the last second. */
	readonly size: number;
}

export type PacedFrame = LiveFrame & { paced: Paced };

export interface PacerOptions {
	clock: Pick<Clock, 'monotonic'>;
	/** Tells who listens now. */
	tell(tenant_id: TenantId, frame: LiveFrame): void;
	/** Beyond so many, what comes is told at once and not remembered. */
	sizeMax?: number;
}

interface Entry {
	tenant_id: TenantId;
	room_id: RoomId;
	toldAt: number;
	waiting: PacedFrame | undefined;
}

export const PACE_MS = 1000;
/** More than a writer commits in a second; 20 MB or so. */
const SIZE_MAX = 50_000;
/** Told in one turn of the event loop: each goes to a room of people. */
const TELLS_MAX = 200;

const KINDS: readonly Paced['kind'][] = ['delivered', 'read'];

const keyOf = (tenant_id: TenantId, room_id: RoomId, user_id: UserId, kind: string): string =>
	`${tenant_id}/${room_id}/${user_id}/${kind}`;

export function createPacer({ clock, tell, sizeMax = SIZE_MAX }: PacerOptions): Pacer {
	/** Who was told of longest ago first. */
	const entries = new Map<string, Entry>();
	let timer: ReturnType<typeof setTimeout> | undefined;
	let isClosed = false;

	/** Remembers that it was told of now. */
	function remember(key: string, entry: Entry): void {
		entries.delete(key);
		entries.set(key, { ...entry, toldAt: clock.monotonic(), waiting: undefined });
		arm();
	}

	function arm(): void {
		const [first] = entries.values();
		if (timer !== undefined || first === undefined) return;
		timer = setTimeout(sweep, Math.max(1, first.toldAt + PACE_MS - clock.monotonic()));
		// It keeps no process alive.
		timer.unref();
	}

	function sweep(): void {
		clearTimeout(timer);
		timer = undefined;
		const now = clock.monotonic();
		let tells = 0;
		for (const [key, entry] of entries) {
			if (now - entry.toldAt < PACE_MS || tells === TELLS_MAX) break;
			if (entry.waiting === undefined) {
				entries.delete(key);
				continue;
			}
			tell(entry.tenant_id, entry.waiting);
			remember(key, entry);
			tells++;
		}
		arm();
	}

	function publish(tenant_id: TenantId, given: PacedFrame): void {
		const { room_id, user_id, kind, at, implies } = given.paced;
		if (implies !== undefined) {
			const implied = entries.get(keyOf(tenant_id, room_id, user_id, implies));
			if (implied?.waiting !== undefined && implied.waiting.paced.at <= at) {
				implied.waiting = undefined;
			}
		}
		const key = keyOf(tenant_id, room_id, user_id, kind);
		const entry = entries.get(key);
		if (entry !== undefined && clock.monotonic() - entry.toldAt < PACE_MS) {
			entry.waiting = given;
			return;
		}
		tell(tenant_id, given);
		if (isClosed || (entry === undefined && entries.size >= sizeMax)) return;
		remember(key, { tenant_id, room_id, toldAt: 0, waiting: undefined });
	}

	return {
		publish,
		forget(tenant_id, room_id, user_id) {
			if (entries.size === 0) return;
			const left =
				user_id === undefined
					? [...entries.values()].filter(
							(entry) => entry.room_id === room_id && entry.tenant_id === tenant_id,
						)
					: KINDS.map((kind) => entries.get(keyOf(tenant_id, room_id, user_id, kind)));
			for (const entry of left) if (entry !== undefined) entry.waiting = undefined;
		},
		sweep,
		close() {
			isClosed = true;
			clearTimeout(timer);
			entries.clear();
		},
		get size() {
			return entries.size;
		},
	};
}
