/** `chatapi audit verify`, as an operator types it, over files that somebody tampered with. */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf } from '../helpers/http.ts';
import { runBinary, type Server, startServer } from '../helpers/server.ts';
import { createKey, createPlan, createTenant, operator } from '../helpers/tenants.ts';
import type { AuditEntry, AuditPage } from '../helpers/wire.ts';

let folder: string;
/** A data directory that was served and put in order. */
let original: string;
let entries: AuditEntry[];
beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-audit-'));
	original = join(folder, 'original');
	const server = await startServer({ dataDir: original });
	const { plan_id } = await createPlan(server);
	const tenants = [await createTenant(server, { plan_id }), await createTenant(server)];
	for (const tenant of tenants) await createKey(tenant, ['send']);
	await createPlan(server);
	await createPlan(server);
	entries = await entriesOf(server);
	expect(await server.stop()).toBe(0);
	expect(entries).toHaveLength(7);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const entriesOf = async (server: Server): Promise<AuditEntry[]> =>
	bodyOf(await operator(server).get<AuditPage>('/admin/audit?after=0&limit=100'), 200).entries;

const hashOf = (entry: number): string => entries[entry - 1]?.hash ?? '';

const TRIGGERS = ['audit_is_kept', 'audit_is_unchanged'];

/** A copy of the directory, with these statements run as an attacker would: triggers out, and in again. */
function tampered(...statements: readonly string[]): string {
	const dir = mkdtempSync(join(folder, 'tampered-'));
	copyFileSync(join(original, 'chatapi.db'), join(dir, 'chatapi.db'));
	const db = new Database(join(dir, 'chatapi.db'));
	const triggers = db
		.query<{ name: string; sql: string }, []>(
			`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'`,
		)
		.all();
	expect(triggers.map(({ name }) => name).sort()).toEqual(TRIGGERS);
	for (const { name } of triggers) db.run(`DROP TRIGGER ${name}`);
	for (const statement of statements) db.run(statement);
	for (const { sql } of triggers) db.run(sql);
	db.close();
	return dir;
}

const verify = (dir: string, ...args: readonly string[]) =>
	runBinary(['audit', 'verify', '--data-dir', dir, ...args]);

describe('a log that nobody touched', () => {
	test('is whole: so many entries, none erased, and the hash that GET /admin/audit shows', async () => {
		const result = await verify(tampered());

		expect(result).toEqual({
			exitCode: 0,
			stdout: `ok: 7 entries, 0 of them erased with their tenant; entry 7 has the hash ${hashOf(7)}\n`,
			stderr: '',
		});
	});

	test('has every hash that was kept of it, and none that was not', async () => {
		const dir = tampered();

		const known = await verify(dir, '--head', hashOf(3));
		const last = await verify(dir, '--head', hashOf(7).toUpperCase());
		const unknown = await verify(dir, '--head', 'ab'.repeat(32));

		expect([known.exitCode, last.exitCode, unknown.exitCode]).toEqual([0, 0, 1]);
		expect(unknown.stderr).toContain('the hash that was kept is not in the chain');
	});

	test('is whole without an entry too', async () => {
		const dataDir = join(folder, 'empty');
		const server = await startServer({ dataDir });
		expect(await server.stop()).toBe(0);

		expect((await verify(dataDir)).stdout).toStartWith('ok: 0 entries');
	});

	test('is whole while a server writes it, and verifying takes nothing from it', async () => {
		const server = await startServer({ dataDir: join(folder, 'served') });
		await createPlan(server);
		const writing = Promise.all(Array.from({ length: 200 }, () => createPlan(server)));

		const during = await runBinary(['audit', 'verify'], { DATA_DIR: server.dataDir });
		await writing;
		const after = await runBinary(['audit', 'verify'], { DATA_DIR: server.dataDir });

		expect([during.stderr, during.exitCode]).toEqual(['', 0]);
		expect(after.stdout).toStartWith('ok: 201 entries');
		await createPlan(server);
		expect(await server.stop()).toBe(0);
	});

	test('of 10,000 entries is whole', async () => {
		const server = await startServer({ dataDir: join(folder, 'long') });
		const { plan_id } = await createPlan(server);
		for (let count = 1; count < 10_000; count += 101) {
			const slice = Array.from({ length: 101 }, (_, index) =>
				operator(server).call('PATCH', `/admin/plans/${plan_id}`, {
					body: { name: `${count + index}` },
					isChecked: false,
				}),
			);
			for (const { status } of await Promise.all(slice)) expect(status).toBe(200);
		}

		const result = await verify(server.dataDir);

		expect(result.stdout).toStartWith('ok: 10000 entries');
		expect(result).toMatchObject({ exitCode: 0, stderr: '' });
		expect(await server.stop()).toBe(0);
	}, 60_000);
});

const VALUES = `created_at, credential, action, request_id, plan, tenant, details, details_hash, hash`;
/** Makes room for one more entry in front of the n-th. */
const shiftFrom = (entry: number) => [
	`UPDATE audit SET entry = -entry WHERE entry >= ${entry}`,
	`UPDATE audit SET entry = 1 - entry WHERE entry < 0`,
];

describe('a log that was tampered with is found out, at its first bad entry', () => {
	test.each<[what: string, entry: number, problem: string, statements: string[]]>([
		['its time', 2, 'its hash', ['UPDATE audit SET created_at = created_at + 1 WHERE entry = 2']],
		['its credential', 3, 'its hash', [`UPDATE audit SET credential = 'mk_x' WHERE entry = 3`]],
		['its action', 1, 'its hash', [`UPDATE audit SET action = 'plans.list' WHERE entry = 1`]],
		['its request', 7, 'its hash', [`UPDATE audit SET request_id = 'x' WHERE entry = 7`]],
		['its plan', 2, 'its hash', ['UPDATE audit SET plan = NULL WHERE entry = 2']],
		['its hash', 4, 'its hash', [`UPDATE audit SET hash = randomblob(32) WHERE entry = 4`]],
		['a short hash', 4, 'its hash', [`UPDATE audit SET hash = x'00' WHERE entry = 4`]],
		['its details', 4, 'its details', [`UPDATE audit SET details = '{}' WHERE entry = 4`]],
		[
			'its details and their hash',
			5,
			'its hash',
			[`UPDATE audit SET details = details || ' ', details_hash = randomblob(32) WHERE entry = 5`],
		],
		['no details', 2, 'its tenant is not', ['UPDATE audit SET details = NULL WHERE entry = 2']],
		['no tenant', 2, 'not filed under', ['UPDATE audit SET tenant = NULL WHERE entry = 2']],
		['another tenant', 2, 'not filed under', ['UPDATE audit SET tenant = 2 WHERE entry = 2']],
		['a tenant at all', 1, 'it is not about', ['UPDATE audit SET tenant = 1 WHERE entry = 1']],
		['one is missing', 3, 'the next one there is 4', ['DELETE FROM audit WHERE entry = 3']],
		['the first is missing', 1, 'the next one there is 2', ['DELETE FROM audit WHERE entry = 1']],
		[
			'one is missing, and the rest moved up',
			3,
			'its hash',
			['DELETE FROM audit WHERE entry = 3', 'UPDATE audit SET entry = entry - 1 WHERE entry > 3'],
		],
		['the end is cut off', 6, 'up to 7', ['DELETE FROM audit WHERE entry > 5']],
		['all of it is gone', 1, 'up to 7', ['DELETE FROM audit']],
		[
			'one was put in',
			3,
			'its hash',
			[
				...shiftFrom(3),
				`INSERT INTO audit (entry, ${VALUES}) SELECT 3, ${VALUES} FROM audit WHERE entry = 2`,
			],
		],
		[
			'one was put at the end',
			8,
			'its hash',
			[
				`INSERT INTO audit (entry, ${VALUES}) SELECT 8, ${VALUES} FROM audit WHERE entry = 7`,
				`UPDATE sqlite_sequence SET seq = 8 WHERE name = 'audit'`,
			],
		],
		[
			'two changed places',
			4,
			'its hash',
			[
				'UPDATE audit SET entry = -4 WHERE entry = 5',
				'UPDATE audit SET entry = 5 WHERE entry = 4',
				'UPDATE audit SET entry = 4 WHERE entry = -4',
			],
		],
		[
			'what counts them was set back',
			7,
			'only 2 were ever counted',
			[`UPDATE sqlite_sequence SET seq = 2 WHERE name = 'audit'`],
		],
	])('%s: entry %d', async (_, entry, problem, statements) => {
		const result = await verify(tampered(...statements));

		expect(result.stderr).toStartWith(`chatapi: entry ${entry} of the audit log is bad: `);
		expect(result.stderr).toContain(problem);
		expect(result).toMatchObject({ exitCode: 1, stdout: '' });
	});

	test('an end that was cut off together with the count is found by a hash that was kept', async () => {
		const dir = tampered(
			'DELETE FROM audit WHERE entry > 5',
			`UPDATE sqlite_sequence SET seq = 5 WHERE name = 'audit'`,
		);

		const [alone, withHead] = [await verify(dir), await verify(dir, '--head', hashOf(7))];

		// Without it nobody can tell: see docs/operations.md.
		expect(alone.exitCode).toBe(0);
		expect(withHead.exitCode).toBe(1);
		expect(withHead.stderr).toContain('entry 6');
	});

	test('triggers that were not put back are found', async () => {
		const dir = tampered();
		const db = new Database(join(dir, 'chatapi.db'));
		db.run('DROP TRIGGER audit_is_kept');
		db.close();

		const result = await verify(dir);

		expect(result.exitCode).toBe(1);
		expect(result.stderr).toContain('audit_is_kept');
	});
});

test('what was erased with its tenant is counted, and the chain holds', async () => {
	const dir = tampered('UPDATE audit SET details = NULL, tenant = NULL WHERE entry IN (2, 4)');

	const result = await verify(dir);

	expect(result.stdout).toStartWith('ok: 7 entries, 2 of them erased');
	expect(result.exitCode).toBe(0);
});

test('is whole after a purge, and after the tenant came back from a file', async () => {
	const server = await startServer({ dataDir: join(folder, 'purged') });
	const env = { DATA_DIR: server.dataDir };
	const tenant = await createTenant(server);
	await createKey(tenant, ['send']);
	const file = join(folder, 'tenant.db');
	expect((await runBinary(['export', tenant.tenant_id, file], env)).exitCode).toBe(0);

	const path = `/admin/tenants/${tenant.tenant_id}?purge=now`;
	bodyOf(await operator(server).delete(path), 200);
	const purged = await runBinary(['audit', 'verify'], env);
	expect((await runBinary(['import', file], env)).exitCode).toBe(0);
	const imported = await runBinary(['audit', 'verify'], env);

	expect(purged.stderr).toBe('');
	expect(purged.stdout).toMatch(/^ok: 5 entries, 4 of them erased/);
	expect({ ...imported, stdout: '' }).toEqual({ exitCode: 0, stdout: '', stderr: '' });
	expect(imported.stdout).toMatch(/^ok: 6 entries, 4 of them erased/);
	expect(await server.stop()).toBe(0);
});

describe('the command', () => {
	const emptyDir = () => mkdtempSync(join(folder, 'dir-'));

	test('says how it is used', async () => {
		for (const args of [
			['audit', '--help'],
			['audit', 'verify', '--help'],
		]) {
			const { exitCode, stdout } = await runBinary(args);
			expect({ exitCode, usage: stdout.split('\n')[0] }).toEqual({
				exitCode: 0,
				usage: 'Usage: chatapi audit verify [--data-dir DIRECTORY] [--head HASH] [--quiet]',
			});
		}
	});

	test.each([
		[[]],
		[['verify', 'more']],
		[['list']],
		[['verify', '--head', 'abc']],
		[['verify', '--no-such']],
	])('refuses %j with exit code 2', async (args) => {
		const { exitCode, stdout } = await runBinary(['audit', ...args]);
		expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
	});

	test('says in one sentence that there is no database, and makes none', async () => {
		const dir = emptyDir();

		const { exitCode, stderr } = await verify(dir);

		expect({ exitCode, stderr }).toEqual({
			exitCode: 1,
			stderr: `chatapi: There is no database ${join(dir, 'chatapi.db')}\n`,
		});
	});

	test.each<[what: string, says: string, make: (path: string) => void]>([
		[
			'no database at all',
			'is not an SQLite database',
			(path) => writeFileSync(path, 'x'.repeat(4096)),
		],
		[
			'the database of another program',
			'is no database of chatapi',
			(path) => new Database(path).run('CREATE TABLE t (x)'),
		],
		[
			'a database of another version',
			'is of another version of chatapi',
			(path) => {
				copyFileSync(join(original, 'chatapi.db'), path);
				const db = new Database(path);
				db.run(`UPDATE __drizzle_migrations SET hash = 'x' WHERE rowid = 1`);
				db.close();
			},
		],
		[
			'a database without the log',
			'no such table: audit',
			(path) => {
				copyFileSync(join(original, 'chatapi.db'), path);
				const db = new Database(path);
				db.run('DROP TABLE audit');
				db.close();
			},
		],
	])('says what is wrong with %s', async (_, says, make) => {
		const dir = emptyDir();
		mkdirSync(dir, { recursive: true });
		make(join(dir, 'chatapi.db'));

		const { exitCode, stderr, stdout } = await verify(dir);

		expect({ exitCode, stdout, lines: stderr.trim().split('\n').length }).toEqual({
			exitCode: 1,
			stdout: '',
			lines: 1,
		});
		expect(stderr).toContain(says);
	});

	test('changes nothing in the file', async () => {
		const dir = tampered();
		const before = readFileSync(join(dir, 'chatapi.db'));

		await verify(dir);

		expect(readFileSync(join(dir, 'chatapi.db')).equals(before)).toBe(true);
	});
});
