/** What a user may read over REST is read by a frame too: the same operation, so the same answer. */
import { expect, test } from 'bun:test';
import { useTarget } from '../../helpers/target.ts';
import { createGroup, sendMessage } from '../../helpers/tenants.ts';

const used = useTarget();

test('a frame reads what its REST route reads, page by page', async () => {
	const { tenant, who } = await used.stage();
	const { room_id } = await createGroup(tenant, who.alice, [who.bob, who.carol]);
	await createGroup(tenant, who.alice);
	for (let count = 0; count < 5; count++) await sendMessage(tenant, who.bob, room_id, `n${count}`);
	const socket = await tenant.socket(who.alice);
	const room = `/rooms/${room_id}`;

	for (const [type, fields, path] of [
		['rooms.list', {}, '/rooms'],
		['rooms.list', { limit: 1 }, '/rooms?limit=1'],
		['rooms.get', { room_id }, room],
		['members.list', { room_id, limit: 2 }, `${room}/members?limit=2`],
		['members.list', { room_id, cursor: who.bob }, `${room}/members?cursor=${who.bob}`],
		['messages.list', { room_id }, `${room}/messages`],
		['messages.list', { room_id, after_seq: 1, limit: 2 }, `${room}/messages?after_seq=1&limit=2`],
		['messages.list', { room_id, before_seq: 3 }, `${room}/messages?before_seq=3`],
	] as const) {
		const reply = await socket.request({ type, ...fields });
		const answer = await tenant.as(who.alice).get(path);

		expect(answer.status).toBe(200);
		expect({ type, data: reply.data }).toEqual({ type, data: answer.body });
	}
	await socket.close();
});

test('a frame with what is no field of the operation is refused by name', async () => {
	const { tenant, who } = await used.stage();
	const { room_id } = await createGroup(tenant, who.alice);
	const socket = await tenant.socket(who.alice);

	for (const [frame, field] of [
		[{ type: 'rooms.list', limit: 0 }, 'limit'],
		[{ type: 'rooms.list', limit: '5' }, 'limit'],
		[{ type: 'messages.list', room_id, after: 1 }, 'after'],
		[{ type: 'messages.list' }, 'room_id'],
		[{ type: 'members.list', room_id: 'all' }, 'room_id'],
	] as const) {
		const error = await socket.request(frame);

		expect(error).toMatchObject({ type: 'error', code: 'VALIDATION_ERROR', field });
	}
	await socket.close();
});
