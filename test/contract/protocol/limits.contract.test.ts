/** docs/protocol.md, "Limits of a socket", each as `limits` of the socket's own `connected` has it. */
import { describe, expect, test } from 'bun:test';
import type { Socket } from '../../helpers/socket.ts';
import { testWith, useTarget } from '../../helpers/target.ts';
import { createGroup } from '../../helpers/tenants.ts';
import { eventually, within } from '../../helpers/wait.ts';
import type { Message } from '../../helpers/wire.ts';

const used = useTarget({ WS_FRAMES_PER_SECOND: '5', WS_MAX_SUBSCRIPTIONS: '3' });

/** Beyond its own limit by so much, a frame ends the socket: docs/protocol.md, "Close codes". */
const FRAME_MARGIN_BYTES = 64 * 1024;

interface Limits {
	frames_per_second: number;
	subscriptions: number;
	frame_bytes: number;
	content_bytes: number;
}

const limitsOf = (socket: Socket) => socket.connected.limits as Limits;

/** A ping of exactly so many bytes. */
const pingOf = (bytes: number) => {
	const ping = JSON.stringify({ type: 'ping' });
	return `${ping}${' '.repeat(bytes - ping.length)}`;
};

/** The answer that was not there before: an error, whichever it is. */
const nextError = (socket: Socket) => socket.next<{ code: string; field?: string }>('error');

describe('frames per second', () => {
	test('three times as many as limits says are taken at once; one above has no effect and is answered RATE_LIMIT_EXCEEDED', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.bob);
		const socket = await tenant.socket(who.bob);
		const other = await tenant.socket(who.bob);
		const { frames_per_second } = limitsOf(socket);
		expect(frames_per_second).toBeGreaterThan(0);
		const [burst, count] = [3 * frames_per_second, 5 * frames_per_second];

		for (let n = 0; n < count; n++) socket.send({ type: 'send_message', room_id, content: `${n}` });
		const outcomes = () => socket.all('message').length + socket.all('error').length;
		await eventually(() => outcomes() === count);

		const taken = socket.all<Message>('message');
		// More only by what the bucket got back while the frames were on their way.
		expect(taken.length).toBeWithin(burst, burst + frames_per_second);
		expect(taken.map(({ content }) => content)).toEqual(taken.map((_, n) => `${n}`));
		for (const error of socket.all('error')) {
			expect(error).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', retryable: true });
			expect(error.retry_after_ms).toBeWithin(1, 1_001);
		}
		// It is the socket's own, and the socket lives on.
		await other.settle();
		await eventually(async () => (await socket.request({ type: 'ping' })).type === 'reply');
		await Promise.all([socket.close(), other.close()]);
	});
});

describe('the bytes of a frame', () => {
	test('may be as many as limits says; with one more it is PAYLOAD_TOO_LARGE', async () => {
		const { tenant, who } = await used.stage();
		const socket = await tenant.socket(who.bob);
		const { frame_bytes } = limitsOf(socket);

		socket.send(pingOf(frame_bytes));
		await socket.next('pong');
		socket.send(pingOf(frame_bytes + 1));

		expect((await nextError(socket)).code).toBe('PAYLOAD_TOO_LARGE');
		expect(socket.isOpen).toBe(true);
		await socket.close();
	});

	test('beyond that by more than 64 KiB end the socket with 1009', async () => {
		const { tenant, who } = await used.stage();
		const socket = await tenant.socket(who.bob);
		const { frame_bytes } = limitsOf(socket);

		socket.send(pingOf(frame_bytes + FRAME_MARGIN_BYTES + 1));

		// Some stacks cut the connection before the code is out.
		expect([1006, 1009]).toContain((await within(socket.closed, 'the close')).code);
		expect(socket.all('pong')).toEqual([]);
	});

	test('of content may be as many as limits says, and no more', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.bob);
		const socket = await tenant.socket(who.bob);
		const { content_bytes } = limitsOf(socket);
		const send = (content: string) => socket.request({ type: 'send_message', room_id, content });

		expect((await send('x'.repeat(content_bytes))).type).toBe('reply');
		expect(await send('x'.repeat(content_bytes + 1))).toMatchObject({
			code: 'PAYLOAD_TOO_LARGE',
			field: 'content',
		});
		await socket.close();
	});
});

describe('topics by name', () => {
	test('may be as many as limits says, rooms not among them; one less makes room', async () => {
		const { tenant, who } = await used.stage();
		for (let count = 0; count < 5; count++) await createGroup(tenant, who.bob);
		const socket = await tenant.socket(who.bob);
		const { subscriptions, frames_per_second } = limitsOf(socket);
		expect(subscriptions).toBeGreaterThan(0);
		const ask = (type: string, topic: string) =>
			eventually(
				async () => {
					const answer = await socket.request({ type, topic });
					return answer.code !== 'RATE_LIMIT_EXCEEDED' && answer;
				},
				(10_000 * (subscriptions + 10)) / frames_per_second,
			);

		for (let n = 1; n <= subscriptions; n++) {
			expect((await ask('subscribe', `topic-${n}`)).type).toBe('reply');
		}
		expect((await ask('subscribe', 'topic-1')).type).toBe('reply');
		expect(await ask('subscribe', 'beyond')).toMatchObject({ type: 'error', retryable: false });
		expect((await ask('unsubscribe', 'topic-1')).type).toBe('reply');
		expect((await ask('subscribe', 'beyond')).type).toBe('reply');
		expect(socket.isOpen).toBe(true);
		await socket.close();
	});
});

describe('a frame that makes no sense', () => {
	for (const [what, frame] of [
		['cannot be read', 'not a frame'],
		['is binary', new TextEncoder().encode('{"type":"ping"}')],
		['is of an unknown type', '{"type":"shout"}'],
		['does not fit its schema', '{"type":"ping","surplus":1}'],
	] as const) {
		test(`because it ${what} is answered with an error nine times; the tenth closes with 4502`, async () => {
			const { tenant, who } = await used.stage();
			const socket = await tenant.socket(who.bob);
			const bystander = await tenant.socket(who.bob);

			for (let count = 0; count < 9; count++) socket.send(frame);
			await socket.settle();
			expect(socket.all('error').map(({ code }) => code)).toEqual(
				Array.from({ length: 9 }, () => 'VALIDATION_ERROR'),
			);
			expect(socket.isOpen).toBe(true);
			socket.send(frame);

			expect((await within(socket.closed, 'the close')).code).toBe(4502);
			await bystander.settle();
			await bystander.close();
		});
	}

	test('is not one that is well made, but refused', async () => {
		const { tenant, who } = await used.stage();
		const socket = await tenant.socket(who.bob);
		const room_id = `room_${'0'.repeat(26)}`;

		for (let count = 0; count < 12; count++) {
			const answer = await socket.request({ type: 'ack', room_id, seq: 1 });
			expect(answer).toMatchObject({ type: 'error', code: 'NOT_FOUND' });
		}
		await socket.settle();

		expect(socket.isOpen).toBe(true);
		await socket.close();
	});
});

test('heartbeat_ms is how often a client may say "ping", and such a socket stays', async () => {
	const { tenant, who } = await used.stage();
	const socket = await tenant.socket(who.bob);

	expect(Number(socket.connected.heartbeat_ms)).toBeWithin(1_000, 120_000);
	await socket.settle();
	await socket.close();
});

describe('without limits', () => {
	const free = useTarget({ WS_FRAMES_PER_SECOND: '0', WS_MAX_SUBSCRIPTIONS: '0' });

	testWith('own server', 'limits has 0 where there is none', async () => {
		const { tenant, who } = await free.stage();
		const socket = await tenant.socket(who.bob);

		expect(limitsOf(socket)).toMatchObject({ frames_per_second: 0, subscriptions: 0 });
		for (let count = 0; count < 500; count++) socket.send({ type: 'ping' });
		await eventually(() => socket.all('pong').length === 500);
		expect(socket.all('error')).toEqual([]);
		await socket.close();
	});
});
