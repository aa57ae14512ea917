import { describe, expect, test } from 'bun:test';
import { accepted, FACES, refused } from '../helpers/faces.ts';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { createGroup, createKey, createTenant, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Message, MessagesPage, Room } from '../helpers/wire.ts';

const used = useServer({ WS_FRAMES_PER_SECOND: '0' });

for (const face of FACES) {
	describe(`sending over ${face.name}`, () => {
		test('answers the stored message, and tells it once to every socket of every member', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice', ['bob']);
			const sockets = await Promise.all(['alice', 'bob', 'bob'].map((user) => tenant.socket(user)));
			const stranger = await tenant.socket('mallory');
			const alice = await face.as(tenant, 'alice');

			const sent = accepted(
				await alice.send(room_id, { content: 'Hello', meta: { a: [1] }, client_msg_id: 'c-1' }),
			);
			await Promise.all([...sockets, stranger].map((socket) => socket.settle()));

			expect(sent).toMatchObject({
				room_id,
				seq: 1,
				kind: 'user',
				sender_id: 'alice',
				content: 'Hello',
				meta: { a: [1] },
				client_msg_id: 'c-1',
			});
			expect(sent.message_id).toMatch(/^msg_[0-9a-z]{26}$/);
			expect(sent.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
			expect(sent.cursor).toMatch(/^[0-9a-v]{16}$/);
			expect(sent.duplicate).not.toBe(true);
			for (const socket of sockets) {
				expect(socket.all('message').map(({ type, ...frame }) => frame)).toEqual([{ ...sent }]);
			}
			expect(stranger.all('message')).toEqual([]);
			expect(await messagesOf(tenant, room_id)).toEqual([sent]);
			await Promise.all([alice, stranger, ...sockets].map((each) => each.close()));
		});

		test('a repeated client_msg_id gives the first message again, stores and publishes nothing', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice', ['bob']);
			const bob = await tenant.socket('bob');
			const alice = await face.as(tenant, 'alice');
			const input = { content: 'Once', meta: { b: 1, a: 2 }, client_msg_id: 'once' };

			const first = accepted(await alice.send(room_id, input));
			accepted(await alice.send(room_id, { content: 'Between' }));
			const again = accepted(await alice.send(room_id, input));
			await bob.settle();

			expect(again).toEqual({ ...first, duplicate: true });
			expect(bob.all('message')).toHaveLength(2);
			expect(await contentsOf(tenant, room_id)).toEqual(['Once', 'Between']);
			await Promise.all([alice.close(), bob.close()]);
		});

		test('the same client_msg_id with another body is CONFLICT, and leaves the first alone', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice', ['bob']);
			const bob = await tenant.socket('bob');
			const alice = await face.as(tenant, 'alice');
			accepted(await alice.send(room_id, { content: 'First', meta: 1, client_msg_id: 'same' }));

			for (const body of [
				{ content: 'Second', meta: 1 },
				{ content: 'First', meta: 2 },
				{ content: 'First' },
			]) {
				const error = refused(await alice.send(room_id, { ...body, client_msg_id: 'same' }));
				expect(error).toMatchObject({ code: 'CONFLICT', field: 'client_msg_id', retryable: false });
			}
			await bob.settle();

			expect(bob.all('message')).toHaveLength(1);
			expect(await contentsOf(tenant, room_id)).toEqual(['First']);
			await Promise.all([alice.close(), bob.close()]);
		});

		test('the same client_msg_id of another sender, or in another room, is another message', async () => {
			const tenant = await createTenant(used.server);
			const room = await createGroup(tenant, 'alice', ['bob']);
			const other = await createGroup(tenant, 'alice', ['bob']);
			const alice = await face.as(tenant, 'alice');
			const bob = await face.as(tenant, 'bob');

			const sent = [
				accepted(await alice.send(room.room_id, { content: 'x', client_msg_id: 'id' })),
				accepted(await bob.send(room.room_id, { content: 'x', client_msg_id: 'id' })),
				accepted(await alice.send(other.room_id, { content: 'y', client_msg_id: 'id' })),
			];

			expect(new Set(sent.map(({ message_id }) => message_id)).size).toBe(3);
			expect(sent.map(({ seq }) => seq)).toEqual([1, 2, 1]);
			await Promise.all([alice.close(), bob.close()]);
		});

		test('twenty duplicates at the same time are one message', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice', ['bob']);
			const bob = await tenant.socket('bob');
			const alice = await face.as(tenant, 'alice');

			const answers = await Promise.all(
				Array.from({ length: 20 }, () =>
					alice.send(room_id, { content: 'x', client_msg_id: 'race' }),
				),
			);
			await bob.settle();

			const messages = answers.map(accepted);
			expect(new Set(messages.map(({ message_id }) => message_id)).size).toBe(1);
			expect(messages.filter(({ duplicate }) => duplicate !== true)).toHaveLength(1);
			expect(bob.all('message')).toHaveLength(1);
			expect(await contentsOf(tenant, room_id)).toEqual(['x']);
			await Promise.all([alice.close(), bob.close()]);
		});

		for (const [claim, input, code, field] of [
			['no content', {}, 'VALIDATION_ERROR', 'content'],
			['empty content', { content: '' }, 'VALIDATION_ERROR', 'content'],
			['content that is no text', { content: 7 }, 'VALIDATION_ERROR', 'content'],
			['an unknown field', { content: 'x', text: 'y' }, 'VALIDATION_ERROR', 'text'],
			['a field of the server', { content: 'x', seq: 9 }, 'VALIDATION_ERROR', 'seq'],
			['a forged sender', { content: 'x', sender_id: 'bob' }, 'VALIDATION_ERROR', 'sender_id'],
			['NUL', { content: 'a\0b' }, 'VALIDATION_ERROR', 'content'],
			['a lone surrogate', { content: 'a\ud800b' }, 'VALIDATION_ERROR', 'content'],
			[
				'an empty client_msg_id',
				{ content: 'x', client_msg_id: '' },
				'VALIDATION_ERROR',
				'client_msg_id',
			],
			[
				'a client_msg_id of 65',
				{ content: 'x', client_msg_id: 'x'.repeat(65) },
				'VALIDATION_ERROR',
				'client_msg_id',
			],
			[
				'content one byte too long',
				{ content: `${'é'.repeat(8191)}xyz` },
				'PAYLOAD_TOO_LARGE',
				'content',
			],
			['meta too large', { content: 'x', meta: 'x'.repeat(8191) }, 'PAYLOAD_TOO_LARGE', 'meta'],
			['meta too deep', { content: 'x', meta: nested(17) }, 'PAYLOAD_TOO_LARGE', 'meta'],
		] as const) {
			test(`refuses ${claim} by name, and stores nothing`, async () => {
				const tenant = await createTenant(used.server);
				const { room_id } = await createGroup(tenant, 'alice');
				const alice = await face.as(tenant, 'alice');

				const error = refused(await alice.send(room_id, { ...input }));

				expect(error).toMatchObject({ code, field, retryable: false });
				expect(await contentsOf(tenant, room_id)).toEqual([]);
				await alice.close();
			});
		}

		test('takes content and meta at their very edge, and gives them back as they came', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice');
			const alice = await face.as(tenant, 'alice');
			const inputs = [
				{ content: 'é'.repeat(8192) },
				{ content: 'x', meta: 'x'.repeat(8190), client_msg_id: 'x'.repeat(64) },
				{ content: 'x', meta: nested(16) },
				{
					content: '\u2028 <script>"\\\u0001 😀\u0301',
					meta: { __proto__x: null, constructor: 1 },
				},
			];

			for (const input of inputs) {
				expect(accepted(await alice.send(room_id, input))).toMatchObject(input);
			}

			expect(await messagesOf(tenant, room_id)).toMatchObject(inputs);
			await alice.close();
		});

		test('is NOT_FOUND for who is no member, and for a room that is not there', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice');
			const mallory = await face.as(tenant, 'mallory');

			const hidden = refused(await mallory.send(room_id, { content: 'x' }));
			const missing = refused(await mallory.send(`room_${'0'.repeat(26)}`, { content: 'x' }));

			expect(hidden).toMatchObject({ code: 'NOT_FOUND', retryable: false });
			expect({ ...missing, request_id: '' }).toEqual({ ...hidden, request_id: '' });
			expect(await contentsOf(tenant, room_id)).toEqual([]);
			await mallory.close();
		});

		test('needs messages:write, and says so', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice');
			const alice = await face.as(tenant, 'alice', ['rooms:read', 'messages:read']);

			const error = refused(await alice.send(room_id, { content: 'x' }));

			expect(error).toMatchObject({ code: 'AUTHORIZATION_ERROR', retryable: false });
			expect(error.message).toContain('messages:write');
			expect(await contentsOf(tenant, room_id)).toEqual([]);
			await alice.close();
		});

		test('in a channel only moderators and up may send', async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'owner', ['admin', 'moderator', 'member'], {
				type: 'channel',
			});
			for (const role of ['admin', 'moderator']) {
				await tenant.as('owner').put(`/rooms/${room_id}/members/${role}`, { role });
			}
			const member = await face.as(tenant, 'member');

			for (const user of ['owner', 'admin', 'moderator']) {
				const client = await face.as(tenant, user);
				expect(accepted(await client.send(room_id, { content: user })).sender_id).toBe(user);
				await client.close();
			}
			const error = refused(await member.send(room_id, { content: 'me too' }));

			expect(error.code).toBe('AUTHORIZATION_ERROR');
			expect(error.message).toContain('moderator');
			expect(await contentsOf(tenant, room_id)).toEqual(['owner', 'admin', 'moderator']);
			await member.close();
		});
	});
}

test('senders on both faces share one seq without gaps, and everybody sees one order', async () => {
	const tenant = await createTenant(used.server, { rate_limit: { requests_per_second: 10_000 } });
	const users = Array.from({ length: 8 }, (_, index) => `user-${index}`);
	const { room_id } = await createGroup(tenant, 'user-0', users.slice(1));
	const [early, late] = await Promise.all([tenant.socket('user-1'), tenant.socket('user-7')]);
	const senders = await Promise.all(
		users.flatMap((user) => FACES.map((face) => face.as(tenant, user))),
	);

	const sent = await Promise.all(
		senders.flatMap((sender, index) =>
			Array.from({ length: 10 }, (_, count) =>
				sender.send(room_id, { content: `${index}-${count}`, client_msg_id: `${index}-${count}` }),
			),
		),
	);
	await Promise.all([early.settle(), late.settle()]);

	const seqs = sent.map((outcome) => accepted(outcome).seq).sort((a, b) => a - b);
	const stored = await messagesOf(tenant, room_id);
	expect(seqs).toEqual(Array.from({ length: 160 }, (_, index) => index + 1));
	expect(stored.map(({ seq }) => seq)).toEqual(seqs);
	for (const socket of [early, late]) {
		expect(socket.all<Message>('message').map(({ seq, content }) => [seq, content])).toEqual(
			stored.map(({ seq, content }) => [seq, content]),
		);
	}
	await Promise.all([...senders, early, late].map((each) => each.close()));
});

describe('a message of the tenant itself', () => {
	test('is a system message of nobody, reaches the members, and counts as unread for none', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const bob = await tenant.socket('bob');

		const sent = bodyOf(
			await tenant.as().post<Message>(`/rooms/${room_id}/messages`, { content: 'Maintenance' }),
			201,
		);
		await bob.settle();
		const room = bodyOf(await tenant.as('bob').get<Room>(`/rooms/${room_id}`), 200);

		expect(sent).toMatchObject({ kind: 'system', sender_id: null, seq: 1 });
		expect(bob.all('message')).toMatchObject([{ kind: 'system', sender_id: null }]);
		expect(room).toMatchObject({ last_seq: 1, unread_count: 0 });
		await bob.close();
	});

	test('goes into channels, and is idempotent by client_msg_id too', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', [], { type: 'channel' });
		const path = `/rooms/${room_id}/messages`;
		const body = { content: 'x', client_msg_id: 'c' };

		const first = bodyOf(await tenant.as().post<Message>(path, body), 201);
		const again = bodyOf(await tenant.as().post<Message>(path, body), 200);

		expect(again).toEqual({ ...first, duplicate: true });
	});
});

test('over HTTP: 201 first, 200 for the duplicate, 409 for the conflict', async () => {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'alice');
	const path = `/rooms/${room_id}/messages`;
	const send = (content: string) => tenant.as('alice').post(path, { content, client_msg_id: 'c' });

	expect((await send('one')).status).toBe(201);
	expect((await send('one')).status).toBe(200);
	const conflict = await send('two');
	expect(conflict.status).toBe(409);
	expect(errorOf(conflict).field).toBe('client_msg_id');
});

test('over HTTP the body is the only place of a body: a query says nothing', async () => {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'alice');
	const path = `/rooms/${room_id}/messages?content=sneaked`;

	for (const body of [undefined, {}, { content: 'told' }]) {
		const answer = await tenant.as('alice').post(path, body);

		expect(answer.status).toBe(400);
		expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field: 'content' });
	}
	expect(await contentsOf(tenant, room_id)).toEqual([]);
});

test('a duplicate is recognised through another key of the tenant, and after the room was renamed', async () => {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'alice');
	const path = `/rooms/${room_id}/messages`;
	const body = { content: 'x', client_msg_id: 'c' };
	const first = bodyOf(await tenant.as('alice').post<Message>(path, body), 201);
	const other = await createKey(tenant, ['send']);

	await tenant.as('alice').patch(`/rooms/${room_id}`, { name: 'Renamed' });
	const again = await tenant.as('alice').post(path, body, { 'X-API-Key': other.api_key });

	expect(bodyOf(again, 200)).toEqual({ ...first, duplicate: true });
});

/** An object `depth` levels deep. */
function nested(depth: number): unknown {
	return depth === 1 ? {} : { in: nested(depth - 1) };
}

async function messagesOf(tenant: TestTenant, room_id: string): Promise<Message[]> {
	const messages: Message[] = [];
	for (;;) {
		const query = `after_seq=${messages.at(-1)?.seq ?? 0}&limit=100`;
		const answer = await tenant.as().get<MessagesPage>(`/rooms/${room_id}/messages?${query}`);
		const page = bodyOf(answer, 200);
		messages.push(...page.messages);
		if (!page.has_more) return messages;
	}
}

const contentsOf = async (tenant: TestTenant, room_id: string) =>
	(await messagesOf(tenant, room_id)).map(({ content }) => content);
