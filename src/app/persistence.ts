import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import type { Clock } from '../core/clock.ts';
import { type Effect, haltOf, isAboutUser } from '../core/effect.ts';
import { assert } from '../core/errors.ts';
import type { Generations } from '../core/generations.ts';
import type { TenantId, TenantNo, UserId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { Once } from '../core/once.ts';
import type { Random } from '../core/random.ts';
import type { Publication } from '../db/change.ts';
import { openDatabase } from '../db/client.ts';
import { createDiskGuard, measureDisk } from '../db/disk-guard.ts';
import { createEventLog, type LogHead } from '../db/event-log.ts';
import { createLogFolder } from '../db/log-folder.ts';
import { createLogSync, relaxedSync } from '../db/log-sync.ts';
import { messagesOnDay } from '../db/message-count.ts';
import { openReader } from '../db/read-connection.ts';
import { createStoredAnswers } from '../db/stored-answers.ts';
import { createTenantRows } from '../db/tenant-rows.ts';
import { createWriter } from '../db/writer.ts';
import { createAuditStore } from '../features/audit/store.ts';
import { createConfigurationStore } from '../features/configuration/store.ts';
import { createEventsStore } from '../features/events/store.ts';
import { createKeysStore } from '../features/keys/store.ts';
import { createMembersStore } from '../features/members/store.ts';
import { messageCreated } from '../features/messages/schema.ts';
import { createMessagesStore } from '../features/messages/store.ts';
import { notificationCreated } from '../features/notifications/schema.ts';
import { createNotificationsStore } from '../features/notifications/store.ts';
import { createPlansStore } from '../features/plans/store.ts';
import { createPresenceStore } from '../features/presence/store.ts';
import { createQuotasStore } from '../features/quotas/store.ts';
import { createRoomsStore } from '../features/rooms/store.ts';
import { createSubscriptionsStore } from '../features/subscriptions/store.ts';
import { createTenantsStore } from '../features/tenants/store.ts';
import { createUsageStore } from '../features/usage/store.ts';
import { createUsersStore } from '../features/users/store.ts';
import type { Hub } from '../realtime/hub.ts';
import type { Pacer } from '../realtime/pacer.ts';
import type { Waiters } from '../realtime/waiters.ts';

/** The one database file of a data directory. */
export const databasePath = (dataDir: string) => join(dataDir, 'chatapi.db');

/** Every feature's stores over one connection. */
const bindStores = (db: ReturnType<typeof openDatabase>) => ({
	tenants: createTenantsStore(db),
	plans: createPlansStore(db),
	configuration: createConfigurationStore(db),
	audit: createAuditStore(db),
	keys: createKeysStore(db),
	members: createMembersStore(db),
	messages: createMessagesStore(db),
	rooms: createRoomsStore(db),
	events: createEventsStore(db),
	users: createUsersStore(db),
	presences: createPresenceStore(db),
	usage: createUsageStore(db),
	quotas: createQuotasStore(db),
	tenantRows: createTenantRows(db),
	notifications: createNotificationsStore(db),
	subscriptions: createSubscriptionsStore(db),
});

export interface PersistenceDeps {
	settings: Settings;
	clock: Clock;
	random: Random;
	log: Log;
	generations: Generations;
	hub: Hub;
	pacer: Pick<Pacer, 'publish' | 'forget'>;
	waiters: Pick<Waiters, 'wake'>;
	/** Told of every stored message. */
	countMessage(): void;
	/** Told to how many sockets it went. */
	countDelivered(tenant: TenantNo, frames: number): void;
	/** Told of each user who was sent a notification for that user by name. */
	noteAttempt(tenant_id: TenantId, user_id: UserId, cursor: number): void;
	/** Takes what memory still holds of a purged tenant. */
	forget(tenant_id: TenantId): void;
	/** The database cannot be written any more: the process must end. */
	onFatal(error: unknown): void;
}

/** The writer on its connection, the stores for reading on another, and what a commit means for memory. */
export function createPersistence(deps: PersistenceDeps) {
	const { settings, clock, log, generations, hub, pacer, waiters } = deps;
	const path = databasePath(settings.DATA_DIR);

	/** The one subscriber of all effects. */
	function apply(effects: readonly Effect[], moment: 'before' | 'after'): void {
		for (const effect of effects) {
			if ((effect.name === 'room.closed') !== (moment === 'after')) continue;
			if (isAboutUser(effect)) {
				generations.bumpUser(effect.tenant_id, effect.user_id);
			}
			if (effect.name === 'tenant.resumed') generations.bumpTenant(effect.tenant_id);
			if (effect.name === 'tenant.purged') deps.forget(effect.tenant_id);
			const halt = haltOf(effect);
			if (halt !== undefined) {
				generations.halt(halt.tenant_id, halt.why);
				// Whoever waits for its events gets its 403.
				waiters.wake(halt.tenant_id);
			}
			if (effect.name === 'key.revoked') {
				generations.bumpKey(effect.tenant_id, effect.key_id);
				// Whoever waits with it gets its 401.
				waiters.wake(effect.tenant_id);
			}
			if (effect.name === 'tenant.changed') generations.touch(effect.tenant_id);
			if (effect.name === 'member.left') {
				pacer.forget(effect.tenant_id, effect.room_id, effect.user_id);
			}
			if (effect.name === 'room.closed') pacer.forget(effect.tenant_id, effect.room_id);
			hub.apply(effect);
		}
	}

	function publish(publication: Publication): void {
		const { tenant, tenant_id, type, cursor, streams, frame, paced } = publication;
		if (paced !== undefined) {
			pacer.publish(tenant_id, { streams, frame, paced });
			return;
		}
		const { deliveries } = hub.counters;
		if (type === notificationCreated.type && cursor !== null) {
			hub.publishOnce(tenant_id, streams, frame, (user_id) =>
				deps.noteAttempt(tenant_id, user_id, cursor),
			);
		} else {
			for (const stream of streams) hub.publish(tenant_id, stream, frame);
		}
		if (cursor === null) return;
		hub.tellBackends(tenant_id, frame);
		if (type === messageCreated.type) {
			deps.countMessage();
			deps.countDelivered(tenant, hub.counters.deliveries - deliveries);
		}
		waiters.wake(tenant_id);
	}

	const disk = createDiskGuard({
		dir: settings.DATA_DIR,
		lowWaterBytes: settings.DISK_LOW_WATER,
		ballastBytes: settings.DISK_BALLAST,
		log,
		random: deps.random,
		measure: measureDisk,
		fold: () => writer.foldLog(),
	});
	const reader = openReader(path);
	const folder = createLogFolder(path);
	const writer = createWriter({
		open: () => openDatabase(path, 'write', 'normal'),
		bind: bindStores,
		reader,
		logSync: settings.DURABILITY === 'full' ? createLogSync(path, clock) : relaxedSync,
		folder,
		clock,
		generations,
		apply,
		publish,
		onFatal: deps.onFatal,
		onDefect: (error) => log.error({ err: error }, 'Change failed'),
		disk,
		queueMax: settings.WRITER_QUEUE_MAX,
	});
	const readLog = createEventLog(reader.db);
	const readAnswers = createStoredAnswers(reader.db);

	return {
		writer,
		disk,
		/** Sees what is on disk, and nothing else. */
		read: bindStores(reader.db),

		/** What a request with the same `Idempotency-Key` was answered. */
		findAnswer: (once: Once) => readAnswers.find(once, clock.now()),

		/** Messages that a tenant has stored on the UTC day of a moment. */
		messagesOn(tenant: TenantNo, ms: number): number {
			const tally = readLog.findWhole(tenant);
			return tally === undefined ? 0 : messagesOnDay(readLog, tenant, tally, ms);
		},

		/** The end of a tenant's log. What reads see and what is published move in the same turn. */
		headOf(tenant: TenantNo): LogHead {
			const head = readLog.findHead(tenant);
			assert(head !== undefined, 'every tenant has a log head');
			return head;
		},

		/** After the last request: puts the file in order and lets go of it. */
		async close(): Promise<void> {
			disk.stop();
			await folder.close();
			writer.close();
			reader.close();
		},
	};
}

export type Persistence = ReturnType<typeof createPersistence>;
