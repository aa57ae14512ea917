/** docs/protocol.md, "Presence". */
import { describe, expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { heardBy, openAll, queryPresence, type Told, untilTold } from '../../helpers/presence.ts';
import type { Socket } from '../../helpers/socket.ts';
import { testWith, useTarget } from '../../helpers/target.ts';
import { createGroup } from '../../helpers/tenants.ts';
import { eventually } from '../../helpers/wait.ts';

const used = useTarget({ LIVE_RECEIPTS_MAX: '3' });

describe('presence', () => {
	test('is told to who shares rooms, once each, and to nobody else; offline 5 seconds after the last socket', async () => {
		const { tenant, who } = await used.stage();
		for (let count = 0; count < 3; count++) await createGroup(tenant, who.alice, [who.bob]);
		const [bob, mallory] = (await openAll(tenant, who.bob, who.mallory)) as [Socket, Socket];
		const [one, two] = (await openAll(tenant, who.alice, who.alice)) as [Socket, Socket];
		await untilTold(bob, `${who.alice} online`);
		await one.close();
		const before = Date.now();
		await two.close();
		const goneAt = performance.now();
		await untilTold(bob, `${who.alice} offline`);

		expect(performance.now() - goneAt).toBeGreaterThan(4900);
		expect(heardBy(bob)).toEqual([`${who.alice} online`, `${who.alice} offline`]);
		const { last_seen_at } = bob.all<Told>('presence.update')[1] as Told;
		const seenAt = Date.parse(String(last_seen_at));
		expect(seenAt).toBeGreaterThanOrEqual(before - 100);
		expect(seenAt).toBeLessThan(before + 3000);
		expect(await queryPresence(bob, who.alice)).toEqual([
			{ user_id: who.alice, status: 'offline', last_seen_at: String(last_seen_at) },
		]);
		await mallory.settle();
		expect(heardBy(mallory)).toEqual([]);
		await Promise.all([bob, mallory].map((socket) => socket.close()));
	}, 30_000);

	test('does not change for who comes back within 5 seconds', async () => {
		const { tenant, who } = await used.stage();
		await createGroup(tenant, who.alice, [who.bob, who.carol]);
		const [bob, alice] = (await openAll(tenant, who.bob, who.alice)) as [Socket, Socket];
		await untilTold(bob, `${who.alice} online`);
		await alice.close();
		expect(await queryPresence(bob, who.alice)).toEqual([{ user_id: who.alice, status: 'online' }]);
		const again = await tenant.socket(who.alice);
		const carol = await tenant.socket(who.carol);
		await untilTold(bob, `${who.carol} online`);
		await carol.close();
		// Who went after alice came back is told of: so would she have been.
		await untilTold(bob, `${who.carol} offline`);

		expect(heardBy(bob)).toEqual([
			`${who.alice} online`,
			`${who.carol} online`,
			`${who.carol} offline`,
		]);
		await Promise.all([bob, again].map((socket) => socket.close()));
	}, 30_000);

	testWith(
		'operator',
		'of nobody that shares no room is shown: as of who does not exist, to the byte',
		async () => {
			const { tenant, who } = await used.stage();
			const { tenant: other } = await used.stage();
			const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
			await createGroup(other, 'zoe', [who.bob, room_id]);
			const sockets = await openAll(tenant, who.bob, who.mallory, room_id);
			const [bob] = sockets as [Socket];
			const strangers = await openAll(other, 'zoe', who.bob, room_id);
			const seen = new Set<string>();
			for (const user of [who.mallory, 'zoe', 'ghost', room_id]) {
				for (const type of ['presence.query', 'presence.subscribe']) {
					const reply = await bob.request({ type, user_ids: [user] });
					seen.add(JSON.stringify(reply.data).replaceAll(user, 'user'));
				}
			}

			expect([...seen]).toEqual(['{"presences":[{"user_id":"user","status":"offline"}]}']);
			const alice = await tenant.socket(who.alice);
			await untilTold(bob, `${who.alice} online`);
			expect(heardBy(bob)).toEqual([`${who.alice} online`]);
			await Promise.all([...sockets, ...strangers, alice].map((socket) => socket.close()));
		},
		30_000,
	);

	testWith(
		'own server',
		'in a large room is told to who subscribes, until the last shared room is left',
		async () => {
			const { tenant, who } = await used.stage();
			const dora = `${who.carol}-dora`;
			const { room_id } = await createGroup(tenant, who.alice, [who.bob, who.carol, dora]);
			const { room_id: small } = await createGroup(tenant, dora, [who.bob]);
			const [bob, carol] = (await openAll(tenant, who.bob, who.carol)) as [Socket, Socket];
			expect(
				await bob.request({ type: 'presence.subscribe', user_ids: [who.alice] }),
			).toMatchObject({
				data: { presences: [{ user_id: who.alice, status: 'offline' }] },
			});
			const alice = await tenant.socket(who.alice);
			await untilTold(bob, `${who.alice} online`);
			expect(heardBy(carol)).toEqual([]);
			bodyOf(
				await tenant.as(who.alice).call('DELETE', `/rooms/${room_id}/members/${who.bob}`),
				200,
			);
			await alice.close();
			const doras = await tenant.socket(dora);
			await eventually(async () => {
				const [alice] = await queryPresence(carol, who.alice);
				return alice?.status === 'offline';
			}, 12_000);
			await untilTold(bob, `${dora} online`);
			await doras.close();
			// Told of after alice, who went first.
			await untilTold(bob, `${dora} offline`);

			expect(heardBy(bob)).toEqual([`${who.alice} online`, `${dora} online`, `${dora} offline`]);
			expect(await queryPresence(bob, who.alice)).toEqual([
				{ user_id: who.alice, status: 'offline' },
			]);
			expect(small).not.toBe(room_id);
			await Promise.all([bob, carol].map((socket) => socket.close()));
		},
		40_000,
	);

	test('of who is deactivated or revoked ends as that of anybody whose sockets close', async () => {
		const { tenant, who } = await used.stage();
		await createGroup(tenant, who.alice, [who.bob, who.carol]);
		const [bob, alice, carol] = (await openAll(tenant, who.bob, who.alice, who.carol)) as Socket[];
		if (!(bob && alice && carol)) throw new Error('three sockets');
		await untilTold(bob, `${who.alice} online`);
		await untilTold(bob, `${who.carol} online`);
		bodyOf(await tenant.as().post(`/users/${who.alice}/deactivate`, {}), 200);
		bodyOf(await tenant.as().post(`/users/${who.carol}/revoke`, {}), 200);
		expect(await alice.closed).toMatchObject({ code: 4507 });
		expect(await carol.closed).toMatchObject({ code: 4501 });

		await untilTold(bob, `${who.alice} offline`);
		await untilTold(bob, `${who.carol} offline`);
		await bob.close();
	}, 30_000);
});
