import type { OwnCaller, TenantCaller } from '../../core/caller.ts';
import { decodeCursor, encodeCursor } from '../../core/cursor.ts';
import { AppError, assert } from '../../core/errors.ts';
import { frameOfStored } from '../../core/event.ts';
import type { TenantNo } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Stored } from '../../db/client.ts';
import type { Waiters } from '../../realtime/waiters.ts';
import { messageCreated } from '../messages/schema.ts';
import { contentsOf } from '../messages/service.ts';
import { frameTypeOf, LOGGED, type LoggedFrame, type listEvents } from './schema.ts';
import type { EventsStore, LogEnds, LogRow } from './store.ts';

export type { LogEnds } from './store.ts';

export interface EventsTx {
	events: Stored<EventsStore>;
}

const FRAME_TYPES: ReadonlyMap<string, string> = new Map(
	LOGGED.map((event) => [event.type, frameTypeOf(event)]),
);

/**
 * The frame of an event that is read back: byte for byte what sockets were told when it happened.
 * Undefined for one that refers to a message that is no more; its cursor is passed over.
 */
export function frameOf(epoch: string, row: LogRow): string | undefined {
	const data = row.payload ?? messageOf(row);
	if (data === undefined) return undefined;
	const type = FRAME_TYPES.get(row.type) ?? row.type;
	return frameOfStored(type, encodeCursor(epoch, row.cursor), data);
}

function messageOf(row: LogRow): string | undefined {
	const { message_id } = row;
	if (row.type !== messageCreated.type || message_id === null) return undefined;
	return JSON.stringify(contentsOf(row.room_id, { ...row, message_id }, row.seq));
}

/** Where a log is gone on from, or why it cannot be: what a socket is told with `resync`. */
export type Start = { after: number } | { reason: Lost };
/** `expired`: events behind it are pruned. `unknown`: of another life of the log, or ahead of it. */
export type Lost = 'expired' | 'unknown';

/** Whether a log holds everything after this cursor. */
export function startAt(ends: LogEnds, wireCursor: string): Start {
	const cursor = decodeCursor(wireCursor);
	if (cursor?.epoch !== ends.epoch || cursor.number > ends.last_cursor) {
		return { reason: 'unknown' };
	}
	return cursor.number < ends.pruned_through ? { reason: 'expired' } : { after: cursor.number };
}

const LOST: Readonly<Record<Lost, string>> = {
	expired: 'Events after this cursor are kept no longer: read anew and go on from as_of',
	unknown: 'This cursor is not of this log: read anew and go on from as_of',
};

export interface EventsDeps {
	read: EventsTx;
	waiters: Waiters;
	/** Why nothing is done for the caller any more; undefined while it is good. */
	refusalOf(caller: TenantCaller): AppError | undefined;
}

/** The use-cases of the event log. */
export function createEvents({ read, waiters, refusalOf }: EventsDeps) {
	async function endsOf(tenant: TenantNo): Promise<LogEnds> {
		const ends = await read.events.findEnds(tenant);
		assert(ends !== undefined, 'every tenant has a log head');
		return ends;
	}

	/** @throws `CONFLICT` when the log no longer holds what came after the cursor. */
	function startOf(ends: LogEnds, wireCursor: string | undefined): number {
		if (wireCursor === undefined) return ends.pruned_through;
		const start = startAt(ends, wireCursor);
		if ('after' in start) return start.after;
		throw new AppError('CONFLICT', LOST[start.reason], { field: 'after' });
	}

	/** A page; `through` is where it ends: not later than what sockets were told. */
	async function pageAfter(
		{ tenant }: TenantCaller,
		{ after: wireCursor, limit = 50 }: InputOf<typeof listEvents>,
	) {
		// First: what is told as the moment of the page must not be later than the page.
		const { last_cursor: through, ...ends } = await endsOf(tenant);
		const after = startOf({ ...ends, last_cursor: through }, wireCursor);
		const rows = await read.events.readTenant(tenant, { after, through }, limit + 1);
		const shownRows = rows.slice(0, limit);
		const last = shownRows.at(-1);
		const hasMore = rows.length > limit && last !== undefined;
		const frames = shownRows.flatMap((row) => frameOf(ends.epoch, row) ?? []);
		const page: OutputOf<typeof listEvents> = {
			events: frames.map((frame): LoggedFrame => JSON.parse(frame)),
			next_cursor: hasMore ? encodeCursor(ends.epoch, last.cursor) : null,
			as_of: encodeCursor(ends.epoch, through),
		};
		return { page, through };
	}

	/**
	 * A page of the tenant's log. One that would be empty waits for the next event as long as it is told
	 * to, and is empty after all when there was none, when the client has gone, and when the server stops.
	 *
	 * @throws `CONFLICT` for a cursor that cannot be gone on from.
	 * @throws `RATE_LIMIT_EXCEEDED`, `UNAVAILABLE` when too many of the tenant, of the server wait.
	 * @throws `AUTHENTICATION_ERROR` when the key was revoked or has ended meanwhile, `AUTHORIZATION_ERROR`
	 * when its tenant was suspended or deleted.
	 */
	async function list(
		caller: OwnCaller,
		input: InputOf<typeof listEvents>,
		client?: Pick<Request, 'signal'>,
	): Promise<OutputOf<typeof listEvents>> {
		const { wait = 0 } = input;
		const { page, through } = await pageAfter(caller, input);
		if (page.events.length > 0 || page.next_cursor !== null || wait === 0) return page;
		const isWoken = waiters.wait(caller.tenant_id, wait * 1000, client?.signal);
		// What was published since the page was read woke nobody.
		const ends = await endsOf(caller.tenant);
		if (ends.last_cursor > through) waiters.wake(caller.tenant_id);
		await isWoken;
		if (client?.signal.aborted === true) return page;
		const refusal = refusalOf(caller);
		if (refusal !== undefined) throw refusal;
		return (await pageAfter(caller, input)).page;
	}

	/** Some cursor of an event that is at least `ms` older than that at `cursor`; 0 where the log does not tell. */
	async function cursorBefore(tenant: TenantNo, cursor: number, ms: number): Promise<number> {
		const at = await read.events.findCreatedAt(tenant, cursor);
		if (at === undefined) return 0;
		let before = cursor;
		for (let step = 1; before > 0; step *= 2) {
			before -= step;
			const earlier = await read.events.findCreatedAt(tenant, before);
			if (earlier === undefined || earlier <= at - ms) break;
		}
		return Math.max(0, before);
	}

	return {
		list,
		cursorBefore,

		/** For resuming: up to where there is something to be read, and from where on. */
		endsOf,

		/** Answers all who wait, now and from now on at once: the server stops. */
		endWaiting: waiters.close,
	};
}

export type Events = ReturnType<typeof createEvents>;
