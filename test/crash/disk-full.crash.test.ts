/**
 * A disk that fills up: writes are refused with 507, reads go on, nothing that was answered is lost,
 * and writes go on by themselves once there is room. The disk is a small tmpfs, which takes root.
 */
import { expect, test } from 'bun:test';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Answer, errorOf } from '../helpers/http.ts';
import { startServer } from '../helpers/server.ts';
import { createGroup, createTenant } from '../helpers/tenants.ts';
import type { MessagesPage } from '../helpers/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'chatapi-full-'));
const mount = (...options: string[]) =>
	Bun.spawnSync(['mount', '-t', 'tmpfs', ...options, 'tmpfs', folder]).exitCode === 0;
const isMounted = mount('-o', 'size=3m');
const why = isMounted ? '' : ' (skipped: no right to mount a file system)';
if (!isMounted) rmdirSync(folder);

const SENDS_MAX = 400;
const CONTENT = 'x'.repeat(12_000);

test.skipIf(!isMounted)(`a full disk refuses writes with 507 and loses nothing${why}`, async () => {
	const server = await startServer({ dataDir: folder, env: { DEFAULT_RATE_LIMIT: '0' } });
	try {
		const tenant = await createTenant(server);
		const { room_id } = await createGroup(tenant, 'alice');
		const alice = tenant.as('alice');
		const path = `/rooms/${room_id}/messages`;
		const send = () => alice.post<{ seq: number }>(path, { content: CONTENT });

		const answers: Answer<{ seq: number }>[] = [];
		while (answers.at(-1)?.status !== 507 && answers.length < SENDS_MAX) answers.push(await send());
		const refused = await Promise.all(Array.from({ length: 20 }, send));

		for (const answer of [...answers.slice(-1), ...refused]) {
			expect(answer.status).toBe(507);
			expect(errorOf(answer)).toMatchObject({ code: 'INSUFFICIENT_STORAGE', retryable: true });
		}
		const stored = answers.slice(0, -1).map(({ body }) => body.seq);
		expect(stored.length).toBeGreaterThan(10);
		expect(stored).toEqual(stored.map((_, index) => index + 1));
		const page = await alice.get<MessagesPage>(`${path}?limit=1`);
		expect(page.body.messages.map(({ seq }) => seq)).toEqual([stored.length]);

		expect(mount('-o', 'remount,size=32m')).toBe(true);
		expect(await send()).toMatchObject({ status: 201, body: { seq: stored.length + 1 } });
		expect(await server.stop()).toBe(0);
	} finally {
		await server.kill();
		Bun.spawnSync(['umount', folder]);
		rmdirSync(folder);
	}
});
