import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openSocket, typesOf } from './socket.ts';
import { eventually } from './wait.ts';

/** A server that sends a pong that nobody asked for, and something else late, but before the pong that was. */
let server: Bun.Server<undefined>;
beforeAll(() => {
	server = Bun.serve({
		hostname: '127.0.0.1',
		port: 0,
		fetch: (request, own) =>
			own.upgrade(request) ? undefined : new Response(null, { status: 400 }),
		websocket: {
			open(ws) {
				ws.send('{"type":"connected","cursor":"a1"}');
				ws.send('{"type":"pong"}');
			},
			message(ws, text) {
				const { type, request_id } = JSON.parse(String(text));
				setTimeout(() => {
					ws.send('{"type":"typing","cursor":"a2"}');
					if (type === 'ping') ws.send('{"type":"pong"}');
					const ending = type === 'ping' ? { type: 'reply', ok: true } : { type: 'error' };
					if (request_id !== undefined) ws.send(JSON.stringify({ ...ending, request_id }));
				}, 20);
			},
		},
	});
});
afterAll(() => server.stop(true));

test('settle waits for the answer to its own ping, whatever pongs came before', async () => {
	const socket = await openSocket({ url: `http://127.0.0.1:${server.port}` });
	await eventually(() => socket.all('pong').length === 1);

	await socket.settle();

	expect(typesOf(socket)).toEqual(['connected', 'pong', 'typing', 'pong']);
	// Its own pong is nobody else's; the one before it still is.
	await socket.next('pong');
	await expect(socket.next('pong', 50)).rejects.toThrow('in vain');
	await socket.close();
});
