/**
 * Two tenants that could be taken for one another: the same users, room names, dm pairs and
 * client_msg_ids, and room after room made in step, so that the n-th room of one and the n-th of
 * the other have the same number inside. Only who has which role differs, and who is in at all.
 */
import { bodyOf } from '../../helpers/http.ts';
import type { Server } from '../../helpers/server.ts';
import {
	createGroup,
	createPlan,
	createTenant,
	createToken,
	sendMessage,
	type TestTenant,
	withToken,
} from '../../helpers/tenants.ts';

/** Stands in every name, content and metadata of one tenant, and nowhere in the other. */
export type Marker = 'ALPHA' | 'BRAVO';

interface Cast {
	marker: Marker;
	owner: string;
	admin: string;
	/** Beside those two. */
	members: readonly string[];
	/** Who says something in a new room, in this order. */
	speakers: readonly string[];
	/** The client_msg_id of what they say. */
	client_msg_id?: string;
}

/** Of the messages in the foreign room: in the own one it is free. */
export const CLIENT_MSG_ID = 'c-4711';

/** The first tenant's room. */
const OWN_CAST: Cast = {
	marker: 'ALPHA',
	owner: 'olga',
	admin: 'adam',
	members: ['mona', 'mia', 'tim'],
	speakers: ['olga', 'mia', 'olga'],
};

/** The twin: the outsider of the one is the owner of the other. */
const FOREIGN_CAST: Cast = {
	marker: 'BRAVO',
	owner: 'oscar',
	admin: 'mia',
	members: ['mona', 'olga', 'tim', 'fred'],
	speakers: ['mia', 'olga', 'mona'],
	client_msg_id: CLIENT_MSG_ID,
};

/** Moderator in both rooms. */
const MODERATOR = 'mona';

/** A member of both rooms, with no more than that: for others to act on. */
export const TARGET_USER = 'tim';
/** A user that both tenants have told of, and that is in no room. */
export const KNOWN_USER = 'uma';
/** A member of the foreign room only, and told of by that tenant only. */
export const FOREIGN_USER = 'fred';

export interface Twin {
	/** Which that tenant alone is on. */
	plan_id: string;
	tenant: TestTenant;
	cast: Cast;
	/** A token of `KNOWN_USER`. */
	token: string;
	/** How many rooms it has made: the number of the last one. */
	rooms: number;
}

export interface Twins {
	own: Twin;
	foreign: Twin;
}

/** The rooms that a cell of the matrix is about; both have the same number. */
export interface Place {
	own: string;
	foreign: string;
	/** Subscriptions of the owners, to the same topic. */
	subscriptions: { own: string; foreign: string };
}

/** The foreign tenant first: where a query forgets its tenant, the older rows come up first. */
export async function createTwins(server: Server): Promise<Twins> {
	const plans = [await createPlan(server), await createPlan(server)] as const;
	const foreign = await createTenant(server, { name: 'Twin', plan_id: plans[0].plan_id });
	const own = await createTenant(server, { name: 'Twin', plan_id: plans[1].plan_id });
	bodyOf(await foreign.as().put(`/users/${FOREIGN_USER}`, { name: 'Fred' }), 200);
	return {
		own: {
			plan_id: plans[1].plan_id,
			tenant: own,
			cast: OWN_CAST,
			rooms: 0,
			token: await introduce(own, OWN_CAST),
		},
		foreign: {
			plan_id: plans[0].plan_id,
			tenant: foreign,
			cast: FOREIGN_CAST,
			rooms: 0,
			token: await introduce(foreign, FOREIGN_CAST),
		},
	};
}

/** Tells of a user, under the tenant's marker. Returns a token. */
async function introduce(tenant: TestTenant, { marker }: Cast): Promise<string> {
	bodyOf(await tenant.as().put(`/users/${KNOWN_USER}`, { name: marker }), 200);
	return createToken(tenant, KNOWN_USER);
}

/** A fresh room in each tenant, under the same number. */
export async function createPlace(twins: Twins): Promise<Place> {
	await levelRooms(twins);
	return {
		own: await createRoom(twins.own),
		foreign: await createRoom(twins.foreign),
		subscriptions: {
			own: await createSubscription(twins.own),
			foreign: await createSubscription(twins.foreign),
		},
	};
}

async function createSubscription({ tenant, cast }: Twin): Promise<string> {
	const answer = await tenant
		.as(cast.owner)
		.post<{ subscription_id: string }>('/subscriptions', { topic: 'twins' });
	return bodyOf(answer, 200, 201).subscription_id;
}

async function levelRooms({ own, foreign }: Twins): Promise<void> {
	for (const [behind, ahead] of [
		[own, foreign],
		[foreign, own],
	] as const) {
		for (; behind.rooms < ahead.rooms; behind.rooms++) await createGroup(behind.tenant, 'filler');
	}
}

async function createRoom(twin: Twin): Promise<string> {
	const { tenant, cast } = twin;
	const { marker, owner, admin, members } = cast;
	twin.rooms++;
	const { room_id } = await createGroup(tenant, owner, [admin, ...members], {
		name: 'Twin room',
		metadata: { secret: marker },
	});
	for (const [user, role] of [
		[admin, 'admin'],
		[MODERATOR, 'moderator'],
	]) {
		bodyOf(await tenant.as(owner).put(`/rooms/${room_id}/members/${user}`, { role }), 200);
	}
	for (const user of cast.speakers) {
		const { client_msg_id } = cast;
		const message = { content: `${marker} of ${user}`, ...(client_msg_id && { client_msg_id }) };
		bodyOf(await tenant.as(user).post(`/rooms/${room_id}/messages`, message), 201);
	}
	// Counts for no unread: from here on a seq and its ordinal differ, in one tenant only.
	if (marker === 'BRAVO') await sendMessage(tenant, undefined, room_id, `${marker} notice`);
	return room_id;
}

/** Everything that a tenant can be seen to hold around a room, as the bytes of its answers. */
export async function snapshotOf({ tenant, cast, token }: Twin, room_id: string): Promise<string> {
	const answers = await Promise.all([
		tenant.as().call('GET', `/rooms/${room_id}`, { isChecked: false }),
		tenant.as().call('GET', `/rooms/${room_id}/members`, { isChecked: false }),
		tenant.as().call('GET', `/rooms/${room_id}/messages`, { isChecked: false }),
		tenant.as(TARGET_USER).call('GET', '/rooms?limit=3', { isChecked: false }),
		tenant.as(cast.owner).call('GET', '/rooms?limit=3', { isChecked: false }),
		tenant.as().call('GET', `/users/${KNOWN_USER}`, { isChecked: false }),
		tenant.as(cast.owner).call('GET', '/subscriptions', { isChecked: false }),
		tenant.as(cast.owner).call('GET', '/notifications?limit=3', { isChecked: false }),
		withToken(tenant.server, token).call('GET', '/rooms?limit=3', {
			headers: { 'X-Request-Id': 'snapshot' },
			isChecked: false,
		}),
	]);
	return answers.map(({ status, text }) => `${status} ${text}`).join('\n');
}
