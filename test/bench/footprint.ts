import { statSync } from 'node:fs';
import type { SocketSeat } from './client/load.ts';
import { type Spread, shown, spreadOf } from './compare.ts';
import { type Driver, openDriver } from './driver.ts';
import type { Server, Target } from './servers.ts';
import { memoryOf } from './usage.ts';

/** What a server costs before it does anything. Smaller is better throughout. */
export interface Footprint {
	/** From the spawn to the first 200 on `/health`, with the database that the scenarios have left. */
	readonly start_ms: Spread;
	readonly idle_rss_mib: number;
	/** How many sockets were opened to weigh one. */
	readonly idle_sockets: number;
	/** Memory of the process alone, one figure for each fresh start. */
	readonly kib_per_idle_socket: readonly number[];
	readonly executable_mib: number;
}

export interface FootprintPlan {
	readonly starts: number;
	/** Fresh starts of each server that are weighed with idle sockets. */
	readonly weighings: number;
	/** In each of these. */
	readonly sockets: number;
}

/**
 * The runtime collects what connecting has left behind once it has had nothing to do for a while, in two or
 * three steps, the last of them 10 to 45 s after it (seen on both servers; late on a busy machine): before
 * that it is garbage that is weighed.
 */
const IDLE_MS = 60_000;
/** Sockets that are opened before the count begins: the first ones also load code and grow the heap. */
const WARM_SOCKETS = 2_000;
const MEMBERS_PER_ROOM = 1_000;

/** Starts both targets in turn, and then weighs one after the other. */
export async function footprintsOf(
	targets: { chatapi: Target; reference: Target },
	plan: FootprintPlan,
	progress: (line: string) => void,
): Promise<{ chatapi: Footprint; reference: Footprint }> {
	const starts: Record<'chatapi' | 'reference', number[]> = { chatapi: [], reference: [] };
	for (let round = 0; round < plan.starts; round++) {
		for (const side of ['chatapi', 'reference'] as const) {
			const server = await targets[side].start();
			starts[side].push(server.start_ms);
			await server.stop();
		}
		progress(
			`start: round ${round + 1}/${plan.starts} ${shown(starts.chatapi[round] ?? 0)} / ${shown(starts.reference[round] ?? 0)} ms`,
		);
	}
	const weights: Record<'chatapi' | 'reference', Weight[]> = { chatapi: [], reference: [] };
	for (let round = 0; round < plan.weighings; round++) {
		// Both at once: most of it is waiting, and nothing is timed.
		const sides = ['chatapi', 'reference'] as const;
		const weighed = await Promise.all(sides.map((side) => weightOf(targets[side], plan.sockets)));
		for (const [index, side] of sides.entries()) weights[side].push(weighed[index] as Weight);
		const [own, other] = [weights.chatapi.at(-1), weights.reference.at(-1)];
		progress(
			`${plan.sockets} idle sockets: round ${round + 1}/${plan.weighings} ${shown(own?.socket_kib ?? 0)} / ${shown(other?.socket_kib ?? 0)} KiB each`,
		);
	}
	const footprintOf = (side: 'chatapi' | 'reference'): Footprint => ({
		start_ms: spreadOf(starts[side]),
		idle_rss_mib: spreadOf(weights[side].map(({ idle_rss_mib }) => idle_rss_mib)).median,
		idle_sockets: plan.sockets,
		kib_per_idle_socket: weights[side].map(({ socket_kib }) => socket_kib),
		executable_mib: statSync(targets[side].executable).size / 2 ** 20,
	});
	return { chatapi: footprintOf('chatapi'), reference: footprintOf('reference') };
}

interface Weight {
	readonly idle_rss_mib: number;
	readonly socket_kib: number;
}

/** Weighs a fresh start: what closed sockets leave behind would lie under the next ones. */
async function weightOf(target: Target, sockets: number): Promise<Weight> {
	const server = await target.start();
	const pid = server.endpoint.server_pid;
	const drivers: Driver[] = [];
	try {
		const idle_rss_mib = (await settledMemory(pid)).rss_kb / 1_024;
		const seats = await seatsOf(server, WARM_SOCKETS + sockets);
		const open = (some: SocketSeat[]) =>
			openDriver({ kind: 'idle', endpoint: server.endpoint, sockets: some });
		drivers.push(await open(seats.slice(0, WARM_SOCKETS)));
		await Bun.sleep(IDLE_MS);
		const before = await settledMemory(pid);
		drivers.push(await open(seats.slice(WARM_SOCKETS)));
		await Bun.sleep(IDLE_MS);
		const after = await settledMemory(pid);
		return { idle_rss_mib, socket_kib: (after.anon_kb - before.anon_kb) / sockets };
	} finally {
		for (const driver of drivers) await driver.close();
		await server.stop();
	}
}

/** Memory that belongs to the process alone, in MiB, after each time that many sockets came and went. */
export interface Churn {
	readonly sockets: number;
	readonly chatapi: readonly number[];
	readonly reference: readonly number[];
}

/** Opens and closes many sockets, again and again: what they took must come back. */
export async function churnOf(
	targets: { chatapi: Target; reference: Target },
	{ sockets, times }: { sockets: number; times: number },
	progress: (line: string) => void,
): Promise<Churn> {
	const churn = async (target: Target): Promise<number[]> => {
		const server = await target.start();
		try {
			const seats = await seatsOf(server, sockets);
			const left: number[] = [];
			for (let time = 0; time < times; time++) {
				const { endpoint } = server;
				const driver = await openDriver({ kind: 'idle', endpoint, sockets: seats });
				await driver.close();
				left.push((await settledMemory(endpoint.server_pid)).anon_kb / 1_024);
				progress(`churn: ${target.name} ${time + 1}/${times}: ${shown(left.at(-1) ?? 0)} MiB left`);
			}
			return left;
		} finally {
			await server.stop();
		}
	};
	const chatapi = await churn(targets.chatapi);
	return { sockets, chatapi, reference: await churn(targets.reference) };
}

export async function seatsOf(server: Server, count: number): Promise<SocketSeat[]> {
	const seats: SocketSeat[] = [];
	while (seats.length < count) {
		const users = Array.from(
			{ length: Math.min(MEMBERS_PER_ROOM, count - seats.length) },
			(_, index) => `idle-${(seats.length + index).toString().padStart(5, '0')}`,
		);
		const room_id = await server.createRoom(users);
		seats.push(...users.map((user) => server.seat(room_id, user)));
	}
	return seats;
}

const SETTLE_POLL_MS = 250;
const SETTLE_POLLS_MAX = 24;
/** Memory has settled when it moves less than this between two looks, three times in a row. */
const SETTLED_KB = 128;
const SETTLED_TIMES = 3;

async function settledMemory(pid: number): Promise<{ rss_kb: number; anon_kb: number }> {
	let memory = memoryOf(pid);
	let quiet = 0;
	for (let poll = 0; poll < SETTLE_POLLS_MAX && quiet < SETTLED_TIMES; poll++) {
		await Bun.sleep(SETTLE_POLL_MS);
		const next = memoryOf(pid);
		quiet = Math.abs(next.anon_kb - memory.anon_kb) < SETTLED_KB ? quiet + 1 : 0;
		memory = next;
	}
	return memory;
}
