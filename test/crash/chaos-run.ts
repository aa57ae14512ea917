/** One run of chaos: clients that lose their connections, senders, churn, and a server that is killed. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { randomSecret } from '../helpers/server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Room, Tenant } from '../helpers/wire.ts';
import { type Follower, follow } from './chaos-clients.ts';
import {
	churn,
	type Marker,
	post,
	type Scene,
	sendOverRest,
	sendOverSocket,
} from './chaos-load.ts';
import { type CuttingProxy, startProxy } from './chaos-proxy.ts';
import {
	differencesOf,
	isCaughtUp,
	misplacedOf,
	returnsOf,
	type Truth,
	truthOf,
} from './chaos-truth.ts';
import { createHistory } from './history.ts';
import { violationsOf } from './invariants.ts';
import { createRandomness, type Randomness } from './randomness.ts';
import { startVictim, type Victim, type VictimOptions } from './victim.ts';

const CLIENTS = 50;
const SENDERS_REST = 4;
const SENDERS_SOCKET = 4;
const ROOMS = 4;
/** Users who come and go. */
const GUESTS = 10;
const ROOM_CHANCE = 0.5;
const CUT_PAUSE_MS_MAX = 60;
const AWAY_CHANCE = 0.1;
const AWAY_MS_MAX = 2_500;
const LIVE_DEADLINE_MS = 20_000;

export interface ChaosOptions {
	folder: string;
	command: Pick<VictimOptions, 'command' | 'cwd'>;
	seed: number;
	kills: number;
	/** Between the kills, and before the first and after the last one. */
	stretchMs: number;
	/** How long the clients may take in the end. */
	catchUpMs: number;
}

export interface Outcome {
	/** Of the promises to clients, then of the database. */
	violations: string[];
	sends: number;
	told: number;
	cuts: number;
	resumed: number;
	changes: number;
	/** How often somebody was added who was away. */
	returns: number;
}

/** Runs it, and holds what every client was told, and the database, against what must be. */
export async function runChaos(options: ChaosOptions): Promise<Outcome> {
	const random = createRandomness(options.seed);
	const victim: VictimOptions = {
		...options.command,
		dataDir: mkdtempSync(join(options.folder, 'chaos-')),
		masterKey: randomSecret(),
		env: { RESUME_ROOM_MAX: '0' },
	};
	const path = join(victim.dataDir, 'chatapi.db');
	const proxy = await startProxy(random);
	let server = await startVictim(victim);
	proxy.aim(server.url);
	const { scene, inside, end } = await prepare(server, victim.masterKey ?? '', proxy, random);
	const before = new Map([...inside].map(([room_id, users]) => [room_id, new Set(users)]));
	const followers = startFollowers(scene);
	try {
		await eventually(() => followers.every(({ isLive }) => isLive), LIVE_DEADLINE_MS, 'clients');
		const markers: Marker[] = [];
		const users = followers.slice(0, GUESTS).map(({ user }) => user);
		const acting = [
			...Array.from({ length: SENDERS_REST }, (_, n) => sendOverRest(scene, `rest${n}`)),
			...followers.slice(CLIENTS).map((follower) => sendOverSocket(scene, follower)),
			churn({ scene, users, inside, markers }),
			cutOff(scene, proxy),
		];
		for (let kills = 0; kills < options.kills; kills++) {
			await Bun.sleep(random.between(options.stretchMs / 2, options.stretchMs));
			await server.kill();
			await Bun.sleep(random.between(0, 300));
			server = await startVictim(victim);
			proxy.aim(server.url);
		}
		await Bun.sleep(random.between(options.stretchMs / 2, options.stretchMs));
		end();
		await within(Promise.all(acting), 'everybody to end', LIVE_DEADLINE_MS);
		for (const room_id of scene.room_ids) await post(scene, 'owner', room_id, 'the end');

		const truth = truthOf(path, followers, before);
		const areReady = () =>
			followers.every((follower) => isCaughtUp(truth, follower)) &&
			misplacedOf(path, followers).length === 0;
		// Whoever is not, differs below.
		await eventually(areReady, options.catchUpMs).catch(() => {});
		const open = followers.filter(({ isLive }) => isLive);
		await within(Promise.all(open.map(({ settle }) => settle())), 'pongs').catch(() => {});
		const violations = clientViolations(truth, followers, markers);
		violations.push(...misplacedOf(path, followers));
		for (const { client } of followers) client.close();
		if ((await server.stop()) !== 0) violations.push('the server did not stop well');
		violations.push(...violationsOf(path, scene.history, { isSettled: true }));
		return {
			violations,
			sends: scene.history.sends.length,
			told: followers.reduce((sum, { told }) => sum + told.length, 0),
			cuts: proxy.cuts,
			resumed: followers.reduce((sum, { resumed }) => sum + resumed, 0),
			changes: markers.length,
			returns: followers.reduce((sum, own) => sum + returnsOf(truth, own), 0),
		};
	} finally {
		end();
		for (const { client } of followers) client.close();
		await server.kill();
		await proxy.close();
	}
}

const socketSender = (n: number) => `socket${n}`;

/** A tenant with rooms: senders are in all of them, clients in some. */
async function prepare(server: Victim, master: string, proxy: CuttingProxy, random: Randomness) {
	const admin = httpClient(server, { master });
	const tenant = bodyOf(await admin.post<Tenant>('/admin/tenants', { name: 'Acme' }), 201);
	const { tenant_id, api_key = '' } = tenant;
	const owner = httpClient(server, { key: api_key, user: 'owner' });
	const history = createHistory();
	const inside = new Map<string, Set<string>>();
	for (let room = 0; room < ROOMS; room++) {
		const members = [
			...Array.from({ length: SENDERS_REST }, (_, n) => `rest${n}`),
			...Array.from({ length: SENDERS_SOCKET }, (_, n) => socketSender(n)),
			...Array.from({ length: CLIENTS }, (_, n) => `user${n}`).filter(
				(_, n) => n % ROOMS === room || random.chance(ROOM_CHANCE),
			),
		];
		const body = { type: 'group', name: `room ${room}`, members };
		const { room_id } = bodyOf(await owner.post<Room>('/rooms', body), 201);
		inside.set(room_id, new Set(members));
		history.rooms.set(room_id, tenant_id);
	}
	history.tenants.add(tenant_id);
	let isOver = false;
	const end = () => {
		isOver = true;
	};
	const scene: Scene = {
		host: proxy.host,
		tenant_id,
		api_key,
		room_ids: [...inside.keys()],
		history,
		random,
		isOver: () => isOver,
	};
	return { scene, inside, end };
}

/** The clients, and behind them those that send over their socket. */
function startFollowers({ host, api_key, random, isOver }: Scene): Follower[] {
	const users = [
		...Array.from({ length: CLIENTS }, (_, n) => `user${n}`),
		...Array.from({ length: SENDERS_SOCKET }, (_, n) => socketSender(n)),
	];
	return users.map((user) => {
		let tries = 0;
		const beforeConnect = async () => {
			const isAway = tries++ > 0 && !isOver() && random.chance(AWAY_CHANCE);
			if (isAway) await Bun.sleep(random.between(0, AWAY_MS_MAX));
		};
		return follow({ host, user, api_key, beforeConnect });
	});
}

async function cutOff({ random, isOver }: Scene, proxy: CuttingProxy): Promise<void> {
	while (!isOver()) {
		await Bun.sleep(random.between(0, CUT_PAUSE_MS_MAX));
		proxy.cut();
	}
}

function clientViolations(
	truth: Truth,
	followers: readonly Follower[],
	markers: readonly Marker[],
): string[] {
	const contents = new Map(
		followers.map(({ user, told }) => [user, new Set(told.map(({ content }) => content))]),
	);
	const isKept = ({ user, isMember, content }: Marker) =>
		contents.get(user)?.has(content) === isMember;
	return [
		...followers.flatMap(({ violations }) => violations),
		...followers.flatMap((own) => differencesOf(truth, own)),
		// What the log says of memberships is not believed here, but the answers to their changes.
		...markers
			.filter((marker) => !isKept(marker))
			.map(({ user, content }) => `${user}: wrong about “${content}”`),
	];
}
