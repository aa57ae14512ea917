import type { UserCaller } from '../../../core/caller.ts';
import { liveFrameOf } from '../../../core/event.ts';
import type { RoomId, RoomNo } from '../../../core/ids.ts';
import type { MembersTx, PositionRow } from '../../members/service.ts';
import { POSITIONS_MAX, positionsChanged } from '../schema.ts';

/** The positions that a user who resumes is told, round by round. One a resume. */
export interface PositionsReplay {
	/**
	 * The frames of what changed since a cursor, the one itself included, and was not told in an earlier
	 * round, in pages that are read when they are asked for. `through` is where the next round will
	 * begin, not before.
	 */
	since(after: number, through: number): AsyncIterable<string[]>;
}

/** In rooms above `liveReceiptsMax` members only the user's own are told; 0: no room is too large. */
export function createPositionsReplay(
	read: MembersTx,
	caller: UserCaller,
	liveReceiptsMax: number,
): PositionsReplay {
	/** What a later round will come upon again. */
	const told = new Set<string>();
	const keyOf = ({ room, user_id, read_seq, delivered_seq }: PositionRow): string =>
		`${room}/${user_id}/${read_seq}/${delivered_seq}`;

	function untoldOf({ room_id, rows }: ChangedPositions, through: number): string | undefined {
		const untold = rows.filter((row) => !told.has(keyOf(row)));
		if (untold.length === 0) return undefined;
		for (const row of untold) {
			if (row.changed_cursor >= through) told.add(keyOf(row));
		}
		const positions = untold.map(({ user_id, read_seq, delivered_seq }) => ({
			user_id,
			last_read_seq: read_seq,
			last_delivered_seq: delivered_seq,
		}));
		return liveFrameOf(positionsChanged, [], { room_id, positions }).frame;
	}

	async function* since(after: number, through: number): AsyncGenerator<string[], void, void> {
		for await (const page of changedPositions(read, caller, after, liveReceiptsMax)) {
			const frames = page.flatMap((changed) => untoldOf(changed, through) ?? []);
			if (frames.length > 0) yield frames;
		}
	}
	return { since };
}

/** Positions that changed since a cursor: some of one room, in the order of user ids. */
interface ChangedPositions {
	room_id: RoomId;
	rows: PositionRow[];
}

/** Read at once. */
const PAGE_ROWS = 1000;

/**
 * The positions in a user's rooms that changed since a cursor, the one itself included: of all members in
 * rooms of at most `sizeMax` (0: no room is too large), of the user itself in larger ones, and where the
 * tenant wants no live receipts. At most `POSITIONS_MAX` are together.
 */
async function* changedPositions(
	{ members }: MembersTx,
	{ tenant, user_id, settings }: UserCaller,
	cursor: number,
	sizeMax: number,
): AsyncGenerator<ChangedPositions[], void, void> {
	const isOwnOnly = !settings.live_receipts;
	const size_max = sizeMax === 0 ? Number.MAX_SAFE_INTEGER : sizeMax;
	const since = { tenant, user_id, since: cursor, size_max: isOwnOnly ? 0 : size_max };
	if (isOwnOnly || sizeMax > 0) {
		const own = await members.listOwnChangedPositions(since);
		if (own.length > 0) yield own.map((row) => ({ room_id: row.room_id, rows: [row] }));
	}
	if (isOwnOnly) return;
	/** Of the room that the next page may go on with. */
	let open: ChangedPositions = { room_id: '' as RoomId, rows: [] };
	for (let place = { room: 0 as RoomNo, after: '' }; ; ) {
		const page = await members.listChangedPositions(since, { ...place, limit: PAGE_ROWS });
		const whole: ChangedPositions[] = [];
		for (const row of page) {
			if (row.room_id !== open.room_id || open.rows.length === POSITIONS_MAX) {
				whole.push(open);
				open = { room_id: row.room_id, rows: [] };
			}
			open.rows.push(row);
		}
		const last = page.at(-1);
		const isOver = last === undefined || page.length < PAGE_ROWS;
		if (isOver) whole.push(open);
		yield whole.filter(({ rows }) => rows.length > 0);
		if (isOver) return;
		place = { room: last.room, after: last.user_id };
	}
}
