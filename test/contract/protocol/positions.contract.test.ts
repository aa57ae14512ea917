/** docs/protocol.md, "From the server", what it says of positions. */
import { describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import type { Socket } from '../../helpers/socket.ts';
import { testWith, useTarget } from '../../helpers/target.ts';
import { createGroup, sendMessage, type TestTenant } from '../../helpers/tenants.ts';
import { eventually } from '../../helpers/wait.ts';
import type { MembersPage } from '../../helpers/wire.ts';

const used = useTarget({ LIVE_RECEIPTS_MAX: '3' });

/** The seqs that a socket was told of, by the frame that told them. */
const toldOf = (socket: Socket, type: 'ack.received' | 'read.updated') =>
	socket.all<{ seq: number }>(type).map(({ seq }) => seq);

async function positionsOf(tenant: TestTenant, room_id: string, user: string) {
	const page = await tenant.as(user).get<MembersPage>(`/rooms/${room_id}/members`);
	const own = bodyOf(page, 200).members.find(({ user_id }) => user_id === user);
	return [own?.last_delivered_seq, own?.last_read_seq];
}

async function roomOf(messages: number) {
	const { tenant, who } = await used.stage();
	const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
	for (let n = 0; n < messages; n++) await sendMessage(tenant, who.alice, room_id, `${n}`);
	return { tenant, who, room_id };
}

describe('positions', () => {
	test('of one member are told the first at once, then the latest, at most one frame a second', async () => {
		const count = 12;
		const { tenant, who, room_id } = await roomOf(count);
		const [alice, bob] = [await tenant.socket(who.alice), await tenant.socket(who.bob)];

		const startedAt = performance.now();
		for (let seq = 1; seq <= count; seq++) await bob.request({ type: 'ack', room_id, seq });
		expect(await alice.next('ack.received')).toMatchObject({ seq: 1, user_id: who.bob });
		await eventually(() => toldOf(alice, 'ack.received').at(-1) === count);

		const told = toldOf(alice, 'ack.received');
		const seconds = (performance.now() - startedAt) / 1000;
		expect(told.length).toBeLessThanOrEqual(1 + Math.ceil(seconds));
		expect(told).toEqual([...new Set(told)].toSorted((left, right) => left - right));
		await Promise.all([alice.close(), bob.close()]);
	});

	test('only rise: one that is lower changes nothing, and one above the last message is that message', async () => {
		const { tenant, who, room_id } = await roomOf(3);
		const [alice, bob] = [await tenant.socket(who.alice), await tenant.socket(who.bob)];

		await bob.request({ type: 'ack', room_id, seq: 99 });
		await bob.request({ type: 'ack', room_id, seq: 1 });

		expect(await alice.next('ack.received')).toMatchObject({ seq: 3 });
		expect(await positionsOf(tenant, room_id, who.bob)).toEqual([3, 0]);
		expect(toldOf(alice, 'ack.received')).toEqual([3]);
		await Promise.all([alice.close(), bob.close()]);
	});

	test('read implies delivered', async () => {
		const { tenant, who, room_id } = await roomOf(3);
		const bob = await tenant.socket(who.bob);

		await bob.request({ type: 'read', room_id, seq: 2 });

		expect(await positionsOf(tenant, room_id, who.bob)).toEqual([2, 2]);
		await bob.close();
	});

	test('of who joins are set to the last message', async () => {
		const { tenant, who, room_id } = await roomOf(3);

		await tenant.as(who.alice).post(`/rooms/${room_id}/members`, { members: [who.carol] });

		expect(await positionsOf(tenant, room_id, who.carol)).toEqual([3, 3]);
		const carol = await tenant.socket(who.carol);
		expect(carol.connected.unread_count).toBe(0);
		await carol.close();
	});

	testWith(
		'own server',
		'above LIVE_RECEIPTS_MAX are told to the user’s own sockets only',
		async () => {
			const { tenant, who, room_id } = await roomOf(1);
			const members = [who.carol, who.mallory];
			await tenant.as(who.alice).post(`/rooms/${room_id}/members`, { members });
			const [alice, bob] = [await tenant.socket(who.alice), await tenant.socket(who.bob)];

			await bob.request({ type: 'read', room_id, seq: 1 });
			await Promise.all([alice.settle(), bob.settle()]);

			expect(toldOf(bob, 'read.updated')).toEqual([1]);
			expect(toldOf(alice, 'read.updated')).toEqual([]);
			await Promise.all([alice.close(), bob.close()]);
		},
	);
});
