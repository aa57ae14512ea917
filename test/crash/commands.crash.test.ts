/**
 * Commands that are killed while they do something that the audit log is to tell of: what came in or was restored has
 * its entry and what did not has none; no file of what went out has its name without its entry.
 *
 * `KILLS=50` makes it long, `SEED=…` makes it the same again as far as timing lets it.
 */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'bun:test';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordedIn } from '../contract/command-audit.ts';
import { BINARY, runBinary, type Server, startServer } from '../helpers/server.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { within } from '../helpers/wait.ts';
import { createRandomness, seedOfRun } from './randomness.ts';

const KILLS = Number(process.env.KILLS ?? 6);
/** Of what a command takes when it is left in peace: before that it has hardly begun. */
const [FROM, TO] = [0.3, 1.1];
const COMMAND_DEADLINE_MS = 60_000;

const randomness = createRandomness(seedOfRun());
let folder: string;
let server: Server;
let tenant: TestTenant;
/** A tenant and a whole database as files, and an empty data directory that a server made. */
let [file, backup, empty] = ['', '', ''];
beforeAll(async () => {
	console.log(`SEED=${randomness.seed} KILLS=${KILLS}`);
	folder = mkdtempSync(join(tmpdir(), 'chatapi-commands-'));
	const first = await startServer({ dataDir: join(folder, 'empty') });
	await first.stop();
	empty = first.dataDir;
	server = await startServer({ dataDir: join(folder, 'data') });
	tenant = await createTenant(server);
	const { room_id } = await createGroup(tenant, 'alice', ['bob']);
	for (let count = 0; count < 20; count++) await sendMessage(tenant, 'alice', room_id);
	[file, backup] = [join(folder, 'tenant.db'), join(folder, 'backup.db')];
	await run(server.dataDir, 'export', tenant.tenant_id, file);
	await run(server.dataDir, 'backup', '--quiet', '--out', backup);
}, 60_000);
afterAll(async () => {
	await server.stop();
	rmSync(folder, { recursive: true, force: true });
});

async function run(dataDir: string, ...args: string[]): Promise<number> {
	const startedAt = performance.now();
	const result = await runBinary(args, { DATA_DIR: dataDir }, COMMAND_DEADLINE_MS);
	expect({ args, ...result }).toMatchObject({ exitCode: 0 });
	return performance.now() - startedAt;
}

/** Types a command and ends `victim`, or the command itself, some way through. */
async function cut(ms: number, dataDir: string, args: readonly string[], victim?: Server) {
	const child = Bun.spawn([BINARY, ...args], {
		cwd: folder,
		env: { PATH: process.env.PATH ?? '', DATA_DIR: dataDir },
		...({ stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' } as const),
	});
	onTestFinished(() => child.kill('SIGKILL'));
	await Promise.race([
		Bun.sleep((ms * randomness.between(FROM * 100, TO * 100)) / 100),
		child.exited,
	]);
	if (victim === undefined) child.kill('SIGKILL');
	else await victim.kill();
	await within(child.exited, 'the command to end', COMMAND_DEADLINE_MS);
}

const database = (dataDir: string): string => join(dataDir, 'chatapi.db');

const shas = (dataDir: string, action: string): unknown[] =>
	recordedIn(database(dataDir))
		.filter((entry) => entry.action === action)
		.map(({ after }) => after.sha256);

const sha256 = (path: string): string =>
	new Bun.CryptoHasher('sha256').update(readFileSync(path)).digest('hex');

/** The tenants that anybody can see. */
function tenantsIn(dataDir: string): string[] {
	const db = new Database(database(dataDir), { readwrite: true, create: false });
	try {
		return db
			.query(`SELECT tenant_id FROM tenants WHERE status <> 'importing'`)
			.values()
			.flat()
			.map(String);
	} finally {
		db.close();
	}
}

function copyOfEmpty(): string {
	const dataDir = mkdtempSync(join(folder, 'copy-'));
	cpSync(empty, dataDir, { recursive: true });
	return dataDir;
}

async function expectWhole(dataDir: string): Promise<void> {
	const { exitCode, stderr } = await runBinary(['audit', 'verify'], { DATA_DIR: dataDir });
	expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
}

describe.each(['beside a server', 'without a server'])('%s', (where) => {
	const isServed = where === 'beside a server';

	test.each(['export', 'backup'])(
		'no %s has its name without its entry',
		async (word) => {
			const stopped = join(mkdtempSync(join(folder, 'stopped-')), 'data');
			if (!isServed) await run(stopped, 'restore', backup);
			const dataDir = isServed ? server.dataDir : stopped;
			const action = word === 'export' ? 'tenants.export' : 'backups.create';
			const argsFor = (target: string) =>
				word === 'export' ? [word, tenant.tenant_id, target] : [word, '--quiet', '--out', target];
			const out = mkdtempSync(join(folder, 'out-'));
			const ms = await run(dataDir, ...argsFor(join(out, 'first.db')));
			for (let count = 0; count < KILLS; count++) {
				await cut(ms, dataDir, argsFor(join(out, `${count}.db`)));
			}
			await run(dataDir, ...argsFor(join(out, 'last.db')));

			const files = readdirSync(out).filter((name) => name.endsWith('.db'));
			console.log(`${where}: ${word}: ${files.length} of ${KILLS + 2} have their name`);
			const recorded = shas(dataDir, action);
			expect(files.map((name) => sha256(join(out, name)))).toSatisfy((made: string[]) =>
				made.every((sha) => recorded.includes(sha)),
			);
			expect(recorded.length).toBeLessThanOrEqual(KILLS + 2 + 1);
			expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
			await expectWhole(dataDir);
		},
		240_000,
	);

	test('an import is seen with its entry, or neither', async () => {
		const args = ['import', '--quiet', file];
		const timed = copyOfEmpty();
		const first = isServed ? await startServer({ dataDir: timed }) : undefined;
		const ms = await run(timed, ...args);
		await first?.stop();
		let seen = 0;
		for (let count = 0; count < KILLS; count++) {
			const dataDir = copyOfEmpty();
			const victim = isServed ? await startServer({ dataDir }) : undefined;
			await cut(ms, dataDir, args, victim);
			const tenants = tenantsIn(dataDir);
			seen += tenants.length;

			expect(shas(dataDir, 'tenants.import')).toHaveLength(tenants.length);
			await expectWhole(dataDir);
		}
		console.log(`${where}: import: ${seen} of ${KILLS} were seen`);
	}, 240_000);
});

test('a restore is there with its entry, or neither; and a backup right after it is of what is there', async () => {
	const timed = copyOfEmpty();
	const ms = await run(timed, 'restore', '--quiet', '--force', backup);
	let there = 0;
	for (let count = 0; count < KILLS; count++) {
		const dataDir = copyOfEmpty();
		await cut(ms, dataDir, ['restore', '--quiet', '--force', backup]);
		const isPending = existsSync(`${database(dataDir)}.restored`);
		const copy = join(mkdtempSync(join(folder, 'after-')), 'copy.db');
		await run(dataDir, 'backup', '--quiet', '--out', copy);
		const tenants = tenantsIn(dataDir);
		there += tenants.length;

		if (isPending) expect(tenants).toEqual([tenant.tenant_id]);
		expect(shas(dataDir, 'backups.restore')).toHaveLength(tenants.length);
		expect(recordedIn(copy).filter(({ action }) => action === 'backups.restore')).toHaveLength(
			tenants.length,
		);
		await expectWhole(dataDir);
	}
	console.log(`restore: ${there} of ${KILLS} are there`);
}, 240_000);
