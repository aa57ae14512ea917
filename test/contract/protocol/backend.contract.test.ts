/** docs/protocol.md, "Backend sockets": one socket that is told of all that happens in a tenant. */
import { expect } from 'bun:test';
import { backendOf, logOf, storedOf } from '../../helpers/backends.ts';
import { bodyOf } from '../../helpers/http.ts';
import { testWith, useTarget } from '../../helpers/target.ts';
import { createGroup, sendMessage } from '../../helpers/tenants.ts';

const used = useTarget();

testWith(
	'operator',
	'a backend socket is told of everything in its tenant, once, and resumes',
	async () => {
		const { tenant, who } = await used.stage();
		const backend = await backendOf(tenant, used.server);
		const { room_id } = await createGroup(tenant, who.alice, [who.bob]);
		await sendMessage(tenant, who.bob, room_id, 'one');
		await backend.settle();
		const { cursor } = backend.connected;
		await backend.close();
		await sendMessage(tenant, who.alice, room_id, 'two');
		bodyOf(await tenant.as(who.alice).delete(`/rooms/${room_id}`), 200);

		const seen = storedOf(backend);
		const again = await backendOf(tenant, used.server, seen.at(-1)?.cursor);
		await again.next('replay.done');

		expect(backend.connected).toMatchObject({ user_id: null, unread_count: 0, resumed: false });
		expect(seen.map(({ type }) => type)).toEqual(['room.created', 'message']);
		expect(storedOf(again).map(({ type }) => type)).toEqual(['message', 'room.deleted']);
		expect([...seen, ...storedOf(again)]).toEqual(await logOf(tenant, cursor));
		await again.close();
	},
);

testWith(
	'operator',
	'a backend socket sends as the tenant, and nothing that is a user’s',
	async () => {
		const { tenant, who } = await used.stage();
		const { room_id } = await createGroup(tenant, who.alice);
		const backend = await backendOf(tenant, used.server);

		const sent = await backend.request({ type: 'send_message', room_id, content: 'from us' });
		const refused = await backend.request({ type: 'ack', room_id, seq: 1 });

		expect(sent).toMatchObject({ type: 'reply', data: { kind: 'system', sender_id: null } });
		expect(refused).toMatchObject({ code: 'VALIDATION_ERROR', field: 'X-User-Id' });
		await backend.close();
	},
);
