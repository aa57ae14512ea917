/** A first start that is killed at any moment leaves a directory that the next start makes whole. */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY } from '../helpers/server.ts';
import type { TenantsPage } from '../helpers/wire.ts';
import { createRandomness, seedOfRun } from './randomness.ts';
import { report, startVictim } from './victim.ts';

const KILLS = Number(process.env.FIRST_START_KILLS ?? 20);

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-first-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the server for the first time and kills it this long after; returns its data directory. */
async function killedAfter(delayMs: number): Promise<string> {
	const dataDir = join(mkdtempSync(join(folder, 'run-')), 'data');
	const child = Bun.spawn([BINARY], {
		cwd: folder,
		env: { LISTEN_ADDR: '127.0.0.1:0', DATA_DIR: dataDir },
		stdout: 'ignore',
		stderr: 'ignore',
	});
	// A moment of the start, not something to wait for.
	await Bun.sleep(delayMs);
	child.kill('SIGKILL');
	await child.exited;
	return dataDir;
}

test(`${KILLS} first starts, killed at any moment, leave what the next start makes whole`, async () => {
	const seed = seedOfRun();
	report(`SEED=${seed}`);
	const random = createRandomness(seed);
	const unharmed = { command: [BINARY], cwd: folder, dataDir: join(folder, 'unharmed') } as const;
	const first = await startVictim(unharmed);
	expect(await first.stop()).toBe(0);

	for (let kill = 0; kill < KILLS; kill++) {
		const delayMs = random.between(0, Math.ceil(first.startMs * 10)) / 10;
		const dataDir = await killedAfter(delayMs);

		const server = await startVictim({ ...unharmed, dataDir });

		const master = readFileSync(join(dataDir, 'master.key'), 'utf8').trim();
		const page = await httpClient(server, { master }).get<TenantsPage>('/admin/tenants');
		expect(bodyOf(page, 200).tenants).toEqual([]);
		expect(await server.stop()).toBe(0);
		const db = new Database(join(dataDir, 'chatapi.db'));
		expect(db.query('PRAGMA integrity_check').values()).toEqual([['ok']]);
		db.close();
	}
}, 60_000);
