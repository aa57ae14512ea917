import type { UserCaller } from '../../../core/caller.ts';
import { liveFrameOf } from '../../../core/event.ts';
import type { RoomId } from '../../../core/ids.ts';
import type { MembersTx, PositionRow } from '../../members/service.ts';
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

/** A page of positions that changed since a cursor: of one room, in the order of user ids. */
interface ChangedPositions {
	room_id: RoomId;
	rows: readonly PositionRow[];
}

/**
 * The positions in a user's rooms that changed since a cursor, the one itself included: of all members in
 * rooms of at most `sizeMax` (0: no room is too large), of the user itself in larger ones, and where the
 * tenant wants no live receipts.
 */
async function* changedPositions(
	tx: MembersTx,
	{ tenant, user_id, settings }: UserCaller,
	since: number,
	{ sizeMax, pageMax }: { sizeMax: number; pageMax: number },
): AsyncGenerator<ChangedPositions, void, void> {
	for (const changed of await tx.members.listChangedRooms(tenant, user_id, since)) {
		const { room, room_id, member_count } = changed;
		if (!settings.live_receipts || (sizeMax > 0 && member_count > sizeMax)) {
			const own = await tx.members.findChangedPosition({ tenant, room, user_id, since });
			if (own !== undefined) yield { room_id, rows: [own] };
			continue;
		}
		for (let after = ''; ; ) {
			const of = { tenant, room, since, after, limit: pageMax };
			const rows = await tx.members.listChangedPositions(of);
			if (rows.length > 0) yield { room_id, rows };
			if (rows.length < pageMax) break;
			after = rows.at(-1)?.user_id ?? '';
		}
	}
}
