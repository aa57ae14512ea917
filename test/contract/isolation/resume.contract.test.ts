/**
 * Who resumes is sent what its own tenant told it, whatever the other tenant holds under the same users,
 * room numbers, seqs and cursors. Each side has more of something than the other, so that a statement
 * that forgets its tenant takes too much, or what is not there, on one of them.
 */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf } from '../../helpers/http.ts';
import { randomSecret, startServer } from '../../helpers/server.ts';
import { openSocket } from '../../helpers/socket.ts';
import {
	createGroup,
	createTenant,
	sendMessage,
	type TestTenant,
	tenantOf,
} from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { Frame } from '../../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });

/** So many frames from one resume to the next. */
const STEP = 3;
const STATELESS = new Set(['connected', 'positions', 'replay.done', 'pong']);
const toldOf = (frames: readonly Frame[]) => frames.filter(({ type }) => !STATELESS.has(type));

/** Rooms that bob stays in, leaves, and comes to, with so many messages and other events in each. */
async function live(tenant: TestTenant, messages: number, others: number): Promise<void> {
	const alice = tenant.as('alice');
	const [stays, leaves, comes] = [
		await createGroup(tenant, 'alice', ['bob']),
		await createGroup(tenant, 'alice', ['bob']),
		await createGroup(tenant, 'alice'),
	].map(({ room_id }) => room_id);
	for (const room_id of [stays, leaves, comes] as string[]) {
		for (let n = 0; n < messages; n++) await sendMessage(tenant, 'alice', room_id, `${n}`);
		for (let n = 0; n < others; n++) {
			bodyOf(await alice.patch(`/rooms/${room_id}`, { metadata: { n } }), 200);
		}
	}
	bodyOf(await alice.delete(`/rooms/${leaves}/members/bob`), 200);
	bodyOf(await alice.post(`/rooms/${comes}/members`, { members: ['bob'] }), 201);
	await sendMessage(tenant, 'alice', comes as string, 'last');
}

/** What a resume from each of the frames that a witness heard says, against what the witness heard. */
async function expectOwn(tenant: TestTenant, heard: readonly Frame[]): Promise<void> {
	for (const [index, { cursor }] of heard.entries()) {
		if (index % STEP !== 0) continue;
		const query = `cursor=${cursor}`;
		const socket = await openSocket(tenant.server, { key: tenant.api_key, user: 'bob', query });
		await socket.next('replay.done');
		expect(toldOf(socket.frames)).toEqual(heard.slice(index + 1));
		await socket.close();
	}
}

test('a resume from anywhere brings what the own tenant told, and nothing else', async () => {
	const twins = [await createTenant(used.server), await createTenant(used.server)] as const;
	const witnesses = await Promise.all(twins.map((tenant) => tenant.socket('bob')));
	await live(twins[0], 3, 4);
	await live(twins[1], 5, 1);
	// Long runs are looked for in another way than short ones.
	await live(twins[0], 60, 1);
	await live(twins[1], 45, 1);
	await Promise.all(witnesses.map((socket) => socket.settle()));

	for (const [index, tenant] of twins.entries()) {
		const heard = toldOf(witnesses[index]?.frames ?? []);
		expect(heard.length).toBeGreaterThan(15);
		await expectOwn(tenant, heard);
	}
	await Promise.all(witnesses.map((socket) => socket.close()));
}, 20_000);

test('who has left a room of one tenant is told nothing of the other’s room of the same number', async () => {
	const [foreign, own] = [await createTenant(used.server), await createTenant(used.server)];
	const bob = await own.socket('bob');
	const left = await createGroup(foreign, 'alice', ['bob']);
	for (let n = 0; n < 8; n++) await sendMessage(foreign, 'alice', left.room_id, `${n}`);
	bodyOf(await foreign.as('alice').delete(`/rooms/${left.room_id}/members/bob`), 200);
	const { room_id } = await createGroup(own, 'alice');
	for (let n = 0; n < 3; n++) await sendMessage(own, 'alice', room_id, `${n}`);
	bodyOf(await own.as('alice').patch(`/rooms/${room_id}`, { name: 'Not for bob' }), 200);

	const query = `cursor=${bob.connected.cursor}`;
	const back = await openSocket(own.server, { key: own.api_key, user: 'bob', query });
	expect(await back.next('replay.done')).toMatchObject({ count: 0 });
	expect(toldOf(back.frames)).toEqual([]);
	await Promise.all([bob.close(), back.close()]);
}, 20_000);

/** What bob is told of positions who comes back with a cursor: by room, and the members in their order. */
async function positionsFor(tenant: TestTenant, user: string, cursor: string) {
	const query = `cursor=${cursor}`;
	const socket = await openSocket(tenant.server, { key: tenant.api_key, user, query });
	await socket.next('replay.done');
	await socket.close();
	return socket.all<{ room_id: string; positions: { user_id: string }[] }>('positions');
}

test('positions are those of the own tenant, where the other has them in the same rooms and of the same users', async () => {
	const twins = [await createTenant(used.server), await createTenant(used.server)] as const;
	const rooms: string[] = [];
	const cursors: string[] = [];
	for (const tenant of twins) {
		const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol']);
		rooms.push(room_id);
		for (let n = 0; n < 4; n++) await sendMessage(tenant, 'alice', room_id, `${n}`);
		cursors.push((await sendMessage(tenant, 'alice', room_id, 'last')).cursor);
	}
	const ack = async (side: 0 | 1, user: string, seq: number) =>
		bodyOf(await twins[side].as(user).post('/acks', { room_id: rooms[side], seq }), 200);
	await ack(0, 'bob', 1);
	await ack(1, 'bob', 2);
	await ack(1, 'carol', 3);
	await ack(0, 'carol', 4);
	const read = { room_id: rooms[1], seq: 5 };
	bodyOf(await twins[1].as('bob').post(`/rooms/${rooms[1]}/read`, { seq: read.seq }), 200);

	const at = (user_id: string, last_read_seq: number, last_delivered_seq: number) => ({
		...{ user_id, last_read_seq, last_delivered_seq },
	});
	const expected = [
		[at('alice', 5, 5), at('bob', 0, 1), at('carol', 0, 4)],
		[at('alice', 5, 5), at('bob', 5, 5), at('carol', 0, 3)],
	];
	for (const [side, tenant] of twins.entries()) {
		const told = await positionsFor(tenant, 'bob', cursors[side] ?? '');
		expect(told).toEqual([
			{ type: 'positions', room_id: rooms[side], positions: expected[side] },
		] as never);
	}
}, 20_000);

test('of a large room one’s own position is told, and not the namesake’s in the other tenant', async () => {
	const server = await startServer({ env: { LIVE_RECEIPTS_MAX: '2' } });
	const twins = [await createTenant(server), await createTenant(server)] as const;
	for (const [index, tenant] of twins.entries()) {
		const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol']);
		let cursor = '';
		for (let n = 0; n < 3; n++) ({ cursor } = await sendMessage(tenant, 'alice', room_id));
		const seq = 3 - index;
		bodyOf(await tenant.as('bob').post('/acks', { room_id, seq }), 200);
		const positions = [{ user_id: 'bob', last_read_seq: 0, last_delivered_seq: seq }];
		expect(await positionsFor(tenant, 'bob', cursor)).toMatchObject([{ room_id, positions }]);
	}
	// A small room of the same number is told of once, with everybody in it.
	const third = await createTenant(server);
	const { room_id } = await createGroup(third, 'alice', ['bob']);
	const { cursor } = await sendMessage(third, 'alice', room_id);
	bodyOf(await third.as('bob').post('/acks', { room_id, seq: 1 }), 200);
	const [told, ...more] = await positionsFor(third, 'bob', cursor);
	expect(told?.positions.map(({ user_id }) => user_id)).toEqual(['alice', 'bob']);
	expect(more).toEqual([]);
	expect(await server.stop()).toBe(0);
}, 20_000);

test('how far back positions are told again depends on the times of the own tenant’s events', async () => {
	const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-resume-'));
	const env = { MASTER_API_KEY: randomSecret() };
	const first = await startServer({ dataDir, env });
	const [slow, quick] = [await createTenant(first), await createTenant(first)];
	const cursors = new Map<TestTenant, string>();
	for (const tenant of [slow, quick]) {
		const { room_id } = await createGroup(tenant, 'alice', ['bob', 'carol']);
		await sendMessage(tenant, 'alice', room_id);
		bodyOf(await tenant.as('carol').post('/acks', { room_id, seq: 1 }), 200);
		for (let n = 0; n < 5; n++) await sendMessage(tenant, 'alice', room_id);
		cursors.set(tenant, (await sendMessage(tenant, 'alice', room_id)).cursor);
	}
	expect(await first.stop()).toBe(0);
	// As if there had been an hour between any two in one tenant, and no time at all in the other.
	const disk = new Database(join(dataDir, 'chatapi.db'));
	disk.run('UPDATE events SET created_at = created_at - (100 - cursor) * 3600000 WHERE tenant = 1');
	disk.run('UPDATE events SET created_at = (SELECT max(created_at) FROM events) WHERE tenant = 2');
	disk.close();

	const second = await startServer({ dataDir, env });
	const toldIn = async (tenant: TestTenant) => {
		const told = await positionsFor(tenantOf(second, tenant), 'bob', cursors.get(tenant) ?? '');
		return told.flatMap(({ positions }) => positions.map(({ user_id }) => user_id));
	};
	expect(await toldIn(slow)).toEqual(['alice']);
	expect(await toldIn(quick)).toEqual(['alice', 'bob', 'carol']);
	expect(await second.stop()).toBe(0);
	rmSync(dataDir, { recursive: true });
}, 40_000);

test('a room’s end ends the stays in it, and none in the other tenant’s room of the same number', async () => {
	const [one, other] = [await createTenant(used.server), await createTenant(used.server)];
	const witness = await other.socket('bob');
	const room = await createGroup(one, 'alice', ['bob']);
	const twin = await createGroup(other, 'alice', ['bob']);
	for (let n = 0; n < 5; n++) {
		await sendMessage(one, 'alice', room.room_id, `${n}`);
		await sendMessage(other, 'alice', twin.room_id, `${n}`);
	}
	bodyOf(await one.as('alice').delete(`/rooms/${room.room_id}`), 200);
	await sendMessage(other, 'alice', twin.room_id, 'goes on');
	await witness.settle();

	await expectOwn(other, toldOf(witness.frames));
	await witness.close();
}, 20_000);

test('who leaves is told no more, though a namesake left a room of the same number later by the other’s count', async () => {
	const [one, other] = [await createTenant(used.server), await createTenant(used.server)];
	const witness = await other.socket('bob');
	const [left, ended] = [
		await createGroup(one, 'alice', ['bob']),
		await createGroup(one, 'alice', ['bob']),
	];
	const twins = [
		await createGroup(other, 'alice', ['bob']),
		await createGroup(other, 'alice', ['bob']),
	];
	// So far ahead that the other tenant’s next cursors are all before those of the ends.
	for (let n = 0; n < 40; n++) await sendMessage(one, 'alice', left.room_id, `${n}`);
	bodyOf(await one.as('alice').delete(`/rooms/${left.room_id}/members/bob`), 200);
	bodyOf(await one.as('alice').delete(`/rooms/${ended.room_id}`), 200);
	for (const { room_id } of twins) {
		await sendMessage(other, 'alice', room_id, 'for bob');
		bodyOf(await other.as('alice').delete(`/rooms/${room_id}/members/bob`), 200);
	}
	for (const { room_id } of twins) await sendMessage(other, 'alice', room_id, 'not for bob');
	await witness.settle();

	const heard = toldOf(witness.frames);
	expect(heard.filter(({ type }) => type === 'member.removed')).toHaveLength(2);
	expect(JSON.stringify(heard)).not.toContain('not for bob');
	await expectOwn(other, heard);
	await witness.close();
}, 20_000);
