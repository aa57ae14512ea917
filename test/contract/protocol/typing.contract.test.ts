import { describe, expect, test } from 'bun:test';
import type { Socket } from '../../helpers/socket.ts';
import { testWith, useTarget } from '../../helpers/target.ts';
import { createGroup } from '../../helpers/tenants.ts';

const used = useTarget({ LIVE_RECEIPTS_MAX: '2' });

const heardBy = (socket: Socket) =>
	socket.all<{ user_id: string; action: string }>('typing').map(({ type: _, ...told }) => told);

describe('typing', () => {
	test('is told to the members while it lasts, once for many, and to nobody else', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const [alice, bob, mallory] = await Promise.all(
			[who.alice, who.bob, who.mallory].map((user) => tenant.socket(user)),
		);
		if (!(alice && bob && mallory)) throw new Error('three sockets');

		for (let key = 0; key < 5; key++) {
			expect(await alice.request({ type: 'typing.start', room_id })).toMatchObject({
				type: 'reply',
				data: { success: true },
			});
		}
		await alice.request({ type: 'typing.stop', room_id });
		await alice.request({ type: 'typing.stop', room_id });
		await Promise.all([alice, bob, mallory].map((socket) => socket.settle()));

		const told = [
			{ room_id, user_id: who.alice, action: 'start' },
			{ room_id, user_id: who.alice, action: 'stop' },
		];
		expect(heardBy(alice)).toEqual(told);
		expect(heardBy(bob)).toEqual(told);
		expect(heardBy(mallory)).toEqual([]);
		await Promise.all([alice, bob, mallory].map((socket) => socket.close()));
	});

	testWith(
		'own server',
		'in a room above LIVE_RECEIPTS_MAX is told to the user’s own sockets only',
		async () => {
			const { tenant, who } = await used.stage();
			const { room_id } = await createGroup(tenant, who.alice, [who.bob, who.carol]);
			const [one, other, bob] = await Promise.all(
				[who.alice, who.alice, who.bob].map((user) => tenant.socket(user)),
			);
			if (!(one && other && bob)) throw new Error('three sockets');

			await one.request({ type: 'typing.start', room_id });
			await Promise.all([one, other, bob].map((socket) => socket.settle()));

			const told = [{ room_id, user_id: who.alice, action: 'start' }];
			expect([heardBy(one), heardBy(other), heardBy(bob)]).toEqual([told, told, []]);
			await Promise.all([one, other, bob].map((socket) => socket.close()));
		},
	);

	test('ends by itself, and begins again when it is said again', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const [alice, bob] = await Promise.all([tenant.socket(who.alice), tenant.socket(who.bob)]);
		await alice.request({ type: 'typing.start', room_id });
		expect(await bob.next('typing')).toMatchObject({ action: 'start' });
		expect(await bob.next('typing', 12_000)).toMatchObject({ action: 'stop' });
		await alice.request({ type: 'typing.start', room_id });
		expect(await bob.next('typing')).toMatchObject({ action: 'start' });
		await Promise.all([alice.close(), bob.close()]);
	}, 20_000);

	test('is stored nowhere: who resumes hears nothing of it', async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		const [alice, bob] = await Promise.all([tenant.socket(who.alice), tenant.socket(who.bob)]);
		await alice.request({ type: 'typing.start', room_id });
		const again = await tenant.socket(who.bob, {
			query: `cursor=${bob.connected.cursor}`,
		});
		expect(await again.next('replay.done')).toMatchObject({ count: 0 });
		expect(heardBy(again)).toEqual([]);
		await Promise.all([alice, bob, again].map((socket) => socket.close()));
	});

	testWith('operator', 'in a room that is none, or not one’s own, is NOT_FOUND alike', async () => {
		const [{ tenant, who }, { tenant: other }] = [await used.stage(), await used.stage()];
		const { room_id } = await createGroup(other, who.alice, [who.mallory]);
		const mallory = await tenant.socket(who.mallory);
		for (const type of ['typing.start', 'typing.stop']) {
			const foreign = await mallory.request({ type, room_id });
			const missing = await mallory.request({ type, room_id: 'room_00000000000000000000000000' });
			for (const answer of [foreign, missing]) {
				expect(answer).toMatchObject({ code: 'NOT_FOUND', message: 'Room not found' });
			}
		}
		await mallory.close();
	});
});
