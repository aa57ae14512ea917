/** Who reads more slowly than is written is closed, counted, and comes back to everything it missed. */
import { expect, test } from 'bun:test';
import { connect, type Socket as TcpSocket } from 'node:net';
import { bodyOf } from '../helpers/http.ts';
import { requestText } from '../helpers/raw-http.ts';
import { openSocket } from '../helpers/socket.ts';
import { createGroup, createTenant, operator, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Message } from '../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });

/** Enough to fill whatever the kernel holds for a connection, and what the server does. */
const MESSAGES_MAX = 3000;
/** Missed, of 16 KiB each: more than all buffers on the way hold, and not more than a room replays. */
const REPLAYED = 1000;
const CONTENT = 'x'.repeat(16 * 1024 - 8);
/** The last frame of a connection that is closed with 4002: a close frame, its code, its reason. */
const CLOSED_4002 = Buffer.from([0x88, 2 + 'slow_consumer'.length, 4002 >> 8, 4002 & 255]);

/** A socket of the tenant or of its user that has read its first frame, and reads nothing more. */
async function openAndStopReading(
	{ server, api_key }: TestTenant,
	user: string | undefined,
	query = '',
) {
	const { hostname, port } = new URL(server.url);
	const tcp: TcpSocket = connect({ host: hostname, port: Number(port) });
	const chunks: Buffer[] = [];
	const text = () => Buffer.concat(chunks).toString('latin1');
	tcp.on('error', () => {});
	tcp.on('data', (chunk) => void chunks.push(Buffer.from(chunk)));
	const ended = new Promise<void>((resolve) => void tcp.on('close', () => resolve()));
	tcp.write(
		requestText(server, `GET /ws${query}`, {
			...{ Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
			'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
			'X-API-Key': api_key,
			...(user === undefined ? {} : { 'X-User-Id': user }),
		}),
	);
	await eventually(() => text().includes('"type":"connected"'));
	tcp.pause();
	return {
		/** Reads on until this is there, and closes. */
		async readUntil(end: string): Promise<string> {
			tcp.resume();
			const until = () => chunks.at(-1)?.includes(end) === true && text();
			const all = await eventually(until, 15_000, end);
			tcp.destroy();
			return all;
		},
		/** Reads all that was kept for it, to the end. */
		async readOn(): Promise<Buffer> {
			tcp.resume();
			await within(ended, 'the end of the connection', 15_000);
			return Buffer.concat(chunks);
		},
	};
}

const slowConsumers = async () => {
	const { text } = await operator(used.server).get('/metrics');
	return Number(/^chatapi_slow_consumers_total (\d+)$/m.exec(text)?.[1]);
};

for (const [whose, user] of [
	['a user', 'slow'],
	['a backend', undefined],
] as const) {
	test(`${whose} that does not read is closed with 4002 and counted; others miss nothing, nor does it`, async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob', 'slow']);
		const before = await slowConsumers();
		const bob = await tenant.socket('bob');
		const slow = await openAndStopReading(tenant, user);

		let sent = 0;
		for (; sent < MESSAGES_MAX && (await slowConsumers()) === before; sent += 10) {
			for (let n = 0; n < 10; n++) {
				const content = `${sent + n}:${CONTENT}`.slice(0, 16 * 1024);
				const path = `/rooms/${room_id}/messages`;
				bodyOf(await tenant.as('alice').post<Message>(path, { content }), 201);
			}
		}
		const bytes = await slow.readOn();
		await bob.settle();

		expect(await slowConsumers()).toBe(before + 1);
		expect(bytes.includes(CLOSED_4002)).toBe(true);
		expect(bytes.subarray(-'slow_consumer'.length).toString()).toBe('slow_consumer');
		expect(bob.all<Message>('message').map(({ seq }) => seq)).toEqual(
			Array.from({ length: sent }, (_, index) => index + 1),
		);
		const seen = [...bytes.toString('latin1').matchAll(/"cursor":"([0-9a-v]{16})"/g)];
		const again = await openSocket(used.server, {
			key: tenant.api_key,
			...(user === undefined ? {} : { user }),
			query: `cursor=${seen.at(-1)?.[1]}`,
		});
		const { count } = await again.next<{ count: number }>('replay.done', 15_000);
		expect(seen.length - 1 + count).toBe(sent);
		expect(count).toBeGreaterThan(0);
		await Promise.all([bob.close(), again.close()]);
	}, 60_000);

	test(`${whose} that does not read while it resumes is waited for, and gets all of it`, async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['slow']);
		const credentials = { key: tenant.api_key, ...(user === undefined ? {} : { user }) };
		const first = await openSocket(used.server, credentials);
		const query = `cursor=${first.connected.cursor}`;
		await first.close();
		const path = `/rooms/${room_id}/messages`;
		for (let sent = 0; sent < REPLAYED; sent += 50) {
			await Promise.all(
				Array.from({ length: 50 }, async () =>
					bodyOf(await tenant.as('alice').post(path, { content: CONTENT }), 201),
				),
			);
		}
		const before = await slowConsumers();

		const slow = await openAndStopReading(tenant, user, `?${query}`);
		const quick = await openSocket(used.server, { ...credentials, query });
		const { count } = await quick.next<{ count: number }>('replay.done', 15_000);
		const text = await slow.readUntil('"type":"replay.done"');

		expect(count).toBe(REPLAYED);
		const seqs = [...text.matchAll(/"seq":(\d+),/g)].map(([, seq]) => Number(seq));
		expect(seqs).toEqual(quick.all<Message>('message').map(({ seq }) => seq));
		expect(await slowConsumers()).toBe(before);
		await quick.close();
	}, 60_000);
}
