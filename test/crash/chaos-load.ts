/** Who acts in the chaos test: everything is repeated, blindly, until it is answered. */
import type { Message } from '../helpers/wire.ts';
import type { Follower } from './chaos-clients.ts';
import { acknowledge, type History, keyOf, type Send } from './history.ts';
import type { Randomness } from './randomness.ts';

const TRY_MS = 5_000;
const PAUSE_MS_MAX = 80;
const REPEAT_CHANCE = 0.1;

export interface Scene {
	/** Of the proxy. */
	host: string;
	tenant_id: string;
	api_key: string;
	room_ids: readonly string[];
	history: History;
	random: Randomness;
	/** Whether to begin nothing new. */
	isOver(): boolean;
}

interface Told {
	status: number;
	text: string;
	/** How often it was asked without an answer before. */
	tries: number;
}

/** Asks until the server answers, and not with a 5xx. */
export async function insist(
	{ host, api_key }: Scene,
	[user, method, path]: readonly [user: string, method: string, path: string],
	body?: unknown,
): Promise<Told> {
	const headers = { 'X-API-Key': api_key, 'X-User-Id': user, 'Content-Type': 'application/json' };
	for (let tries = 0; ; tries++) {
		try {
			const response = await fetch(`http://${host}${path}`, {
				method,
				headers,
				// On a connection that was used before, fetch repeats by itself, and tells nobody.
				keepalive: false,
				body: body === undefined ? null : JSON.stringify(body),
				signal: AbortSignal.timeout(TRY_MS),
			});
			const { status } = response;
			const text = await response.text();
			if (status < 500) return { status, text, tries };
		} catch {
			// Cut, or nobody there: it may have happened all the same.
		}
		await Bun.sleep(10);
	}
}

/** A send that is noted before it is tried. */
function begin(scene: Scene, sender: string, room_id: string, content: string): Send {
	const { history, tenant_id } = scene;
	const number = history.sends.length;
	const send: Send = {
		tenant_id,
		room_id,
		sender,
		content: `${content} ${number}`,
		client_msg_id: `c${number}`,
	};
	history.sends.push(send);
	return send;
}

/** Sends over REST; the answer is held against the send. */
export async function post(
	scene: Scene,
	sender: string,
	room_id: string,
	content: string,
): Promise<void> {
	await repeat(scene, begin(scene, sender, room_id, content));
}

async function repeat(scene: Scene, send: Send): Promise<void> {
	const { content, client_msg_id, sender, room_id } = send;
	const path = `/rooms/${room_id}/messages`;
	const { status, text } = await insist(scene, [sender, 'POST', path], { content, client_msg_id });
	if (status === 200 || status === 201) {
		acknowledge(scene.history, send, JSON.parse(text) as Message);
	} else scene.history.violations.push(`a send was answered ${status}: ${text}`);
}

/** Messages into all rooms over REST, a tenth of them once more after their answer. */
export async function sendOverRest(scene: Scene, sender: string): Promise<void> {
	const { random, history } = scene;
	while (!scene.isOver()) {
		const send = begin(scene, sender, random.pick(scene.room_ids), 'rest');
		await repeat(scene, send);
		if (send.ack !== undefined && random.chance(REPEAT_CHANCE)) await repeat(scene, send);
		if (history.violations.length > 10) return;
		await Bun.sleep(random.between(0, PAUSE_MS_MAX));
	}
}

/** Messages into all rooms over a socket that breaks now and then. */
export async function sendOverSocket(scene: Scene, { client, user }: Follower): Promise<void> {
	const { random, history } = scene;
	while (!scene.isOver()) {
		const send = begin(scene, user, random.pick(scene.room_ids), 'socket');
		try {
			const message = (await client.send(send.room_id, send.content)) as unknown as Message;
			// The client's own; what is stored is held against it in the end.
			send.client_msg_id = message.client_msg_id ?? null;
			acknowledge(history, send, message);
		} catch (error) {
			history.violations.push(`a send was refused: ${error}`);
			return;
		}
		await Bun.sleep(random.between(0, PAUSE_MS_MAX));
	}
}

/** A message sent while a user was surely in its room, or surely not. */
export interface Marker {
	user: string;
	isMember: boolean;
	content: string;
}

export interface Churn {
	scene: Scene;
	/** Who comes and goes; a user of another churn must not be among them. */
	users: readonly string[];
	/** Who is in which room, kept up to date. */
	inside: Map<string, Set<string>>;
	markers: Marker[];
}

/** Removes and adds members, renames rooms and reads, one after the other, as the owner. */
export async function churn({ scene, users, inside, markers }: Churn): Promise<void> {
	const { random, history, tenant_id } = scene;
	const done = async (what: readonly [string, string, string], body?: unknown) => {
		const { status, text, tries } = await insist(scene, what, body);
		// Gone already: an earlier try did it.
		const isDone = status < 300 || (tries > 0 && what[1] === 'DELETE' && status === 404);
		if (!isDone) history.violations.push(`${what} was answered ${status}: ${text}`);
	};
	while (!scene.isOver()) {
		const room_id = random.pick(scene.room_ids);
		const user = random.pick(users);
		const members = inside.get(room_id) ?? new Set();
		const isMember = !members.has(user);
		const path = `/rooms/${room_id}/members`;
		const key = keyOf(tenant_id, room_id, user);
		history.memberships.set(key, { fate: 'unknown', isMember });
		if (isMember) await done(['owner', 'POST', path], { members: [user] });
		else await done(['owner', 'DELETE', `${path}/${user}`]);
		history.memberships.set(key, { fate: 'done', isMember });
		if (isMember) members.add(user);
		else members.delete(user);

		const content = `${isMember ? 'with' : 'without'} ${user}`;
		markers.push({ user, isMember, content: `${content} ${history.sends.length}` });
		await post(scene, 'owner', room_id, content);

		const seq = history.sends.findLast((send) => send.room_id === room_id)?.ack?.seq;
		if (seq !== undefined) {
			await done(['owner', 'POST', `/rooms/${room_id}/read`], { seq });
			history.reads.set(keyOf(tenant_id, room_id, 'owner'), seq);
		}
		if (random.chance(0.2)) await done(['owner', 'PATCH', `/rooms/${room_id}`], { name: content });
		await Bun.sleep(random.between(0, PAUSE_MS_MAX));
	}
}
