import type { UserCaller } from '../../../core/caller.ts';
import { liveFrameOf } from '../../../core/event.ts';
import type { RoomId } from '../../../core/ids.ts';
import { changedPositions, type MembersTx, type PositionRow } from '../../members/service.ts';
import { POSITIONS_MAX, positionsChanged } from '../schema.ts';

/** The positions that a user who resumes is told, round by round. One a resume. */
export interface PositionsReplay {
	/**
	 * The frames of what changed since a cursor, the one itself included, and was not told in an earlier
	 * round; each is read when it is asked for. `through` is where the next round will begin, not before.
	 */
	since(after: number, through: number): AsyncIterable<string>;
}

/** In rooms above `liveReceiptsMax` members only the user's own are told; 0: no room is too large. */
export function createPositionsReplay(
	read: MembersTx,
	caller: UserCaller,
	liveReceiptsMax: number,
): PositionsReplay {
	/** What a later round will come upon again. */
	const told = new Set<string>();
	const keyOf = (room_id: RoomId, { user_id, read_seq, delivered_seq }: PositionRow): string =>
		`${room_id}/${user_id}/${read_seq}/${delivered_seq}`;

	async function* since(after: number, through: number): AsyncGenerator<string, void, void> {
		const limits = { sizeMax: liveReceiptsMax, pageMax: POSITIONS_MAX };
		for await (const { room_id, rows } of changedPositions(read, caller, after, limits)) {
			const untold = rows.filter((row) => !told.has(keyOf(room_id, row)));
			if (untold.length === 0) continue;
			for (const row of untold) {
				if (row.changed_cursor >= through) told.add(keyOf(room_id, row));
			}
			const positions = untold.map(({ user_id, read_seq, delivered_seq }) => ({
				user_id,
				last_read_seq: read_seq,
				last_delivered_seq: delivered_seq,
			}));
			yield liveFrameOf(positionsChanged, [], { room_id, positions }).frame;
		}
	}
	return { since };
}
