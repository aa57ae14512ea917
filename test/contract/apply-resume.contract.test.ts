/** `chatapi apply` whose server goes away for longer than it is waited for: what it says, and how it goes on. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { randomSecret, runBinary, type Server, startServer } from '../helpers/server.ts';
import { operator } from '../helpers/tenants.ts';
import { eventually } from '../helpers/wait.ts';
import type { TenantsPage } from '../helpers/wire.ts';

const TENANTS = 400;
const CHANGES = 2 * TENANTS;
/** It waits 30 s. */
const COMMAND_DEADLINE_MS = 90_000;

let folder: string;
let [dataDir, file, out] = ['', '', ''];
const servers: Server[] = [];
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-apply-resume-'));
	dataDir = join(folder, 'data');
	out = join(folder, 'secrets.jsonl');
	file = join(folder, 'tenants.yaml');
	const lines = Array.from({ length: TENANTS }, (_, index) => `  - { name: Tenant ${index} }`);
	writeFileSync(file, ['tenants:', ...lines].join('\n'));
});
afterAll(async () => {
	for (const server of servers) await server.kill();
	rmSync(folder, { recursive: true, force: true });
});

const masterKey = randomSecret();
async function start(): Promise<Server> {
	const server = await startServer({ dataDir, env: { MASTER_API_KEY: masterKey } });
	servers.push(server);
	return server;
}

const apply = (...args: string[]) =>
	runBinary(
		['apply', '-f', file, '--secrets-out', out, ...args],
		{ DATA_DIR: dataDir },
		COMMAND_DEADLINE_MS,
	);

const countMade = async (server: Server): Promise<number> => {
	const progress = await operator(server).get<{ state: string; done: number }>('/admin/apply');
	const { state, done } = bodyOf(progress, 200);
	return state === 'changing' ? done : 0;
};

test('prints how to go on, and then makes the rest and tells every key', async () => {
	const first = await start();
	const running = apply();
	await eventually(async () => (await countMade(first)) > CHANGES / 4, 60_000, 'some of it');
	await first.kill();

	const cut = await running;
	const { key = '' } = /--resume (?<key>apply-[0-9a-f]+)$/m.exec(cut.stderr)?.groups ?? {};
	const hasFile = existsSync(out);
	const second = await start();
	const unknown = await apply('--resume', `${key}0`, '--dry-run');
	const resumed = await apply('--resume', key);

	expect(cut).toMatchObject({ exitCode: 1, stdout: '' });
	expect(cut.stderr).toContain('What it made until then stays; to go on: --resume apply-');
	expect(cut.stderr).not.toContain('sk_');
	expect(hasFile).toBe(false);
	// Some was made: what there is to do is less.
	const left = Number(/^(\d+) to create/m.exec(unknown.stdout)?.[1]);
	expect(left).toBeGreaterThan(0);
	expect(left).toBeLessThan(CHANGES);
	expect(resumed.exitCode).toBe(0);
	// All of it is told, also what the first one made.
	expect(resumed.stdout).toEndWith(`${CHANGES} created, 0 changed, 0 pruned, 0 unchanged\n`);
	const secrets = readFileSync(out, 'utf8')
		.trimEnd()
		.split('\n')
		.map((line) => JSON.parse(line) as { tenant: string; api_key: string });
	expect(new Set(secrets.map(({ tenant }) => tenant)).size).toBe(TENANTS);
	expect(secrets).toHaveLength(TENANTS);
	for (const secret of [secrets[0], secrets.at(-1)]) {
		const client = httpClient(second, { key: secret?.api_key ?? '' });
		expect((await client.get('/settings')).status).toBe(200);
	}
	const found = await operator(second).get<TenantsPage>('/admin/tenants?q=Tenant%20399');
	expect(bodyOf(found, 200).tenants).toHaveLength(1);
	expect(await second.stop()).toBe(0);
}, 180_000);
