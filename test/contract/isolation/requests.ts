/** What is sent for an operation or a frame, about a target. */
import type { Declared } from '../../helpers/openapi.ts';
import type { TargetName } from './expected.ts';
import {
	CLIENT_MSG_ID,
	FOREIGN_USER,
	KNOWN_USER,
	type Place,
	TARGET_USER,
	type Twins,
} from './twins.ts';

export interface Request {
	method: string;
	path: string;
	body?: Record<string, unknown>;
}

/** The things that a request can be about. */
export interface Subject {
	twins: Twins;
	place: Place;
	/** An id of a live key of each tenant. */
	keys: { own: string; foreign: string };
	/** Management credentials of each tenant's plan, by their key. */
	managementKeys: { own: string; foreign: string };
}

const MISSING = '0'.repeat(26);

/** Where the example of the document does not fit the matrix. */
const BODIES: Readonly<Record<string, Record<string, unknown>>> = {
	'rooms.create': { type: 'group', name: 'Twin room' },
	'members.update': { role: 'moderator' },
	'messages.send': { content: 'hello', client_msg_id: CLIENT_MSG_ID },
	'tenants.update': { metadata: { seen: true } },
	'tenants.merge': { metadata: { seen: true } },
	'settings.update': { from_name: 'Twin' },
	'users.update': { metadata: { seen: true } },
	'notifications.send': { topic: 'orders', payload: 'hello', targets: { room_id: '' } },
	'acks.send': { room_id: '', seq: 2 },
};

/** Of both tenants, of the other one, and of none. */
const PRESENCE_USERS = [TARGET_USER, FOREIGN_USER, 'nobody'];

/** The fields of each frame beside its `room_id`. A frame that is not here fails its test. */
export const FRAME_FIELDS: Readonly<Record<string, Record<string, unknown>>> = {
	ping: {},
	subscribe: { topic: 'orders' },
	unsubscribe: { topic: 'orders' },
	send_message: { room_id: '', content: 'hello', client_msg_id: CLIENT_MSG_ID },
	ack: { room_id: '', seq: 2 },
	read: { room_id: '', seq: 2 },
	// Of no log: answered with resync.
	resume: { cursor: '0000000000000000' },
	'typing.start': { room_id: '' },
	'typing.stop': { room_id: '' },
	'presence.query': { user_ids: PRESENCE_USERS },
	'presence.subscribe': { user_ids: PRESENCE_USERS },
	'presence.unsubscribe': { user_ids: PRESENCE_USERS },
	'rooms.list': { limit: 3 },
	'rooms.get': { room_id: '' },
	'members.list': { room_id: '' },
	'messages.list': { room_id: '' },
	'notifications.list': { limit: 3 },
	'subscriptions.list': { limit: 3 },
};

/** What a GET needs in its query. */
const QUERIES: Readonly<Record<string, string>> = { 'dead_letters.review': 'tenant_id' };

/**
 * A valid request for the operation about this target: the path's parameters and the body's
 * `room_id` are the target's, all else is the example of the document.
 *
 * @throws when the operation has a parameter that nobody said how to fill.
 */
export function requestFor(
	{ method, path, operation }: Declared,
	target: TargetName,
	subject: Subject,
): Request {
	const ids = idsOf(target, subject);
	// Who is revoked and deactivated here does nothing else in these tests.
	if (path.includes('/users/{') && (target === 'own' || target === 'foreign')) {
		ids.user_id = KNOWN_USER;
	}
	const inQuery = QUERIES[operation.operationId];
	const whole = inQuery === undefined ? path : `${path}?${inQuery}={${inQuery}}`;
	const filled = whole.replace(/\{(\w+)\}/g, (_, name: string) => {
		const id = ids[name];
		if (id === undefined) throw new Error(`No value for ${name} of ${operation.operationId}`);
		return id;
	});
	const example = operation.requestBody?.content['application/json']?.example;
	if (example === undefined) return { method, path: filled };
	const body = BODIES[operation.operationId] ?? (example as Record<string, unknown>);
	return { method, path: filled, body: withRoom(body, ids) };
}

/** The frame of this type about this target. @throws when nobody said what is in such a frame. */
export function frameFor(type: string, target: TargetName, subject: Subject) {
	const fields = FRAME_FIELDS[type];
	if (fields === undefined) throw new Error(`Nobody said what is in a frame ${type}`);
	return { type, ...withRoom(fields, idsOf(target, subject)) };
}

/** The fields with the target's room, at the top or among the `targets` of a notification. */
function withRoom(
	fields: Record<string, unknown>,
	ids: Record<string, string>,
): Record<string, unknown> {
	const { targets } = fields;
	if (typeof targets === 'object')
		return { ...fields, targets: { ...targets, room_id: ids.room_id } };
	return 'room_id' in fields ? { ...fields, room_id: ids.room_id } : { ...fields };
}

function idsOf(
	target: TargetName,
	{ twins, place, keys, managementKeys }: Subject,
): Record<string, string> {
	const { own, foreign } = twins;
	return {
		tenant_id: one(target, own.tenant.tenant_id, foreign.tenant.tenant_id, `tenant_${MISSING}`),
		plan_id: one(target, own.plan_id, foreign.plan_id, `plan_${MISSING}`),
		key:
			{ foreign_key: managementKeys.foreign, missing_key: 'mk_0000000000' }[target as string] ??
			managementKeys.own,
		room_id: one(target.replace('_room', ''), place.own, place.foreign, `room_${MISSING}`),
		subscription_id: one(
			target,
			place.subscriptions.own,
			place.subscriptions.foreign,
			`sub_${MISSING}`,
		),
		user_id:
			{ foreign_user: FOREIGN_USER, missing_user: 'nobody' }[target as string] ?? TARGET_USER,
		key_id:
			{ foreign_key: keys.foreign, missing_key: `key_${MISSING}` }[target as string] ?? keys.own,
	};
}

function one(target: string, own: string, foreign: string, missing: string): string {
	if (target === 'foreign') return foreign;
	return target === 'missing' ? missing : own;
}
