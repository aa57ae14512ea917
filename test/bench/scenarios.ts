import type { Job } from './client/load.ts';
import type { Round } from './client/main.ts';
import { openDriver } from './driver.ts';
import type { Server } from './servers.ts';

/** One kind of traffic and the figure that is compared. */
export interface Scenario {
	/** What `--only` matches. */
	readonly name: string;
	readonly title: string;
	readonly unit: string;
	readonly isLowerBetter: boolean;
	/** The load is given, and its latency compared. */
	readonly isPaced: boolean;
	figureOf(round: Round): number;
	/** Makes rooms and messages as needed; the rest is up to the load client. */
	prepare(server: Server, size: Size): Promise<Job>;
}

/** How much is stored before it is read; `--quick` takes less. */
export interface Size {
	readonly stored_messages: number;
}

const usersOf = (count: number): string[] =>
	Array.from({ length: count }, (_, index) => `user-${index.toString().padStart(5, '0')}`);

const perSecond = {
	isLowerBetter: false,
	isPaced: false,
	figureOf: (round: Round) => round.done / round.seconds,
};

const restSend = (clients: number): Scenario => ({
	...perSecond,
	name: `rest-send-${clients}`,
	title: `REST send, ${clients} client${clients === 1 ? '' : 's'}`,
	unit: 'sends/s',
	async prepare(server) {
		const users = usersOf(clients);
		const room_id = await server.createRoom(users);
		return { kind: 'rest_send', endpoint: server.endpoint, room_id, users, pace: 0 };
	},
});

const HALF_CLIENTS = 64;
const CALIBRATION = { warmup_ms: 500, measure_ms: 1_000 };

/**
 * The same load on both: half of what the first server, which is the one in question, can take.
 */
function restSendHalf(): Scenario {
	const full = restSend(HALF_CLIENTS);
	let pace: number | undefined;
	return {
		name: 'rest-send-half',
		title: 'REST send, half of the maximum load',
		unit: 'ms to the answer (p99)',
		isLowerBetter: true,
		isPaced: true,
		figureOf: (round) => round.p99_ms ?? Number.NaN,
		async prepare(server, size) {
			pace ??= (await rateOf(await full.prepare(server, size))) / 2;
			const users = usersOf(HALF_CLIENTS);
			const room_id = await server.createRoom(users);
			return { kind: 'rest_send', endpoint: server.endpoint, room_id, users, pace };
		},
	};
}

/** Operations per second of a load. */
async function rateOf(job: Job): Promise<number> {
	const driver = await openDriver(job);
	try {
		const round = await driver.run(CALIBRATION.warmup_ms, CALIBRATION.measure_ms);
		return perSecond.figureOf(round);
	} finally {
		await driver.close();
	}
}

const MIXED_TENANTS = 1_000;
const MIXED_CLIENTS = 64;
const MIXED_LISTENERS = 200;
const PREPARED_AT_ONCE = 50;

/**
 * Two sends for each page of history, over many tenants. Some of their rooms have a socket, which
 * hears everything, and through which every other send goes.
 */
const mixed: Scenario = {
	...perSecond,
	name: 'mixed-1000-tenants',
	title: 'Mixed load, 1,000 tenants',
	unit: 'answers/s',
	async prepare(server) {
		const user_id = 'user-00000';
		const seatOf = async () => {
			const api_key = await server.createTenant();
			const room_id = await server.createRoom([user_id], api_key);
			return { api_key, user_id, room_id, stored: 0 };
		};
		const seats = [];
		while (seats.length < MIXED_TENANTS) {
			seats.push(...(await Promise.all(Array.from({ length: PREPARED_AT_ONCE }, seatOf))));
		}
		return {
			kind: 'requests',
			endpoint: server.endpoint,
			ask: 'mixed',
			seats,
			clients: MIXED_CLIENTS,
			listeners: MIXED_LISTENERS,
			socket_path: server.seat('', user_id).path,
		};
	},
};

const connects = (clients: number): Scenario => ({
	...perSecond,
	name: `connect-${clients}`,
	title: `Connect and leave, ${clients} at once`,
	unit: 'connections/s',
	async prepare(server) {
		const users = usersOf(clients);
		const room_id = await server.createRoom(users);
		const sockets = users.map((user) => server.seat(room_id, user));
		return { kind: 'connects', endpoint: server.endpoint, sockets };
	},
});

const socketSend = (sockets: number, in_flight: number): Scenario => ({
	...perSecond,
	name: `ws-send-${sockets}x${in_flight}`,
	title: `WebSocket send, ${sockets} × ${in_flight}`,
	unit: 'sends/s',
	async prepare(server) {
		const senders = [];
		for (const user of usersOf(sockets)) {
			senders.push(server.seat(await server.createRoom([user]), user));
		}
		return { kind: 'socket_send', endpoint: server.endpoint, senders, in_flight };
	},
});

async function fanOutJob(server: Server, count: number, pace: number, in_flight: number) {
	const users = usersOf(count);
	const room_id = await server.createRoom(users);
	const receivers = users.map((user) => server.seat(room_id, user));
	return { kind: 'fan_out', endpoint: server.endpoint, receivers, pace, in_flight } satisfies Job;
}

const FULL_SPEED_IN_FLIGHT = 16;

const fanOutFull = (receivers: number): Scenario => ({
	...perSecond,
	name: `fan-out-${receivers}-full`,
	title: `Fan-out to ${receivers}, full speed`,
	unit: 'deliveries/s',
	prepare: (server) => fanOutJob(server, receivers, 0, FULL_SPEED_IN_FLIGHT),
});

const fanOutPaced = (receivers: number, pace: number): Scenario => ({
	name: `fan-out-${receivers}-paced`,
	title: `Fan-out to ${receivers}, ${pace} messages/s`,
	unit: 'ms to a receiver (p50)',
	isLowerBetter: true,
	isPaced: true,
	figureOf: (round) => round.p50_ms ?? Number.NaN,
	prepare: (server) => fanOutJob(server, receivers, pace, 1),
});

const HISTORY_READERS = 16;
const HISTORY_PAGE = 50;

const history: Scenario = {
	...perSecond,
	name: 'history',
	title: `History pages of ${HISTORY_PAGE}, random depth`,
	unit: 'pages/s',
	async prepare(server, { stored_messages }) {
		const users = usersOf(HISTORY_READERS);
		const room_id = await server.createRoom(users);
		const last_seq = await fill(server, room_id, users[0] ?? '', stored_messages);
		const endpoint = server.endpoint;
		return { kind: 'history', endpoint, room_id, users, last_seq, page: HISTORY_PAGE };
	},
};

const FILL_SLICE_MS = 250;
const FILL_IN_FLIGHT = 128;
const FILL_SLICES_MAX = 240;

/** Sends at least so many messages to a room through the API, and gives how many they became. */
async function fill(server: Server, roomId: string, user: string, count: number): Promise<number> {
	const driver = await openDriver({
		kind: 'fan_out',
		endpoint: server.endpoint,
		receivers: [server.seat(roomId, user)],
		pace: 0,
		in_flight: FILL_IN_FLIGHT,
	});
	try {
		for (let slice = 0; slice < FILL_SLICES_MAX; slice++) {
			const round = await driver.run(0, FILL_SLICE_MS);
			if (round.problems.length > 0) {
				throw new Error(`${server.name}: ${round.problems.join('; ')}`);
			}
			const stored = round.answered[roomId] ?? 0;
			if (stored >= count) return stored;
		}
		throw new Error(`${server.name} is too slow to store ${count} messages`);
	} finally {
		await driver.close();
	}
}

/** In this order. The paced ones put about 20,000 deliveries/s on the server, whatever the room. */
export const SCENARIOS: readonly Scenario[] = [
	restSend(1),
	restSend(16),
	restSend(64),
	restSend(256),
	restSendHalf(),
	socketSend(64, 16),
	fanOutPaced(100, 200),
	fanOutFull(100),
	fanOutPaced(1_000, 20),
	fanOutFull(1_000),
	history,
	mixed,
	connects(16),
];
