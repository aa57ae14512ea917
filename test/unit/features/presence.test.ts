import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { RoomId, TenantId, TenantNo, UserId } from '../../../src/core/ids.ts';
import { createLastSeen } from '../../../src/features/presence/service/last-seen.ts';
import { type App, codeOf, ids, type Listener, openApp, type TestTenant } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp({ LIVE_RECEIPTS_MAX: '3' });
});
afterAll(() => app.end());

/** No rest: what is to be told is told at once. */
const pace = async () => {};

async function tellAll(): Promise<void> {
	app.presence.sweep();
	while (await app.presence.tellNext(pace));
}

/** Until nobody is within the 5 seconds, and all of it is told. */
async function passGrace(): Promise<void> {
	app.clock.advance(5000);
	await tellAll();
}

const group = async (tenant: TestTenant, owner: string, ...members: string[]): Promise<RoomId> => {
	const input = { type: 'group' as const, members: ids(...members) };
	return (await app.rooms.create(tenant.as(owner), input)).room_id;
};

/** What a socket was told of presence since the last look. */
function heard({ told }: Listener): string[] {
	const frames = told.splice(0).filter(({ type }) => type === 'presence.update');
	return frames.map(({ user_id, status }) => `${user_id} ${status}`);
}

const query = async (tenant: TestTenant, user: string, ...of: string[]) =>
	(await app.presence.query(tenant.as(user), { user_ids: ids(...of) })).presences;

describe('a change', () => {
	test('is told once to each who shares small rooms, however many, on all of their sockets', async () => {
		const tenant = await app.tenant();
		for (let count = 0; count < 5; count++) await group(tenant, 'alice', 'bob', 'carol');
		await app.rooms.create(tenant.as('alice'), { type: 'dm', members: ids('alice', 'bob') });
		const [bob, other, carol, mallory] = await Promise.all(
			['bob', 'bob', 'carol', 'mallory'].map((user) => tenant.listen(user)),
		);
		if (!(bob && other && carol && mallory)) throw new Error('four sockets');
		await tellAll();
		for (const socket of [bob, other, carol, mallory]) heard(socket);

		const alice = await tenant.listen('alice');
		const second = await tenant.listen('alice');
		await tellAll();
		for (const socket of [bob, other, carol]) expect(heard(socket)).toEqual(['alice online']);
		alice.connection.close(1000, '');
		await passGrace();
		expect(heard(bob)).toEqual([]);
		second.connection.close(1000, '');
		await passGrace();
		for (const socket of [bob, other, carol]) expect(heard(socket)).toEqual(['alice offline']);
		for (const socket of [mallory, alice, second]) expect(heard(socket)).toEqual([]);
	});

	test('is told in rooms up to LIVE_RECEIPTS_MAX and in no larger ones', async () => {
		const tenant = await app.tenant();
		const room_id = await group(tenant, 'alice', 'bob', 'carol');
		const bob = await tenant.listen('bob');
		await tenant.listen('alice');
		await tellAll();
		expect(heard(bob)).toEqual(['alice online']);
		await app.members.add(tenant.itself, { room_id, members: ids('dora') });
		await tenant.listen('carol');
		await tellAll();

		expect(heard(bob)).toEqual([]);
		expect(await query(tenant, 'bob', 'carol')).toEqual([
			{ user_id: 'carol' as UserId, status: 'online' },
		]);
	});

	test('is not told any more to who left the last shared room, or was removed, or whose room is gone', async () => {
		const tenant = await app.tenant();
		const first = await group(tenant, 'alice', 'bob');
		const second = await group(tenant, 'alice', 'bob', 'carol');
		const bob = await tenant.listen('bob');
		const carol = await tenant.listen('carol');
		await tellAll();
		heard(bob);
		heard(carol);
		await app.members.remove(tenant.as('alice'), { room_id: first, user_id: 'bob' as UserId });
		let alice = await tenant.listen('alice');
		await tellAll();
		expect([heard(bob), heard(carol)]).toEqual([['alice online'], ['alice online']]);

		await app.members.remove(tenant.as('bob'), { room_id: second, user_id: 'bob' as UserId });
		alice.connection.close(1000, '');
		await passGrace();
		expect([heard(bob), heard(carol)]).toEqual([[], ['alice offline']]);

		await app.rooms.remove(tenant.itself, { room_id: second });
		alice = await tenant.listen('alice');
		await tellAll();
		expect([heard(bob), heard(carol)]).toEqual([[], []]);
		for (const user of ['bob', 'carol']) {
			expect(await query(tenant, user, 'alice')).toEqual([
				{ user_id: 'alice' as UserId, status: 'offline' },
			]);
		}
	});

	test.each(['alice', 'bob'])(
		'that the removal of %s overtakes between two slices is not told',
		async (removed) => {
			const tenant = await app.tenant();
			await group(tenant, 'alice', 'carol');
			const room_id = await group(tenant, 'alice', 'bob');
			const bob = await tenant.listen('bob');
			await tellAll();
			heard(bob);
			await tenant.listen('alice');
			let isRemoved = false;
			await app.presence.tellNext(async () => {
				// The room of carol was walked; that of bob, made last, is still to come.
				if (isRemoved) return;
				isRemoved = true;
				const user_id = removed as UserId;
				await app.members.remove(tenant.itself, { room_id, user_id });
			});

			expect(isRemoved).toBe(true);
			expect(heard(bob)).toEqual([]);
		},
	);

	test('of a user that is called as a room is told to its own tenant alone', async () => {
		const [tenant, other] = [await app.tenant(), await app.tenant()];
		const room_id = await group(tenant, 'alice', 'bob');
		await group(tenant, room_id, 'bob');
		await group(other, room_id, 'bob');
		const [bob, stranger] = [await tenant.listen('bob'), await other.listen('bob')];
		const alice = await tenant.listen('alice');
		await tellAll();
		for (const socket of [bob, stranger, alice]) heard(socket);

		await tenant.listen(room_id);
		await tellAll();

		expect([heard(bob), heard(stranger), heard(alice)]).toEqual([[`${room_id} online`], [], []]);
	});
});

describe('a subscription', () => {
	test('tells one socket of who shares a large room, once, until it is ended', async () => {
		const tenant = await app.tenant();
		await group(tenant, 'alice', 'bob', 'carol', 'dora');
		const [bob, other] = [await tenant.listen('bob'), await tenant.listen('bob')];
		const input = { user_ids: ids('alice') };
		const own = tenant.as('bob');
		expect(await app.presence.subscribe(own, input, bob.connection)).toEqual({
			presences: [{ user_id: 'alice' as UserId, status: 'offline' }],
		});
		await app.presence.subscribe(own, input, bob.connection);
		const alice = await tenant.listen('alice');
		await tellAll();
		expect([heard(bob), heard(other)]).toEqual([['alice online'], []]);

		await app.presence.unsubscribe(own, input, bob.connection);
		await app.presence.unsubscribe(own, input, bob.connection);
		alice.connection.close(1000, '');
		await passGrace();
		expect(heard(bob)).toEqual([]);
	});

	test('adds nothing where a small room is shared', async () => {
		const tenant = await app.tenant();
		await group(tenant, 'alice', 'bob');
		const bob = await tenant.listen('bob');
		await app.presence.subscribe(
			tenant.as('bob'),
			{ user_ids: ids('alice', 'bob') },
			bob.connection,
		);
		await tenant.listen('alice');
		await tellAll();
		expect(heard(bob)).toEqual(['alice online']);
	});

	test('tells nothing of who shares no room, and nothing any more after the last one', async () => {
		const tenant = await app.tenant();
		const room_id = await group(tenant, 'carol', 'bob', 'dora', 'erik');
		const bob = await tenant.listen('bob');
		await app.presence.subscribe(
			tenant.as('bob'),
			{ user_ids: ids('alice', 'ghost') },
			bob.connection,
		);
		let alice = await tenant.listen('alice');
		await tellAll();
		expect(heard(bob)).toEqual([]);

		await app.members.add(tenant.itself, { room_id, members: ids('alice') });
		alice.connection.close(1000, '');
		await passGrace();
		expect(heard(bob)).toEqual(['alice offline']);
		await app.members.remove(tenant.itself, { room_id, user_id: 'bob' as UserId });
		alice = await tenant.listen('alice');
		await tellAll();
		expect(heard(bob)).toEqual([]);
	});

	test('of more than 200 users on one socket is refused whole', async () => {
		const tenant = await app.tenant();
		const bob = await tenant.listen('bob');
		const own = tenant.as('bob');
		const many = ids(...Array.from({ length: 200 }, (_, index) => `user${index}`));
		const before = app.presence.subscribed;
		await app.presence.subscribe(own, { user_ids: many }, bob.connection);
		expect(app.presence.subscribed - before).toBe(200);

		const more = { user_ids: ids('user0', 'one-more', 'another') };
		expect(await codeOf(app.presence.subscribe(own, more, bob.connection))).toBe('CONFLICT');
		expect(app.presence.subscribed - before).toBe(200);
		bob.connection.close(1000, '');
		expect(app.presence.subscribed).toBe(before);
	});
});

describe('last_seen_at', () => {
	const flush = () => app.lastSeen.flush(pace);
	const seen = async (tenant: TestTenant, user: string) =>
		(await query(tenant, 'bob', user))[0]?.last_seen_at;
	const iso = (ms: number) => new Date(ms).toISOString();

	test('is when the last socket went, before it is written and after', async () => {
		const tenant = await app.tenant();
		await group(tenant, 'alice', 'bob');
		const alice = await tenant.listen('alice');
		await flush();
		app.clock.advance(60_000);
		const wentAt = iso(app.clock.now());
		alice.connection.close(1000, '');
		app.clock.advance(5000);
		app.presence.sweep();

		expect(await seen(tenant, 'alice')).toBe(wentAt);
		await flush();
		expect([app.lastSeen.unwritten, await seen(tenant, 'alice')]).toEqual([0, wentAt]);
		const ofAlice = `tenant = ${tenant.itself.tenant} AND user_id = 'alice'`;
		expect(app.rows(`SELECT is_online FROM presences WHERE ${ofAlice}`)).toEqual([
			{ is_online: 0 },
		]);
	});

	test('never goes back, whatever the clock does', async () => {
		const tenant = await app.tenant();
		await group(tenant, 'alice', 'bob');
		(await tenant.listen('alice')).connection.close(1000, '');
		const first = iso(app.clock.now());
		await flush();
		app.clock.jump(-3_600_000);
		(await tenant.listen('alice')).connection.close(1000, '');
		await flush();
		app.clock.advance(5000);
		app.presence.sweep();
		expect(await seen(tenant, 'alice')).toBe(first);
		app.clock.jump(3_600_000);
	});

	test('of who never came is not there, and of nobody that one may not know', async () => {
		const tenant = await app.tenant();
		await group(tenant, 'alice', 'bob');
		(await tenant.listen('mallory')).connection.close(1000, '');
		await flush();
		await passGrace();
		for (const user of ['alice', 'mallory', 'ghost']) {
			expect(await query(tenant, 'bob', user)).toEqual([
				{ user_id: user as UserId, status: 'offline' },
			]);
		}
	});

	test('of who was online as the server was killed is its last sign of life, in the next life too', async () => {
		const tenant = await app.tenant();
		const { tenant: number } = tenant.itself;
		const { tenant_id } = tenant;
		const [alice, bob] = ['alice', 'bob'] as UserId[];
		if (!(alice && bob)) throw new Error('two users');
		const isConnected = () => true;
		const parts = { writer: app.writer, read: app.read, clock: app.clock };
		const life = createLastSeen({ ...parts, isConnected, hasConnections: isConnected });
		const many = ids(...Array.from({ length: 600 }, (_, index) => `user${index}`));
		for (const user_id of [alice, ...many]) {
			life.note({ tenant: number, tenant_id, user_id }, app.clock.now());
		}
		await life.flush(pace);
		app.clock.advance(3_600_000);
		await life.flush(pace);
		const killedAt = app.clock.now();

		app.clock.advance(3_600_000);
		const next = createLastSeen({
			...parts,
			isConnected: (_, user_id) => user_id === bob,
			hasConnections: isConnected,
		});
		expect(await next.find(number, alice)).toBe(killedAt);
		next.note({ tenant: number, tenant_id, user_id: bob }, app.clock.now());
		await next.flush(pace);
		app.clock.advance(60_000);
		await next.flush(pace);

		for (const user_id of [alice, ...many]) {
			expect(await next.find(number, user_id)).toBe(killedAt);
		}
		const marked = `SELECT user_id FROM presences WHERE tenant = ${number} AND is_online = 1`;
		expect(app.rows(marked)).toEqual([{ user_id: 'bob' }]);
		await next.end();
		expect(await next.find(number, bob)).toBe(app.clock.now());
	});

	test('is not written for a tenant that is gone', async () => {
		const isConnected = () => false;
		const life = createLastSeen({
			...{ writer: app.writer, read: app.read, clock: app.clock },
			...{ isConnected, hasConnections: isConnected },
		});
		const gone = { tenant: 999_999 as TenantNo, tenant_id: 'tenant_gone' as TenantId };
		life.note({ ...gone, user_id: 'alice' as UserId }, app.clock.now());
		await life.flush(pace);
		expect(life.unwritten).toBe(0);
		expect(app.rows('SELECT * FROM presences WHERE tenant = 999999')).toEqual([]);
		expect(app.rows('SELECT * FROM presence_heads WHERE tenant = 999999')).toEqual([]);
	});
});
