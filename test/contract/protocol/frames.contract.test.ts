/** docs/protocol.md, "Frames": how one is written, and how it is answered. */
import { describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { typesOf } from '../../helpers/socket.ts';
import { useTarget } from '../../helpers/target.ts';
import { createGroup } from '../../helpers/tenants.ts';
import type { RoomsPage } from '../../helpers/wire.ts';

const used = useTarget();

describe('a frame', () => {
	test('with a request_id is answered exactly once, with it; one without only when it fails', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.bob);
		const socket = await tenant.socket(who.bob);

		socket.send({ type: 'send_message', room_id, content: 'quiet' });
		socket.send({ type: 'ack', room_id, seq: 1 });
		socket.send({ type: 'ack', room_id, seq: 0 });
		const reply = await socket.request({ type: 'send_message', room_id, content: 'loud' });
		await socket.settle();

		expect(reply).toMatchObject({ type: 'reply', ok: true, data: { seq: 2, content: 'loud' } });
		expect(socket.all('reply')).toHaveLength(1);
		expect(socket.all('error')).toMatchObject([{ code: 'VALIDATION_ERROR', field: 'seq' }]);
		expect(socket.all('error')[0]).not.toHaveProperty('request_id');
		expect(socket.all('message').map(({ content }) => content)).toEqual(['quiet', 'loud']);
		await socket.close();
	});

	test('may carry its fields in data', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.bob);
		const socket = await tenant.socket(who.bob);
		const data = { room_id, content: 'wrapped' };

		const reply = await socket.request({ type: 'send_message', data });
		const empty = await socket.request({ type: 'send_message', data: {} });
		socket.send({ type: 'ping', data: {} });

		expect(reply).toMatchObject({ type: 'reply', ok: true, data: { content: 'wrapped' } });
		expect(empty).toMatchObject({ type: 'error', code: 'VALIDATION_ERROR' });
		expect((await socket.next('pong')).type).toBe('pong');
		await socket.close();
	});

	for (const [claim, frame] of [
		['is no JSON', '{'],
		['is no object', '[]'],
		['is a text', '"ping"'],
		['is null', 'null'],
		['has no type', '{}'],
		['has a type that is none', '{"type":7}'],
		['has an unknown type', '{"type":"shout"}'],
		['has a type of the server', '{"type":"message","content":"x"}'],
		['has a type of every object', '{"type":"toString"}'],
		['has a request_id that is none', '{"type":"ping","request_id":7}'],
		['has a request_id too long', `{"type":"ping","request_id":"${'x'.repeat(65)}"}`],
		['has an unknown field', '{"type":"ping","pong":1}'],
		['has data that is no object', '{"type":"ping","data":[]}'],
		['is empty', ''],
		['is binary', new TextEncoder().encode('{"type":"ping"}')],
	] as const) {
		test(`that ${claim} gets one error, and the socket goes on`, async () => {
			const { tenant, who } = await used.stage();
			const socket = await tenant.socket(who.bob);

			socket.send(frame);
			const error = await socket.next('error');
			await socket.settle();

			expect(error).toMatchObject({ code: 'VALIDATION_ERROR', retryable: false });
			expect(error.message).toBeString();
			expect(typesOf(socket)).toEqual(['connected', 'error', 'pong']);
			await socket.close();
		});
	}

	test('that is refused for its type still gets its request_id back', async () => {
		const { tenant, who } = await used.stage();
		const socket = await tenant.socket(who.bob);

		expect(await socket.request({ type: 'shout' })).toMatchObject({
			type: 'error',
			code: 'VALIDATION_ERROR',
			field: 'type',
		});
		await socket.close();
	});

	test('ping gets a pong, and with a request_id one reply', async () => {
		const { tenant, who } = await used.stage();
		const socket = await tenant.socket(who.bob);

		socket.send({ type: 'ping' });
		await socket.next('pong');
		expect(await socket.request({ type: 'ping' })).toMatchObject({ type: 'reply', ok: true });
		expect(socket.all('error')).toEqual([]);
		await socket.close();
	});

	test('after frame takes effect in the order sent', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.bob);
		const socket = await tenant.socket(who.bob);
		const contents = Array.from({ length: 40 }, (_, index) => `${index}`);

		for (const content of contents) socket.send({ type: 'send_message', room_id, content });
		await socket.request({ type: 'read', room_id, seq: 40 });

		expect(socket.all('message').map(({ content }) => content)).toEqual(contents);
		const { rooms } = bodyOf(await tenant.as(who.bob).get<RoomsPage>('/rooms'), 200);
		expect(rooms[0]).toMatchObject({ last_seq: 40, last_read_seq: 40, unread_count: 0 });
		await socket.close();
	});
});
