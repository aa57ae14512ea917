/** What a defect looks like from outside: provoked by taking a table away under the running server. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { errorOf } from '../helpers/http.ts';
import { startServer } from '../helpers/server.ts';
import { createGroup, createTenant } from '../helpers/tenants.ts';

test('a defect is INTERNAL_ERROR on both faces, its cause in the log only, and the process lives', async () => {
	const server = await startServer();
	const tenant = await createTenant(server);
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	const socket = await tenant.socket('alice');
	const db = new Database(join(server.dataDir, 'chatapi.db'));
	db.run('ALTER TABLE positions RENAME TO lost');
	db.close();

	const sent = await tenant.as('alice').post(`/rooms/${room_id}/messages`, { content: 'secret-1' });
	// After a write: reads stay at the moment of the last one.
	const answer = await tenant.as('alice').get(`/rooms/${room_id}/members`);
	socket.send({ type: 'read', room_id, seq: 1, request_id: 'r1' });
	const frame = await socket.next('error');
	// A name that looks like a secret is sent back to who chose it, and not logged.
	socket.send({ type: 'read', room_id, seq: 1, request_id: tenant.api_key });
	const named = await socket.next('error');

	for (const failed of [answer, sent]) {
		expect(failed.status).toBe(500);
		const error = errorOf(failed);
		expect(error).toMatchObject({ code: 'INTERNAL_ERROR', message: 'Internal server error' });
		const logged = server.log().filter((line) => line.request_id === error.request_id);
		expect(logged.map(({ level, msg }) => ({ level, msg }))).toEqual([
			{ level: 'error', msg: 'Request failed' },
		]);
		expect(JSON.stringify(logged)).toContain('positions');
	}
	expect(frame).toMatchObject({ code: 'INTERNAL_ERROR', request_id: 'r1' });
	expect(`${answer.text}${sent.text}${JSON.stringify(frame)}`).not.toContain('positions');
	expect(named).toMatchObject({ code: 'INTERNAL_ERROR', request_id: tenant.api_key });
	expect(server.log().filter(({ msg }) => msg === 'Frame failed')).toHaveLength(2);
	expect(JSON.stringify(server.log())).not.toContain('secret-1');
	expect(JSON.stringify(server.log())).not.toContain(tenant.api_key.slice(15, 35));
	expect((await tenant.as('alice').get('/health')).status).toBe(200);
	await socket.close();
	expect(await server.stop()).toBe(0);
});
