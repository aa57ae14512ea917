/**
 * What a tenant sees does not depend on what another does: a player's record is the same, to the
 * byte, alone on a server and beside a second player whose tenant has the same users, room numbers
 * and client_msg_ids. Whatever leaks into an answer, a frame, a count or an order shows up here.
 *
 * `ISOLATION_SEED` plays one seed of choice, `ISOLATION_STEPS` so many steps of each player.
 */
import { expect, test } from 'bun:test';
import { createRandom } from '../../fuzz/random.ts';
import { type Server, startServer } from '../../helpers/server.ts';
import { createTenant } from '../../helpers/tenants.ts';
import { createPlayer, type Player } from './player.ts';

const STEPS = Number(process.env.ISOLATION_STEPS ?? 500);
const TIMEOUT_MS = 60_000;
const SEEDS = process.env.ISOLATION_SEED ? [Number(process.env.ISOLATION_SEED)] : [1, 2];

/** Low enough that players meet them, so that what they count is seen. */
const LIMITS = {
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '0',
	MAX_ROOMS_PER_USER: '9',
	MAX_ROOM_MEMBERS: '5',
	LIVE_RECEIPTS_MAX: '3',
	MAX_SUBSCRIPTIONS_PER_USER: '3',
	RESUME_ROOM_MAX: '1',
};

/** Starts a server for `play` alone; it must have logged no error. */
async function onServer<T>(play: (server: Server) => Promise<T>): Promise<T> {
	const server = await startServer({ env: LIMITS });
	try {
		const result = await play(server);
		expect(server.log().filter(({ level }) => level === 'error')).toEqual([]);
		expect(await server.stop()).toBe(0);
		return result;
	} finally {
		await server.kill();
	}
}

const createOne = async (server: Server, seed: number) =>
	createPlayer(await createTenant(server, { name: 'Player' }), seed);

const playAlone = (seed: number) =>
	onServer(async (server) => {
		const player = await createOne(server, seed);
		for (let step = 0; step < STEPS; step++) await player.step();
		return player.record();
	});

/** Both players in turns, as chance has it. `order` says whose tenant is made first. */
const playBeside = (seed: number, order: 'first' | 'second') =>
	onServer(async (server) => {
		const otherSeed = seed + 1000;
		let player: Player;
		let other: Player;
		if (order === 'first') {
			player = await createOne(server, seed);
			other = await createOne(server, otherSeed);
		} else {
			other = await createOne(server, otherSeed);
			player = await createOne(server, seed);
		}
		const random = createRandom(seed + 2000);
		for (let taken = 0; taken < STEPS; ) {
			if (random.chance(0.5)) {
				await player.step();
				taken++;
			} else await other.step();
		}
		await other.record();
		return player.record();
	});

for (const seed of SEEDS) {
	let alone: string[];

	test(
		`the player of seed ${seed} does what the comparison needs`,
		async () => {
			alone = await playAlone(seed);

			const count = (pattern: RegExp) => alone.filter((line) => pattern.test(line)).length;
			expect(count(/POST \/rooms .*→ 201/)).toBeGreaterThan(8);
			expect(count(/POST .*messages .*→ 201/)).toBeGreaterThan(10);
			expect(count(/"duplicate":true/)).toBeGreaterThan(0);
			expect(count(/→ 409/)).toBeGreaterThan(2);
			expect(count(/DELETE .*members.*→ 200/)).toBeGreaterThan(2);
			expect(count(/"unread_count":[1-9]/)).toBeGreaterThan(2);
			expect(count(/^frame to/)).toBeGreaterThan(40);
			expect(count(/^frame to .*"type":"notification"/)).toBeGreaterThan(5);
			expect(count(/connects .*"replay.done".*"count":[1-9]/)).toBeGreaterThan(5);
			expect(count(/GET \/notifications.*→ 200 .*"notification_id"/)).toBeGreaterThan(0);
			expect(count(/connects .*"room.gap"/)).toBeGreaterThan(1);
			expect(count(/unsubscribes → 200/)).toBeGreaterThan(1);
			expect(count(/confirms → 200/)).toBeGreaterThan(1);
		},
		TIMEOUT_MS,
	);

	for (const order of ['second', 'first'] as const) {
		test(
			`seed ${seed}, whose tenant is the ${order}: another tenant changes nothing of it`,
			async () => {
				const beside = await playBeside(seed, order);

				const differs = alone.findIndex((line, index) => line !== beside[index]);
				const context = (lines: string[]) => lines.slice(Math.max(0, differs - 1), differs + 1);
				if (differs !== -1) expect(context(beside)).toEqual(context(alone));
				expect(beside.length).toBe(alone.length);
			},
			TIMEOUT_MS,
		);
	}
}
