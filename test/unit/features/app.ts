/** The whole server in process, but for its faces: real parts over a real database. */
import { Database } from 'bun:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContainer } from '../../../src/app/container.ts';
import { databasePath } from '../../../src/app/persistence.ts';
import { readSettings } from '../../../src/config/settings.ts';
import type { OperatorCaller, OwnCaller, UserCaller } from '../../../src/core/caller.ts';
import { AppError } from '../../../src/core/errors.ts';
import { roomTopic } from '../../../src/core/event.ts';
import type { KeyId, TenantId, UserId } from '../../../src/core/ids.ts';
import { createLog } from '../../../src/core/log.ts';
import type { InputOf } from '../../../src/core/operation.ts';
import { systemRandom } from '../../../src/core/random.ts';
import { migrateDatabase } from '../../../src/db/migrate.ts';
import type { createTenant } from '../../../src/features/tenants/schema.ts';
import type { Connection } from '../../../src/realtime/connections.ts';
import { namedStream, topicOf } from '../../../src/realtime/topics.ts';
import { createFakeClock } from '../core/fake-clock.ts';

/** Whoever holds the master key. */
export const OPERATOR: OperatorCaller = {
	kind: 'operator',
	credential: 'master',
	plan: null,
	request_id: 'req_test',
};

/** A frame as a socket got it, parsed. */
export type Told = Record<string, unknown> & { type: string };

/** What a user's socket is sent, in order: its own topics, and those of its rooms. */
export interface Listener {
	readonly told: Told[];
	/** The topics it is subscribed to, without the tenant. */
	readonly topics: Set<string>;
	/** The code it was closed with. */
	closedWith: number | undefined;
	/** The socket itself, as the server has it. */
	readonly connection: Connection;
}

export interface TestTenant {
	tenant_id: TenantId;
	key_id: KeyId;
	api_key: string;
	/** The tenant itself, as its first key. */
	itself: OwnCaller;
	as(user: string): UserCaller;
	/** A socket of a user, subscribed as the gateway does it. */
	listen(user: string): Promise<Listener>;
}

export interface App extends Awaited<ReturnType<typeof openApp>> {}

/** Opens the parts of a server with these settings. `end` closes and removes everything. */
export async function openApp(env: Record<string, string> = {}) {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-unit-'));
	const settings = readSettings({ DATA_DIR: folder, DEFAULT_RATE_LIMIT: '0', ...env }, () => '');
	const path = databasePath(folder);
	const clock = createFakeClock();
	migrateDatabase(path, join(folder, 'backups'), clock.now());
	const log: string[] = [];
	let isDraining = false;
	const container = createContainer({
		settings,
		masterKey: 'x'.repeat(32),
		secretsKey: 'y'.repeat(32),
		version: '0.0.0',
		clock,
		random: systemRandom,
		log: createLog('info', { write: (line) => log.push(line) }),
		isDraining: () => isDraining,
		onFatal: (error) => log.push(String(error)),
	});
	const { features, authentication, connections, hub } = container;
	const outside = new Database(path);
	const subscribers = new Map<string, Set<Omit<Listener, 'connection'>>>();

	// In the place of Bun's topics, which need a listening server.
	hub.attach({
		subscriberCount: (topic) => subscribers.get(topic)?.size ?? 0,
		publish(topic, frame) {
			for (const listener of subscribers.get(topic) ?? []) listener.told.push(JSON.parse(frame));
			return frame.length;
		},
	});

	function connectionOf(caller: UserCaller, listener: Omit<Listener, 'connection'>): Connection {
		const { tenant_id, user_id, key_id } = caller;
		const prefix = `${tenant_id}/`;
		return {
			connection_id: `conn_${connections.size}`,
			tenant: caller.tenant,
			tenant_id,
			user_id,
			key_id,
			isLive: true,
			subscribe(topic) {
				const listeners = subscribers.get(topic) ?? new Set();
				subscribers.set(topic, listeners.add(listener));
				listener.topics.add(topic.slice(prefix.length));
			},
			unsubscribe(topic) {
				subscribers.get(topic)?.delete(listener);
				listener.topics.delete(topic.slice(prefix.length));
			},
			isSubscribed: (topic) => subscribers.get(topic)?.has(listener) === true,
			send(frame) {
				listener.told.push(JSON.parse(frame));
				return frame.length;
			},
			sendSoon() {},
			regrant() {},
			close(code) {
				listener.closedWith = code;
				connections.remove(this);
				for (const listeners of subscribers.values()) listeners.delete(listener);
			},
			bufferedBytes: () => 0,
			topics: new Set(),
			countBadFrame() {},
		};
	}

	async function tenant(input: Partial<InputOf<typeof createTenant>> = {}): Promise<TestTenant> {
		const made = await features.tenants.create(OPERATOR, { name: 'Acme', ...input });
		const headers = new Headers({ 'X-API-Key': made.api_key });
		const { caller } = await authentication.tenant(headers, () => '');
		const as = (user: string): UserCaller => ({ ...caller, user_id: user as UserId });
		return {
			tenant_id: caller.tenant_id,
			key_id: caller.key_id,
			api_key: made.api_key,
			itself: { ...caller, user_id: null },
			as,
			async listen(user) {
				const heard = { told: [], topics: new Set<string>(), closedWith: undefined };
				const own = as(user);
				const connection = connectionOf(own, heard);
				const listener: Listener = Object.assign(heard, { connection });
				connections.add(connection);
				for (const topic of await features.subscriptions.topicsOf(own)) {
					connection.subscribe(topicOf(own.tenant_id, namedStream(topic)));
				}
				for (const { room_id } of await features.members.roomsOf(own)) {
					connection.subscribe(topicOf(own.tenant_id, roomTopic(room_id)));
				}
				return listener;
			},
		};
	}

	return {
		...features,
		clock,
		log,
		authentication,
		/** Whether the server is on its way out. */
		drain(isOn: boolean): void {
			isDraining = isOn;
		},
		pruner: container.pruner,
		useRecorder: container.useRecorder,
		presenceRegistry: container.presenceRegistry,
		lastSeen: container.lastSeen,
		meter: container.meter,
		quotas: container.quotas,
		/** Writes what was counted, as the server does every few seconds. */
		flush: () => container.flushing.flush(false),
		writer: container.writer,
		/** The stores as reads see them. */
		read: container.read,
		/** Changes rows behind the back of the server. */
		write: (sql: string): void => void outside.run(sql),
		/** Where the database is. */
		path,
		tenant,
		/** Rows as they are on disk. */
		rows: <Row = Record<string, unknown>>(sql: string): Row[] => outside.query(sql).all() as Row[],
		async end(): Promise<void> {
			// The log may be being folded still.
			await container.writer.drain();
			outside.close();
			await container.close();
			rmSync(folder, { recursive: true, force: true });
		},
	};
}

/** User ids, for inputs. */
export const ids = (...users: readonly string[]): UserId[] => users as UserId[];

/** The code that a promise was rejected with. @throws when it was not, or with a defect. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
	try {
		await promise;
	} catch (error) {
		if (error instanceof AppError) return error.errorCode;
		throw error;
	}
	return 'done';
}
