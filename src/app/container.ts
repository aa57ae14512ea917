import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import { createAuthorizer } from '../core/authorize.ts';
import type { Clock } from '../core/clock.ts';
import type { Effect } from '../core/effect.ts';
import { assert } from '../core/errors.ts';
import { createGenerations } from '../core/generations.ts';
import { createIds, type TenantNo } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import { createRateLimiter } from '../core/rate-limiter.ts';
import type { Bounds } from '../core/validation.ts';
import { openDatabase } from '../db/client.ts';
import { createEventLog } from '../db/event-log.ts';
import { createWriter, type Publication } from '../db/writer.ts';
import { createConnectionOperations } from '../features/connections/service.ts';
import { createKeys } from '../features/keys/service.ts';
import { createKeysStore } from '../features/keys/store.ts';
import { createMembers, type MemberLimits } from '../features/members/service.ts';
import { createMembersStore } from '../features/members/store.ts';
import { messageCreated } from '../features/messages/schema.ts';
import { createMessages } from '../features/messages/service.ts';
import { createMessagesStore } from '../features/messages/store.ts';
import { createReceipts } from '../features/receipts/service.ts';
import { createRooms } from '../features/rooms/service.ts';
import { createRoomsStore } from '../features/rooms/store.ts';
import { createStatus } from '../features/status/service.ts';
import { createTenants } from '../features/tenants/service.ts';
import { createTenantsStore } from '../features/tenants/store.ts';
import { createAuthentication } from '../http/authentication.ts';
import { createConnections } from '../realtime/connections.ts';
import { createHub } from '../realtime/hub.ts';
import { createMetrics } from './metrics.ts';

/** The one database file of a data directory. */
export const databasePath = (dataDir: string) => join(dataDir, 'chatapi.db');

/** Every feature's stores over one connection. */
const bindStores = (db: ReturnType<typeof openDatabase>) => ({
	tenants: createTenantsStore(db),
	keys: createKeysStore(db),
	members: createMembersStore(db),
	messages: createMessagesStore(db),
	rooms: createRoomsStore(db),
});

export interface ContainerOptions {
	settings: Settings;
	masterKey: string;
	version: string;
	clock: Clock;
	log: Log;
	/** Whether the server is on its way out. */
	isDraining(): boolean;
	/** The database cannot be written any more: the process must end. */
	onFatal(error: unknown): void;
}

/** Builds every part once, in the order of the layers. The only place that knows them all. */
export function createContainer(options: ContainerOptions) {
	const { settings, clock, log, version } = options;
	const path = databasePath(settings.DATA_DIR);
	const random = (bytes: number) => randomBytes(bytes);
	const ids = createIds();
	const generations = createGenerations();
	const connections = createConnections();
	const hub = createHub(connections);
	const bounds: Bounds = {
		contentBytesMax: settings.MAX_CONTENT_BYTES,
		metadataBytesMax: settings.MAX_METADATA_BYTES,
	};
	const limits: MemberLimits = {
		roomMembersMax: settings.MAX_ROOM_MEMBERS,
		userRoomsMax: settings.MAX_ROOMS_PER_USER,
	};

	/** The one subscriber of all effects: what a commit means for memory. */
	function apply(effects: readonly Effect[], moment: 'before' | 'after'): void {
		for (const effect of effects) {
			if ((effect.name === 'room.closed') !== (moment === 'after')) continue;
			if (effect.name === 'key.revoked') generations.bump('key', effect.key_id);
			hub.apply(effect);
		}
	}

	function publish({ tenant_id, type, cursor, streams, frame }: Publication): void {
		if (type === messageCreated.type) metrics.countMessage();
		for (const stream of streams) hub.publish(tenant_id, cursor, stream, frame);
	}

	const writer = createWriter({
		open: () => openDatabase(path, 'write'),
		bind: bindStores,
		clock,
		generations,
		apply,
		publish,
		onFatal: options.onFatal,
		onDefect: (error) => log.error({ err: error }, 'Change failed'),
		queueMax: settings.WRITER_QUEUE_MAX,
	});
	const readDb = openDatabase(path, 'read');
	const read = bindStores(readDb);
	const readLog = createEventLog(readDb);

	function headOf(tenant: TenantNo) {
		const head = readLog.findHead(tenant);
		assert(head !== undefined, 'every tenant has a log head');
		return head;
	}

	const tenants = createTenants({
		writer,
		read,
		clock,
		ids,
		random,
		defaultRateLimit: settings.DEFAULT_RATE_LIMIT,
	});
	const keys = createKeys({ writer, read, clock, ids, random, tenantOf: tenants.scopeOf });
	const messages = createMessages({ writer, read, clock, ids, headOf });
	const rooms = createRooms({ writer, read, clock, ids, bounds, limits, headOf });
	const members = createMembers({ writer, read, clock, limits, closeRoom: rooms.close });
	const receipts = createReceipts({ writer, liveReceiptsMax: settings.LIVE_RECEIPTS_MAX });
	const operations = createConnectionOperations({
		subscriptionsMax: settings.WS_MAX_SUBSCRIPTIONS,
	});
	const status = createStatus({
		clock,
		version,
		isWritable: () => writer.isWritable,
		isDraining: options.isDraining,
	});
	const metrics = createMetrics({ connections, hub, writer, version, uptimeS: status.uptimeS });

	const perMinute = settings.AUTH_FAILURES_PER_MINUTE;
	const authentication = createAuthentication({
		keys,
		tenants,
		generations,
		clock,
		log,
		masterKey: options.masterKey,
		failures: createRateLimiter(clock),
		failureRate: perMinute === 0 ? null : { per_second: perMinute / 60, burst: perMinute },
	});

	return {
		settings,
		clock,
		log,
		ids,
		bounds,
		version,
		writer,
		hub,
		connections,
		authentication,
		authorizer: createAuthorizer(createRateLimiter(clock)),
		metrics,
		headOf,
		/** A number in [0, 1). */
		random: () => randomBytes(4).readUInt32BE() / 2 ** 32,
		features: { tenants, keys, messages, rooms, members, receipts, operations, status },
		/** After the last request: puts the file in order and lets go of it. */
		close(): void {
			readDb.close();
			writer.close();
		},
	};
}

export type Container = ReturnType<typeof createContainer>;
