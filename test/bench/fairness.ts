import type { Endpoint, Job } from './client/load.ts';
import { type Spread, shown, spreadOf } from './compare.ts';
import { type Driver, openDriver } from './driver.ts';
import type { Section } from './section.ts';
import { HISTORY_PAGE_MAX, type Server, type Target } from './servers.ts';

/** What a tenant may do to another's p99, at most. */
const P99_RATIO_GOAL = 2;

const QUIET_PACE = 100;
const QUIET_FAN_OUT_PACE = 50;
const QUIET_RECEIVERS = 20;
const FLOOD_CLIENTS = 64;
const FLOOD_SOCKETS = 16;
const FLOOD_RECEIVERS = 1_000;
const FLOOD_CONNECTS_PER_S = 500;
const FLOOD_VISITORS = 64;
const FLOOD_STORED = 500;
/** As DEFAULT_RATE_LIMIT has it. */
const DEFAULT_REQUESTS_PER_S = 100;
const WARMUP_MS = 500;

/** Each probe has its own: a socket hears all rooms of its user. */
const usersOf = (count: number, kind = 'user'): string[] =>
	Array.from({ length: count }, (_, index) => `${kind}-${index.toString().padStart(5, '0')}`);

/** What the quiet tenant does all the time, in a process each. */
const PROBES: readonly { name: string; prepare(server: Server): Promise<Job> }[] = [
	{
		name: 'REST send',
		async prepare(server) {
			const users = usersOf(4, 'rest');
			const room_id = await server.createRoom(users);
			return { kind: 'rest_send', endpoint: server.endpoint, room_id, users, pace: QUIET_PACE };
		},
	},
	{ name: 'WebSocket send', prepare: (server) => fanOut(server, 1, QUIET_PACE) },
	{
		name: `fan-out to ${QUIET_RECEIVERS}`,
		prepare: (server) => fanOut(server, QUIET_RECEIVERS, QUIET_FAN_OUT_PACE),
	},
];

async function fanOut(server: Server, count: number, pace: number): Promise<Job> {
	const users = usersOf(count, `of-${count}`);
	const room_id = await server.createRoom(users);
	const receivers = users.map((user) => server.seat(room_id, user));
	return { kind: 'fan_out', endpoint: server.endpoint, receivers, pace, in_flight: 1 };
}

interface Flood {
	readonly title: string;
	prepare(server: Server): Promise<Job>;
}

const noLimit = (server: Server) => server.createTenant();

async function restFlood(server: Server, api_key: string, page = 0): Promise<Job> {
	const [user_id = ''] = usersOf(1);
	const room_id = await server.createRoom([user_id], api_key);
	const endpoint = { ...server.endpoint, api_key };
	if (page > 0) await fill(endpoint, room_id, user_id);
	return { kind: 'flood', endpoint, clients: FLOOD_CLIENTS, room_id, user_id, page };
}

/** Stores what pages are made of. */
async function fill({ port, api_key }: Endpoint, room_id: string, user: string): Promise<void> {
	const content = 'x'.repeat(1_000);
	for (let sent = 0; sent < FLOOD_STORED; sent++) {
		const answer = await fetch(`http://127.0.0.1:${port}/rooms/${room_id}/messages`, {
			method: 'POST',
			headers: { 'x-api-key': api_key, 'x-user-id': user, 'content-type': 'application/json' },
			body: JSON.stringify({ content }),
		});
		if (answer.status !== 201) throw new Error(`a send was answered ${answer.status}`);
	}
}

const FLOODS: readonly Flood[] = [
	{
		title: `REST, ${FLOOD_CLIENTS} clients, limit of ${DEFAULT_REQUESTS_PER_S}/s`,
		prepare: async (server) => restFlood(server, await server.createTenant(DEFAULT_REQUESTS_PER_S)),
	},
	{
		title: `REST, ${FLOOD_CLIENTS} clients, no limit`,
		prepare: async (server) => restFlood(server, await noLimit(server)),
	},
	{
		title: `WebSocket, ${FLOOD_SOCKETS} × 16 sends`,
		async prepare(server) {
			const api_key = await noLimit(server);
			const senders = [];
			for (const user of usersOf(FLOOD_SOCKETS)) {
				senders.push(server.seat(await server.createRoom([user], api_key), user));
			}
			const endpoint = { ...server.endpoint, api_key };
			return { kind: 'socket_send', endpoint, senders, in_flight: 16 };
		},
	},
	{
		title: `fan-out to ${FLOOD_RECEIVERS}, full speed`,
		async prepare(server) {
			const api_key = await noLimit(server);
			const users = usersOf(FLOOD_RECEIVERS);
			const room_id = await server.createRoom(users, api_key);
			const receivers = users.map((user) => server.seat(room_id, user));
			const endpoint = { ...server.endpoint, api_key };
			return { kind: 'fan_out', endpoint, receivers, pace: 0, in_flight: 16 };
		},
	},
	{
		title: `${FLOOD_CONNECTS_PER_S} connects/s`,
		async prepare(server) {
			const api_key = await noLimit(server);
			const users = usersOf(FLOOD_VISITORS);
			const room_id = await server.createRoom(users, api_key);
			const sockets = users.map((user) => server.seat(room_id, user));
			const endpoint = { ...server.endpoint, api_key };
			return { kind: 'connects', endpoint, sockets, pace: FLOOD_CONNECTS_PER_S };
		},
	},
	{
		title: `pages of ${HISTORY_PAGE_MAX} messages of 1,000 bytes, ${FLOOD_CLIENTS} clients`,
		prepare: async (server) => restFlood(server, await noLimit(server), HISTORY_PAGE_MAX),
	},
];

interface Pair {
	readonly alone: { p50: number; p99: number };
	readonly beside: { p50: number; p99: number };
}

/**
 * What a tenant that asks little feels of one that floods: the same requests alone and beside it, in
 * alternating blocks. The flood's clients give way to the quiet tenant's, for it is the server that is asked here.
 * The last flood goes to the other server: what is felt of that comes from the machine alone.
 */
export async function fairnessOf(
	targets: { chatapi: Target; reference: Target },
	{ rounds, measure_ms }: { rounds: number; measure_ms: number },
	progress: (line: string) => void,
): Promise<Section> {
	const server = await targets.chatapi.start();
	const elsewhere = await targets.reference.start();
	const quiet: Driver[] = [];
	const rows = [];
	try {
		for (const { prepare } of PROBES) quiet.push(await openDriver(await prepare(server)));
		const control: Flood = {
			title: `(control) REST, ${FLOOD_CLIENTS} clients, at another server`,
			prepare: () => restFlood(elsewhere, 'none'),
		};
		for (const flood of [...FLOODS, control]) {
			const driver = await openDriver(await flood.prepare(server), { isNice: true });
			const pairs: Pair[][] = PROBES.map(() => []);
			let perSecond = 0;
			for (let round = 0; round < rounds; round++) {
				const alone = await measured(quiet, measure_ms);
				const flooding = driver.run(WARMUP_MS, measure_ms + WARMUP_MS);
				const beside = await measured(quiet, measure_ms);
				const { done, seconds, problems } = await flooding;
				if (problems.length > 0) throw new Error(`${flood.title}: ${problems.join('; ')}`);
				perSecond = done / seconds;
				for (const [index, each] of pairs.entries()) {
					each.push({ alone: alone[index], beside: beside[index] } as Pair);
				}
			}
			await driver.close();
			for (const [index, { name }] of PROBES.entries()) {
				const row = rowOf(`${name} beside ${flood.title}`, pairs[index] ?? [], perSecond);
				rows.push(row);
				progress(`fairness: ${row.title}: p99 ${row.ratio}, ${row.note}`);
			}
		}
		return { name: 'fairness', rows };
	} finally {
		for (const driver of quiet) await driver.close();
		await server.stop();
		await elsewhere.stop();
	}
}

async function measured(quiet: readonly Driver[], ms: number) {
	const rounds = await Promise.all(quiet.map((driver) => driver.run(WARMUP_MS, ms)));
	return rounds.map(({ p50_ms, p99_ms, problems }) => {
		if (problems.length > 0) throw new Error(`the quiet tenant: ${problems.join('; ')}`);
		return { p50: p50_ms ?? Number.NaN, p99: p99_ms ?? Number.NaN };
	});
}

const rangeOf = ({ median, min, max }: Spread): string =>
	`${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;

function rowOf(title: string, pairs: readonly Pair[], perSecond: number) {
	const p99 = spreadOf(pairs.map(({ alone, beside }) => beside.p99 / alone.p99));
	const p50 = spreadOf(pairs.map(({ alone, beside }) => beside.p50 / alone.p50));
	const half = (pick: (pair: Pair) => number) => spreadOf(pairs.map(pick)).median;
	const goal = p99.median <= P99_RATIO_GOAL ? 'met' : 'MISSED';
	return {
		title,
		ratio: rangeOf(p99),
		own: half(({ beside }) => beside.p99),
		other: half(({ alone }) => alone.p99),
		unit: 'ms, p99 beside / alone',
		note:
			`p50 ${rangeOf(p50)}: ${shown(half(({ beside }) => beside.p50))} / ${shown(half(({ alone }) => alone.p50))} ms; ` +
			`flood ${shown(perSecond)}/s; goal ≤ ${P99_RATIO_GOAL}: ${goal}`,
	};
}
