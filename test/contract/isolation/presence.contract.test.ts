/**
 * Presence between two tenants that hold the same user ids in rooms of the same numbers: what one has
 * online, tells or remembers is nothing to the other, over a kill too.
 */
import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomSecret, type Server, startServer } from '../../helpers/server.ts';
import type { Socket } from '../../helpers/socket.ts';
import { createGroup, createTenant, type TestTenant, tenantOf } from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';

interface Told {
	user_id: string;
	status: string;
	last_seen_at?: string;
}

const heardBy = (socket: Socket) =>
	socket.all<Told>('presence.update').map(({ user_id, status }) => `${user_id} ${status}`);

async function untilTold(socket: Socket, told: string): Promise<void> {
	await eventually(() => heardBy(socket).includes(told), 15_000, `"${told}"`);
}

async function query(socket: Socket, ...user_ids: string[]): Promise<Told[]> {
	const reply = await socket.request<{ data: { presences: Told[] } }>({
		type: 'presence.query',
		user_ids,
	});
	return reply.data.presences;
}

describe('what is told and asked', () => {
	const used = useServer({ LIVE_RECEIPTS_MAX: '3' });

	test('of the same users in rooms of the same numbers stays with each tenant', async () => {
		const [foreign, own] = [await createTenant(used.server), await createTenant(used.server)];
		// Any mixture of the two has bob and alice together, or a large room for a small one.
		await createGroup(foreign, 'alice', ['bob']);
		await createGroup(own, 'bob', ['carol']);
		await createGroup(foreign, 'carol', ['dora', 'bob', 'fred']);
		await createGroup(own, 'alice', ['dora']);
		await createGroup(foreign, 'gina', ['hugo']);
		await createGroup(own, 'gina', ['hugo', 'ida', 'jan']);
		const [bob, hugo] = [await own.socket('bob'), await own.socket('hugo')];
		const theirs = await foreign.socket('bob');
		await bob.request({ type: 'presence.subscribe', user_ids: ['alice'] });

		const stranger = await foreign.socket('alice');
		await untilTold(theirs, 'alice online');
		const namesake = await own.socket('alice');
		const gina = await own.socket('gina');
		// Changes are told in their order: after this one the others are.
		const carol = await own.socket('carol');
		await untilTold(bob, 'carol online');
		expect(heardBy(bob)).toEqual(['carol online']);
		expect(heardBy(theirs)).toEqual(['alice online']);
		// With carol in a room of the same number over there, and with bob.
		await Promise.all([namesake, hugo, gina].map((socket) => socket.settle()));
		expect(heardBy(namesake)).toEqual([]);
		// Together in a room that is too large, and small over there.
		expect([heardBy(hugo), heardBy(gina)]).toEqual([[], []]);
		// Of bob, who came just before, it may have heard.
		expect(heardBy(stranger).filter((told) => told !== 'bob online')).toEqual([]);
		const nobody = { user_id: 'alice', status: 'offline' };
		expect(await query(bob, 'alice', 'carol')).toEqual([
			nobody,
			{ user_id: 'carol', status: 'online' },
		]);

		// Gone in one tenant only; and last seen there only.
		await stranger.close();
		await untilTold(theirs, 'alice offline');
		await namesake.close();
		await carol.close();
		await untilTold(bob, 'carol offline');
		expect(heardBy(bob)).toEqual(['carol online', 'carol offline']);
		const [there] = await query(theirs, 'alice');
		expect(there?.last_seen_at).toBeDefined();
		expect(await query(bob, 'alice')).toEqual([nobody]);
		expect(await query(theirs, 'carol')).toEqual([{ user_id: 'carol', status: 'offline' }]);
		await Promise.all([bob, hugo, gina, theirs].map((socket) => socket.close()));
	}, 40_000);
});

const HOUR_MS = 60 * 60 * 1000;

describe('when users were last seen', () => {
	test('by a server that was killed is told by the signs of life of their own tenant', async () => {
		const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-seen-'));
		const env = { MASTER_API_KEY: randomSecret() };
		const disk = new Disk(dataDir);
		const first = await startServer({ dataDir, env });
		const foreign = await createTenant(first);
		const own = await createTenant(first);
		for (const tenant of [foreign, own]) await createGroup(tenant, 'bob', ['alice', 'dora']);
		const dora = await foreign.socket('dora');
		for (const tenant of [foreign, own]) await tenant.socket('alice');
		await own.socket('dora');
		await eventually(() => disk.online() === 'alice dora | alice dora', 15_000);
		await dora.close();
		await eventually(() => disk.online() === 'alice | alice dora', 15_000);
		await first.kill();
		// The own tenant was alive an hour ago only, and so was dora of the other one.
		disk.change(`UPDATE presences SET last_seen_at = last_seen_at - ${HOUR_MS}
			WHERE tenant = 2 OR user_id = 'dora'`);
		disk.change(`UPDATE presence_heads SET alive_at = alive_at - ${HOUR_MS} WHERE tenant = 2`);

		const second = await startServer({ dataDir, env });
		const [theirs, bob] = [moved(foreign, second), moved(own, second)];
		const stranger = await theirs.socket('bob');
		await eventually(() => disk.online().startsWith('bob |'), 15_000);
		const others = await hoursSince(stranger, 'alice', 'dora');
		const asker = await bob.socket('bob');
		const before = await hoursSince(asker, 'alice', 'dora');
		await eventually(() => disk.online() === 'bob | bob', 15_000);
		const after = await hoursSince(asker, 'alice', 'dora');

		expect({ others, before, after }).toEqual({ others: [0, 1], before: [1, 1], after: [1, 1] });
		await Promise.all([stranger, asker].map((socket) => socket.close()));
		expect(await second.stop()).toBe(0);
		rmSync(dataDir, { recursive: true });
	}, 60_000);
});

const moved = (tenant: TestTenant, server: Server): TestTenant => tenantOf(server, tenant);

/** How many hours ago these users, who are offline, were seen. */
async function hoursSince(socket: Socket, ...user_ids: string[]): Promise<number[]> {
	const seen = await query(socket, ...user_ids);
	return seen.map(({ status, last_seen_at }) => {
		expect(status).toBe('offline');
		return Math.floor((Date.now() - Date.parse(String(last_seen_at))) / HOUR_MS);
	});
}

/** What a killed server has left, which nobody can be asked for. */
class Disk {
	readonly #path: string;

	constructor(dataDir: string) {
		this.#path = join(dataDir, 'chatapi.db');
	}

	/** Who is marked as online: in the first tenant, then in the second. */
	online(): string {
		const db = new Database(this.#path, { readonly: true });
		const users = db.query<{ user_id: string }, [number]>(
			'SELECT user_id FROM presences WHERE tenant = ? AND is_online = 1 ORDER BY user_id',
		);
		const [first, second] = [1, 2].map((tenant) =>
			users
				.all(tenant)
				.map(({ user_id }) => user_id)
				.join(' '),
		);
		db.close();
		return `${first} | ${second}`;
	}

	change(sql: string): void {
		const db = new Database(this.#path);
		db.run(sql);
		db.close();
	}
}
