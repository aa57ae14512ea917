import { describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { createGroup, createTenant, type TestTenant } from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { MembersPage, Role } from '../helpers/wire.ts';

const used = useServer();

/** Who may do what to whom, written out: the contract's words, not a formula. */
const ROLES = ['owner', 'admin', 'moderator', 'member'] as const;

const MAY_REMOVE: Record<Role, readonly Role[]> = {
	owner: ['admin', 'moderator', 'member'],
	admin: ['moderator', 'member'],
	moderator: ['member'],
	member: [],
};

/** As `from>to`. An owner may hand over, which makes them admin. */
const MAY_CHANGE: Record<Role, readonly string[]> = {
	owner: [
		'admin>owner',
		'admin>moderator',
		'admin>member',
		'moderator>owner',
		'moderator>admin',
		'moderator>member',
		'member>owner',
		'member>admin',
		'member>moderator',
	],
	admin: ['moderator>member', 'member>moderator'],
	moderator: [],
	member: [],
};

const MAY_ADD_AS: Record<Role, readonly Role[]> = {
	owner: ['admin', 'moderator', 'member'],
	admin: ['moderator', 'member'],
	moderator: ['member'],
	member: [],
};

/** A room with one user of each role, each named as the role, and a target of this one beside. */
async function roomWith(tenant: TestTenant, target: Role) {
	const { room_id } = await createGroup(tenant, 'owner', [
		'admin',
		'moderator',
		'member',
		'target',
	]);
	const path = `/rooms/${room_id}/members`;
	for (const role of ['admin', 'moderator'] as const) {
		bodyOf(await tenant.as().put(`${path}/${role}`, { role }), 200);
	}
	if (target !== 'member') bodyOf(await tenant.as().put(`${path}/target`, { role: target }), 200);
	return path;
}

async function roleOf(tenant: TestTenant, path: string, user: string) {
	const { members } = bodyOf(await tenant.as().get<MembersPage>(path), 200);
	return members.find(({ user_id }) => user_id === user)?.role;
}

for (const actor of ROLES) {
	describe(`the ${actor} of a room`, () => {
		test(`removes ${MAY_REMOVE[actor].join(', ') || 'nobody'}, and nobody else`, async () => {
			const tenant = await createTenant(used.server);
			for (const target of ROLES) {
				const path = await roomWith(tenant, target);
				const answer = await tenant.as(actor).delete(`${path}/target`);

				const isAllowed = MAY_REMOVE[actor].includes(target);
				expect({ target, status: answer.status }).toEqual({
					target,
					status: isAllowed ? 200 : 403,
				});
				if (!isAllowed) expect(errorOf(answer).code).toBe('AUTHORIZATION_ERROR');
				expect(await roleOf(tenant, path, 'target')).toBe(isAllowed ? undefined : target);
			}
		});

		test(`makes of roles: ${MAY_CHANGE[actor].join(', ') || 'nothing'}`, async () => {
			const tenant = await createTenant(used.server, { rate_limit: { requests_per_second: 1000 } });
			for (const from of ROLES) {
				for (const to of ROLES.filter((role) => role !== from)) {
					const path = await roomWith(tenant, from);
					const answer = await tenant.as(actor).put(`${path}/target`, { role: to });

					const isAllowed = MAY_CHANGE[actor].includes(`${from}>${to}`);
					expect({ from, to, status: answer.status }).toEqual({
						from,
						to,
						status: isAllowed ? 200 : 403,
					});
					expect(await roleOf(tenant, path, 'target')).toBe(isAllowed ? to : from);
					const own = isAllowed && to === 'owner' ? 'admin' : actor;
					expect(await roleOf(tenant, path, actor)).toBe(own);
				}
			}
		});

		test(`adds ${MAY_ADD_AS[actor].join(', ') || 'nobody'}`, async () => {
			const tenant = await createTenant(used.server);
			const path = await roomWith(tenant, 'member');
			for (const role of ROLES) {
				const answer = await tenant.as(actor).post(path, { members: [`new-${role}`], role });

				const isAllowed = MAY_ADD_AS[actor].includes(role);
				expect({ role, isDone: answer.status < 300 }).toEqual({ role, isDone: isAllowed });
				if (!isAllowed) expect(answer.status).toBe(403);
				expect(await roleOf(tenant, path, `new-${role}`)).toBe(isAllowed ? role : undefined);
			}
		});
	});
}

test('the tenant itself may remove and change everybody', async () => {
	const tenant = await createTenant(used.server, { rate_limit: { requests_per_second: 1000 } });
	for (const from of ROLES) {
		for (const to of ROLES.filter((role) => role !== from)) {
			const path = await roomWith(tenant, from);
			bodyOf(await tenant.as().put(`${path}/target`, { role: to }), 200);
			expect(await roleOf(tenant, path, 'target')).toBe(to);
		}
		const path = await roomWith(tenant, from);
		bodyOf(await tenant.as().delete(`${path}/target`), 200);
		expect(await roleOf(tenant, path, 'target')).toBeUndefined();
	}
});

test('a change of role is told to the members, and one that changes nothing is not', async () => {
	const tenant = await createTenant(used.server);
	const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol']);
	const carol = await tenant.socket('carol');

	for (const role of ['moderator', 'moderator']) {
		bodyOf(await tenant.as('alice').put(`/rooms/${room_id}/members/bob`, { role }), 200);
	}
	await carol.settle();

	expect(carol.all('member.updated')).toMatchObject([
		{ room_id, user_id: 'bob', role: 'moderator' },
	]);
	await carol.close();
});

test('who is not in the room is 404 as a target, and as an actor', async () => {
	const tenant = await createTenant(used.server);
	const path = await roomWith(tenant, 'member');

	for (const answer of [
		await tenant.as('owner').put(`${path}/mallory`, { role: 'member' }),
		await tenant.as('owner').delete(`${path}/mallory`),
		await tenant.as('mallory').put(`${path}/member`, { role: 'admin' }),
		await tenant.as('mallory').delete(`${path}/member`),
		await tenant.as('mallory').post(path, { members: ['mallory'] }),
	]) {
		expect({ status: answer.status, code: errorOf(answer).code }).toEqual({
			status: 404,
			code: 'NOT_FOUND',
		});
	}
});

test('a role that does not exist is refused with those that do', async () => {
	const tenant = await createTenant(used.server);
	const path = await roomWith(tenant, 'member');
	const answer = await tenant.as('owner').put(`${path}/target`, { role: 'king' });

	expect(answer.status).toBe(400);
	expect(errorOf(answer)).toMatchObject({
		field: 'role',
		message: 'Invalid role. Must be one of: owner, admin, moderator, member',
	});
});
