import type { UserCaller } from '../../core/caller.ts';
import type { Clock } from '../../core/clock.ts';
import { type LiveFrame, liveFrameOf } from '../../core/event.ts';
import type { RoomId, TenantId, UserId } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { liveStreamOf, type MembersTx, requireAccess } from '../members/service.ts';
import { type startTyping, type stopTyping, typing } from './schema.ts';

export interface TypingDeps {
	read: MembersTx;
	clock: Pick<Clock, 'monotonic'>;
	/** Tells who listens now. */
	tell(tenant_id: TenantId, frame: LiveFrame): void;
	/** In rooms above this many members only the user's own sockets are told; 0: no room is too large. */
	liveReceiptsMax: number;
}

/** Somebody who types. */
interface Typist {
	tenant_id: TenantId;
	room_id: RoomId;
	user_id: UserId;
	streams: LiveFrame['streams'];
	startedAt: number;
	/** When the room was last told. */
	toldAt: number;
}

/** A client says it with every key; the room hears it this often. */
const TOLD_EVERY_MS = 3000;
/** Whoever has not said it again by then types no longer. */
const ENDS_AFTER_MS = 8000;

const DONE = { success: true } as const;

/** The use-cases of typing. Nothing of it is stored. */
export function createTyping({ read, clock, tell, liveReceiptsMax }: TypingDeps) {
	/** The one that said it longest ago first. */
	const typists = new Map<string, Typist>();

	function told(typist: Typist, action: 'start' | 'stop'): void {
		const { tenant_id, room_id, user_id, streams } = typist;
		tell(tenant_id, liveFrameOf(typing, streams, { room_id, user_id, action }));
	}

	function end(key: string, typist: Typist): void {
		typists.delete(key);
		told(typist, 'stop');
	}

	const keyOf = ({ tenant_id, user_id }: UserCaller, room_id: RoomId): string =>
		`${tenant_id}/${room_id}/${user_id}`;

	return {
		/** Tells the room, if it is small, else the user's own sockets. @throws `NOT_FOUND` as `messages.send`. */
		async start(
			caller: UserCaller,
			input: InputOf<typeof startTyping>,
		): Promise<OutputOf<typeof startTyping>> {
			const access = await requireAccess(read, caller, input.room_id);
			const { tenant_id, user_id } = caller;
			const { room_id } = access;
			const streams = [liveStreamOf(access, caller, liveReceiptsMax)];
			const key = keyOf(caller, room_id);
			const startedAt = clock.monotonic();
			const toldAt = typists.get(key)?.toldAt ?? Number.NEGATIVE_INFINITY;
			const typist: Typist = { tenant_id, room_id, user_id, streams, startedAt, toldAt };
			// To the end of the map.
			typists.delete(key);
			typists.set(key, typist);
			if (startedAt - toldAt >= TOLD_EVERY_MS) {
				typist.toldAt = startedAt;
				told(typist, 'start');
			}
			return DONE;
		},

		/** Who does not type is told nothing about. @throws `NOT_FOUND` as `messages.send`. */
		async stop(
			caller: UserCaller,
			input: InputOf<typeof stopTyping>,
		): Promise<OutputOf<typeof stopTyping>> {
			const { room_id } = await requireAccess(read, caller, input.room_id);
			const key = keyOf(caller, room_id);
			const typist = typists.get(key);
			if (typist !== undefined) end(key, typist);
			return DONE;
		},

		/** Ends what was not said again in time. To be called about once a second. */
		sweep(): void {
			const now = clock.monotonic();
			for (const [key, typist] of typists) {
				if (now - typist.startedAt < ENDS_AFTER_MS) return;
				end(key, typist);
			}
		},
	};
}

export type Typing = ReturnType<typeof createTyping>;
