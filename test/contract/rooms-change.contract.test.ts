import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { typesOf } from '../helpers/socket.ts';
import { createGroup, createTenant, sendMessage } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Room, RoomsPage } from '../helpers/wire.ts';

const used = useServer();

describe('PATCH /rooms/{room_id}', () => {
	test('merges: what is given replaces, null removes, what is absent stays', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', [], {
			name: 'Old',
			metadata: { keep: 1, drop: 2, nested: { keep: 3, drop: 4 } },
		});
		const path = `/rooms/${room_id}`;

		const patched = await tenant.as('alice').patch<Room>(path, {
			metadata: { drop: null, added: [5], nested: { drop: null } },
		});
		const renamed = await tenant.as('alice').patch<Room>(path, { name: 'New' });
		const unnamed = await tenant.as('alice').patch<Room>(path, { name: null });

		const metadata = { keep: 1, added: [5], nested: { keep: 3 } };
		expect(bodyOf(patched, 200)).toMatchObject({ name: 'Old' });
		expect(bodyOf(patched, 200).metadata).toEqual(metadata);
		expect(bodyOf(renamed, 200).name).toBe('New');
		expect(bodyOf(renamed, 200).metadata).toEqual(metadata);
		expect(bodyOf(unnamed, 200).name).toBeNull();
		expect(bodyOf(await tenant.as('alice').get<Room>(path), 200).metadata).toEqual(metadata);
	});

	test('is told to the members once, as the room is now', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob'], { name: 'Old' });
		const bob = await tenant.socket('bob');
		const stranger = await tenant.socket('mallory');

		await tenant.as('alice').patch(`/rooms/${room_id}`, { name: 'New' });
		await Promise.all([bob.settle(), stranger.settle()]);

		expect(bob.all('room.updated')).toHaveLength(1);
		expect(bob.all('room.updated')[0]).toMatchObject({ room: { room_id, name: 'New' } });
		expect(bob.all('room.updated')[0]?.cursor).toMatch(/^[0-9a-v]{16}$/);
		expect(typesOf(stranger)).toEqual(['connected', 'pong']);
		await Promise.all([bob.close(), stranger.close()]);
	});

	test('takes a merge patch by its own media type', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const answer = await tenant.as('alice').call<Room>('PATCH', `/rooms/${room_id}`, {
			raw: '{"name":"Merged"}',
			headers: { 'Content-Type': 'application/merge-patch+json' },
		});

		expect(bodyOf(answer, 200).name).toBe('Merged');
	});

	for (const [claim, body, field] of [
		['an unknown field', { title: 'x' }, 'title'],
		['the type', { type: 'channel' }, 'type'],
		['the head', { last_seq: 9 }, 'last_seq'],
		['an empty name', { name: '' }, 'name'],
	] as const) {
		test(`refuses ${claim} by name, and changes nothing`, async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice', [], { name: 'Old' });
			const answer = await tenant.as('alice').patch(`/rooms/${room_id}`, { ...body });

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
			const room = bodyOf(await tenant.as('alice').get<Room>(`/rooms/${room_id}`), 200);
			expect(room).toMatchObject({ name: 'Old', type: 'group', last_seq: 0 });
		});
	}

	test('is for admins and up, and for the tenant; others are told which role it takes', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'owner', ['admin', 'moderator', 'member']);
		const path = `/rooms/${room_id}`;
		for (const role of ['admin', 'moderator']) {
			bodyOf(await tenant.as('owner').put(`${path}/members/${role}`, { role }), 200);
		}

		for (const [user, status] of [
			['owner', 200],
			['admin', 200],
			['moderator', 403],
			['member', 403],
			['stranger', 404],
			[undefined, 200],
		] as const) {
			const answer = await tenant.as(user).patch(path, { name: 'New' });

			expect({ user, status: answer.status }).toEqual({ user, status });
			if (status === 403) {
				expect(errorOf(answer)).toMatchObject({ code: 'AUTHORIZATION_ERROR' });
				expect(errorOf(answer).message).toContain('admin');
			}
		}
	});
});

describe('DELETE /rooms/{room_id}', () => {
	test('is for the owner and the tenant only', async () => {
		const tenant = await createTenant(used.server);
		for (const [user, status] of [
			['admin', 403],
			['member', 403],
			['stranger', 404],
			['owner', 200],
			[undefined, 200],
		] as const) {
			const { room_id } = await createGroup(tenant, 'owner', ['admin', 'member']);
			await tenant.as('owner').put(`/rooms/${room_id}/members/admin`, { role: 'admin' });

			const answer = await tenant.as(user).delete(`/rooms/${room_id}`);

			const isGone = (await tenant.as('owner').get(`/rooms/${room_id}`)).status === 404;
			expect({ user, status: answer.status, isGone }).toEqual({
				user,
				status,
				isGone: status === 200,
			});
		}
	});

	test('makes the room not exist: for reads, writes, lists, and a second delete', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await sendMessage(tenant, 'alice', room_id);
		const alice = tenant.as('alice');

		await alice.delete(`/rooms/${room_id}`);

		for (const answer of [
			await alice.get(`/rooms/${room_id}`),
			await tenant.as().get(`/rooms/${room_id}`),
			await alice.get(`/rooms/${room_id}/messages`),
			await tenant.as().get(`/rooms/${room_id}/messages`),
			await alice.get(`/rooms/${room_id}/members`),
			await alice.post(`/rooms/${room_id}/messages`, { content: 'x' }),
			await tenant.as().post(`/rooms/${room_id}/messages`, { content: 'x' }),
			await alice.post('/acks', { room_id, seq: 1 }),
			await alice.post(`/rooms/${room_id}/read`, { seq: 1 }),
			await alice.patch(`/rooms/${room_id}`, { name: 'x' }),
			await alice.delete(`/rooms/${room_id}`),
		]) {
			expect({ status: answer.status, code: errorOf(answer).code }).toEqual({
				status: 404,
				code: 'NOT_FOUND',
			});
		}
		const { rooms } = bodyOf(await tenant.as('bob').get<RoomsPage>('/rooms'), 200);
		expect(rooms).toEqual([]);
	});

	test('is told to the members once, and nobody else', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		const [alice, bob, stranger] = await Promise.all([
			tenant.socket('alice'),
			tenant.socket('bob'),
			tenant.socket('mallory'),
		]);

		await tenant.as('alice').delete(`/rooms/${room_id}`);
		await Promise.all([alice.settle(), bob.settle(), stranger.settle()]);

		for (const socket of [alice, bob]) {
			const told = socket.frames.filter(({ type }) => type !== 'connected' && type !== 'pong');
			expect(told).toHaveLength(1);
			expect(told[0]).toMatchObject({ type: 'room.deleted', room_id });
		}
		expect(stranger.all('room.deleted')).toEqual([]);
		await Promise.all([alice.close(), bob.close(), stranger.close()]);
	});

	test('lets a pair have a new dm, with nothing of the old one', async () => {
		const tenant = await createTenant(used.server);
		const body = { type: 'dm', members: ['alice', 'bob'] };
		const first = bodyOf(await tenant.as('alice').post<Room>('/rooms', body), 201);
		await sendMessage(tenant, 'alice', first.room_id, 'old');

		bodyOf(await tenant.as().delete(`/rooms/${first.room_id}`), 200);
		const second = bodyOf(await tenant.as('alice').post<Room>('/rooms', body), 201);

		expect(second.room_id).not.toBe(first.room_id);
		expect(second.last_seq).toBe(0);
	});

	test('a dm is not for its members to delete', async () => {
		const tenant = await createTenant(used.server);
		const body = { type: 'dm', members: ['alice', 'bob'] };
		const { room_id } = bodyOf(await tenant.as('alice').post<Room>('/rooms', body), 201);

		expect((await tenant.as('alice').delete(`/rooms/${room_id}`)).status).toBe(403);
		expect((await tenant.as('bob').get(`/rooms/${room_id}`)).status).toBe(200);
	});
});
