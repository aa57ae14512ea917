/** What commands do is in the audit log, by whom and to which file: with a server running and without one. */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import {
	existsSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { randomSecret, runBinary, type Server, startServer } from '../helpers/server.ts';
import {
	createManagementKey,
	createPlan,
	createTenant,
	operator,
	type TestTenant,
} from '../helpers/tenants.ts';
import { eventually } from '../helpers/wait.ts';
import type { AuditEntry, AuditPage } from '../helpers/wire.ts';
import { type Recorded, recordedIn, USER } from './command-audit.ts';

// Several processes a test, on shared cores.
setDefaultTimeout(60_000);

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-command-audit-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const newDir = (): string => mkdtempSync(join(folder, 'dir-'));
const serve = (dataDir = join(newDir(), 'data')): Promise<Server> =>
	startServer({ dataDir, env: { MASTER_API_KEY: randomSecret() } });

const sha256 = (file: string): string =>
	new Bun.CryptoHasher('sha256').update(readFileSync(file)).digest('hex');

const fileOf = (file: string) => ({ bytes: readFileSync(file).length, sha256: sha256(file) });

const newest = async (server: Server): Promise<AuditEntry | undefined> =>
	bodyOf(await operator(server).get<AuditPage>('/admin/audit?limit=1'), 200).entries[0];

/** Types a command, which must do what it is for. */
async function run(dataDir: string, args: readonly string[], env: Record<string, string> = {}) {
	const result = await runBinary(args, { DATA_DIR: dataDir, ...env }, 60_000);
	expect({ args, exitCode: result.exitCode, stderr: result.stderr }).toMatchObject({ exitCode: 0 });
	return result;
}

async function expectWhole(dataDir: string, entries: number): Promise<void> {
	const verified = await runBinary(['audit', 'verify'], { DATA_DIR: dataDir });
	expect(verified).toMatchObject({ exitCode: 0, stderr: '' });
	expect(verified.stdout).toMatch(new RegExp(`^ok: ${entries} entr(y|ies),`));
}

/** A file that a tenant was exported to, and the tenant is gone from the server it came from. */
async function exported(tenant: TestTenant, dataDir: string): Promise<string> {
	const file = join(newDir(), 'tenant.db');
	await run(dataDir, ['export', tenant.tenant_id, file]);
	return file;
}

describe('beside a server', () => {
	test('an export is filed under its tenant and its plan, with the file and who typed it', async () => {
		const server = await serve();
		const { plan_id } = await createPlan(server);
		const management = await createManagementKey(server, plan_id);
		const foreign = await createManagementKey(server, (await createPlan(server)).plan_id);
		const { tenant_id, api_key } = await createTenant(server, { plan_id });
		const file = join(newDir(), 'tenant.db');

		await run(server.dataDir, ['export', tenant_id, file]);

		const entry = await newest(server);
		expect(entry).toMatchObject({
			...{ credential: `command:${USER}`, action: 'tenants.export', tenant_id, plan_id },
			...{ target: { tenant_id, file }, before: null, after: fileOf(file), erased: false },
		});
		expect(entry?.request_id).toMatch(/^req_[0-9a-z]{26}$/);
		expect(JSON.stringify(entry)).not.toContain(api_key.slice(13));
		const seenBy = async (credentials: typeof management) =>
			bodyOf(
				await httpClient(server, { management: credentials }).get<AuditPage>('/admin/audit'),
				200,
			).entries.map(({ action }) => action);
		expect(await seenBy(management)).toContain('tenants.export');
		expect(await seenBy(foreign)).not.toContain('tenants.export');
		await expectWhole(server.dataDir, entry?.entry ?? 0);
		expect(await server.stop()).toBe(0);
	});

	test('a backup has its entry, which is in the log and not in the copy; whoever called sudo is named', async () => {
		const server = await serve();
		await createTenant(server);
		const file = join(newDir(), 'backup.db');

		await run(server.dataDir, ['backup', '--quiet', '--out', file], { SUDO_USER: 'anna@acme' });
		await run(server.dataDir, ['backup', '--quiet'], { SUDO_USER: 'no such\nname' });

		const { entries } = bodyOf(await operator(server).get<AuditPage>('/admin/audit?after=1'), 200);
		expect(entries).toHaveLength(2);
		expect(entries[0]).toMatchObject({
			...{ credential: 'command:anna@acme', action: 'backups.create', tenant_id: null },
			...{ plan_id: null, target: { file }, after: fileOf(file) },
		});
		expect(entries[1]?.credential).toBe('command');
		expect(await runBinary(['verify', file])).toMatchObject({ exitCode: 0 });
		expect(recordedIn(file).map(({ action }) => action)).toEqual(['tenants.create']);
		await expectWhole(server.dataDir, 3);
		expect(await server.stop()).toBe(0);
	});

	test('an import has its entry, filed under the new tenant; one that is refused has none', async () => {
		const server = await serve();
		const tenant = await createTenant(server);
		const file = await exported(tenant, server.dataDir);
		const refused = await runBinary(['import', file], { DATA_DIR: server.dataDir });
		const before = await newest(server);
		const other = await serve();

		const { stdout } = await run(other.dataDir, ['import', file, '--new-epoch']);

		expect(refused.exitCode).toBe(1);
		expect(before?.action).toBe('tenants.export');
		const rows = Number(/: (\d+) row/.exec(stdout)?.[1]);
		expect(await newest(other)).toMatchObject({
			...{ credential: `command:${USER}`, action: 'tenants.import', tenant_id: tenant.tenant_id },
			...{ entry: 1, target: { tenant_id: tenant.tenant_id, file }, before: null },
			after: { rows, sha256: sha256(file), new_epoch: true, left_out: [] },
		});
		await expectWhole(other.dataDir, 1);
		expect(await server.stop()).toBe(0);
		expect(await other.stop()).toBe(0);
	});

	test('apply is the command’s, not the master key’s; and nobody is the command who is not on the socket', async () => {
		const server = await serve();
		const document = join(newDir(), 'tenants.yaml');
		writeFileSync(document, 'plans:\n  - name: Gold\n');

		await run(server.dataDir, ['apply', '-f', document]);
		const applied = await newest(server);
		await run(server.dataDir, ['apply', '-f', document, '--url', server.url], {
			MASTER_API_KEY: server.masterKey,
		});
		bodyOf(
			await operator(server).post('/admin/plans', { name: 'x' }, { 'X-Command-User': 'root' }),
			201,
		);
		const posted = await newest(server);

		expect(applied).toMatchObject({ credential: `command:${USER}`, action: 'plans.create' });
		expect(posted).toMatchObject({ credential: 'master', entry: 2 });
		expect(await server.stop()).toBe(0);
	});

	test('the socket records what commands do beside a server, and nothing else', async () => {
		const server = await serve();
		const { tenant_id } = await createTenant(server);
		const unix = join(server.dataDir, 'chatapi.sock');
		const copy = { tenant_id, file: '/x.db', bytes: 1, sha256: 'ab'.repeat(32) };
		const ask = async (body: unknown) => {
			const answer = await fetch('http://chatapi/copies', {
				...{ unix, method: 'POST', body: JSON.stringify(body) },
			});
			return `${answer.status} ${await answer.text()}`;
		};
		const action = 'tenants.export';
		const ofAll = { ...copy, action: 'backups.create' };

		for (const bad of [
			...['x', null, [], {}, { ...copy, action: 'tenants.delete' }, ofAll],
			...[
				{ ...ofAll, action: 'backups.restore', tenant_id: null },
				{ ...copy, action, bytes: 1.5 },
			],
			...[
				{ ...copy, action, file: 'x.db' },
				{ ...copy, action, file: `/${'x'.repeat(5000)}` },
			],
			...[
				{ ...copy, action, sha256: 'x' },
				{ ...copy, action, tenant_id: null },
			],
		]) {
			expect(await ask(bad)).toBe('404 ');
		}
		expect(await ask({ ...copy, action, tenant_id: 'tenant_x' })).toBe(
			'200 {"error":"Tenant not found"}',
		);
		expect(await newest(server)).toMatchObject({ entry: 1, action: 'tenants.create' });
		expect(await ask({ ...copy, action, user: 'x'.repeat(49) })).toBe('200 {}');
		expect(await newest(server)).toMatchObject({ entry: 2, credential: 'command' });
		expect(await server.stop()).toBe(0);
	});
});

test('a start waits for a command that writes its entry', async () => {
	const first = await serve();
	expect(await first.stop()).toBe(0);
	const held = new Database(join(first.dataDir, 'chatapi.lock'));
	held.run('PRAGMA locking_mode = EXCLUSIVE');
	held.run('BEGIN EXCLUSIVE');

	const starting = startServer({ dataDir: first.dataDir });
	await eventually(() => holdersOf(first.dataDir).length > 0, 10_000, 'the start to want the lock');
	held.run('ROLLBACK');
	held.close();

	const server = await starting;
	expect(await server.stop()).toBe(0);
});

/** Other processes that have the lock's file open. */
function holdersOf(dataDir: string): string[] {
	const lock = join(dataDir, 'chatapi.lock');
	return readdirSync('/proc')
		.filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
		.filter((pid) => filesOf(pid).includes(lock));
}

function filesOf(pid: string): string[] {
	try {
		const folder = join('/proc', pid, 'fd');
		return readdirSync(folder).map((name) => readlinkSync(join(folder, name)));
	} catch {
		// It has ended, or closed one meanwhile.
		return [];
	}
}

describe('without a server', () => {
	test('export, backup and import record by themselves, and leave a whole database', async () => {
		const server = await serve();
		const { plan_id } = await createPlan(server);
		const { tenant_id } = await createTenant(server, { plan_id });
		expect(await server.stop()).toBe(0);
		const { dataDir } = server;
		const [file, backup] = [join(newDir(), 'tenant.db'), join(newDir(), 'backup.db')];
		const elsewhere = join(newDir(), 'data');

		await run(dataDir, ['export', tenant_id, file]);
		await run(dataDir, ['backup', '--quiet', '--out', backup]);
		await run(elsewhere, ['import', file]);

		const credential = `command:${USER}`;
		expect(recordedIn(join(dataDir, 'chatapi.db')).slice(2)).toMatchObject([
			{ credential, action: 'tenants.export', target: { tenant_id, file }, after: fileOf(file) },
			{ credential, action: 'backups.create', target: { file: backup }, after: fileOf(backup) },
		]);
		expect(recordedIn(join(elsewhere, 'chatapi.db'))).toMatchObject([
			{ credential, action: 'tenants.import', target: { tenant_id, file } },
		]);
		for (const dir of [dataDir, elsewhere]) {
			expect(existsSync(join(dir, 'chatapi.db-wal'))).toBe(false);
		}
		await expectWhole(dataDir, 4);
		await expectWhole(elsewhere, 1);
		const again = await serve(dataDir);
		expect(await newest(again)).toMatchObject({ entry: 4, action: 'backups.create' });
		const path = `/admin/audit?plan_id=${plan_id}&action=tenants.export`;
		expect(bodyOf(await operator(again).get<AuditPage>(path), 200).entries).toHaveLength(1);
		expect(await again.stop()).toBe(0);
	});

	test('a restored log goes on with the restore, and one of before there was a log is restored too', async () => {
		const server = await serve();
		await createTenant(server);
		const backup = join(newDir(), 'backup.db');
		await run(server.dataDir, ['backup', '--quiet', '--out', backup]);
		expect(await server.stop()).toBe(0);
		const old = oldDatabase(newDir());
		const oldBackup = join(newDir(), 'old.db');
		const [dataDir, oldDir] = [join(newDir(), 'data'), join(newDir(), 'data')];

		await run(dataDir, ['restore', backup]);
		const made = await run(old, ['backup', '--quiet', '--out', oldBackup]);
		await run(oldDir, ['restore', oldBackup]);

		expect(recordedIn(join(dataDir, 'chatapi.db'))).toMatchObject([
			{ action: 'tenants.create', credential: 'master' },
			{
				...{ action: 'backups.restore', credential: `command:${USER}` },
				...{ target: { file: backup }, after: fileOf(backup) },
			},
		] satisfies Partial<Recorded>[]);
		await expectWhole(dataDir, 2);
		expect(made.stderr).toMatch(
			/^chatapi: the audit log does not tell of this backup: .+ is older than the audit log\n$/,
		);
		const again = await serve(oldDir);
		expect(await newest(again)).toBeUndefined();
		expect(await again.stop()).toBe(0);
	});

	test('whoever holds the directory and does not answer keeps an export from its file, and no backup', async () => {
		const server = await serve();
		const { tenant_id } = await createTenant(server);
		expect(await server.stop()).toBe(0);
		const { dataDir } = server;
		const [file, backup] = [join(newDir(), 'tenant.db'), join(newDir(), 'backup.db')];
		const held = new Database(join(dataDir, 'chatapi.lock'));
		held.run('PRAGMA locking_mode = EXCLUSIVE');
		held.run('BEGIN EXCLUSIVE');

		const [exporting, backingUp] = await Promise.all([
			runBinary(['export', '--quiet', tenant_id, file], { DATA_DIR: dataDir }, 50_000),
			runBinary(['backup', '--quiet', '--out', backup], { DATA_DIR: dataDir }, 50_000),
		]);
		held.run('ROLLBACK');
		held.close();

		const why = `another process uses ${dataDir}, and does not answer\n`;
		expect(exporting).toEqual({
			...{ exitCode: 1, stdout: '' },
			stderr: `chatapi: Not exported, for the audit log cannot tell of it: ${why}`,
		});
		expect(existsSync(file)).toBe(false);
		expect(backingUp).toEqual({
			...{ exitCode: 0, stdout: `${backup}\n` },
			stderr: `chatapi: the audit log does not tell of this backup: ${why}`,
		});
		expect(await runBinary(['verify', backup])).toMatchObject({ exitCode: 0 });
		await expectWhole(dataDir, 1);
	});

	/** A data directory as a version wrote it that had no audit log. */
	function oldDatabase(dataDir: string): string {
		const fixture = join(import.meta.dir, '..', 'crash', 'fixtures', 'schema-0004.sql');
		const db = new Database(join(dataDir, 'chatapi.db'), { create: true });
		db.run('PRAGMA journal_mode = WAL');
		db.transaction(() => db.run(readFileSync(fixture, 'utf8')))();
		db.close();
		return dataDir;
	}
});
