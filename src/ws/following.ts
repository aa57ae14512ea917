/**
 * What a socket follows and from where on: the first frame, what was missed, and then what happens.
 *
 * Order: first the past, up to the end of the log. The socket follows its rooms from the very turn of the
 * event loop in which there is nothing left of it, for no commit is published within a turn; so cursors
 * rise on every socket, without a hole.
 *
 * Concurrency: one replay a socket, as fast as its client takes it. One that reads slowly holds up nobody
 * but itself.
 */
import { isUser, type TenantCaller, type UserCaller } from '../core/caller.ts';
import { encodeCursor } from '../core/cursor.ts';
import { AppError } from '../core/errors.ts';
import { roomTopic } from '../core/event.ts';
import type { RoomId, TenantNo } from '../core/ids.ts';
import { EventsPruned } from '../features/events/service/logged.ts';
import { type LogEnds, startAt } from '../features/events/service.ts';
import type { PositionsReplay } from '../features/receipts/service/positions.ts';
import { BACKENDS, namedStream, topicOf } from '../realtime/topics.ts';
import type { Socket } from './socket.ts';

/** What is above `after`, up to and with `through`. */
interface Missed {
	epoch: string;
	after: number;
	through: number;
}

type Rooms = readonly { room_id: RoomId; unread: number }[];

export interface FollowingDeps {
	/** The user's rooms with what is unread in each. */
	roomsOf(caller: UserCaller): Promise<Rooms>;
	/** The notification topics that the user is subscribed to. */
	subscriptionsOf(caller: UserCaller): Promise<readonly string[]>;
	/** The tenant's log, up to its published end. */
	endsOf(tenant: TenantNo): Promise<LogEnds>;
	/** The frames that a user was not sent between two cursors, in their order and in pages. */
	missedBy(caller: UserCaller, cursors: Missed): AsyncIterable<readonly string[]>;
	/** Whether a socket of the user that follows these topics by name was told of anything between. */
	wasTold(caller: UserCaller, cursors: Missed, topics: Iterable<string>): Promise<boolean>;
	/** The same for the tenant itself, which is sent every event of its log. */
	loggedBy(tenant: TenantNo, cursors: Missed): AsyncIterable<readonly string[]>;
	/**
	 * The positions that a user who goes on from a cursor may have missed: from which cursor on they are to
	 * be told, and what is told.
	 */
	positionsOf(
		caller: UserCaller,
		after: number,
	): Promise<{ from: number; positions: PositionsReplay }>;
	/** Told of all frames that were replayed. */
	countReplayed(caller: TenantCaller, frames: readonly string[]): void;
	/** What `connected` says of the server. */
	greeting: Readonly<Record<string, unknown>>;
}

export interface Following {
	/**
	 * Sends the first frame and follows the user's rooms, or of a backend socket the whole tenant, from where
	 * the client left off if it says so.
	 */
	greet(socket: Socket): Promise<void>;
	/**
	 * Goes back to where the client left off, on a socket that was opened without saying it.
	 *
	 * @throws `CONFLICT` while it replays, and when it was told of events since it was opened: cursors
	 * would fall.
	 */
	resume(socket: Socket, caller: TenantCaller, cursor: string): Promise<void>;
}

/** A write of its own for each frame of a replay would cost more than reading it. */
const WRITE_BYTES = 16 * 1024;
/** Unsent beyond this, a replay waits: far below what makes a slow consumer. */
const PAUSE_BYTES = 64 * 1024;

async function* nothing(): AsyncGenerator<string[], void, void> {}

/** The user's rooms at a cursor. */
interface Seen {
	rooms: Rooms;
	at: number;
}

/** A page in pieces that are each worth a write. */
function* writesOf(page: readonly string[]): Generator<readonly string[], void, void> {
	let begin = 0;
	let bytes = 0;
	for (const [index, frame] of page.entries()) {
		bytes += frame.length;
		if (bytes < WRITE_BYTES) continue;
		yield page.slice(begin, index + 1);
		begin = index + 1;
		bytes = 0;
	}
	if (begin < page.length) yield page.slice(begin);
}

export function createFollowing({ endsOf, greeting, ...deps }: FollowingDeps): Following {
	const roomsOf = async (caller: TenantCaller) => (isUser(caller) ? deps.roomsOf(caller) : []);

	/** The native topics of a user's socket: the rooms and topics of the user, those it named itself. */
	async function topicsOf(
		socket: Socket,
		caller: TenantCaller,
		rooms: readonly { room_id: RoomId }[],
	): Promise<string[]> {
		if (!isUser(caller)) return [topicOf(caller.tenant_id, BACKENDS)];
		const named = [...(await deps.subscriptionsOf(caller)), ...socket.namedTopics];
		const streams = [...rooms.map(({ room_id }) => roomTopic(room_id)), ...named.map(namedStream)];
		return streams.map((stream) => topicOf(caller.tenant_id, stream));
	}

	const missedBy = (caller: TenantCaller, cursors: Missed) =>
		isUser(caller) ? deps.missedBy(caller, cursors) : deps.loggedBy(caller.tenant, cursors);

	/** A client that takes longer than events are kept is closed: when it comes back it is told `resync`. */
	async function replay(
		socket: Socket,
		caller: TenantCaller,
		from: number,
		seen?: Seen,
	): Promise<void> {
		try {
			await replayAll(socket, caller, from, seen);
		} catch (error) {
			if (!(error instanceof EventsPruned)) throw error;
			socket.end('slow_consumer');
		}
	}

	/** Sends frames as fast as they are taken, and says how many; undefined once the socket is closed. */
	async function sendAll(
		socket: Socket,
		pages: AsyncIterable<readonly string[]>,
	): Promise<number | undefined> {
		let count = 0;
		for await (const page of pages) {
			count += page.length;
			for (const frames of writesOf(page)) {
				socket.sendAll(frames);
				deps.countReplayed(socket.grant.caller, frames);
				while (socket.bufferedBytes() > PAUSE_BYTES) await socket.drained();
				if (!socket.isOpen) return undefined;
			}
		}
		return socket.isOpen ? count : undefined;
	}

	/**
	 * Everything above `after`, until there is nothing left; ends early when the socket does.
	 *
	 * Positions come before the events up to the same moment: whoever breaks off between two events goes on
	 * from a cursor behind which nothing of them is missing.
	 */
	async function replayAll(
		socket: Socket,
		caller: TenantCaller,
		from: number,
		seen: Seen | undefined,
	): Promise<void> {
		const positions = await positionsFor(caller, from);
		let after = from;
		let count = 0;
		for (;;) {
			const { epoch, last_cursor: through } = await endsOf(caller.tenant);
			if ((await sendAll(socket, positions(through))) === undefined) return;
			const sent = await sendAll(socket, missedBy(caller, { epoch, after, through }));
			if (sent === undefined) return;
			count += sent;
			after = through;
			// From here to the end in one turn: on SQLite no await below leaves the microtasks.
			if ((await endsOf(caller.tenant)).last_cursor !== through) continue;
			for await (const frames of positions(through)) socket.sendAll(frames);
			// Whoever comes into a room or leaves it does so with an event.
			const rooms = seen?.at === through ? seen.rooms : await roomsOf(caller);
			for (const topic of await topicsOf(socket, caller, rooms)) socket.subscribe(topic);
			socket.goLive(through);
			return done(socket, epoch, through, count);
		}
	}

	/** What is to be told of positions up to a cursor, since the last time. */
	async function positionsFor(
		caller: TenantCaller,
		after: number,
	): Promise<(through: number) => AsyncIterable<readonly string[]>> {
		// A backend reads them over REST.
		if (!isUser(caller)) return nothing;
		const { from, positions } = await deps.positionsOf(caller, after);
		let since = from;
		return function changed(through) {
			const frames = positions.since(since, through);
			since = through;
			return frames;
		};
	}

	async function greet(socket: Socket): Promise<void> {
		const { caller, resumeFrom } = socket;
		const ends = await endsOf(caller.tenant);
		const start = resumeFrom === undefined ? undefined : startAt(ends, resumeFrom);
		const isResumed = start !== undefined && 'after' in start;
		const rooms = await roomsOf(caller);
		const here = encodeCursor(ends.epoch, ends.last_cursor);
		socket.send(
			JSON.stringify({
				type: 'connected',
				connection_id: socket.connection_id,
				user_id: caller.user_id,
				// Safe to go on from, whatever comes of the replay.
				cursor: isResumed ? resumeFrom : here,
				resumed: isResumed,
				unread_count: rooms.reduce((sum, { unread }) => sum + unread, 0),
				...greeting,
			}),
		);
		const seen = { rooms, at: ends.last_cursor };
		if (isResumed) return replay(socket, caller, start.after, seen);
		for (const topic of await topicsOf(socket, caller, rooms)) socket.subscribe(topic);
		socket.goLive(ends.last_cursor);
		if (start !== undefined) resync(socket, start.reason);
	}

	/** Whether there was an event for it in between: every one is for the tenant itself. */
	const isTold = async (socket: Socket, caller: TenantCaller, cursors: Missed): Promise<boolean> =>
		isUser(caller)
			? deps.wasTold(caller, cursors, socket.namedTopics)
			: cursors.through > cursors.after;

	function done(socket: Socket, epoch: string, through: number, count: number): void {
		const cursor = encodeCursor(epoch, through);
		socket.send(JSON.stringify({ type: 'replay.done', cursor, count }));
	}

	const resync = (socket: Socket, reason: string) =>
		socket.send(JSON.stringify({ type: 'resync', reason }));

	async function resume(socket: Socket, caller: TenantCaller, cursor: string): Promise<void> {
		if (!socket.isLive) throw new AppError('CONFLICT', 'A replay is under way');
		const ends = await endsOf(caller.tenant);
		const start = startAt(ends, cursor);
		if ('reason' in start) {
			resync(socket, start.reason);
			return;
		}
		const { epoch, last_cursor: through } = ends;
		if (start.after >= socket.liveSince) {
			const positions = await positionsFor(caller, start.after);
			if ((await sendAll(socket, positions(through))) === undefined) return;
			return done(socket, epoch, through, 0);
		}
		if (await isTold(socket, caller, { epoch, after: socket.liveSince, through })) {
			throw new AppError('CONFLICT', 'Events came already: open a socket with ?cursor= instead', {
				field: 'cursor',
			});
		}
		socket.pause();
		const topics = await topicsOf(socket, caller, await roomsOf(caller));
		for (const topic of topics) socket.unsubscribe(topic);
		await replay(socket, caller, start.after);
	}

	return { greet, resume };
}
