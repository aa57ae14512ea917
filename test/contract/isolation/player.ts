/**
 * Somebody who uses a tenant: picks steps by a seed, takes them one after the other, and writes
 * down everything that comes back. What differs from run to run for a good reason (ids, times, the
 * epoch of the log) is written as the place of its first appearance, so that two records of the
 * same player are equal unless something else told them apart.
 */

import { createRandom, type Random } from '../../fuzz/random.ts';
import { openSocket, type Socket } from '../../helpers/socket.ts';
import { createKey, operator, type TestTenant } from '../../helpers/tenants.ts';

const USERS = ['ann', 'bob', 'cat', 'dan', 'a:b', 'b:c', 'room_1'] as const;
const ROLES = ['member', 'moderator', 'admin', 'owner'] as const;
const CONTENTS = ['one', 'two', 'three'] as const;
const CLIENT_MSG_IDS = ['c1', 'c2', 'c3', 'c4', undefined, undefined] as const;
/** Who has a socket open all the time. */
const LISTENERS = ['ann', 'bob', 'a:b'] as const;

/** Who acts: a user, or without one the tenant itself. */
type Actor = (typeof USERS)[number] | undefined;

interface Step {
	actor: Actor;
	method: string;
	/** With `{n}` for the id of the n-th room. */
	path: string;
	body?: Record<string, unknown>;
}

export interface Player {
	readonly tenant: TestTenant;
	/** Takes its next step and waits for what comes of it. */
	step(): Promise<void>;
	/** Everything it saw: its answers, then the frames of its sockets. Ends it. */
	record(): Promise<string[]>;
}

/** The same seed makes the same choices, as long as the same rooms come to be. */
export async function createPlayer(tenant: TestTenant, seed: number): Promise<Player> {
	const random = createRandom(seed);
	const normalise = createNormaliser();
	const rooms: string[] = [];
	const keys: string[] = [];
	const lines: string[] = [];
	const listeners = new Map<string, Socket>();
	for (const user of LISTENERS) listeners.set(user, await tenant.socket(user));

	async function take({ actor, method, path, body }: Step): Promise<void> {
		const real = path.replace(/\{(\d+)\}/, (_, index: string) => rooms[Number(index)] ?? '');
		const options = body === undefined ? {} : { body };
		const answer = await tenant.as(actor).call<{ room_id?: string }>(method, real, options);
		const isNewRoom = path === '/rooms' && method === 'POST' && answer.status === 201;
		if (isNewRoom && answer.body.room_id !== undefined) rooms.push(answer.body.room_id);
		const what = `${actor ?? 'tenant'}: ${method} ${path} ${JSON.stringify(body) ?? ''}`;
		lines.push(`${what} → ${answer.status} ${normalise(answer.text)}`);
	}

	async function reconnect(user: string): Promise<void> {
		const socket = await openSocket(tenant.server, { key: tenant.api_key, user });
		lines.push(`${user}: connects → ${normalise(JSON.stringify(socket.connected))}`);
		await socket.close();
	}

	async function changeKeys(): Promise<void> {
		const admin = operator(tenant.server);
		const path = `/admin/tenants/${tenant.tenant_id}/api-keys`;
		const old = keys.length > 1 ? keys.shift() : undefined;
		if (old === undefined) keys.push((await createKey(tenant, ['send'])).key_id);
		else await admin.delete(`${path}/${old}`);
		const list = await admin.get<{ api_keys: { key_id: string }[] }>(path);
		const count = list.body.api_keys.length;
		lines.push(`keys → ${list.status} ${count} ${keys.length} ${normalise(JSON.stringify(keys))}`);
	}

	return {
		tenant,
		async step() {
			if (rooms.length > 0 && random.chance(0.05)) return reconnect(random.pick(USERS));
			if (random.chance(0.03)) return changeKeys();
			return take(nextStep(random, rooms.length));
		},
		async record() {
			for (const [user, socket] of listeners) {
				await socket.settle();
				// Whether a short visit is told of is a matter of milliseconds.
				const steady = socket.frames.filter(({ type }) => type !== 'presence.update');
				const frames = steady.map((frame) => normalise(JSON.stringify(frame)));
				lines.push(...frames.map((frame) => `frame to ${user}: ${frame}`));
				await socket.close();
			}
			return lines;
		},
	};
}

function nextStep(random: Random, rooms: number): Step {
	const user = random.pick(USERS);
	const actor = random.chance(0.15) ? undefined : user;
	if (rooms < 3 || random.chance(0.14)) return createStep(random, actor);
	// Rather the older half: rooms that both tenants have for long.
	const index = random.below(random.chance(0.5) ? rooms : Math.ceil(rooms / 2));
	const room = `/rooms/{${index}}`;
	const seq = 1 + random.below(12);
	const other = random.pick(USERS);
	const steps: readonly [weight: number, make: () => Step][] = [
		[22, () => ({ actor, method: 'POST', path: `${room}/messages`, body: message(random) })],
		[
			6,
			() => ({ actor: user, method: 'POST', path: '/acks', body: { room_id: `{${index}}`, seq } }),
		],
		[8, () => ({ actor: user, method: 'POST', path: `${room}/read`, body: { seq } })],
		[9, () => ({ actor, method: 'POST', path: `${room}/members`, body: newcomers(random) })],
		[
			6,
			() => ({
				actor,
				method: 'PUT',
				path: `${room}/members/${other}`,
				body: { role: random.pick(ROLES) },
			}),
		],
		[4, () => ({ actor, method: 'DELETE', path: `${room}/members/${other}` })],
		[4, () => ({ actor: user, method: 'DELETE', path: `${room}/members/${user}` })],
		[5, () => ({ actor, method: 'PATCH', path: room, body: { name: `N${random.below(9)}` } })],
		[1, () => ({ actor, method: 'DELETE', path: room })],
		[8, () => ({ actor: user, method: 'GET', path: '/rooms?limit=100' })],
		[3, () => ({ actor: user, method: 'GET', path: `/rooms?limit=2&cursor=${seq * 5}` })],
		[6, () => ({ actor, method: 'GET', path: room })],
		[7, () => ({ actor, method: 'GET', path: `${room}/members` })],
		[6, () => ({ actor, method: 'GET', path: `${room}/messages?limit=${1 + random.below(9)}` })],
		[
			4,
			() => ({
				actor: undefined,
				method: 'GET',
				path: `/events?limit=${20 * (1 + random.below(5))}`,
			}),
		],
		[3, () => ({ actor, method: 'GET', path: `${room}/messages?after_seq=${seq}&limit=2` })],
	];
	return random.weighted(steps)();
}

function createStep(random: Random, actor: Actor): Step {
	const type = random.pick(['dm', 'dm', 'group', 'group', 'group', 'channel'] as const);
	const members = type === 'dm' ? random.some(USERS, 2) : random.some(USERS, random.below(4));
	return { actor, method: 'POST', path: '/rooms', body: { type, members } };
}

function message(random: Random) {
	const client_msg_id = random.pick(CLIENT_MSG_IDS);
	const content = random.pick(CONTENTS);
	return client_msg_id === undefined ? { content } : { content, client_msg_id };
}

const newcomers = (random: Random) => ({
	members: random.some(USERS, 1 + random.below(3)),
	...(random.chance(0.3) ? { role: random.pick(ROLES) } : {}),
});

const ID = /\b(?:room|msg|key|conn|req|tenant)_[0-9a-z]{26}\b/g;
const TIME = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z/g;
/** Five characters of epoch, eleven of number; the number must be the same in every run. */
const CURSOR = /"([0-9a-v]{5})([0-9a-v]{11})"/g;

function createNormaliser(): (text: string) => string {
	const seen = new Map<string, string>();
	const nameOf = (kind: string, value: string): string => {
		const name = seen.get(value) ?? `${kind}#${seen.size}`;
		seen.set(value, name);
		return name;
	};
	return (text) =>
		text
			.replace(ID, (id) => nameOf(id.slice(0, id.indexOf('_')), id))
			.replace(TIME, 'TIME')
			.replace(
				CURSOR,
				(_, epoch: string, number: string) => `"${nameOf('epoch', epoch)}/${number}"`,
			);
}
