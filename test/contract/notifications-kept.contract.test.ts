/** Subscriptions for good, what outlives a restart, and what becomes of deliveries that nobody confirms. */
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { randomSecret, startServer } from '../helpers/server.ts';
import { openSocket, type Socket } from '../helpers/socket.ts';
import { createTenant, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';

interface Letters {
	failed_messages: unknown[];
	failed_notifications: {
		user_id: string;
		attempts: number;
		last_attempt_at: string | null;
		error: string;
	}[];
	next_cursor: string | null;
}

const notify = async (tenant: TestTenant, targets: object, payload: unknown = 'x') =>
	bodyOf(await tenant.as().post('/notify', { topic: 'orders', payload, targets }), 202);

const subscribe = async (tenant: TestTenant, user: string) =>
	bodyOf(
		await tenant.as(user).post<{ subscription_id: string; duplicate?: boolean }>('/subscriptions', {
			topic: 'orders',
		}),
		200,
		201,
	);

const payloadsOf = ({ frames }: Socket) =>
	frames.filter(({ type }) => type === 'notification').map(({ payload }) => payload);

async function replayed(tenant: TestTenant, user: string, cursor: unknown): Promise<unknown[]> {
	const { server, api_key: key } = tenant;
	const socket = await openSocket(server, { key, user, query: `cursor=${cursor}` });
	await socket.next('replay.done');
	await socket.close();
	return payloadsOf(socket);
}

describe('a subscription', () => {
	const used = useServer({ DEFAULT_RATE_LIMIT: '0', MAX_SUBSCRIPTIONS_PER_USER: '2' });

	test('is followed at once by open sockets, until it ends; by name it goes on', async () => {
		const tenant = await createTenant(used.server);
		const sockets = [await tenant.socket('bob'), await tenant.socket('bob')] as const;
		const to = { topic_subscribers: true };
		await notify(tenant, to, 'before');
		const { subscription_id } = await subscribe(tenant, 'bob');
		expect(await subscribe(tenant, 'bob')).toMatchObject({ subscription_id, duplicate: true });
		await sockets[1].request({ type: 'subscribe', topic: 'orders' });
		await notify(tenant, to, 'during');
		bodyOf(await tenant.as('bob').delete(`/subscriptions/${subscription_id}`), 200);
		await notify(tenant, to, 'after');
		await sockets[1].request({ type: 'unsubscribe', topic: 'orders' });
		await notify(tenant, to, 'late');
		await Promise.all(sockets.map((socket) => socket.settle()));

		expect(sockets.map(payloadsOf)).toEqual([['during'], ['during', 'after']]);
		expect(await replayed(tenant, 'bob', sockets[0].connected.cursor)).toEqual(['during']);
		const again = await tenant.as('bob').delete(`/subscriptions/${subscription_id}`);
		expect(errorOf(again)).toMatchObject({ code: 'NOT_FOUND' });
		await Promise.all(sockets.map((socket) => socket.close()));
	});

	test('that is made and ended while others notify loses and doubles nothing in between', async () => {
		const tenant = await createTenant(used.server);
		const bob = await tenant.socket('bob');
		let isOver = false;
		const notifying = (async () => {
			for (let n = 0; !isOver; n++) await notify(tenant, { topic_subscribers: true }, n);
		})();
		for (let round = 0; round < 15; round++) {
			const { subscription_id } = await subscribe(tenant, 'bob');
			const heard = payloadsOf(bob).length;
			await eventually(() => payloadsOf(bob).length > heard + 2);
			bodyOf(await tenant.as('bob').delete(`/subscriptions/${subscription_id}`), 200);
		}
		isOver = true;
		await notifying;
		await bob.settle();

		expect(payloadsOf(bob).length).toBeGreaterThan(40);
		expect(await replayed(tenant, 'bob', bob.connected.cursor)).toEqual(payloadsOf(bob));
		await bob.close();
	}, 20_000);
});

test('a restart keeps subscriptions and what was said while nobody was there', async () => {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-notify-'));
	const env = { MASTER_API_KEY: randomSecret() };
	let server = await startServer({ dataDir: folder, env });
	try {
		const tenant = await createTenant(server);
		const { api_key: key } = tenant;
		await subscribe(tenant, 'bob');
		const first = await tenant.socket('bob');
		await notify(tenant, { topic_subscribers: true }, 'one');
		await notify(tenant, { user_ids: ['bob'] }, 'two');
		await server.kill();
		server = await startServer({ dataDir: folder, env });
		const body = { topic: 'orders', payload: 'three', targets: { all: true } };
		bodyOf(await httpClient(server, { key }).post('/notify', body), 202);
		const moved = { ...tenant, server };
		const { cursor } = first.connected;
		expect(await replayed(moved, 'bob', cursor)).toEqual(['one', 'two', 'three']);
	} finally {
		await server.stop();
		rmSync(folder, { recursive: true, force: true });
	}
}, 20_000);

describe('deliveries by name', () => {
	const used = useServer({ DEFAULT_RATE_LIMIT: '0', EVENT_RETENTION: '3s' });

	test('that are not confirmed before their event is pruned become dead letters, the others do not', async () => {
		const tenant = await createTenant(used.server);
		const other = await createTenant(used.server);
		const alice = await tenant.socket('alice');
		const bob = await tenant.socket('bob');
		await notify(tenant, { user_ids: ['alice', 'bob', 'carol'] });
		await notify(tenant, { all: true });
		await notify(other, { user_ids: ['dave'] });
		const { cursor } = await bob.next<{ cursor: string }>('notification');
		expect(await bob.request({ type: 'ack', cursor })).toMatchObject({ type: 'reply' });
		const bad = await bob.request({ type: 'ack', cursor, seq: 1 });
		expect(bad).toMatchObject({ code: 'VALIDATION_ERROR', field: 'seq' });

		const letters = await eventually(async () => {
			const page = bodyOf(await tenant.as().get<Letters>('/dead-letters'), 200);
			return page.failed_notifications.length > 0 && page;
		}, 15_000);

		expect(letters).toMatchObject({ failed_messages: [], next_cursor: null });
		expect(letters.failed_notifications).toMatchObject([
			{ user_id: 'carol', attempts: 0, last_attempt_at: null },
			{ user_id: 'alice', attempts: 1, last_attempt_at: expect.any(String) },
		]);
		const [carol, unconfirmed] = letters.failed_notifications;
		expect(carol?.error).not.toBe(unconfirmed?.error ?? '');
		await Promise.all([alice.close(), bob.close()]);
	}, 25_000);
});
