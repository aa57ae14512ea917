import type { UserCaller } from '../../core/caller.ts';
import { AppError } from '../../core/errors.ts';
import { type EventType, liveFrameOf, type Paced } from '../../core/event.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Writer } from '../../db/writer.ts';
import { liveStreamOf, type MembersTx, requireAccess } from '../members/service.ts';
import { ackReceived, readUpdated, type sendAck, type sendRead } from './schema.ts';

export interface ReceiptsDeps {
	writer: Writer<MembersTx>;
	/** In rooms above this many members only the user's own sockets are told; 0: no room is too large. */
	liveReceiptsMax: number;
	/** Confirms the notifications to the caller by name, up to a cursor. */
	confirm(caller: UserCaller, cursor: string): Promise<{ success: true }>;
}

/** The use-cases of delivered and read positions. */
export function createReceipts({ writer, liveReceiptsMax, confirm }: ReceiptsDeps) {
	/**
	 * Moves one of the caller's positions up to a seq, clamped to the last message, and tells the
	 * room if it is small, else the caller's own sockets, at most once a second. Never moves back; then
	 * it tells nobody.
	 */
	function advance(
		event: EventType,
		position: 'updateDelivered' | 'updateRead',
		pace: Pick<Paced, 'kind' | 'implies'>,
	) {
		return async (
			caller: UserCaller,
			input: InputOf<typeof sendRead>,
		): Promise<OutputOf<typeof sendRead>> =>
			writer.commit(caller, async (tx, place) => {
				const { tenant, user_id } = caller;
				const access = await requireAccess(tx, caller, input.room_id);
				const { room, room_id, last_seq } = access;
				const seq = Math.min(input.seq, last_seq);
				const cursor = place.cursor - 1;
				const value = { success: true as const };
				const hasMoved = await tx.members[position]({ tenant, room, user_id, seq, cursor });
				if (!hasMoved) return { value };
				const stream = liveStreamOf(access, caller, liveReceiptsMax);
				const paced = { room_id, user_id, at: seq, ...pace };
				return { value, live: [liveFrameOf(event, [stream], { room_id, seq, user_id }, paced)] };
			});
	}

	const deliver = advance(ackReceived, 'updateDelivered', { kind: 'delivered' });

	return {
		/**
		 * Delivered up to a seq of a room, or of the notifications up to a cursor.
		 *
		 * @throws `VALIDATION_ERROR` for neither or both, `NOT_FOUND` as `messages.send`.
		 * @throws `CONFLICT` for a cursor of another life of the log.
		 */
		async ack(
			caller: UserCaller,
			input: InputOf<typeof sendAck>,
		): Promise<OutputOf<typeof sendAck>> {
			const { room_id, seq, cursor } = input;
			if (cursor === undefined) return deliver(caller, positionOf(input));
			const beside = room_id === undefined ? (seq === undefined ? undefined : 'seq') : 'room_id';
			if (beside === undefined) return confirm(caller, cursor);
			throw new AppError('VALIDATION_ERROR', 'Must not stand beside cursor', { field: beside });
		},
		/** Read, and so delivered, up to a seq. @throws `NOT_FOUND` as `messages.send`. */
		read: advance(readUpdated, 'updateRead', { kind: 'read', implies: 'delivered' }),
	};
}

export type Receipts = ReturnType<typeof createReceipts>;

/** @throws `VALIDATION_ERROR` naming what is missing. */
function positionOf({ room_id, seq }: InputOf<typeof sendAck>): InputOf<typeof sendRead> {
	if (room_id !== undefined && seq !== undefined) return { room_id, seq };
	const field = room_id === undefined ? 'room_id' : 'seq';
	throw new AppError('VALIDATION_ERROR', 'Missing field', { field });
}
