import type { Settings } from '../config/settings.ts';
import { createAuthorizer } from '../core/authorize.ts';
import type { Clock } from '../core/clock.ts';
import type { LiveFrame } from '../core/event.ts';
import { createGenerations, type Generations } from '../core/generations.ts';
import { createIds, type Ids, type TenantId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { createRateLimiter } from '../core/rate-limiter.ts';
import type { Bounds } from '../core/validation.ts';
import { createConnectionOperations } from '../features/connections/service.ts';
import { createEvents } from '../features/events/service.ts';
import { createPruner } from '../features/events/worker.ts';
import { createKeys } from '../features/keys/service.ts';
import { createMembers } from '../features/members/service.ts';
import { createMessages } from '../features/messages/service.ts';
import { createManagementKeys } from '../features/plans/service/management-keys.ts';
import { createPlans } from '../features/plans/service.ts';
import { createReceipts } from '../features/receipts/service.ts';
import { createRooms } from '../features/rooms/service.ts';
import { createStatus } from '../features/status/service.ts';
import { createTenants } from '../features/tenants/service.ts';
import { createTyping } from '../features/typing/service.ts';
import { createSweeper } from '../features/typing/worker.ts';
import { createUsers } from '../features/users/service.ts';
import { createAuthentication } from '../http/authentication.ts';
import { createConnections } from '../realtime/connections.ts';
import { createHub } from '../realtime/hub.ts';
import { createPacer } from '../realtime/pacer.ts';
import { createWaiters } from '../realtime/waiters.ts';
import { createMetrics } from './metrics.ts';
import { createPersistence, type Persistence } from './persistence.ts';

export interface ContainerOptions {
	settings: Settings;
	masterKey: string;
	version: string;
	clock: Clock;
	random: Random;
	log: Log;
	/** Whether the server is on its way out. */
	isDraining(): boolean;
	/** The database cannot be written any more: the process must end. */
	onFatal(error: unknown): void;
}

/** Requests that wait for events: each holds a connection open. */
const WAITERS_PER_TENANT_MAX = 100;
const WAITERS_MAX = 2000;

/** Builds every part once, in the order of the layers. The only place that knows them all. */
export function createContainer(options: ContainerOptions) {
	const { settings, clock, random, log, version } = options;
	const ids = createIds();
	const generations = createGenerations();
	const connections = createConnections();
	const hub = createHub(connections);
	/** Tells who listens now. */
	const tell = (tenant_id: TenantId, { streams, frame }: LiveFrame) => {
		for (const stream of streams) hub.publish(tenant_id, null, stream, frame);
	};
	const pacer = createPacer({ clock, tell });
	const waiters = createWaiters({
		clock,
		perTenantMax: WAITERS_PER_TENANT_MAX,
		perServerMax: WAITERS_MAX,
	});
	const metrics = createMetrics({ connections, hub, clock, version });
	const { countMessage } = metrics;
	const persistence = createPersistence({
		settings,
		clock,
		random,
		log,
		generations,
		...{ hub, pacer, waiters },
		countMessage,
		onFatal: options.onFatal,
	});
	metrics.watch(persistence.writer, persistence.disk);
	const bounds: Bounds = {
		contentBytesMax: settings.MAX_CONTENT_BYTES,
		metadataBytesMax: settings.MAX_METADATA_BYTES,
	};
	const events = createEvents({
		read: persistence.read,
		waiters,
		isGood: ({ stamp, expires_at }) =>
			generations.isCurrent(stamp) && (expires_at === null || clock.now() < expires_at),
	});
	const typing = createTyping({
		read: persistence.read,
		clock,
		tell,
		liveReceiptsMax: settings.LIVE_RECEIPTS_MAX,
	});
	const features = {
		...createFeatures(options, persistence, ids, bounds, generations),
		events,
		typing,
	};
	const retentionMs = settings.EVENT_RETENTION;
	const pruner = createPruner({ ...persistence, clock, log, retentionMs });
	const sweeper = createSweeper(typing);
	const perMinute = settings.AUTH_FAILURES_PER_MINUTE;
	const authentication = createAuthentication({
		keys: features.keys,
		users: features.users,
		tenants: features.tenants,
		managementKeys: features.managementKeys,
		generations,
		clock,
		log,
		masterKey: options.masterKey,
		failures: createRateLimiter(clock),
		failureRate: perMinute === 0 ? null : { per_second: perMinute / 60, burst: perMinute },
	});
	const authorizer = createAuthorizer(createRateLimiter(clock));
	return {
		...{ settings, version, clock, random, log, ids, bounds },
		...{ connections, hub, generations, authentication, authorizer, metrics },
		...{ features, pruner, sweeper, pacer },
		...persistence,
	};
}

export type Container = ReturnType<typeof createContainer>;

/** Every feature's use-cases, each given what it declares and nothing more. */
function createFeatures(
	{ settings, clock, random, version, isDraining }: ContainerOptions,
	{ writer, disk, read, headOf }: Persistence,
	ids: Ids,
	bounds: Bounds,
	generations: Generations,
) {
	const limits = {
		roomMembersMax: settings.MAX_ROOM_MEMBERS,
		userRoomsMax: settings.MAX_ROOMS_PER_USER,
	};
	const defaultRateLimit = settings.DEFAULT_RATE_LIMIT;
	const tenants = createTenants({ writer, read, clock, ids, random, defaultRateLimit });
	const rooms = createRooms({ writer, read, clock, ids, bounds, limits, headOf });
	const plans = { writer, read, clock, ids, random, bounds };
	return {
		tenants,
		plans: createPlans(plans),
		managementKeys: createManagementKeys(plans),
		keys: createKeys({ writer, read, clock, ids, random, tenantOf: tenants.scopeOf }),
		users: createUsers({
			...{ writer, read, clock, random, bounds },
			revocations: () => generations.bumps,
		}),
		rooms,
		members: createMembers({ writer, read, clock, limits, closeRoom: rooms.close }),
		messages: createMessages({ writer, read, clock, ids, headOf }),
		receipts: createReceipts({ writer, liveReceiptsMax: settings.LIVE_RECEIPTS_MAX }),
		connections: createConnectionOperations({ subscriptionsMax: settings.WS_MAX_SUBSCRIPTIONS }),
		status: createStatus({
			clock,
			version,
			durability: settings.DURABILITY,
			isWritable: () => writer.isWritable,
			hasRoom: () => disk.hasRoom,
			isDraining,
		}),
	};
}
