/**
 * Who is online: asked for, and told as it changes.
 *
 * Told are the users online who share a dm or a small room, each once, and the sockets that subscribed
 * and share any room. Who may know is looked up as it is told, room by room: who left the last shared
 * room, or was removed from it, hears no more.
 *
 * Concurrency: one change is told at a time, in slices that `pace` ends; the changes behind it wait and
 * undo each other. Nothing of it is on the path of a connect or of a send.
 *
 * @see docs/adr/0012-presence.md
 */
import type { UserCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { liveFrameOf, userStream } from '../../core/event.ts';
import type { UserId } from '../../core/ids.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Connection, Connections } from '../../realtime/connections.ts';
import type { Hub } from '../../realtime/hub.ts';
import type { PresenceChange, PresenceRegistry } from '../../realtime/presence.ts';
import { listFellows, listSmallRooms, type MembersTx, sharesRoom } from '../members/service.ts';
import {
	presenceChanged,
	type queryPresence,
	type subscribePresence,
	type unsubscribePresence,
} from './schema.ts';
import type { LastSeen } from './service/last-seen.ts';
import { createPresenceSubscriptions } from './service/subscriptions.ts';

export interface PresenceDeps {
	read: MembersTx;
	clock: Pick<Clock, 'monotonic'>;
	connections: Pick<Connections, 'countOfTenant' | 'countOfUser'>;
	hub: Pick<Hub, 'publish' | 'tell'>;
	registry: PresenceRegistry;
	lastSeen: Pick<LastSeen, 'find'>;
	/** Larger rooms are not told; 0: no room is too large. Rooms of two always are, as a dm is one. */
	liveReceiptsMax: number;
}

/** Called between two steps of a walk: returns when the walk may go on. */
export type Pace = () => Promise<void>;

type Presences = OutputOf<typeof queryPresence>;

/** Rows of one step. */
const FELLOWS_A_PAGE = 256;
/** The longest that a query holds up the others. */
const QUERY_MS_MAX = 2;

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The use-cases of presence. */
export function createPresence(deps: PresenceDeps) {
	const { read, clock, connections, hub, registry, lastSeen, liveReceiptsMax } = deps;
	const subscriptions = createPresenceSubscriptions();
	const sizeMax = liveReceiptsMax === 0 ? Number.MAX_SAFE_INTEGER : Math.max(2, liveReceiptsMax);

	async function presenceOf(
		caller: UserCaller,
		user_id: UserId,
	): Promise<Presences['presences'][number]> {
		const { tenant, tenant_id } = caller;
		const isVisible =
			user_id === caller.user_id || (await sharesRoom(read, tenant, caller.user_id, user_id));
		if (!isVisible) return { user_id, status: 'offline' };
		if (registry.isOnline(tenant_id, user_id)) return { user_id, status: 'online' };
		const last_seen_at = await lastSeen.find(tenant, user_id);
		if (last_seen_at === undefined) return { user_id, status: 'offline' };
		return { user_id, status: 'offline', last_seen_at: toTimestamp(last_seen_at) };
	}

	/** Who of these is online, each once. Who shares no room with the caller looks as if they were nobody. */
	async function query(
		caller: UserCaller,
		{ user_ids }: InputOf<typeof queryPresence>,
	): Promise<Presences> {
		const presences: Presences['presences'] = [];
		let startedAt = clock.monotonic();
		for (const user_id of new Set(user_ids)) {
			presences.push(await presenceOf(caller, user_id));
			if (clock.monotonic() - startedAt < QUERY_MS_MAX) continue;
			await nextTurn();
			startedAt = clock.monotonic();
		}
		return { presences };
	}

	/** Tells a change to everybody online who shares a dm or a small room. Returns whom. */
	async function tellFellows(
		{ tenant, tenant_id, user_id }: PresenceChange,
		frame: string,
		pace: Pace,
	): Promise<Set<UserId>> {
		const told = new Set([user_id]);
		for (const { room } of await listSmallRooms(read, tenant, user_id, sizeMax)) {
			let after = '';
			for (let hasMore = true; hasMore; ) {
				const page = { after, limit: FELLOWS_A_PAGE };
				const fellows = await listFellows(read, { tenant, room, user_id }, page);
				for (const fellow of fellows) {
					if (told.has(fellow) || connections.countOfUser(tenant_id, fellow) === 0) continue;
					told.add(fellow);
					hub.publish(tenant_id, userStream(fellow), frame);
				}
				hasMore = fellows.length === FELLOWS_A_PAGE;
				after = fellows.at(-1) ?? '';
				await pace();
			}
		}
		return told;
	}

	/** Tells a change to the sockets that asked for it, if they share a room with the user at all. */
	async function tellSubscribers(
		{ tenant, tenant_id, user_id }: PresenceChange,
		frame: string,
		told: ReadonlySet<UserId>,
		pace: Pace,
	): Promise<void> {
		for (const connection of subscriptions.of(tenant_id, user_id)) {
			const asker = connection.user_id;
			if (asker === null || told.has(asker)) continue;
			if (await sharesRoom(read, tenant, asker, user_id)) hub.tell(connection, frame);
			await pace();
		}
	}

	return {
		query,

		/**
		 * Tells this socket of these users from now on, and who of them is online now. Idempotent.
		 *
		 * @throws `CONFLICT` beyond 200 users a socket.
		 */
		subscribe: async (
			caller: UserCaller,
			input: InputOf<typeof subscribePresence>,
			connection: Connection,
		): Promise<OutputOf<typeof subscribePresence>> => {
			// First, and at once: what changes while it looks is told, and a closed socket asks for nothing.
			subscriptions.add(connection, input.user_ids);
			return query(caller, input);
		},

		/** Ends that. Idempotent. */
		unsubscribe: async (
			_caller: UserCaller,
			{ user_ids }: InputOf<typeof unsubscribePresence>,
			connection: Connection,
		): Promise<OutputOf<typeof unsubscribePresence>> => {
			subscriptions.remove(connection, user_ids);
			return { success: true };
		},

		/** A socket closed: it is told of nobody any more. */
		forget: subscriptions.removeAll,

		/** How many users somebody subscribed to. */
		get subscribed() {
			return subscriptions.size;
		},

		/** Ends the grace of who did not come back. */
		sweep: registry.sweep,

		/** Tells the next change. Returns false when there is none. */
		async tellNext(pace: Pace): Promise<boolean> {
			const change = registry.take();
			if (change === undefined) return false;
			const { tenant_id, user_id, status, last_seen_at } = change;
			const own = connections.countOfUser(tenant_id, user_id);
			if (connections.countOfTenant(tenant_id) === own) return true;
			const seen = last_seen_at === null ? {} : { last_seen_at: toTimestamp(last_seen_at) };
			const { frame } = liveFrameOf(presenceChanged, [], { user_id, status, ...seen });
			const told = await tellFellows(change, frame, pace);
			await tellSubscribers(change, frame, told, pace);
			await pace();
			return true;
		},
	};
}

export type Presence = ReturnType<typeof createPresence>;
