import type { Settings } from '../config/settings.ts';
import { createAuthorizer } from '../core/authorize.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { LiveFrame } from '../core/event.ts';
import { createGenerations, type Generations } from '../core/generations.ts';
import { createIds, type Ids, type TenantId, type UserId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { createRateLimiter } from '../core/rate-limiter.ts';
import type { Bounds } from '../core/validation.ts';
import { createVault, type Vault } from '../core/vault.ts';
import { createRecordCopy } from '../features/audit/service/copies.ts';
import { createAudit } from '../features/audit/service/listing.ts';
import { createRecordRead, type RecordRead } from '../features/audit/service/reading.ts';
import { createConfiguration } from '../features/configuration/service.ts';
import { createConnectionOperations } from '../features/connections/service.ts';
import { createEvents } from '../features/events/service.ts';
import { createPruner } from '../features/events/worker.ts';
import { createImports } from '../features/imports/service.ts';
import { createOwnKeys } from '../features/keys/service/own.ts';
import { createKeys } from '../features/keys/service.ts';
import { createUseRecorder } from '../features/keys/worker.ts';
import { createLimits } from '../features/limits/service.ts';
import { createMembers } from '../features/members/service.ts';
import { createMessages } from '../features/messages/service.ts';
import { createAttempts } from '../features/notifications/service/attempts.ts';
import { createNotifications, type NotificationsDeps } from '../features/notifications/service.ts';
import { createAttemptsWriter } from '../features/notifications/worker.ts';
import { createOversight } from '../features/oversight/service.ts';
import { createManagementKeys } from '../features/plans/service/management-keys.ts';
import { createPlans, requirePlan } from '../features/plans/service.ts';
import { createLastSeen } from '../features/presence/service/last-seen.ts';
import { createPresence } from '../features/presence/service.ts';
import { createPresenceWorker } from '../features/presence/worker.ts';
import { createQuotas, type TenantQuotas } from '../features/quotas/service.ts';
import { createReceipts } from '../features/receipts/service.ts';
import { createRooms } from '../features/rooms/service.ts';
import { createStatus } from '../features/status/service.ts';
import { createSubscriptions } from '../features/subscriptions/service.ts';
import { createOwnSettings } from '../features/tenants/service/own-settings.ts';
import { createPurging } from '../features/tenants/service/purging.ts';
import { createReceive } from '../features/tenants/service/receiving.ts';
import { createTenants, type Tenants } from '../features/tenants/service.ts';
import { createPurger } from '../features/tenants/worker.ts';
import { createTyping } from '../features/typing/service.ts';
import { createSweeper } from '../features/typing/worker.ts';
import { createFlushing } from '../features/usage/service/flushing.ts';
import { createMeter, type UsageMeter } from '../features/usage/service/meter.ts';
import { createStorage } from '../features/usage/service/storage.ts';
import { createUsage } from '../features/usage/service.ts';
import { createUsageWriter } from '../features/usage/worker.ts';
import { createUsers } from '../features/users/service.ts';
import { type AuthenticationDeps, createAuthentication } from '../http/authentication.ts';
import { createConnections } from '../realtime/connections.ts';
import { createHub } from '../realtime/hub.ts';
import { createPacer } from '../realtime/pacer.ts';
import { createPresenceRegistry } from '../realtime/presence.ts';
import { createWaiters } from '../realtime/waiters.ts';
import { createMetrics } from './metrics.ts';
import { createPersistence, type Persistence } from './persistence.ts';

export interface ContainerOptions {
	settings: Settings;
	masterKey: string;
	/** Undefined: secrets of tenants can be neither stored nor read. */
	secretsKey: string | undefined;
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
	const requests = createRateLimiter(clock);
	const authorizer = createAuthorizer(requests);
	const realtime = createRealtime(clock);
	const metrics = createMetrics({ ...realtime, clock, version });
	const meter = createMeter(clock);
	const persistence = createPersistence({
		...{ settings, clock, random, log, generations },
		...realtime,
		countMessage: metrics.countMessage,
		countDelivered: meter.countDelivered,
		noteAttempt: (...attempt) => features.attempts.note(...attempt),
		forget(tenant_id) {
			generations.forget(tenant_id);
			authentication.forget(tenant_id);
			requests.forget(tenant_id);
			features.users.forget(tenant_id);
		},
		onFatal: options.onFatal,
	});
	metrics.watch(persistence.writer, persistence.disk);
	const bounds: Bounds = {
		contentBytesMax: settings.MAX_CONTENT_BYTES,
		metadataBytesMax: settings.MAX_METADATA_BYTES,
	};
	const recordRead = createRecordRead({ ...persistence, clock, random });
	const parts: Parts = {
		...options,
		...persistence,
		...realtime,
		...{ ids, generations, bounds, recordRead },
		vault: createVault(options.secretsKey, random),
		commandKey: Buffer.from(random.bytes(32)).toString('hex'),
	};
	const { presence, ...presenceParts } = createPresenceParts(parts);
	const controlPlane = createControlPlane(parts);
	const { usage, ...usageParts } = createUsageParts(parts, meter, controlPlane.tenants);
	const { quotas } = usageParts;
	const notified = createNotified(parts, controlPlane.tenants.scopeOf);
	const ofTenants = {
		...createRoomFeatures(parts, notified, quotas),
		...createUserFeatures(parts),
	};
	const tenantOf = controlPlane.tenants.scopeOf;
	const features = {
		...controlPlane,
		limits: createLimits({
			...{ ...parts, bucketOf: authorizer.bucketOf },
			quotasOf: usageParts.quotas.list,
		}),
		...{ presence, usage },
		...ofTenants,
		oversight: createOversight({ ...ofTenants, recordRead, tenantOf }),
		...createServerFeatures(parts, notified),
		...notified,
	};
	const authentication = createCredentials(parts, features);
	return {
		...{ settings, version, clock, random, log, ids, bounds, generations, metrics, features },
		...realtime,
		...persistence,
		...presenceParts,
		...{ meter, ...usageParts },
		authentication,
		...{ commandKey: parts.commandKey, recordCopy: createRecordCopy(parts) },
		useRecorder: createUseRecorder({ ...parts, takeUsed: authentication.takeUsed }),
		authorizer,
		pruner: createPruner({ ...persistence, clock, log, retentionMs: settings.EVENT_RETENTION }),
		sweeper: createSweeper(features.typing),
		attemptsWriter: createAttemptsWriter(features.attempts, parts.log),
	};
}

export type Container = ReturnType<typeof createContainer>;

/** Who is connected, who waits, and the ways to tell them. */
function createRealtime(clock: Clock) {
	const connections = createConnections();
	const hub = createHub(connections);
	/** Tells who listens now. */
	const tell = (tenant_id: TenantId, { streams, frame }: LiveFrame) => {
		for (const stream of streams) hub.publish(tenant_id, stream, frame);
	};
	const pacer = createPacer({ clock, tell });
	const waiters = createWaiters({
		clock,
		perTenantMax: WAITERS_PER_TENANT_MAX,
		perServerMax: WAITERS_MAX,
	});
	return { connections, hub, tell, pacer, waiters };
}

/** What the features are made of; each takes what it declares. */
interface Parts extends ContainerOptions, Persistence, ReturnType<typeof createRealtime> {
	ids: Ids;
	generations: Generations;
	bounds: Bounds;
	recordRead: RecordRead;
	vault: Vault;
	commandKey: string;
}

/** What the operator does. */
function createControlPlane(parts: Parts) {
	const { log } = parts;
	const pause = (ms: number) => Bun.sleep(ms);
	const purging = createPurging({ ...parts, pause });
	const managed = createManaged(parts, purging);
	const tenantOf = managed.tenants.scopeOf;
	return {
		...managed,
		purging,
		purger: createPurger({ purging, log }),
		ownSettings: createOwnSettings(parts),
		audit: createAudit({
			...{ ...parts, tenantOf },
			planOf: (caller, plan_id) => requirePlan(parts.read, caller, plan_id),
		}),
		managementKeys: createManagementKeys(parts),
		ownKeys: createOwnKeys(parts),
		configuration: createConfiguration({
			...{ ...parts, pause },
			operationsOver: (stores, commit) =>
				createManaged({ ...parts, read: stores, writer: { ...parts.writer, commit } }, purging),
		}),
	};
}

/** What a document of configuration is about, over these stores. */
function createManaged(parts: Parts, purging: ReturnType<typeof createPurging>) {
	const { settings } = parts;
	const tenants = createTenants({
		...{ ...parts, purging },
		pause: (ms) => Bun.sleep(ms),
		retentionMs: settings.DELETED_TENANT_RETENTION,
		defaultRateLimit: settings.DEFAULT_RATE_LIMIT,
	});
	return {
		tenants,
		plans: createPlans(parts),
		keys: createKeys({ ...parts, tenantOf: tenants.scopeOf }),
	};
}

/** What tenants use: read, and written in the background. */
function createUsageParts(parts: Parts, meter: UsageMeter, tenants: Tenants) {
	const pause = () => new Promise<void>((resolve) => setImmediate(resolve));
	const storage = createStorage({ ...parts, pause });
	const flushing = createFlushing({ ...parts, meter, storage });
	const quotas = createQuotas({
		...parts,
		...{ pause, connectionsOf: parts.connections.countOfTenant },
		...{ weightOf: storage.weightOf, isNoted: meter.isNoted },
	});
	return {
		usage: createUsage({
			...{ ...parts, flushing, storage, pause },
			tenantOf: tenants.scopeOf,
			planOf: async (caller, plan_id) => (await requirePlan(parts.read, caller, plan_id)).plan,
			tenantsOn: async (plan, before, limit) =>
				parts.read.tenants.list({ plan, before, limit, status: null, q: null }),
		}),
		flushing,
		quotas,
		usageWriter: createUsageWriter({ ...parts, flushing, storage, review: quotas.review }),
	};
}

/** What is made known, and to whom. */
function createNotified(parts: Parts, tenantOf: NotificationsDeps['tenantOf']) {
	const attempts = createAttempts(parts);
	const userSubscriptionsMax = parts.settings.MAX_SUBSCRIPTIONS_PER_USER;
	return {
		attempts,
		notifications: createNotifications({ ...parts, attempts, tenantOf }),
		subscriptions: createSubscriptions({ ...parts, userSubscriptionsMax }),
	};
}

type Notified = ReturnType<typeof createNotified>;

/** What happens in rooms. */
function createRoomFeatures(
	parts: Parts,
	{ notifications: { confirm } }: Notified,
	{ storageSpent }: TenantQuotas,
) {
	const { settings } = parts;
	const limits = {
		roomMembersMax: settings.MAX_ROOM_MEMBERS,
		userRoomsMax: settings.MAX_ROOMS_PER_USER,
	};
	const liveReceiptsMax = settings.LIVE_RECEIPTS_MAX;
	const rooms = createRooms({ ...parts, limits });
	return {
		rooms,
		members: createMembers({ ...parts, limits, closeRoom: rooms.close }),
		messages: createMessages({ ...parts, storageSpent }),
		receipts: createReceipts({ ...parts, liveReceiptsMax, confirm }),
		typing: createTyping({ ...parts, liveReceiptsMax }),
	};
}

/** Who is online: noted as sockets come and go, told and written in the background. */
function createPresenceParts(parts: Parts) {
	const { settings, clock, connections } = parts;
	const isConnected = (tenant_id: TenantId, user_id: UserId) =>
		connections.countOfUser(tenant_id, user_id) > 0;
	const hasConnections = (tenant_id: TenantId) => connections.countOfTenant(tenant_id) > 0;
	const lastSeen = createLastSeen({ ...parts, isConnected, hasConnections });
	const presenceRegistry = createPresenceRegistry({ clock, isConnected, onMove: lastSeen.note });
	const presence = createPresence({
		...parts,
		...{ registry: presenceRegistry, lastSeen },
		liveReceiptsMax: settings.LIVE_RECEIPTS_MAX,
	});
	const { came, went } = presenceRegistry;
	connections.watch({ came, went, removed: presence.forget });
	const presenceWorker = createPresenceWorker({ ...parts, presence, lastSeen });
	return { presence, presenceRegistry, lastSeen, presenceWorker };
}

/** What is about users, and what a tenant's backend follows. */
function createUserFeatures(parts: Parts) {
	const { clock, generations } = parts;
	return {
		users: createUsers({ ...parts, revocations: () => generations.bumps }),
		events: createEvents({
			...parts,
			refusalOf: ({ stamp, expires_at }) =>
				generations.refusalOf(stamp) ??
				(expires_at === null || clock.now() < expires_at
					? undefined
					: new AppError('AUTHENTICATION_ERROR', 'Invalid API key')),
		}),
	};
}

/** What is about the server and its sockets. */
function createServerFeatures(parts: Parts, { subscriptions: { isSubscribed } }: Notified) {
	const { settings, clock, version, writer, disk, isDraining } = parts;
	return {
		imports: createImports({
			...{ ...parts, pause: (ms) => Bun.sleep(ms) },
			receive: createReceive({ ...parts, retentionMs: settings.DELETED_TENANT_RETENTION }),
		}),
		connections: createConnectionOperations({
			subscriptionsMax: settings.WS_MAX_SUBSCRIPTIONS,
			isSubscribed,
		}),
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

/** Recognises who asks. */
function createCredentials(
	{ settings, clock, log, generations, masterKey, commandKey }: Parts,
	features: Pick<AuthenticationDeps, 'keys' | 'users' | 'tenants' | 'managementKeys'>,
) {
	const perMinute = settings.AUTH_FAILURES_PER_MINUTE;
	return createAuthentication({
		...features,
		...{ generations, clock, log, masterKey, commandKey },
		failures: createRateLimiter(clock),
		failureRate: perMinute === 0 ? null : { per_second: perMinute / 60, burst: perMinute },
	});
}
