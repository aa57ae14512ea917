import { describe, expect, test } from 'bun:test';
import type { UserCaller } from '../../../src/core/caller.ts';
import type { ConnectionId, KeyId, TenantId, TenantNo, UserId } from '../../../src/core/ids.ts';
import { DEFAULT_SETTINGS } from '../../../src/core/tenant-settings.ts';
import { type Connections, createConnections } from '../../../src/realtime/connections.ts';
import type { Socket } from '../../../src/ws/socket.ts';
import { newSocket } from '../ws/new-socket.ts';

let made = 0;

/** A socket that was granted and is not open: enough to be looked up. */
function socketOf(tenant_id: string, user_id: string, key_id: string): Socket {
	const caller: UserCaller = {
		kind: 'tenant',
		tenant: 1 as TenantNo,
		tenant_id: tenant_id as TenantId,
		key_id: key_id as KeyId,
		user_id: user_id as UserId,
		isBound: false,
		expires_at: null,
		permissions: new Set(),
		settings: DEFAULT_SETTINGS,
		features: {},
		rate: null,
		stamp: { tenant_id, tenant: 0, key_id, key: 0, user_id, user: 0 },
	};
	const id = `conn_${made++}` as ConnectionId;
	return newSocket(id, caller);
}

const alice = 'alice' as UserId;
const tenant = 'tenant_1' as TenantId;

describe('connections', () => {
	test('are found by tenant, by user and by key, and by nothing else', () => {
		const connections = createConnections();
		const mine = socketOf('tenant_1', 'alice', 'key_1');
		const colleague = socketOf('tenant_1', 'bob', 'key_1');
		const stranger = socketOf('tenant_2', 'alice', 'key_2');
		for (const socket of [mine, colleague, stranger]) connections.add(socket);

		expect([...connections.ofTenant(tenant)]).toEqual([mine, colleague]);
		expect([...connections.ofUser(tenant, alice)]).toEqual([mine]);
		expect([...connections.ofKey(tenant, 'key_1' as KeyId)]).toEqual([mine, colleague]);
		expect([...connections.ofKey(tenant, 'key_2' as KeyId)]).toEqual([]);
		expect([...connections.all()]).toEqual([mine, colleague, stranger]);
		expect([...connections.ofUser('tenant_3' as TenantId, alice)]).toEqual([]);
	});

	test('are counted, each once, however often one is added', () => {
		const connections = createConnections();
		const socket = socketOf('tenant_1', 'alice', 'key_1');

		connections.add(socket);
		connections.add(socket);
		connections.add(socketOf('tenant_1', 'alice', 'key_1'));

		expect(connections.size).toBe(2);
		expect(connections.countOfTenant(tenant)).toBe(2);
		expect(connections.countOfUser(tenant, alice)).toBe(2);
		expect(connections.countOfUser(tenant, 'bob' as UserId)).toBe(0);
	});

	test('are gone from everywhere once removed; removing again, or a stranger, changes nothing', () => {
		const connections = createConnections();
		const [gone, stays] = [
			socketOf('tenant_1', 'alice', 'key_1'),
			socketOf('tenant_1', 'alice', 'key_1'),
		];
		connections.add(gone);
		connections.add(stays);

		connections.remove(gone);
		connections.remove(gone);
		connections.remove(socketOf('tenant_1', 'alice', 'key_1'));

		expect([...connections.ofTenant(tenant)]).toEqual([stays]);
		expect([...connections.ofUser(tenant, alice)]).toEqual([stays]);
		expect([...connections.ofKey(tenant, 'key_1' as KeyId)]).toEqual([stays]);
		expect([connections.size, connections.countOfTenant(tenant)]).toEqual([1, 1]);
	});

	test('of one user come and go: one, several, one, none', () => {
		const connections = createConnections();
		const [first, second] = [
			socketOf('tenant_1', 'alice', 'key_1'),
			socketOf('tenant_1', 'alice', 'key_2'),
		];
		const found = () => [...connections.ofUser(tenant, alice)];
		const counted = () => [
			connections.countOfUser(tenant, alice),
			connections.countOfTenant(tenant),
			connections.size,
		];

		connections.add(first);
		expect([found(), counted()]).toEqual([[first], [1, 1, 1]]);
		connections.add(second);
		expect([found(), counted()]).toEqual([
			[first, second],
			[2, 2, 2],
		]);
		connections.remove(first);
		expect([found(), counted()]).toEqual([[second], [1, 1, 1]]);
		connections.remove(first);
		expect(counted()).toEqual([1, 1, 1]);
		connections.add(first);
		expect([found(), counted()]).toEqual([
			[second, first],
			[2, 2, 2],
		]);
		connections.remove(second);
		connections.remove(first);
		expect([found(), counted()]).toEqual([[], [0, 0, 0]]);
		expect([...connections.ofTenant(tenant), ...connections.all()]).toEqual([]);
	});

	for (const [whose, socketsOf] of Object.entries({
		'a user': (connections: Connections) => connections.ofUser(tenant, alice),
		'a tenant': (connections: Connections) => connections.ofTenant(tenant),
		'a key': (connections: Connections) => connections.ofKey(tenant, 'key_1' as KeyId),
		'the server': (connections: Connections) => connections.all(),
	})) {
		test(`of ${whose} may be removed while somebody walks over them`, () => {
			const connections = createConnections();
			const users = whose === 'a user' ? ['alice'] : ['alice', 'bob', 'carol'];
			for (let index = 0; index < 10; index++) {
				for (const user_id of users) connections.add(socketOf('tenant_1', user_id, 'key_1'));
			}

			let walked = 0;
			for (const socket of socketsOf(connections)) {
				connections.remove(socket);
				walked++;
			}

			expect(walked).toBe(10 * users.length);
			expect(connections.size).toBe(0);
		});
	}

	test('keep apart a tenant and user whose names run together', () => {
		const connections = createConnections();
		connections.add(socketOf('tenant_1', '1alice', 'key_1'));

		expect(connections.countOfUser('tenant_11' as TenantId, alice)).toBe(0);
	});
});
