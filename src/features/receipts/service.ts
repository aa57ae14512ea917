import type { UserCaller } from '../../core/caller.ts';
import { type EventType, liveFrameOf, type Paced } from '../../core/event.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Writer } from '../../db/writer.ts';
import { liveStreamOf, type MembersTx, requireAccess } from '../members/service.ts';
import { ackReceived, readUpdated, type sendAck, type sendRead } from './schema.ts';

export interface ReceiptsDeps {
	writer: Writer<MembersTx>;
	/** In rooms above this many members only the user's own sockets are told; 0: no room is too large. */
	liveReceiptsMax: number;
}

/** The use-cases of delivered and read positions. */
export function createReceipts({ writer, liveReceiptsMax }: ReceiptsDeps) {
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
			input: InputOf<typeof sendAck>,
		): Promise<OutputOf<typeof sendAck>> =>
			writer.commit(caller, async (tx, place) => {
				const { tenant, user_id } = caller;
				const access = await requireAccess(tx, caller, input.room_id);
				const { room, room_id, last_seq } = access;
				const seq = Math.min(input.seq, last_seq);
				const cursor = place.cursor - 1;
				const value = { success: true as const };
				const hasMoved = await tx.members[position]({ tenant, room, user_id, seq, cursor });
				if (!hasMoved) return { value };
				const stream = liveStreamOf(access, user_id, liveReceiptsMax);
				const paced = { room_id, user_id, at: seq, ...pace };
				return { value, live: [liveFrameOf(event, [stream], { room_id, seq, user_id }, paced)] };
			});
	}

	return {
		/** Delivered up to a seq. @throws `NOT_FOUND` as `messages.send`. */
		ack: advance(ackReceived, 'updateDelivered', { kind: 'delivered' }),
		/** Read, and so delivered, up to a seq. @throws `NOT_FOUND` as `messages.send`. */
		read: advance(readUpdated, 'updateRead', { kind: 'read', implies: 'delivered' }) satisfies (
			caller: UserCaller,
			input: InputOf<typeof sendRead>,
		) => Promise<OutputOf<typeof sendRead>>,
	};
}

export type Receipts = ReturnType<typeof createReceipts>;
