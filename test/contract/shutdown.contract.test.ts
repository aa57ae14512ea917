import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf } from '../helpers/http.ts';
import { openConnection, type RawConnection, requestText } from '../helpers/raw-http.ts';
import { type Server, startServer } from '../helpers/server.ts';
import { createGroup, createTenant, type TestTenant } from '../helpers/tenants.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Message, MessagesPage } from '../helpers/wire.ts';

const BODY = JSON.stringify({ content: 'begun before the stop' });

describe('a stop by signal', () => {
	for (const signal of ['SIGTERM', 'SIGINT'] as const) {
		test(`${signal} tells every socket, closes it with 4001, and exits 0`, async () => {
			const server = await startServer();
			const [one, two] = [await createTenant(server), await createTenant(server)];
			const sockets = await Promise.all(
				[one, one, two].flatMap((tenant) => ['alice', 'bob'].map((user) => tenant.socket(user))),
			);

			server.signal(signal);

			for (const socket of sockets) {
				const told = await socket.next('server.shutdown');
				expect(told.reconnect_after_ms).toBeWithin(0, 600_000);
				expect((await within(socket.closed, 'the socket to close')).code).toBe(4001);
			}
			expect(await within(server.exited, 'the exit', 12_000)).toBe(0);
			expect(server.stderr()).toBe('');
			const delays = sockets.map((socket) => socket.all('server.shutdown')[0]?.reconnect_after_ms);
			// Spread at random: six equal ones would be a herd.
			expect(new Set(delays).size).toBeGreaterThan(1);
		});
	}

	test('with nothing to wait for is over at once', async () => {
		const server = await startServer({ env: { SHUTDOWN_DRAIN_TIMEOUT: '60s' } });
		server.signal('SIGTERM');

		expect(await within(server.exited, 'the exit', 3_000)).toBe(0);
	});

	test('answers the request that had begun, stores what it answered, and takes no new connection', async () => {
		const folder = mkdtempSync(join(tmpdir(), 'chatapi-drain-'));
		const server = await startServer({ dataDir: folder });
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'alice');
		const begun = await beginSend(tenant, room_id);

		server.signal('SIGTERM');
		await eventually(() => isRefused(server));
		begun.write(BODY.slice(5));
		const answer = await begun.answer();

		const message = bodyOf(answer, 201) as Message;
		expect(message).toMatchObject({ room_id, content: 'begun before the stop' });
		expect(await within(server.exited, 'the exit', 12_000)).toBe(0);

		const again = await startServer({
			dataDir: folder,
			env: { MASTER_API_KEY: server.masterKey },
		});
		const page = await fetch(`${again.url}/rooms/${room_id}/messages`, {
			headers: { 'X-API-Key': tenant.api_key },
		});
		expect(((await page.json()) as MessagesPage).messages).toEqual([message]);
		expect(await again.stop()).toBe(0);
		rmSync(folder, { recursive: true, force: true });
	});

	test('is not ready while it drains: /readyz is 503, and /livez 200, on connections that are there', async () => {
		const server = await startServer();
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'alice');
		const begun = await beginSend(tenant, room_id);
		// A request that is half there keeps its connection.
		const [ready, live] = [await beginGet(server, '/readyz'), await beginGet(server, '/livez')];

		server.signal('SIGTERM');
		await eventually(() => isRefused(server));
		ready.write('\r\n');
		live.write('\r\n');
		const answer = await ready.answer();

		expect(answer.status).toBe(503);
		expect(answer.body).toEqual({ status: 'unavailable' });
		expect((await live.answer()).status).toBe(200);
		begun.write(BODY.slice(5));
		expect((await begun.answer()).status).toBe(201);
		expect(await within(server.exited, 'the exit', 12_000)).toBe(0);
	});

	test('waits no longer than SHUTDOWN_DRAIN_TIMEOUT for a request that never ends', async () => {
		const server = await startServer({ env: { SHUTDOWN_DRAIN_TIMEOUT: '1s' } });
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'alice');
		const begun = await beginSend(tenant, room_id);
		const startedAt = performance.now();

		server.signal('SIGTERM');

		expect(await within(server.exited, 'the exit', 5_000)).toBe(0);
		expect(performance.now() - startedAt).toBeGreaterThan(900);
		begun.close();
	});

	test('a second signal ends it at once', async () => {
		const server = await startServer({ env: { SHUTDOWN_DRAIN_TIMEOUT: '60s' } });
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'alice');
		const begun = await beginSend(tenant, room_id);

		server.signal('SIGTERM');
		await eventually(() => isRefused(server));
		server.signal('SIGTERM');

		await within(server.exited, 'the exit', 1_500);
		begun.close();
	});
});

test('a stop under load loses nothing that was answered, and cuts no answer short', async () => {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-drain-'));
	const server = await startServer({
		dataDir: folder,
		env: { DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' },
	});
	const tenant = await createTenant(server);
	const { room_id } = await createGroup(tenant, 'alice');
	const answered: Message[] = [];
	const senders = Array.from({ length: 4 }, () => sendUntilClosed(tenant, room_id, answered));
	const frames = Array.from({ length: 4 }, () => sendFramesUntilClosed(tenant, room_id, answered));

	await eventually(() => answered.length > 200);
	server.signal('SIGTERM');
	await Promise.all([...senders, ...frames]);
	expect(await within(server.exited, 'the exit', 12_000)).toBe(0);

	const again = await startServer({ dataDir: folder, env: { MASTER_API_KEY: server.masterKey } });
	const stored = new Map<string, Message>();
	for (let after = 0, more = true; more; ) {
		const page = await fetch(
			`${again.url}/rooms/${room_id}/messages?after_seq=${after}&limit=100`,
			{
				headers: { 'X-API-Key': tenant.api_key },
			},
		);
		const { messages, has_more } = (await page.json()) as MessagesPage;
		for (const message of messages) stored.set(message.message_id, message);
		after = messages.at(-1)?.seq ?? after;
		more = has_more;
	}
	for (const message of answered) {
		expect(stored.get(message.message_id)).toEqual(message);
	}
	expect(await again.stop()).toBe(0);
	rmSync(folder, { recursive: true, force: true });
});

/** A send whose body is still missing most of its bytes. */
async function beginSend({ server, api_key }: TestTenant, room_id: string): Promise<RawConnection> {
	const connection = await openConnection(server);
	const text = requestText(
		server,
		`POST /rooms/${room_id}/messages`,
		{ 'X-API-Key': api_key, 'X-User-Id': 'alice', 'Content-Type': 'application/json' },
		BODY,
	);
	connection.write(text.slice(0, text.length - BODY.length + 5));
	// A later request's answer shows that the server has read this far.
	await fetch(`${server.url}/livez`).then((answer) => answer.text());
	return connection;
}

/** A request whose last line is still missing. */
async function beginGet(server: Server, path: string): Promise<RawConnection> {
	const connection = await openConnection(server);
	connection.write(requestText(server, `GET ${path}`).slice(0, -2));
	await fetch(`${server.url}/livez`).then((answer) => answer.text());
	return connection;
}

const isRefused = async (server: Server): Promise<boolean> => {
	try {
		(await openConnection(server)).close();
		return false;
	} catch {
		return true;
	}
};

/** One connection, one request after the other; every answer that begins must be whole. */
async function sendUntilClosed(
	{ server, api_key }: TestTenant,
	room_id: string,
	answered: Message[],
): Promise<void> {
	const connection = await openConnection(server);
	for (;;) {
		const body = JSON.stringify({ content: `http ${answered.length}` });
		const headers = {
			'X-API-Key': api_key,
			'X-User-Id': 'alice',
			'Content-Type': 'application/json',
		};
		connection.write(requestText(server, `POST /rooms/${room_id}/messages`, headers, body));
		const answer = await connection.answer().catch((error: Error) => {
			// The connection was idle on the server's side: nothing of an answer may be there.
			expect(error.message).toEndWith('without an answer: ');
		});
		if (answer === undefined || answer.status === 503) return connection.close();
		answered.push(bodyOf(answer, 201) as Message);
		if (answer.headers.get('Connection') === 'close') return connection.close();
	}
}

async function sendFramesUntilClosed(
	tenant: TestTenant,
	room_id: string,
	answered: Message[],
): Promise<void> {
	const socket = await tenant.socket('alice');
	while (socket.isOpen) {
		const frame = { type: 'send_message', room_id, content: `frame ${answered.length}` };
		const reply = await socket.request<{ data: Message }>(frame).catch(() => undefined);
		if (reply?.type === 'reply') answered.push(reply.data);
	}
	expect((await socket.closed).code).toBe(4001);
}
