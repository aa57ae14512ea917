/**
 * docs/protocol.md, "From the client": each row with an example of all its fields, its reply, its
 * permission and its cost. A row without an example here fails.
 */
import { describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import type { Socket } from '../../helpers/socket.ts';
import { type Stage, testWith, useTarget } from '../../helpers/target.ts';
import { createGroup, createKey, sendMessage } from '../../helpers/tenants.ts';
import type { RoomsPage } from '../../helpers/wire.ts';
import { FROM_CLIENT } from './document.ts';

const used = useTarget();

/** Bob's place: a room of alice's in which three messages were sent, and then another, an empty one. */
interface Scene extends Stage {
	room_id: string;
	/** Of the log, from before the messages. */
	cursor: string;
	/** Of the page of rooms that follows the empty one. */
	page: string;
}

interface Example {
	/** Every field of the document. */
	fields(scene: Scene): Record<string, unknown>;
	/** The same frame written with its other fields, where it takes either. */
	or?(scene: Scene): Record<string, unknown>;
	/** A part of the reply's `data`. */
	reply: Record<string, unknown>;
	/** What may be left out may have a say in it: then this is the reply to what must be there alone. */
	replyToLess?: Record<string, unknown>;
}

const DONE = { success: true };
/** Neither was ever there. */
const OFFLINE_BOTH = { presences: [{ status: 'offline' }, { status: 'offline' }] };

const EXAMPLES: Readonly<Record<string, Example>> = {
	send_message: {
		fields: ({ room_id }) => ({
			room_id,
			content: 'Hello',
			meta: { mood: 'sunny' },
			client_msg_id: 'c-4711',
		}),
		reply: { seq: 4, kind: 'user', content: 'Hello' },
	},
	ack: {
		fields: ({ room_id }) => ({ room_id, seq: 2 }),
		or: ({ cursor }) => ({ cursor }),
		reply: DONE,
	},
	read: { fields: ({ room_id }) => ({ room_id, seq: 2 }), reply: DONE },
	'typing.start': { fields: ({ room_id }) => ({ room_id }), reply: DONE },
	'typing.stop': { fields: ({ room_id }) => ({ room_id }), reply: DONE },
	subscribe: { fields: () => ({ topic: 'orders' }), reply: DONE },
	unsubscribe: { fields: () => ({ topic: 'orders' }), reply: DONE },
	'rooms.list': {
		fields: ({ page }) => ({ limit: 5, cursor: page }),
		reply: { rooms: [{ last_seq: 3 }], next_cursor: null },
		replyToLess: { rooms: [{ last_seq: 0 }, { last_seq: 3 }], next_cursor: null },
	},
	'rooms.get': { fields: ({ room_id }) => ({ room_id }), reply: { last_seq: 3, member_count: 2 } },
	'members.list': {
		fields: ({ room_id, who }) => ({ room_id, limit: 5, cursor: who.alice }),
		reply: { members: [{ role: 'member' }], next_cursor: null },
		replyToLess: { members: [{ role: 'owner' }, { role: 'member' }], next_cursor: null },
	},
	'messages.list': {
		fields: ({ room_id }) => ({ room_id, after_seq: 1, before_seq: 3, limit: 5 }),
		reply: { messages: [{ seq: 2 }], has_more: false },
		replyToLess: { messages: [{ seq: 1 }, { seq: 2 }, { seq: 3 }], has_more: false },
	},
	// Nothing was made known, and nothing subscribed to.
	'notifications.list': {
		fields: () => ({ limit: 5, cursor: '1000000' }),
		reply: { notifications: [], next_cursor: null },
	},
	'subscriptions.list': {
		fields: () => ({ limit: 5, cursor: 'orders' }),
		reply: { subscriptions: [], next_cursor: null },
	},
	'presence.query': {
		fields: ({ who }) => ({ user_ids: [who.alice, who.mallory] }),
		reply: OFFLINE_BOTH,
	},
	'presence.subscribe': {
		fields: ({ who }) => ({ user_ids: [who.alice, who.mallory] }),
		reply: OFFLINE_BOTH,
	},
	'presence.unsubscribe': {
		fields: ({ who }) => ({ user_ids: [who.alice, who.mallory] }),
		reply: DONE,
	},
	resume: { fields: ({ cursor }) => ({ cursor }), reply: DONE },
	ping: { fields: () => ({}), reply: DONE },
};

async function createScene(settings: Record<string, unknown> = {}): Promise<Scene> {
	const stage = await used.stage(settings);
	const { tenant, who } = stage;
	const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
	const before = await tenant.socket(who.bob);
	await before.close();
	for (const text of ['one', 'two', 'three']) await sendMessage(tenant, who.alice, room_id, text);
	await createGroup(tenant, who.alice, [who.bob]);
	const { next_cursor } = bodyOf(await tenant.as(who.bob).get<RoomsPage>('/rooms?limit=1'), 200);
	return {
		...stage,
		room_id,
		cursor: String(before.connected.cursor),
		page: String(next_cursor),
	};
}

/** Sends the example, wholly or in part; returns the answer and all that came with it. */
async function ask(socket: Socket, type: string, fields: Record<string, unknown>) {
	const answer = await socket.request({ type, ...fields });
	await socket.settle();
	return answer;
}

test('every frame of the table has an example here, and every example a row', () => {
	const types = FROM_CLIENT.map(({ type }) => type);

	expect(types.length).toBeGreaterThan(12);
	expect(Object.keys(EXAMPLES).sort()).toEqual(types.sort());
});

for (const { type, fields: documentedFields, permission, cost } of FROM_CLIENT) {
	const example = EXAMPLES[type];
	if (example === undefined) continue; // told by the test above
	const required = [...documentedFields].filter(([, { isOptional }]) => !isOptional);
	const pick = (fields: Record<string, unknown>) =>
		Object.fromEntries(required.map(([name]) => [name, fields[name]]));

	describe(`"${type}"`, () => {
		test('takes the fields of its row, beside the type and in data, and replies as its row says', async () => {
			const scene = await createScene();
			const ways = [
				example.fields(scene),
				...(example.or === undefined ? [] : [example.or(scene)]),
			];

			expect(ways.flatMap(Object.keys).sort()).toEqual([...documentedFields.keys()].sort());
			for (const form of ways.flatMap((fields) => [fields, { data: fields }])) {
				const socket = await scene.tenant.socket(scene.who.bob);
				const reply = await ask(socket, type, form);
				expect(reply).toMatchObject({ type: 'reply', ok: true });
				expect(reply.data).toMatchObject(example.reply);
				await socket.close();
			}
		});

		test('needs no field that its row marks with ?, and each of the others', async () => {
			const scene = await createScene();
			const socket = await scene.tenant.socket(scene.who.bob);
			const whole = example.fields(scene);
			// Of two ways to write it, each is whole by itself.
			const fields = example.or === undefined ? pick(whole) : whole;

			for (const name of Object.keys(fields)) {
				const { [name]: _, ...rest } = fields;
				expect(await ask(socket, type, rest)).toMatchObject({
					type: 'error',
					code: 'VALIDATION_ERROR',
					field: name,
				});
			}
			const reply = await ask(socket, type, fields);
			expect(reply).toMatchObject({ type: 'reply' });
			expect(reply.data).toMatchObject(example.replyToLess ?? example.reply);
			expect(await ask(socket, type, { ...fields, surplus: 1 })).toMatchObject({
				code: 'VALIDATION_ERROR',
				field: 'surplus',
			});
			await socket.close();
		});

		test('without a request_id is not answered', async () => {
			const scene = await createScene();
			const socket = await scene.tenant.socket(scene.who.bob);

			socket.send({ type, ...example.fields(scene) });
			await socket.request({ type: 'rooms.get', room_id: scene.room_id });
			await socket.settle();

			expect(socket.all('reply')).toHaveLength(1);
			expect(socket.all('error')).toEqual([]);
			await socket.close();
		});

		testWith('operator', `needs ${permission}, and no more`, async () => {
			const scene = await createScene();
			const { tenant, who } = scene;
			const enough = await createKey(tenant, [...new Set(['rooms:read', permission])]);
			const socket = await tenant.socket(who.bob, { key: enough.api_key });
			expect((await ask(socket, type, example.fields(scene))).type).toBe('reply');
			await socket.close();
			// Without rooms:read there is no socket at all: see opening.contract.test.ts.
			if (permission === 'rooms:read') return;
			const lacking = await createKey(tenant, ['rooms:read', 'users:read']);
			const poor = await tenant.socket(who.bob, { key: lacking.api_key });

			const refused = await ask(poor, type, example.fields(scene));

			expect(refused).toMatchObject({ type: 'error', code: 'AUTHORIZATION_ERROR' });
			expect(refused.message).toContain(permission);
			await poor.close();
		});

		testWith(
			'operator',
			`takes ${cost} of the tenant’s bucket, which REST draws on too`,
			async () => {
				// Refilled by the minute: nothing comes back while the test looks.
				const scene = await createScene({ rate_limit: { requests_per_minute: 1, burst: 100 } });
				const { tenant, who } = scene;
				const socket = await tenant.socket(who.bob);
				const remaining = async () => {
					const { headers } = await tenant.as(who.bob).get('/rooms');
					return Number(headers.get('X-RateLimit-Remaining'));
				};

				const before = await remaining();
				await ask(socket, type, example.fields(scene));
				const after = await remaining();

				expect(before - after - 1).toBe(cost);
				await socket.close();
			},
		);
	});
}
