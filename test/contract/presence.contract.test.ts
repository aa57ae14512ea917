/** What presence needs a server of its own for; protocol/presence has what any client sees. */
import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { heardBy, openAll, queryPresence, type Told, untilTold } from '../helpers/presence.ts';
import { startServer } from '../helpers/server.ts';
import { openSocket, type Socket } from '../helpers/socket.ts';
import { createGroup, createTenant } from '../helpers/tenants.ts';
import { eventually } from '../helpers/wait.ts';

describe('last_seen_at', () => {
	test.each(['stop', 'kill'] as const)(
		'survives a %s, and nobody is told of it',
		async (end) => {
			const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-presence-'));
			const first = await startServer({ dataDir, env: { MASTER_API_KEY: undefined } });
			const tenant = await createTenant(first);
			await createGroup(tenant, 'alice', ['bob', 'carol']);
			const [bob, alice, carol] = (await openAll(tenant, 'bob', 'alice', 'carol')) as Socket[];
			if (!(bob && alice && carol)) throw new Error('three sockets');
			await untilTold(bob, 'alice online');
			await untilTold(bob, 'carol online');
			await carol.close();
			await untilTold(bob, 'carol offline');
			const [seen] = await queryPresence(bob, 'carol');
			await eventually(() => isWritten(dataDir, 'alice', 1) && isWritten(dataDir, 'carol', 0));
			const endedAt = Date.now();
			await first[end]();
			await bob.closed;
			expect(heardBy(bob).filter((told) => told.endsWith('offline'))).toEqual(['carol offline']);

			const second = await startServer({ dataDir, env: { MASTER_API_KEY: undefined } });
			const again = await openSocket(second, { key: tenant.api_key, user: 'bob' });
			expect(await queryPresence(again, 'carol')).toEqual([seen as Told]);
			const [was] = await queryPresence(again, 'alice');
			expect(was?.status).toBe('offline');
			const lostMs = endedAt - Date.parse(String(was?.last_seen_at));
			expect(lostMs).toBeLessThan(end === 'kill' ? 15_000 : 1000);
			await again.close();
			await second.stop();
			rmSync(dataDir, { recursive: true });
		},
		60_000,
	);
});

/** Whether a user is on disk like this: what a kill leaves cannot be asked for beforehand. */
function isWritten(dataDir: string, user_id: string, is_online: number): boolean {
	const db = new Database(join(dataDir, 'chatapi.db'), { readonly: true });
	const row = db.query('SELECT is_online FROM presences WHERE user_id = ?').get(user_id);
	db.close();
	return (row as { is_online: number } | null)?.is_online === is_online;
}
