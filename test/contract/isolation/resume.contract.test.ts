/**
 * Who resumes is sent what its own tenant told it, whatever the other tenant holds under the same users,
 * room numbers, seqs and cursors. Each side has more of something than the other, so that a statement
 * that forgets its tenant takes too much, or what is not there, on one of them.
 */
import { expect, test } from 'bun:test';
import { bodyOf } from '../../helpers/http.ts';
import { openSocket } from '../../helpers/socket.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { Frame } from '../../helpers/wire.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' });

/** So many frames from one resume to the next. */
const STEP = 3;
const STATELESS = new Set(['connected', 'replay.done', 'pong']);
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
