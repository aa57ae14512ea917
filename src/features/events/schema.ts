import { type Static, type TObject, Type } from '@sinclair/typebox';
import type { EventType } from '../../core/event.ts';
import { CursorField, LimitField, nullable } from '../../core/fields.ts';
import { defineOperation } from '../../core/operation.ts';
import { memberAdded, memberRemoved, memberUpdated } from '../members/schema.ts';
import { messageCreated } from '../messages/schema.ts';
import { notificationCreated } from '../notifications/schema.ts';
import { quotaWarning } from '../quotas/schema.ts';
import { roomCreated, roomDeleted, roomUpdated } from '../rooms/schema.ts';

/** Every event that the log holds. One that is told live only is in no log, and not here. */
export const LOGGED: readonly EventType[] = [
	messageCreated,
	roomCreated,
	roomUpdated,
	roomDeleted,
	memberAdded,
	memberUpdated,
	memberRemoved,
	notificationCreated,
	quotaWarning,
];

/** The `type` of an event's frame. */
export const frameTypeOf = ({ type, frame = type }: EventType): string => frame;

/** Seconds: below what proxies and our own idle timeout allow a silent connection. */
const WAIT_MAX_S = 50;

const frameOf = <Data extends TObject>(event: EventType<Data>) =>
	Type.Object(
		{
			type: Type.Literal(frameTypeOf(event)),
			cursor: CursorField,
			...event.data.properties,
		},
		{ description: event.summary },
	);

/** An event as `frameOf` of the service writes it, and as a socket is told it. */
export const LoggedFrame = Type.Unsafe<LoggedFrame>(Type.Union(LOGGED.map(frameOf)));
/** What its union can say no closer: which fields there are is up to its type. */
export type LoggedFrame = { type: string; cursor: Static<typeof CursorField> };

const cursor = '3k9qv00000000a1f';

export const listEvents = defineOperation({
	name: 'events.list',
	summary: "Read the tenant's event log",
	description:
		'For the backend of the tenant itself: a key without a user. All events of all rooms, each as a socket is told it, in the order of their cursors. Without `after`, from the oldest that is kept (`EVENT_RETENTION`). Go on with `after=` the `next_cursor`, or `as_of` where that is null: then this was all there is. With `wait` the answer to a page that would be empty waits for the next event, at most so many seconds. 409 says that `after` cannot be gone on from: events behind it are kept no longer, or it is of another life of the log. Then read what you need anew, and go on from the `as_of` of a request without `after`.',
	actor: 'tenant',
	permission: 'events:read',
	cost: 1,
	input: Type.Object(
		{
			after: Type.Optional(CursorField),
			limit: Type.Optional(LimitField),
			wait: Type.Optional(
				Type.Integer({
					minimum: 0,
					maximum: WAIT_MAX_S,
					description: 'Seconds to wait for an event when there is none',
				}),
			),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({
		events: Type.Array(LoggedFrame, { maxItems: 100 }),
		next_cursor: nullable(CursorField),
		as_of: CursorField,
	}),
	errors: ['CONFLICT'],
	example: {
		input: { after: '3k9qv00000000a1e', limit: 50, wait: 25 },
		output: {
			events: [{ type: frameTypeOf(messageCreated), cursor, ...messageCreated.example }],
			next_cursor: null,
			as_of: cursor,
		},
	},
});
