import type { Static, TObject } from '@sinclair/typebox';
import type { RoomId, RoomNo, UserId } from './ids.ts';

/** Something that happened, as subscribers learn it. */
export interface EventType<Data extends TObject = TObject> {
	/** `noun.past`, the noun in the singular. */
	type: `${string}.${string}`;
	/** The `type` of its frame, where the wire contract names it otherwise. */
	frame?: string;
	summary: string;
	/** The frame's fields beside `type` and `cursor`, which it therefore has none of. */
	data: Data;
	example: Static<Data>;
}

export const defineEvent = <Data extends TObject>(event: EventType<Data>): EventType<Data> => event;

/** What an event belongs to. The kind is part of both names: a user id may look like a room id. */
export interface Stream {
	/** Its name in the log. */
	key: string;
	/** Its topic below the tenant's. */
	topic: string;
}

export const roomTopic = (room_id: RoomId): Pick<Stream, 'topic'> => ({ topic: `r/${room_id}` });

export const roomStream = (room: { room: RoomNo; room_id: RoomId }): Stream => ({
	key: `r/${room.room}`,
	...roomTopic(room.room_id),
});

export const userStream = (user_id: UserId): Stream => ({
	key: `u/${user_id}`,
	topic: `u/${user_id}`,
});

/** An event of a change, before the writer has given it its cursor. */
export interface PendingEvent {
	type: string;
	/** The `type` of the frame. */
	frame: string;
	stream: Stream;
	data: object;
	/** Further streams whose subscribers are told now; the log holds the event under `stream` only. */
	also?: readonly Stream[];
	/** Where the data lives, for events that the log refers to instead of copying. */
	ref?: number;
}

/** An event of a type, with its data checked by the compiler. */
export const eventOf = <Data extends TObject>(
	event: EventType<Data>,
	stream: Stream,
	data: Static<Data>,
	rest: Pick<PendingEvent, 'also' | 'ref'> = {},
): PendingEvent => ({ type: event.type, frame: event.frame ?? event.type, stream, data, ...rest });

/** The frame of a stored event, from its data as JSON: the same text when it happens and when it is read back. */
export const frameOfStored = (frame: string, cursor: string, data: string): string =>
	`{"type":"${frame}","cursor":"${cursor}",${data.slice(1)}`;

/** A frame that is told once and never stored. */
export interface LiveFrame {
	streams: readonly Stream[];
	frame: string;
	/** Told at most once a second, the latest of what came in it. */
	paced?: Paced;
}

/** What a frame says of a member: where one of its positions is. */
export interface Paced {
	room_id: RoomId;
	user_id: UserId;
	kind: 'delivered' | 'read';
	/** The position. It only rises. */
	at: number;
	/** A kind that is at least as far as this one says: what waits of it and is no further need not be told. */
	implies?: Paced['kind'];
}

export const liveFrameOf = <Data extends TObject>(
	event: EventType<Data>,
	streams: readonly Stream[],
	data: Static<Data>,
	paced?: Paced,
): LiveFrame => ({
	streams,
	...(paced === undefined ? {} : { paced }),
	frame: JSON.stringify({ type: event.frame ?? event.type, ...data }),
});
