import type { OperatorCaller, OwnCaller, TenantCaller, UserCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { decodeCursor, encodeCursor } from '../../core/cursor.ts';
import { AppError } from '../../core/errors.ts';
import { eventOf, roomStream, type Stream, userStream } from '../../core/event.ts';
import type { Ids, PlanNo, TenantId, TenantNo, UserId } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { numberBefore } from '../../core/page.ts';
import type { Scope } from '../../db/change.ts';
import type { LogHead } from '../../db/event-log.ts';
import type { Writer } from '../../db/writer.ts';
import { namedStream, TENANT_STREAM } from '../../realtime/topics.ts';
import type { RecordRead } from '../audit/service/reading.ts';
import { type MembersTx, requireAccess, requireRole } from '../members/service.ts';
import type { SubscriptionsTx } from '../subscriptions/service.ts';
import {
	type listDeadLetters,
	type listNotifications,
	notificationCreated,
	type reviewDeadLetters,
	type sendNotification,
} from './schema.ts';
import type { Attempts } from './service/attempts.ts';
import { lettersOf } from './service/letters.ts';
import { listOwn } from './service/own.ts';
import type { NotificationsTx } from './store.ts';

export type { NotificationsTx } from './store.ts';

export interface NotificationsDeps {
	writer: Writer<NotificationsTx & MembersTx>;
	read: NotificationsTx & MembersTx & SubscriptionsTx;
	clock: Clock;
	ids: Ids;
	attempts: Pick<Attempts, 'forget'>;
	/** The published end of the tenant's event log. */
	headOf(tenant: TenantNo): LogHead;
	/** @throws `NOT_FOUND` for a tenant that does not exist for the caller. */
	tenantOf(caller: OperatorCaller, tenant_id: TenantId): Promise<Scope & { plan: PlanNo | null }>;
	recordRead: RecordRead;
}

/** Longer than events are: a list is looked at by who was on holiday. */
export const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * The log's name of an event that is in no room: it is in as many streams as it has targets, which
 * are rows of their own, and nobody reads it by this one.
 */
const UNREAD_KEY = 'n';

/** What a notification is for, with the users named once. */
interface Targets {
	user_ids: readonly UserId[];
	isToSubscribers: boolean;
	isToAll: boolean;
}

/** The use-cases of notifications. */
export function createNotifications(deps: NotificationsDeps) {
	const { writer, read, clock, ids, headOf } = deps;

	/**
	 * Stores a notification, once, in the streams of its targets, and tells each socket concerned, once.
	 * What is for everybody is for each of the others too, and is in the stream of the tenant alone.
	 *
	 * @throws `VALIDATION_ERROR` without a target.
	 * @throws `NOT_FOUND` for a room that the caller may not know of.
	 * @throws `AUTHORIZATION_ERROR` for a user who notifies everybody, and for a plain member of a channel.
	 */
	async function send(
		caller: TenantCaller,
		{ topic, payload, targets: input }: InputOf<typeof sendNotification>,
	): Promise<OutputOf<typeof sendNotification>> {
		const { tenant } = caller;
		const { user_ids, isToSubscribers, isToAll } = targetsOf(caller, input);
		const now = clock.now();
		const created_at = toTimestamp(now);
		const notification_id = ids('notif');
		const data = { notification_id, topic, payload, created_at };
		return writer.commit(caller, async (tx, { cursor }) => {
			const room =
				input.room_id === undefined ? undefined : await roomOf(tx, caller, input.room_id);
			if (room !== undefined) await tx.members.updateHead(tenant, room.room, cursor);
			const shared: Stream[] = isToAll
				? [TENANT_STREAM]
				: [
						...(room === undefined ? [] : [roomStream(room)]),
						...(isToSubscribers ? [namedStream(topic)] : []),
					];
			const streams = [...shared, ...user_ids.map(userStream)];
			const row = { tenant, cursor, data: JSON.stringify(data), created_at: now };
			const stored = isToAll ? shared : streams;
			await tx.notifications.insert(
				row,
				stored.map(({ key }) => key),
				user_ids,
			);
			const [{ topic: first } = TENANT_STREAM, ...also] = streams;
			const key = room === undefined ? UNREAD_KEY : roomStream(room).key;
			// What it refers to has its own cursor; 0 is no message's seq.
			const rest = { also, ref: 0 };
			return {
				value: { notification_id, created_at },
				events: [eventOf(notificationCreated, { key, topic: first }, data, rest)],
			};
		});
	}

	/** A page of what the caller was notified of, newest first. */
	async function list(
		caller: UserCaller,
		{ cursor, limit = 50 }: InputOf<typeof listNotifications>,
	): Promise<OutputOf<typeof listNotifications>> {
		const before = numberBefore(cursor);
		// First: what is told as the moment of the page must not be later than the page.
		const { epoch, last_cursor } = headOf(caller.tenant);
		const place = { before: Math.min(before, last_cursor + 1), since: clock.now() - KEPT_MS };
		const page = await listOwn(read, caller, place, limit);
		return {
			notifications: page.rows.map(({ cursor: number, data }) => ({
				cursor: encodeCursor(epoch, number),
				...JSON.parse(data),
			})),
			next_cursor: page.next === undefined ? null : String(page.next),
			as_of: encodeCursor(epoch, last_cursor),
		};
	}

	/**
	 * Confirms all that the caller was notified of by name, up to a cursor. Writes nothing where
	 * nothing is waiting for it.
	 *
	 * @throws `CONFLICT` for a cursor of another life of the log.
	 */
	async function confirm(caller: UserCaller, wireCursor: string): Promise<{ success: true }> {
		const { tenant, tenant_id, user_id } = caller;
		const { epoch, last_cursor } = headOf(tenant);
		const cursor = decodeCursor(wireCursor);
		if (cursor?.epoch !== epoch) {
			throw new AppError(
				'CONFLICT',
				'This cursor is not of this log: load anew, and confirm what comes from then on',
				{ field: 'cursor' },
			);
		}
		const through = Math.min(cursor.number, last_cursor);
		deps.attempts.forget(tenant_id, user_id, through);
		const range = { tenant, user_id, after: 0, through };
		const [pending] = await read.notifications.listPending(range, 1);
		if (pending === undefined) return { success: true };
		return writer.commit(caller, async (tx) => {
			await tx.notifications.confirm({ tenant, user_id, through });
			return { value: { success: true as const } };
		});
	}

	return {
		send,
		list,
		confirm,

		/** A page of the tenant's dead letters. @throws `VALIDATION_ERROR` for a user: they are the tenant's. */
		async listDeadLetters(
			caller: OwnCaller,
			input: InputOf<typeof listDeadLetters>,
		): Promise<OutputOf<typeof listDeadLetters>> {
			return lettersOf(read, caller.tenant, input);
		},

		/** The same for the operator, and recorded. @throws `NOT_FOUND` for an unknown tenant. */
		async reviewDeadLetters(
			caller: OperatorCaller,
			{ tenant_id, ...page }: InputOf<typeof reviewDeadLetters>,
		): Promise<OutputOf<typeof reviewDeadLetters>> {
			const scope = await deps.tenantOf(caller, tenant_id);
			const letters = await lettersOf(read, scope.tenant, page);
			await deps.recordRead(caller, 'dead_letters.review', scope, page);
			return letters;
		},
	};
}

export type Notifications = ReturnType<typeof createNotifications>;

function targetsOf(
	caller: TenantCaller,
	input: InputOf<typeof sendNotification>['targets'],
): Targets {
	const { user_ids = [], room_id, topic_subscribers = false, all = false } = input;
	if (user_ids.length === 0 && room_id === undefined && !topic_subscribers && !all) {
		throw new AppError(
			'VALIDATION_ERROR',
			'Needs a target: user_ids, room_id, topic_subscribers or all',
			{ field: 'targets' },
		);
	}
	if (all && caller.user_id !== null) {
		throw new AppError('AUTHORIZATION_ERROR', 'Only the tenant itself may notify everybody', {
			field: '/targets/all',
		});
	}
	return {
		user_ids: [...new Set(user_ids)],
		isToSubscribers: topic_subscribers,
		isToAll: all,
	};
}

/** The room, if the caller may speak in it. */
async function roomOf(
	tx: MembersTx,
	caller: TenantCaller,
	room_id: Parameters<typeof requireAccess>[2],
) {
	const access = await requireAccess(tx, caller, room_id);
	if (access.type === 'channel') requireRole(caller, access, 'moderator');
	return access;
}
