/** The limits that are settings, each at its edge: the last that is taken, the first that is not. */
import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { createGroup, createTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Room, RoomsPage } from '../helpers/wire.ts';

const JSON_TYPE = { 'Content-Type': 'application/json' };

describe('by default', () => {
	const used = useServer();

	test('a body of 256 KiB is read, one byte more is 413 with the limit', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const send = (length: number) =>
			tenant.as('alice').call('POST', `/rooms/${room_id}/messages`, {
				raw: padded({ content: 'x' }, length),
				headers: JSON_TYPE,
			});

		expect((await send(262_144)).status).toBe(201);
		const refused = await send(262_145);
		expect(refused.status).toBe(413);
		expect(errorOf(refused)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', retryable: false });
		expect(errorOf(refused).message).toContain('262144');
	});

	test('a body without a declared length is counted as it comes', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const send = (length: number) =>
			fetch(`${used.server.url}/rooms/${room_id}/messages`, {
				method: 'POST',
				headers: { ...JSON_TYPE, 'X-API-Key': tenant.api_key, 'X-User-Id': 'alice' },
				body: streamOf(padded({ content: 'x' }, length)),
			});

		expect((await send(262_144)).status).toBe(201);
		expect((await send(262_145)).status).toBe(413);
	});

	test('a frame of 256 KiB is read, one byte more is an error, and the socket lives on', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const socket = await tenant.socket('alice');
		const frame = { type: 'send_message', room_id, content: 'x' };

		socket.send(padded(frame, 262_144));
		await socket.next('message');
		socket.send(padded({ ...frame, request_id: 'large' }, 262_145));
		const error = await socket.next('error');
		await socket.settle();

		expect(error).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', retryable: false });
		expect(socket.all('message')).toHaveLength(1);
		await socket.close();
	});

	test('metadata has at most 256 keys and 16 levels, at any depth', async () => {
		const tenant = await createTenant(used.server);
		const create = (metadata: unknown) =>
			tenant.as('alice').post<Room>('/rooms', { type: 'group', metadata });
		const keys = (count: number) =>
			Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1]));

		expect((await create(keys(256))).status).toBe(201);
		expect((await create([keys(128), keys(128)])).status).toBe(201);
		for (const metadata of [keys(257), [keys(128), keys(129)]]) {
			const answer = await create(metadata);
			expect(answer.status).toBe(413);
			expect(errorOf(answer)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', field: 'metadata' });
		}
	});

	test('a patch that would make metadata too large is refused, and changes nothing', async () => {
		const tenant = await createTenant(used.server);
		const metadata = { a: 'x'.repeat(8_000) };
		const { room_id } = await createGroup(tenant, 'alice', [], { metadata });
		const answer = await tenant
			.as('alice')
			.patch(`/rooms/${room_id}`, { metadata: { b: 'x'.repeat(8_000) } });

		expect(answer.status).toBe(413);
		expect(errorOf(answer).field).toBe('metadata');
		const room = await tenant.as('alice').get<Room>(`/rooms/${room_id}`);
		expect(bodyOf(room, 200).metadata).toEqual(metadata);
	});
});

describe('by setting', () => {
	const used = useServer({
		MAX_CONTENT_BYTES: '10',
		MAX_METADATA_BYTES: '20',
		MAX_BODY_BYTES: '2KiB',
		MAX_ROOM_MEMBERS: '3',
		MAX_ROOMS_PER_USER: '2',
		LIVE_RECEIPTS_MAX: '2',
	});

	test('content and metadata count bytes of UTF-8', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const send = async (body: object) =>
			(await tenant.as('alice').post(`/rooms/${room_id}/messages`, body)).status;

		expect(await send({ content: 'é'.repeat(5) })).toBe(201);
		expect(await send({ content: 'é'.repeat(5).concat('x') })).toBe(413);
		expect(await send({ content: 'x', meta: 'x'.repeat(18) })).toBe(201);
		expect(await send({ content: 'x', meta: 'x'.repeat(19) })).toBe(413);
		expect(await send({ content: 'x', client_msg_id: 'c'.repeat(64) })).toBe(201);
	});

	test('a frame has the limit of a body', async () => {
		const tenant = await createTenant(used.server);
		const socket = await tenant.socket('alice');

		expect(socket.connected.limits).toMatchObject({ frame_bytes: 2048, content_bytes: 10 });
		socket.send(padded({ type: 'ping' }, 2048));
		await socket.next('pong');
		socket.send(padded({ type: 'ping' }, 2049));
		expect(await socket.next('error')).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
		await socket.close();
	});

	test('a room has at most so many members, however they come', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const add = (members: string[]) =>
			tenant.as('alice').post(`/rooms/${room_id}/members`, { members });

		const tooMany = await add(['carol', 'dave']);
		expect(tooMany.status).toBe(409);
		expect(errorOf(tooMany).code).toBe('CONFLICT');
		expect((await add(['carol'])).status).toBe(201);
		expect((await add(['bob', 'carol'])).status).toBe(200);
		expect((await add(['dave'])).status).toBe(409);
		const room = await tenant.as('alice').get<Room>(`/rooms/${room_id}`);
		expect(bodyOf(room, 200).member_count).toBe(3);
		expect((await tenant.as('dave').get(`/rooms/${room_id}`)).status).toBe(404);
		const whole = { type: 'group', members: ['bob', 'carol', 'dave'] };
		expect((await tenant.as('alice').post('/rooms', whole)).status).toBe(409);
	});

	test('a user has at most so many rooms; leaving one makes room, and others are not touched', async () => {
		const tenant = await createTenant(used.server);
		const first = await createGroup(tenant, 'alice', ['bob']);
		await createGroup(tenant, 'alice');

		const third = await tenant.as('alice').post('/rooms', { type: 'group' });
		const elsewhere = await createGroup(tenant, 'bob');
		const invited = await tenant
			.as('bob')
			.post(`/rooms/${elsewhere.room_id}/members`, { members: ['alice'] });
		await tenant.as('alice').delete(`/rooms/${first.room_id}/members/alice`);
		const again = await tenant.as('alice').post('/rooms', { type: 'group' });

		expect(third.status).toBe(409);
		expect(invited.status).toBe(409);
		expect(again.status).toBe(201);
		const list = await tenant.as('alice').get<RoomsPage>('/rooms');
		expect(bodyOf(list, 200).rooms).toHaveLength(2);
	});

	test('positions go live up to LIVE_RECEIPTS_MAX members, and above to the own sockets', async () => {
		const tenant = await createTenant(used.server);
		const small = await createGroup(tenant, 'alice', ['bob']);
		const large = await createGroup(tenant, 'alice', ['bob', 'carol']);
		const [alice, bob] = [await tenant.socket('alice'), await tenant.socket('bob')];
		for (const { room_id } of [small, large]) {
			bodyOf(await tenant.as('alice').post(`/rooms/${room_id}/messages`, { content: 'x' }), 201);
			bodyOf(await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 1 }), 200);
		}
		await Promise.all([alice.settle(), bob.settle()]);

		const roomsOf = (socket: typeof alice) =>
			socket.all('read.updated').map(({ room_id }) => room_id);
		expect(roomsOf(alice)).toEqual([small.room_id]);
		expect(roomsOf(bob)).toEqual([small.room_id, large.room_id]);
		await Promise.all([alice.close(), bob.close()]);
	});
});

/** The JSON of it, filled up with blanks to so many bytes. */
function padded(value: object, length: number): string {
	const text = JSON.stringify(value);
	return text
		.slice(0, -1)
		.padEnd(length - 1, ' ')
		.concat('}');
}

/** A body that is sent in chunks, so that no length is declared. */
function streamOf(text: string): ReadableStream<Uint8Array> {
	const bytes = new TextEncoder().encode(text);
	let at = 0;
	return new ReadableStream({
		pull(controller) {
			if (at >= bytes.length) return controller.close();
			controller.enqueue(bytes.slice(at, at + 65_536));
			at += 65_536;
		},
	});
}
