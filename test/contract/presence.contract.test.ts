import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf } from '../helpers/http.ts';
import { startServer } from '../helpers/server.ts';
import { openSocket, type Socket } from '../helpers/socket.ts';
import { createGroup, createTenant, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import { eventually } from '../helpers/wait.ts';

const used = useServer({ LIVE_RECEIPTS_MAX: '3' });

interface Told {
	user_id: string;
	status: string;
	last_seen_at?: string;
}

const heardBy = (socket: Socket) =>
	socket.all<Told>('presence.update').map(({ user_id, status }) => `${user_id} ${status}`);

async function query(socket: Socket, ...user_ids: string[]): Promise<Told[]> {
	const reply = await socket.request<{ data: { presences: Told[] } }>({
		type: 'presence.query',
		user_ids,
	});
	return reply.data.presences;
}

/** Returns once the server tells of this user what happened before. */
async function untilTold(socket: Socket, told: string): Promise<void> {
	await eventually(async () => {
		await socket.settle();
		return heardBy(socket).includes(told);
	}, 12_000);
}

const open = (tenant: TestTenant, ...users: string[]): Promise<Socket[]> =>
	Promise.all(users.map((user) => tenant.socket(user)));

describe('presence', () => {
	test('is told to who shares rooms, once each, and to nobody else; offline 5 seconds after the last socket', async () => {
		const tenant = await createTenant(used.server);
		for (let count = 0; count < 3; count++) await createGroup(tenant, 'alice', ['bob']);
		const [bob, mallory] = (await open(tenant, 'bob', 'mallory')) as [Socket, Socket];
		const [one, two] = (await open(tenant, 'alice', 'alice')) as [Socket, Socket];
		await untilTold(bob, 'alice online');
		await one.close();
		const before = Date.now();
		await two.close();
		const goneAt = performance.now();
		await untilTold(bob, 'alice offline');

		expect(performance.now() - goneAt).toBeGreaterThan(4900);
		expect(heardBy(bob)).toEqual(['alice online', 'alice offline']);
		const { last_seen_at } = bob.all<Told>('presence.update')[1] as Told;
		const seenAt = Date.parse(String(last_seen_at));
		expect(seenAt).toBeGreaterThanOrEqual(before - 100);
		expect(seenAt).toBeLessThan(before + 3000);
		expect(await query(bob, 'alice')).toEqual([
			{ user_id: 'alice', status: 'offline', last_seen_at: String(last_seen_at) },
		]);
		await mallory.settle();
		expect(heardBy(mallory)).toEqual([]);
		await Promise.all([bob, mallory].map((socket) => socket.close()));
	}, 30_000);

	test('does not change for who comes back within 5 seconds', async () => {
		const tenant = await createTenant(used.server);
		await createGroup(tenant, 'alice', ['bob', 'carol']);
		const [bob, alice] = (await open(tenant, 'bob', 'alice')) as [Socket, Socket];
		await untilTold(bob, 'alice online');
		await alice.close();
		expect(await query(bob, 'alice')).toEqual([{ user_id: 'alice', status: 'online' }]);
		const again = await tenant.socket('alice');
		const carol = await tenant.socket('carol');
		await untilTold(bob, 'carol online');
		await carol.close();
		// Who went after alice came back is told of: so would she have been.
		await untilTold(bob, 'carol offline');

		expect(heardBy(bob)).toEqual(['alice online', 'carol online', 'carol offline']);
		await Promise.all([bob, again].map((socket) => socket.close()));
	}, 30_000);

	test('of nobody that shares no room is shown: as of who does not exist, to the byte', async () => {
		const tenant = await createTenant(used.server);
		const other = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await createGroup(other, 'zoe', ['bob', room_id]);
		const sockets = await open(tenant, 'bob', 'mallory', room_id);
		const [bob] = sockets as [Socket];
		const strangers = await open(other, 'zoe', 'bob', room_id);
		const seen = new Set<string>();
		for (const user of ['mallory', 'zoe', 'ghost', room_id]) {
			for (const type of ['presence.query', 'presence.subscribe']) {
				const reply = await bob.request({ type, user_ids: [user] });
				seen.add(JSON.stringify(reply.data).replaceAll(user, 'user'));
			}
		}

		expect([...seen]).toEqual(['{"presences":[{"user_id":"user","status":"offline"}]}']);
		const alice = await tenant.socket('alice');
		await untilTold(bob, 'alice online');
		expect(heardBy(bob)).toEqual(['alice online']);
		await Promise.all([...sockets, ...strangers, alice].map((socket) => socket.close()));
	}, 30_000);

	test('in a large room is told to who subscribes, until the last shared room is left', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol', 'dora']);
		const { room_id: small } = await createGroup(tenant, 'dora', ['bob']);
		const [bob, carol] = (await open(tenant, 'bob', 'carol')) as [Socket, Socket];
		expect(await bob.request({ type: 'presence.subscribe', user_ids: ['alice'] })).toMatchObject({
			data: { presences: [{ user_id: 'alice', status: 'offline' }] },
		});
		const alice = await tenant.socket('alice');
		await untilTold(bob, 'alice online');
		expect(heardBy(carol)).toEqual([]);
		bodyOf(await tenant.as('alice').call('DELETE', `/rooms/${room_id}/members/bob`), 200);
		await alice.close();
		const dora = await tenant.socket('dora');
		await eventually(async () => {
			const [alice] = await query(carol, 'alice');
			return alice?.status === 'offline';
		}, 12_000);
		await untilTold(bob, 'dora online');
		await dora.close();
		// Told of after alice, who went first.
		await untilTold(bob, 'dora offline');

		expect(heardBy(bob)).toEqual(['alice online', 'dora online', 'dora offline']);
		expect(await query(bob, 'alice')).toEqual([{ user_id: 'alice', status: 'offline' }]);
		expect(small).not.toBe(room_id);
		await Promise.all([bob, carol].map((socket) => socket.close()));
	}, 40_000);

	test('of who is deactivated or revoked ends as that of anybody whose sockets close', async () => {
		const tenant = await createTenant(used.server);
		await createGroup(tenant, 'alice', ['bob', 'carol']);
		const [bob, alice, carol] = (await open(tenant, 'bob', 'alice', 'carol')) as Socket[];
		if (!(bob && alice && carol)) throw new Error('three sockets');
		await untilTold(bob, 'alice online');
		await untilTold(bob, 'carol online');
		bodyOf(await tenant.as().post('/users/alice/deactivate', {}), 200);
		bodyOf(await tenant.as().post('/users/carol/revoke', {}), 200);
		expect(await alice.closed).toMatchObject({ code: 4507 });
		expect(await carol.closed).toMatchObject({ code: 4501 });

		await untilTold(bob, 'alice offline');
		await untilTold(bob, 'carol offline');
		await bob.close();
	}, 30_000);

	test('costs the tenant nothing', async () => {
		const tenant = await createTenant(used.server, {
			rate_limit: { requests_per_minute: 1, burst: 3 },
		});
		await createGroup(tenant, 'alice', ['bob']);
		const bob = await tenant.socket('bob');
		for (let count = 0; count < 10; count++) {
			for (const type of ['presence.query', 'presence.subscribe', 'presence.unsubscribe']) {
				expect(await bob.request({ type, user_ids: ['alice'] })).toMatchObject({ type: 'reply' });
			}
		}
		await bob.close();
	});
});

describe('last_seen_at', () => {
	test.each(['stop', 'kill'] as const)(
		'survives a %s, and nobody is told of it',
		async (end) => {
			const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-presence-'));
			const first = await startServer({ dataDir, env: { MASTER_API_KEY: undefined } });
			const tenant = await createTenant(first);
			await createGroup(tenant, 'alice', ['bob', 'carol']);
			const [bob, alice, carol] = (await open(tenant, 'bob', 'alice', 'carol')) as Socket[];
			if (!(bob && alice && carol)) throw new Error('three sockets');
			await untilTold(bob, 'alice online');
			await untilTold(bob, 'carol online');
			await carol.close();
			await untilTold(bob, 'carol offline');
			const [seen] = await query(bob, 'carol');
			await eventually(() => isWritten(dataDir, 'alice', 1) && isWritten(dataDir, 'carol', 0));
			const endedAt = Date.now();
			await first[end]();
			await bob.closed;
			expect(heardBy(bob).filter((told) => told.endsWith('offline'))).toEqual(['carol offline']);

			const second = await startServer({ dataDir, env: { MASTER_API_KEY: undefined } });
			const again = await openSocket(second, { key: tenant.api_key, user: 'bob' });
			expect(await query(again, 'carol')).toEqual([seen as Told]);
			const [was] = await query(again, 'alice');
			expect(was?.status).toBe('offline');
			const lostMs = endedAt - Date.parse(String(was?.last_seen_at));
			expect(lostMs).toBeLessThan(end === 'kill' ? 15_000 : 1000);
			await again.close();
			await second.stop();
			rmSync(dataDir, { recursive: true });
		},
		60_000,
	);
});

/** Whether a user is on disk like this: what a kill leaves cannot be asked for beforehand. */
function isWritten(dataDir: string, user_id: string, is_online: number): boolean {
	const db = new Database(join(dataDir, 'chatapi.db'), { readonly: true });
	const row = db.query('SELECT is_online FROM presences WHERE user_id = ?').get(user_id);
	db.close();
	return (row as { is_online: number } | null)?.is_online === is_online;
}
