import type { Endpoint, Job } from './client/load.ts';
import { shown } from './compare.ts';
import { type Driver, openDriver } from './driver.ts';
import type { Section, SectionRow } from './section.ts';
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

/** p50 and p99 of one probe in one block. */
interface Block {
	readonly p50: number;
	readonly p99: number;
}

const CONDITIONS = ['alone', 'beside', 'elsewhere'] as const;
type Condition = (typeof CONDITIONS)[number];
/** Of one probe, block by block. */
type Blocks = Record<Condition, Block[]>;

/** Shorter and more of them than other scenarios have: what else the machine does comes in bursts. */
const BLOCKS_PER_ROUND = 3;

/**
 * What a tenant that asks little feels of one that floods: the same requests alone, beside a flood of the same
 * server, and beside the same flood of another chatapi on the same machine, which shows what the machine alone
 * does. Blocks take turns, each round in another order; the flood's clients give way to the quiet tenant's.
 */
export async function fairnessOf(
	targets: { chatapi: Target; elsewhere: Target },
	{ rounds, measure_ms }: { rounds: number; measure_ms: number },
	progress: (line: string) => void,
): Promise<Section> {
	const server = await targets.chatapi.start();
	const elsewhere = await targets.elsewhere.start();
	const quiet: Driver[] = [];
	const rows: SectionRow[] = [];
	try {
		for (const { prepare } of PROBES) quiet.push(await openDriver(await prepare(server)));
		for (const flood of FLOODS) {
			const floods = {
				beside: await openDriver(await flood.prepare(server), { isNice: true }),
				elsewhere: await openDriver(await flood.prepare(elsewhere), { isNice: true }),
			};
			const probes = PROBES.map((): Blocks => ({ alone: [], beside: [], elsewhere: [] }));
			let perSecond = 0;
			for (let block = 0; block < rounds * BLOCKS_PER_ROUND; block++) {
				for (const step of CONDITIONS.keys()) {
					const condition = CONDITIONS[(block + step) % CONDITIONS.length] as Condition;
					const flooding =
						condition === 'alone'
							? undefined
							: floods[condition].run(WARMUP_MS, measure_ms + WARMUP_MS);
					const measured = await measuredOf(quiet, measure_ms);
					for (const [index, each] of measured.entries()) probes[index]?.[condition].push(each);
					const flooded = await flooding;
					if (flooded === undefined) continue;
					const { done, seconds, problems } = flooded;
					if (problems.length > 0) throw new Error(`${flood.title}: ${problems.join('; ')}`);
					if (condition === 'beside') perSecond = done / seconds;
				}
			}
			for (const driver of Object.values(floods)) await driver.close();
			for (const [index, { name }] of PROBES.entries()) {
				const title = `${name} beside ${flood.title}`;
				const row = rowOf(title, probes[index] as Blocks, perSecond);
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

async function measuredOf(quiet: readonly Driver[], ms: number): Promise<Block[]> {
	const rounds = await Promise.all(quiet.map((driver) => driver.run(WARMUP_MS, ms)));
	return rounds.map(({ p50_ms, p99_ms, problems }) => {
		if (problems.length > 0) throw new Error(`the quiet tenant: ${problems.join('; ')}`);
		return { p50: p50_ms ?? Number.NaN, p99: p99_ms ?? Number.NaN };
	});
}

/** The mean of the middle half: of blocks of which some met something else that the machine did. */
function middleOf(values: readonly number[]): number {
	const sorted = values.toSorted((one, other) => one - other);
	const cut = sorted.length >> 2;
	const middle = sorted.slice(cut, sorted.length - cut);
	return middle.reduce((sum, value) => sum + value, 0) / middle.length;
}

function rowOf(title: string, blocks: Blocks, perSecond: number): SectionRow {
	const of = (condition: Condition, which: keyof Block) =>
		middleOf(blocks[condition].map((block) => block[which]));
	const over = (which: keyof Block, other: Condition) =>
		(of('beside', which) / of(other, which)).toFixed(2);
	const goal = of('beside', 'p99') <= P99_RATIO_GOAL * of('alone', 'p99') ? 'met' : 'MISSED';
	return {
		title,
		ratio: `${over('p99', 'alone')} (${over('p99', 'elsewhere')} of elsewhere)`,
		own: of('beside', 'p99'),
		other: of('alone', 'p99'),
		unit: 'ms, p99 beside / alone',
		note:
			`p50 ${over('p50', 'alone')} (${over('p50', 'elsewhere')}): ` +
			`${CONDITIONS.map((condition) => shown(of(condition, 'p50'))).join(', ')} ms; ` +
			`p99 elsewhere ${shown(of('elsewhere', 'p99'))} ms; ` +
			`flood ${shown(perSecond)}/s; goal ≤ ${P99_RATIO_GOAL}: ${goal}`,
	};
}
