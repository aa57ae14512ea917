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
const TOPICS = ['news', 'orders', 'ann', 't'] as const;
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
	/** The `Idempotency-Key`. */
	once?: string | undefined;
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
	/** Subscriptions and who has them. */
	const subscriptions: { user: Actor; id: string }[] = [];
	/** Moments that a user may have last seen. */
	const cursors: string[] = [];
	const keys: string[] = [];
	const lines: string[] = [];
	const listeners = new Map<string, Socket>();
	for (const user of LISTENERS) listeners.set(user, await tenant.socket(user));

	async function take({ actor, method, path, body, once }: Step): Promise<void> {
		const resolved = (text: string) =>
			text.replace(/\{(\d+)\}/, (_, index: string) => rooms[Number(index)] ?? '');
		const answer = await tenant.as(actor).call<Told>(method, resolved(path), {
			...(body === undefined ? {} : { body: JSON.parse(resolved(JSON.stringify(body))) }),
			...(once === undefined ? {} : { headers: { 'Idempotency-Key': once } }),
		});
		if (answer.status === 201) {
			const { room_id, subscription_id, cursor } = answer.body;
			const isNew = answer.headers.get('Idempotency-Replayed') === null;
			if (path === '/rooms' && room_id !== undefined && isNew) rooms.push(room_id);
			if (subscription_id !== undefined) subscriptions.push({ user: actor, id: subscription_id });
			if (cursor !== undefined) cursors.push(cursor);
		}
		const what = `${actor ?? 'tenant'}: ${method} ${path} ${JSON.stringify(body) ?? ''}`;
		lines.push(`${what} ${once ?? ''} → ${answer.status} ${normalise(answer.text)}`);
	}

	/** Comes with a cursor of long ago, or with none. */
	async function reconnect(user: string): Promise<void> {
		const isBack = cursors.length > 0 && random.chance(0.7);
		const query = isBack ? { query: `cursor=${random.pick(cursors)}` } : {};
		const socket = await openSocket(tenant.server, { key: tenant.api_key, user, ...query });
		if (isBack) await socket.next('replay.done');
		const frames = steady(socket).map((frame) => normalise(JSON.stringify(frame)));
		lines.push(`${user}: connects → ${frames.join(' ')}`);
		await socket.close();
	}

	async function unsubscribe(): Promise<void> {
		const { user, id } = random.pick(subscriptions);
		const answer = await tenant.as(user).delete(`/subscriptions/${id}`);
		lines.push(`${user}: unsubscribes → ${answer.status} ${normalise(answer.text)}`);
	}

	async function confirm(user: string): Promise<void> {
		const answer = await tenant.as(user).post('/acks', { cursor: random.pick(cursors) });
		lines.push(`${user}: confirms → ${answer.status} ${normalise(answer.text)}`);
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

	/** What the operator is shown of it. */
	async function oversee(): Promise<void> {
		for (const what of ['rooms', 'messages', 'users']) {
			const path = `/admin/tenants/${tenant.tenant_id}/${what}?limit=100`;
			const answer = await operator(tenant.server).get(path);
			lines.push(`operator: ${what} → ${answer.status} ${normalise(answer.text)}`);
		}
	}

	return {
		tenant,
		async step() {
			if (rooms.length > 0 && random.chance(0.08)) return reconnect(random.pick(USERS));
			if (subscriptions.length > 0 && random.chance(0.02)) return unsubscribe();
			if (cursors.length > 0 && random.chance(0.02)) return confirm(random.pick(USERS));
			if (random.chance(0.03)) return changeKeys();
			if (random.chance(0.03)) return oversee();
			return take(nextStep(random, rooms.length));
		},
		async record() {
			for (const [user, socket] of listeners) {
				await socket.settle();
				const frames = steady(socket).map((frame) => normalise(JSON.stringify(frame)));
				lines.push(...frames.map((frame) => `frame to ${user}: ${frame}`));
				await socket.close();
			}
			return lines;
		},
	};
}

interface Told {
	room_id?: string;
	subscription_id?: string;
	cursor?: string;
}

/**
 * What does not depend on milliseconds. Whether a short visit is told of does, and so do the positions
 * that are repeated to who resumes; both have tests of their own.
 */
const steady = ({ frames }: Socket) =>
	frames.filter(({ type }) => type !== 'presence.update' && type !== 'positions');

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
		[
			3,
			() => ({
				actor: undefined,
				method: 'GET',
				path: `/messages?limit=${5 * (1 + random.below(9))}`,
			}),
		],
		[3, () => ({ actor, method: 'GET', path: `${room}/messages?after_seq=${seq}&limit=2` })],
		[8, () => notifyStep(random, actor, `{${index}}`)],
		[5, () => ({ actor: user, method: 'GET', path: `/notifications?limit=${seq}` })],
		[4, () => subscribeStep(random, user)],
		[2, () => ({ actor: user, method: 'GET', path: '/subscriptions?limit=2' })],
		[2, () => ({ actor: undefined, method: 'PUT', path: `/users/${user}`, body: { name: other } })],
		[2, () => ({ actor: undefined, method: 'GET', path: `/users/${user}` })],
	];
	return random.weighted(steps)();
}

function createStep(random: Random, actor: Actor): Step {
	const type = random.pick(['dm', 'dm', 'group', 'group', 'group', 'channel'] as const);
	const members = type === 'dm' ? random.some(USERS, 2) : random.some(USERS, random.below(4));
	return { actor, method: 'POST', path: '/rooms', body: { type, members }, once: onceOf(random) };
}

function notifyStep(random: Random, actor: Actor, room_id: string): Step {
	const targets = random.pick([
		{ user_ids: random.some(USERS, 2) },
		{ room_id, user_ids: random.some(USERS, 1) },
		{ topic_subscribers: true },
		{ topic_subscribers: true, room_id },
		{ all: true },
	]);
	const body = { topic: random.pick(TOPICS), payload: random.pick(CONTENTS), targets };
	return { actor, method: 'POST', path: '/notify', body, once: onceOf(random) };
}

const subscribeStep = (random: Random, actor: Actor): Step => ({
	...{ actor, method: 'POST', path: '/subscriptions', body: { topic: random.pick(TOPICS) } },
});

/** Few enough to come again, with another request or the same. */
const onceOf = (random: Random) => random.pick(['k1', 'k2', undefined, undefined] as const);

function message(random: Random) {
	const client_msg_id = random.pick(CLIENT_MSG_IDS);
	const content = random.pick(CONTENTS);
	return client_msg_id === undefined ? { content } : { content, client_msg_id };
}

const newcomers = (random: Random) => ({
	members: random.some(USERS, 1 + random.below(3)),
	...(random.chance(0.3) ? { role: random.pick(ROLES) } : {}),
});

const ID = /\b(?:room|msg|key|conn|req|tenant|notif|sub)_[0-9a-z]{26}\b/g;
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
