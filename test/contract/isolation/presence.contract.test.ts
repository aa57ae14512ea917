/**
 * Presence between two tenants that hold the same user ids in rooms of the same numbers: what one has
 * online, tells or remembers is nothing to the other.
 */
import { expect, test } from 'bun:test';
import type { Socket } from '../../helpers/socket.ts';
import { createGroup, createTenant } from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import { eventually } from '../../helpers/wait.ts';

const used = useServer({ LIVE_RECEIPTS_MAX: '3' });

interface Told {
	user_id: string;
	status: string;
	last_seen_at?: string;
}

const heardBy = (socket: Socket) =>
	socket.all<Told>('presence.update').map(({ user_id, status }) => `${user_id} ${status}`);

async function untilTold(socket: Socket, told: string): Promise<void> {
	await eventually(async () => {
		await socket.settle();
		return heardBy(socket).includes(told);
	}, 15_000);
}

async function query(socket: Socket, ...user_ids: string[]): Promise<Told[]> {
	const reply = await socket.request<{ data: { presences: Told[] } }>({
		type: 'presence.query',
		user_ids,
	});
	return reply.data.presences;
}

test('of the same users in rooms of the same numbers stays with each tenant', async () => {
	const [foreign, own] = [await createTenant(used.server), await createTenant(used.server)];
	// Room 1: bob and carol here, alice and bob there. Room 2: the other way round, so that any mixture of
	// the two has bob and alice together, or too many members.
	await createGroup(foreign, 'alice', ['bob']);
	await createGroup(foreign, 'carol', ['dora', 'erik', 'fred']);
	await createGroup(own, 'bob', ['carol']);
	await createGroup(own, 'alice', ['dora']);
	const bob = await own.socket('bob');
	const theirs = await foreign.socket('bob');
	await bob.request({ type: 'presence.subscribe', user_ids: ['alice'] });

	const stranger = await foreign.socket('alice');
	await untilTold(theirs, 'alice online');
	const namesake = await own.socket('alice');
	const carol = await own.socket('carol');
	await untilTold(bob, 'carol online');
	expect(heardBy(bob)).toEqual(['carol online']);
	expect(heardBy(theirs)).toEqual(['alice online']);
	// With carol in a room of the same number over there, and with bob.
	await namesake.settle();
	expect(heardBy(namesake)).toEqual([]);
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
	await createGroup(foreign, 'bob', ['carol']);
	expect(await query(theirs, 'carol')).toEqual([{ user_id: 'carol', status: 'offline' }]);
	await Promise.all([bob, theirs].map((socket) => socket.close()));
}, 40_000);
