/** The fields that several operations and events share: one schema each, every one bounded. */
import { FormatRegistry, type TSchema, type TUnsafe, Type } from '@sinclair/typebox';
import {
	type KeyId,
	type MessageId,
	type NotificationId,
	type PlanId,
	type RoomId,
	type SubscriptionId,
	type TenantId,
	USER_ID,
	type UserId,
} from './ids.ts';

/** What a field holds that its JSON Schema cannot say; checked against the settings of the day. */
export type Bound = 'content' | 'metadata';

/** One of these strings. The message that a wrong one gets lists them. */
export const oneOf = <const Values extends readonly string[]>(label: string, values: Values) =>
	Type.Unsafe<Values[number]>(
		Type.Union(
			values.map((value) => Type.Literal(value)),
			{ error: `Invalid ${label}. Must be one of: ${values.join(', ')}` },
		),
	);

export const nullable = <Schema extends TSchema>(schema: Schema) =>
	Type.Union([schema, Type.Null()]);

// Loose on purpose: an id that was never given out is "not found", like any other missing thing.
const idOf = <Id extends string>(prefix: string) =>
	Type.Unsafe<Id>(
		Type.String({
			pattern: `^${prefix}_[0-9A-Za-z]{1,40}$`,
			minLength: prefix.length + 2,
			maxLength: prefix.length + 41,
			error: `Must be an id that begins with ${prefix}_`,
		}),
	);

export const TenantIdField: TUnsafe<TenantId> = idOf<TenantId>('tenant');
export const RoomIdField: TUnsafe<RoomId> = idOf<RoomId>('room');
export const MessageIdField: TUnsafe<MessageId> = idOf<MessageId>('msg');
export const PlanIdField: TUnsafe<PlanId> = idOf<PlanId>('plan');
export const KeyIdField: TUnsafe<KeyId> = idOf<KeyId>('key');
export const NotificationIdField: TUnsafe<NotificationId> = idOf<NotificationId>('notif');
export const SubscriptionIdField: TUnsafe<SubscriptionId> = idOf<SubscriptionId>('sub');

export const UserIdField: TUnsafe<UserId> = Type.Unsafe<UserId>(
	Type.String({
		pattern: USER_ID.source,
		minLength: 1,
		maxLength: 128,
		error: 'Must be a user id: 1 to 128 of A-Z a-z 0-9 . _ : @ | -',
	}),
);

/** The name of a notification topic: a text of the tenant's own. */
export const TopicField = Type.String({
	pattern: '^[A-Za-z0-9._:-]{1,128}$',
	minLength: 1,
	maxLength: 128,
	error: 'Must be 1 to 128 of A-Z a-z 0-9 . _ : -',
});

// C0 and C1 controls, and the characters that reorder text around them (Unicode TR 9).
const CONTROLS =
	'\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069';

/** Counts characters, not UTF-16 units: a pair of surrogates is one. */
export const NameField = Type.String({
	pattern: `^(?:[^${CONTROLS}\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff]){1,128}$`,
	minLength: 1,
	maxLength: 256,
	error: 'Must be a name of 1 to 128 characters without control or direction characters',
});

/** Any JSON value, an object by preference. Its size, depth and keys are limits of the server. */
export const MetadataField = Type.Unknown({
	bound: 'metadata' satisfies Bound,
	description: 'Any JSON value: at most 8 KiB, 16 levels and 256 keys unless set otherwise',
});

export const ContentField = Type.String({
	minLength: 1,
	// Above every possible setting of MAX_CONTENT_BYTES: the setting is what is told to clients.
	maxLength: 1_048_576,
	bound: 'content' satisfies Bound,
	description: 'At most 16 KiB of UTF-8 unless set otherwise',
});

export const ClientMsgIdField = Type.String({
	pattern: '^[A-Za-z0-9._:-]{1,64}$',
	minLength: 1,
	maxLength: 64,
	error: 'Must be 1 to 64 of A-Z a-z 0-9 . _ : -',
	description: 'Chosen by the sender; makes a retry return the first message',
});

export const SeqField = Type.Integer({
	minimum: 1,
	maximum: Number.MAX_SAFE_INTEGER,
	description: 'Place of a message in its room: 1, 2, 3… without gaps',
});

/** A seq where nothing may have happened yet. */
export const HeadSeqField = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const CountField = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const CursorField = Type.String({
	pattern: '^[0-9a-v]{16}$',
	minLength: 16,
	maxLength: 16,
	description: 'Place in the event log of the tenant; compares as text',
	error: 'Must be a cursor: the cursor of an event or message, or an as_of',
});

// The format is for the docs: the pattern beside it says all. TypeBox refuses a format it does not know, and
// what Elysia would teach it parses the date, which on a page of messages costs as much as reading them.
FormatRegistry.Set('date-time', () => true);

export const TimestampField = Type.String({
	minLength: 24,
	maxLength: 24,
	pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
	format: 'date-time',
	description: 'RFC 3339, UTC, milliseconds',
});

/** A time as a client may write it: RFC 3339 with any offset. Parsed by the use-case. */
export const TimeInputField = Type.String({
	minLength: 20,
	maxLength: 35,
	pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?(Z|[+-]\\d{2}:\\d{2})$',
	error: 'Must be an RFC 3339 time, such as 2026-11-21T03:45:00Z',
});

export const LimitField = Type.Integer({
	minimum: 1,
	maximum: 100,
	default: 50,
	description: 'How many at most',
});

/** Where a list goes on: the `next_cursor` of the page before. */
export const PageCursorField = Type.String({
	pattern: '^[A-Za-z0-9_.:@|-]{1,256}$',
	minLength: 1,
	maxLength: 256,
	description: '`next_cursor` of the page before',
	error: 'Must be the next_cursor of the page before',
});

export const NextCursorField = nullable(PageCursorField);

/** Rises by one with each change of the thing; its `ETag`, for `If-Match`. */
export const VersionField = Type.Integer({
	minimum: 1,
	maximum: Number.MAX_SAFE_INTEGER,
	description: 'Rises with every change; the `ETag` of the answer, for `If-Match`',
});

/** No input at all. */
export const NoInput = Type.Object({}, { additionalProperties: false });

export const SuccessField = Type.Object({ success: Type.Literal(true) });
