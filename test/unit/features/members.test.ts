import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { RoomId } from '../../../src/core/ids.ts';
import { type App, ids, openApp, type TestTenant } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

const add = (tenant: TestTenant, room_id: RoomId, user: string, role = 'member') => {
	app.clock.advance(1000);
	return app.members.add(tenant.itself, {
		room_id,
		members: ids(user),
		role: role as 'member',
	});
};

const leave = (tenant: TestTenant, room_id: RoomId, user: string) =>
	app.members.remove(tenant.as(user), { room_id, user_id: tenant.as(user).user_id });

const ownersOf = async (tenant: TestTenant, room_id: RoomId): Promise<string[]> => {
	const { members } = await app.members.list(tenant.itself, { room_id });
	return members.filter(({ role }) => role === 'owner').map(({ user_id }) => user_id);
};

const groupOf = async (owner: string) => {
	const tenant = await app.tenant();
	const { room_id } = await app.rooms.create(tenant.as(owner), { type: 'group' });
	return { tenant, room_id };
};

describe('when the last owner leaves', () => {
	test('the one who is in longest becomes the owner, whatever the names are', async () => {
		const { tenant, room_id } = await groupOf('owner');
		for (const user of ['zoe', 'ann', 'bob']) await add(tenant, room_id, user);

		await leave(tenant, room_id, 'owner');

		expect(await ownersOf(tenant, room_id)).toEqual(['zoe']);
	});

	test('a higher role goes before a longer time', async () => {
		const { tenant, room_id } = await groupOf('owner');
		await add(tenant, room_id, 'ann');
		await add(tenant, room_id, 'mod', 'moderator');
		await add(tenant, room_id, 'bob');
		await add(tenant, room_id, 'adm', 'admin');

		await leave(tenant, room_id, 'owner');

		expect(await ownersOf(tenant, room_id)).toEqual(['adm']);
	});

	test('who left and came back is as young as the coming back', async () => {
		const { tenant, room_id } = await groupOf('owner');
		for (const user of ['ann', 'bob']) await add(tenant, room_id, user);
		await leave(tenant, room_id, 'ann');
		await add(tenant, room_id, 'ann');

		await leave(tenant, room_id, 'owner');

		expect(await ownersOf(tenant, room_id)).toEqual(['bob']);
	});

	test('the order of joining counts, not what a clock that was set back says', async () => {
		const { tenant, room_id } = await groupOf('owner');
		await add(tenant, room_id, 'first');
		app.clock.jump(-3_600_000);
		await add(tenant, room_id, 'second');

		await leave(tenant, room_id, 'owner');

		expect(await ownersOf(tenant, room_id)).toEqual(['first']);
	});

	test('nobody is promoted while there is another owner', async () => {
		const { tenant, room_id } = await groupOf('owner');
		await add(tenant, room_id, 'ann');
		await add(tenant, room_id, 'too', 'owner');

		await leave(tenant, room_id, 'owner');

		expect(await ownersOf(tenant, room_id)).toEqual(['too']);
	});

	test('the tenant’s removing the owner promotes too, and the room is told', async () => {
		const { tenant, room_id } = await groupOf('owner');
		await add(tenant, room_id, 'ann');
		const ann = await tenant.listen('ann');

		await app.members.remove(tenant.itself, { room_id, user_id: ids('owner')[0] as never });

		expect(ann.told).toMatchObject([
			{ type: 'member.removed', user_id: 'owner' },
			{ type: 'member.updated', user_id: 'ann', role: 'owner' },
		]);
	});

	test('a group that the tenant made needs none', async () => {
		const tenant = await app.tenant();
		const { room_id } = await app.rooms.create(tenant.itself, {
			type: 'group',
			members: ids('ann', 'bob'),
		});

		await leave(tenant, room_id, 'ann');

		expect(await ownersOf(tenant, room_id)).toEqual([]);
	});
});

describe('sockets', () => {
	test('of an added member hear of it, and of all that follows', async () => {
		const { tenant, room_id } = await groupOf('owner');
		const [ann, second] = [await tenant.listen('ann'), await tenant.listen('ann')];
		await app.messages.send(tenant.as('owner'), { room_id, content: 'before' });

		await add(tenant, room_id, 'ann');
		await app.messages.send(tenant.as('owner'), { room_id, content: 'after' });

		for (const { told } of [ann, second]) {
			expect(told.map(({ type }) => type)).toEqual(['member.added', 'message']);
			expect(told[1]).toMatchObject({ seq: 2, content: 'after' });
		}
	});

	test('of a removed member hear of it once, and of nothing that follows', async () => {
		const { tenant, room_id } = await groupOf('owner');
		await add(tenant, room_id, 'ann');
		const ann = await tenant.listen('ann');
		const owner = await tenant.listen('owner');

		await app.members.remove(tenant.as('owner'), { room_id, user_id: tenant.as('ann').user_id });
		await app.messages.send(tenant.as('owner'), { room_id, content: 'after' });

		expect(ann.told).toMatchObject([{ type: 'member.removed', user_id: 'ann' }]);
		expect(owner.told.map(({ type }) => type)).toEqual(['member.removed', 'message']);
		expect([...ann.topics]).toEqual([]);
	});

	test('of changes in the same batch hear exactly what was in their time', async () => {
		const { tenant, room_id } = await groupOf('owner');
		const ann = await tenant.listen('ann');
		const owner = tenant.as('owner');
		const members = ids('ann');
		const send = (content: string) => app.messages.send(owner, { room_id, content });

		await Promise.all([
			send('1'),
			app.members.add(owner, { room_id, members }),
			send('2'),
			app.members.remove(owner, { room_id, user_id: tenant.as('ann').user_id }),
			send('3'),
			app.members.add(owner, { room_id, members }),
			send('4'),
		]);

		expect(ann.told.map(({ type, content }) => content ?? type)).toEqual([
			'member.added',
			'2',
			'member.removed',
			'member.added',
			'4',
		]);
	});

	test('of another tenant’s user of the same name hear nothing', async () => {
		const { tenant, room_id } = await groupOf('owner');
		const other = await app.tenant();
		const { room_id: otherRoom } = await app.rooms.create(other.as('owner'), { type: 'group' });
		const stranger = await other.listen('ann');
		await add(other, otherRoom, 'ann');
		const before = stranger.told.length;

		await add(tenant, room_id, 'ann');
		await app.messages.send(tenant.as('ann'), { room_id, content: 'secret' });
		await app.members.remove(tenant.itself, { room_id, user_id: tenant.as('ann').user_id });
		await app.rooms.remove(tenant.itself, { room_id });

		expect(stranger.told.length).toBe(before);
		expect([...stranger.topics]).toEqual([`r/${otherRoom}`]);
	});
});
