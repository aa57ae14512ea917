/**
 * Fans events out to connections. One per process; called by the writer, after a commit, and by
 * use-cases for what is never stored.
 *
 * Order: events leave in commit order, for the writer publishes in commit order and nothing here
 * yields. A connection that lags is closed, never buffered without bound and never skipped: its
 * client resumes.
 *
 * Must never: be called inside a transaction, throw, or await.
 */
import type { Effect } from '../core/effect.ts';
import type { Stream } from '../core/event.ts';
import { roomTopic, userStream } from '../core/event.ts';
import type { TenantId, UserId } from '../core/ids.ts';
import { CLOSE, type CloseReason } from './close-codes.ts';
import type { Connection, Connections } from './connections.ts';
import { BACKENDS, namedStream, TENANT_STREAM, topicOf } from './topics.ts';

/** Bun's native topics, once the server listens. */
export interface Transport {
	/** > 0: bytes; -1: some subscriber lags; 0: some subscriber lost it, or there is none. */
	publish(topic: string, frame: string): number;
	subscriberCount(topic: string): number;
}

export interface Hub {
	/** Sends a frame to the stream's subscribers. */
	publish(tenant_id: TenantId, stream: Stream, frame: string): void;
	/** Sends a stored event's frame to the tenant's backend sockets: once, whatever its streams. */
	tellBackends(tenant_id: TenantId, frame: string): void;
	/** Sends a live frame to one socket, if events are for it. */
	tell(connection: Connection, frame: string): void;
	/**
	 * Sends a frame once to each socket that follows any of several streams, and tells of each user whose
	 * own stream is among them and who has an open socket.
	 */
	publishOnce(
		tenant_id: TenantId,
		streams: readonly Stream[],
		frame: string,
		onReached: (user_id: UserId) => void,
	): void;
	/** What a commit means for sockets. */
	apply(effect: Effect): void;
	attach(transport: Transport): void;
	readonly counters: HubCounters;
}

export interface HubCounters {
	/** Frames times their subscribers. */
	deliveries: number;
	/** Publications that some subscriber's socket had no room for; that socket is closed. */
	drops: number;
	/** Sockets closed because they did not keep up. */
	slow_consumers: number;
}

/** Closed with a code while that still fits; the hard limit of 1 MiB is Bun's to enforce. */
export const BACKLOG_BYTES_MAX = 256 * 1024;

/**
 * What all that lag may have waiting together, or each of many would hold up what one may. It is a
 * bound on the moment in which they are closed: what they had is Bun's until they have taken it.
 */
const BACKLOG_TOTAL_MAX = 32 * 1024 * 1024;
/** A share of that is never smaller: above what a replay leaves waiting when it goes live. */
const BACKLOG_SHARE_MIN = 96 * 1024;

const USER_TOPIC = userStream('' as UserId).topic;

const isForAll = ({ topic }: Stream): boolean => topic === TENANT_STREAM.topic;

/** The user whose stream it is; undefined for any other stream. */
const userOf = ({ topic }: Stream): UserId | undefined =>
	topic.startsWith(USER_TOPIC) ? (topic.slice(USER_TOPIC.length) as UserId) : undefined;

export function createHub(
	connections: Connections,
	{ backlogTotalMax = BACKLOG_TOTAL_MAX }: { backlogTotalMax?: number } = {},
): Hub {
	const counters: HubCounters = { deliveries: 0, drops: 0, slow_consumers: 0 };
	const lagging = new Set<TenantId>();
	let transport: Transport | undefined;

	/** Looks for the laggards after the tick's other publications, once for all of them. */
	function scheduleScan(tenant_id: TenantId): void {
		if (lagging.size === 0) setImmediate(closeLaggards);
		lagging.add(tenant_id);
	}

	/** Takes what a publication or a send has returned. */
	function noteLag(tenant_id: TenantId, result: number): void {
		if (result > 0) return;
		if (result === 0) counters.drops++;
		scheduleScan(tenant_id);
	}

	function closeLaggards(): void {
		// Not who is replayed to: that pauses by itself.
		const behind: { connection: Connection; bytes: number }[] = [];
		for (const tenant_id of lagging) {
			for (const connection of connections.ofTenant(tenant_id)) {
				const bytes = connection.bufferedBytes();
				if (bytes > BACKLOG_SHARE_MIN && connection.isLive) behind.push({ connection, bytes });
			}
		}
		lagging.clear();
		const share = Math.max(BACKLOG_SHARE_MIN, backlogTotalMax / behind.length);
		for (const { connection, bytes } of behind) {
			if (bytes <= Math.min(BACKLOG_BYTES_MAX, share)) continue;
			counters.slow_consumers++;
			connection.close(CLOSE.slow_consumer, 'slow_consumer');
		}
	}

	function publishNative(tenant_id: TenantId, stream: Pick<Stream, 'topic'>, frame: string): void {
		// Most tenants have no socket open at a moment: it costs a look into the registry.
		if (transport === undefined || connections.countOfTenant(tenant_id) === 0) return;
		const topic = topicOf(tenant_id, stream);
		const subscribers = transport.subscriberCount(topic);
		if (subscribers === 0) return;
		counters.deliveries += subscribers;
		noteLag(tenant_id, transport.publish(topic, frame));
	}

	/**
	 * Sends to each of these sockets: a native topic that every socket follows, its user's or its tenant's,
	 * would weigh on every socket. Bun lets out what it holds for a socket before a send to it, so the
	 * order stays that of the calls.
	 */
	function tellAll(sockets: Iterable<Connection>, frame: string): void {
		for (const connection of sockets) tell(connection, frame);
	}

	function tell(connection: Connection, frame: string): void {
		if (!connection.isLive) return;
		counters.deliveries++;
		noteLag(connection.tenant_id, connection.send(frame));
	}

	/** Sends to those of the sockets that do not have it yet. Whether any is open. */
	function tellOthers(
		sockets: Iterable<Connection>,
		hasIt: (connection: Connection) => boolean,
		frame: string,
	): boolean {
		let isOpen = false;
		for (const connection of sockets) {
			if (!connection.isLive) continue;
			isOpen = true;
			if (!hasIt(connection)) tell(connection, frame);
		}
		return isOpen;
	}

	/** The sockets of all users of the tenant; not those of its backends. */
	function* usersOf(tenant_id: TenantId): Iterable<Connection> {
		for (const connection of connections.ofTenant(tenant_id)) {
			if (connection.user_id !== null) yield connection;
		}
	}

	/** Of the tenant's sockets, one after the other: only for what is in two native topics at once. */
	function* subscribersOf(tenant_id: TenantId, topic: string): Iterable<Connection> {
		for (const connection of connections.ofTenant(tenant_id)) {
			if (connection.isSubscribed(topic)) yield connection;
		}
	}

	function forUser(
		{ tenant_id, user_id }: { tenant_id: TenantId; user_id: UserId },
		act: (connection: Connection) => void,
	): void {
		for (const connection of connections.ofUser(tenant_id, user_id)) {
			if (connection.isLive) act(connection);
		}
	}

	function closeUser(
		{ tenant_id, user_id }: { tenant_id: TenantId; user_id: UserId },
		reason: CloseReason,
	): void {
		for (const connection of connections.ofUser(tenant_id, user_id)) {
			connection.close(CLOSE[reason], reason);
		}
	}

	function closeTenant(tenant_id: TenantId, reason: CloseReason): void {
		for (const connection of connections.ofTenant(tenant_id)) {
			connection.close(CLOSE[reason], reason);
		}
	}

	return {
		publish(tenant_id, stream, frame) {
			if (isForAll(stream)) return tellAll(usersOf(tenant_id), frame);
			const user_id = userOf(stream);
			if (user_id !== undefined) return tellAll(connections.ofUser(tenant_id, user_id), frame);
			publishNative(tenant_id, stream, frame);
		},
		tellBackends(tenant_id, frame) {
			if (connections.countOfUser(tenant_id, null) > 0) publishNative(tenant_id, BACKENDS, frame);
		},
		tell,
		publishOnce(tenant_id, streams, frame, onReached) {
			const isToAll = streams.some(isForAll);
			const topics: string[] = [];
			const hasIt = (connection: Connection) =>
				isToAll || topics.some((topic) => connection.isSubscribed(topic));
			if (isToAll) tellAll(usersOf(tenant_id), frame);
			for (const stream of streams) {
				if (isToAll || userOf(stream) !== undefined) continue;
				const topic = topicOf(tenant_id, stream);
				if (topics.length === 0) publishNative(tenant_id, stream, frame);
				else tellOthers(subscribersOf(tenant_id, topic), hasIt, frame);
				topics.push(topic);
			}
			for (const stream of streams) {
				const user_id = userOf(stream);
				if (user_id === undefined) continue;
				const sockets = connections.ofUser(tenant_id, user_id);
				if (tellOthers(sockets, hasIt, frame)) onReached(user_id);
			}
		},
		apply(effect) {
			switch (effect.name) {
				case 'member.joined': {
					const topic = topicOf(effect.tenant_id, roomTopic(effect.room_id));
					return forUser(effect, (connection) => connection.subscribe(topic));
				}
				case 'member.left': {
					const topic = topicOf(effect.tenant_id, roomTopic(effect.room_id));
					return forUser(effect, (connection) => connection.unsubscribe(topic));
				}
				case 'subscription.added': {
					const topic = topicOf(effect.tenant_id, namedStream(effect.topic));
					return forUser(effect, (connection) => connection.subscribe(topic));
				}
				case 'subscription.removed': {
					const topic = topicOf(effect.tenant_id, namedStream(effect.topic));
					return forUser(effect, (connection) => {
						if (!connection.topics.has(effect.topic)) connection.unsubscribe(topic);
					});
				}
				case 'room.closed': {
					const topic = topicOf(effect.tenant_id, roomTopic(effect.room_id));
					for (const connection of connections.ofTenant(effect.tenant_id)) {
						connection.unsubscribe(topic);
					}
					return;
				}
				case 'key.revoked':
					for (const connection of connections.ofKey(effect.tenant_id, effect.key_id)) {
						connection.close(CLOSE.credential_revoked, 'credential_revoked');
					}
					return;
				case 'tenant.changed':
					for (const connection of connections.ofTenant(effect.tenant_id)) connection.regrant();
					return;
				case 'tenant.suspended':
					return closeTenant(effect.tenant_id, 'tenant_suspended');
				case 'tenant.deleted':
					return closeTenant(effect.tenant_id, 'tenant_deleted');
				case 'user.revoked':
					return closeUser(effect, 'credential_revoked');
				case 'user.deactivated':
					return closeUser(effect, 'user_deactivated');
			}
		},
		attach(given) {
			transport = given;
		},
		counters,
	};
}
