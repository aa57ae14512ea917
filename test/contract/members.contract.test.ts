import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { Member, MembersPage, Room, RoomsPage } from '../helpers/wire.ts';

const used = useServer();

interface Added {
	members: Member[];
	added: number;
}

describe('GET /rooms/{room_id}/members', () => {
	test('gives members and the tenant who is there, with roles and positions', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await sendMessage(tenant, 'alice', room_id);
		await sendMessage(tenant, 'alice', room_id);
		await tenant.as('bob').post('/acks', { room_id, seq: 2 });
		await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 1 });

		for (const user of ['alice', 'bob', undefined]) {
			const members = await membersOf(tenant, user, room_id);
			expect(members.find(({ user_id }) => user_id === 'bob')).toMatchObject({
				role: 'member',
				last_read_seq: 1,
				last_delivered_seq: 2,
			});
			expect(members).toHaveLength(2);
		}
		expect((await tenant.as('mallory').get(`/rooms/${room_id}/members`)).status).toBe(404);
	});

	test('gives each member once over its pages', async () => {
		const tenant = await createTenant(used.server);
		const others = ['b', 'a:1', 'Z', 'a', '_x', 'b|2'];
		const { room_id } = await createGroup(tenant, 'alice', others);
		const seen: string[] = [];
		let cursor: string | null = null;
		do {
			const rest: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
			const path = `/rooms/${room_id}/members?limit=2${rest}`;
			const page: MembersPage = bodyOf(await tenant.as('alice').get<MembersPage>(path), 200);
			expect(page.members.length).toBeLessThanOrEqual(2);
			seen.push(...page.members.map(({ user_id }) => user_id));
			cursor = page.next_cursor;
		} while (cursor !== null && seen.length < 100);

		expect(seen.sort()).toEqual(['alice', ...others].sort());
	});
});

describe('POST /rooms/{room_id}/members', () => {
	test('adds several at once, and leaves those who are there as they are', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await tenant.as('alice').put(`/rooms/${room_id}/members/bob`, { role: 'admin' });

		const answer = await add(tenant, 'alice', room_id, ['bob', 'carol', 'dave', 'carol']);

		expect(bodyOf(answer, 200, 201).added).toBe(2);
		const roles = (await membersOf(tenant, 'carol', room_id)).map((each) => [
			each.user_id,
			each.role,
		]);
		expect(roles.sort()).toEqual([
			['alice', 'owner'],
			['bob', 'admin'],
			['carol', 'member'],
			['dave', 'member'],
		]);
		const room = bodyOf(await tenant.as('dave').get<Room>(`/rooms/${room_id}`), 200);
		expect(room.member_count).toBe(4);
	});

	test('a member who joins has read all there is, sees it, and counts what comes after', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		await sendMessage(tenant, 'alice', room_id, 'before');

		await add(tenant, 'alice', room_id, ['bob']);
		const atFirst = bodyOf(await tenant.as('bob').get<Room>(`/rooms/${room_id}`), 200);
		await sendMessage(tenant, 'alice', room_id, 'after');
		const then = bodyOf(await tenant.as('bob').get<Room>(`/rooms/${room_id}`), 200);

		expect(atFirst).toMatchObject({ unread_count: 0, last_read_seq: 1 });
		expect(then).toMatchObject({ unread_count: 1, last_read_seq: 1 });
		const history = await tenant.as('bob').get(`/rooms/${room_id}/messages`);
		expect(history.text).toContain('before');
	});

	test('adding a user who left makes a member again, who has read all there is', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await tenant.as('bob').delete(`/rooms/${room_id}/members/bob`);
		await sendMessage(tenant, 'alice', room_id);

		expect((await tenant.as('bob').get(`/rooms/${room_id}`)).status).toBe(404);
		expect(bodyOf(await add(tenant, 'alice', room_id, ['bob']), 200, 201).added).toBe(1);
		const room = bodyOf(await tenant.as('bob').get<Room>(`/rooms/${room_id}`), 200);
		expect(room).toMatchObject({ unread_count: 0, last_read_seq: 1, member_count: 2 });
	});

	for (const [claim, body, field] of [
		['nobody', { members: [] }, 'members'],
		['no members at all', {}, 'members'],
		[
			'more than a thousand',
			{ members: Array.from({ length: 1001 }, (_, i) => `u${i}`) },
			'members',
		],
		['what is no user id', { members: ['ok', 'not ok'] }, '/members/1'],
		['an unknown role', { members: ['bob'], role: 'boss' }, 'role'],
		['an unknown field', { members: ['bob'], users: [] }, 'users'],
	] as const) {
		test(`refuses ${claim} by name, and adds nobody`, async () => {
			const tenant = await createTenant(used.server);
			const { room_id } = await createGroup(tenant, 'alice');
			const answer = await tenant.as('alice').post(`/rooms/${room_id}/members`, { ...body });

			expect(answer.status).toBe(400);
			expect(errorOf(answer)).toMatchObject({ code: 'VALIDATION_ERROR', field });
			expect(await membersOf(tenant, 'alice', room_id)).toHaveLength(1);
		});
	}

	test('adds a thousand in one request', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const many = Array.from({ length: 1000 }, (_, index) => `user-${index}`);

		expect(bodyOf(await add(tenant, 'alice', room_id, many), 200, 201).added).toBe(1000);
		const room = bodyOf(await tenant.as('user-999').get<Room>(`/rooms/${room_id}`), 200);
		expect(room.member_count).toBe(1001);
	});
});

describe('leaving', () => {
	test('the last owner who leaves is followed by the oldest of the highest role', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'owner');
		// In this order: the heir is neither the oldest member nor the first by name.
		for (const user of ['plain', 'z-admin', 'a-admin']) await add(tenant, 'owner', room_id, [user]);
		for (const user of ['a-admin', 'z-admin']) {
			await tenant.as('owner').put(`/rooms/${room_id}/members/${user}`, { role: 'admin' });
		}
		const witness = await tenant.socket('plain');

		const left = await tenant.as('owner').delete(`/rooms/${room_id}/members/owner`);
		await witness.settle();

		expect(left.status).toBe(200);
		const roles = (await membersOf(tenant, 'plain', room_id)).map((each) => [
			each.user_id,
			each.role,
		]);
		expect(roles.sort()).toEqual([
			['a-admin', 'admin'],
			['plain', 'member'],
			['z-admin', 'owner'],
		]);
		expect(witness.all('member.removed')).toMatchObject([{ room_id, user_id: 'owner' }]);
		expect(witness.all('member.updated')).toMatchObject([
			{ room_id, user_id: 'z-admin', role: 'owner' },
		]);
		await witness.close();
	});

	test('the last member who leaves takes the room along', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);

		await tenant.as('alice').delete(`/rooms/${room_id}/members/alice`);
		expect((await tenant.as().get(`/rooms/${room_id}`)).status).toBe(200);
		await tenant.as('bob').delete(`/rooms/${room_id}/members/bob`);

		expect((await tenant.as().get(`/rooms/${room_id}`)).status).toBe(404);
		expect((await tenant.as('bob').get(`/rooms/${room_id}`)).status).toBe(404);
	});

	test('is for everybody; a second time the room does not exist', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);

		expect((await tenant.as('bob').delete(`/rooms/${room_id}/members/bob`)).status).toBe(200);
		expect((await tenant.as('bob').delete(`/rooms/${room_id}/members/bob`)).status).toBe(404);
		expect(await membersOf(tenant, 'alice', room_id)).toHaveLength(1);
	});
});

test('a user id with every character it may have is found in a path', async () => {
	const tenant = await createTenant(used.server);
	const user = 'a.b_c:d@e|f-G9';
	const { room_id } = await createGroup(tenant, 'alice', [user]);
	const path = `/rooms/${room_id}/members/${encodeURIComponent(user)}`;

	const changed = await tenant.as('alice').put<Member>(path, { role: 'admin' });
	const left = await tenant.as(user).delete(path);

	expect(bodyOf(changed, 200)).toMatchObject({ user_id: user, role: 'admin' });
	expect(left.status).toBe(200);
	expect(await membersOf(tenant, 'alice', room_id)).toHaveLength(1);
});

describe('the members of a dm', () => {
	async function openDm(tenant: TestTenant) {
		const body = { type: 'dm', members: ['alice', 'bob'] };
		return bodyOf(await tenant.as('alice').post<Room>('/rooms', body), 201).room_id;
	}

	test('are fixed, for its members and for the tenant', async () => {
		const tenant = await createTenant(used.server);
		const room_id = await openDm(tenant);
		const path = `/rooms/${room_id}/members`;

		for (const answer of [
			await tenant.as('alice').post(path, { members: ['carol'] }),
			await tenant.as().post(path, { members: ['carol'] }),
			await tenant.as('alice').put(`${path}/bob`, { role: 'admin' }),
			await tenant.as().put(`${path}/bob`, { role: 'admin' }),
			await tenant.as('alice').delete(`${path}/bob`),
			await tenant.as().delete(`${path}/bob`),
		]) {
			expect({ status: answer.status, code: errorOf(answer).code }).toEqual({
				status: 409,
				code: 'CONFLICT',
			});
		}
		expect(await membersOf(tenant, 'bob', room_id)).toHaveLength(2);
		expect((await tenant.as('carol').get(`/rooms/${room_id}`)).status).toBe(404);
	});

	test('hide it by leaving; the other one notices nothing, and a message brings it back', async () => {
		const tenant = await createTenant(used.server);
		const room_id = await openDm(tenant);
		const roomsOf = async (user: string) =>
			bodyOf(await tenant.as(user).get<RoomsPage>('/rooms'), 200).rooms.map((room) => room.room_id);
		const bob = await tenant.socket('bob');

		const left = await tenant.as('alice').delete(`/rooms/${room_id}/members/alice`);
		await bob.settle();

		expect(left.status).toBe(200);
		expect(await roomsOf('alice')).toEqual([]);
		expect(await roomsOf('bob')).toEqual([room_id]);
		expect(bob.all('member.removed')).toEqual([]);
		await sendMessage(tenant, 'bob', room_id);
		expect(await roomsOf('alice')).toEqual([room_id]);
		await bob.close();
	});
});

const add = (tenant: TestTenant, user: string | undefined, room_id: string, members: string[]) =>
	tenant.as(user).post<Added>(`/rooms/${room_id}/members`, { members });

async function membersOf(tenant: TestTenant, user: string | undefined, room_id: string) {
	const answer = await tenant.as(user).get<MembersPage>(`/rooms/${room_id}/members?limit=100`);
	return bodyOf(answer, 200).members;
}
