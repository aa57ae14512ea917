/** `chatapi backup`, `verify` and `restore`, as an operator types them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, errorOf, httpClient } from '../helpers/http.ts';
import { BINARY, runBinary, type Server, startServer } from '../helpers/server.ts';
import { openSocket } from '../helpers/socket.ts';
import { createGroup, createTenant, sendMessage, type TestTenant } from '../helpers/tenants.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Message, MessagesPage, Room } from '../helpers/wire.ts';
import { contentsOf } from './start-up-process.ts';

// Several processes a test, on shared cores.
setDefaultTimeout(30_000);

let folder: string;
let server: Server;
let tenant: TestTenant;
let room: Room;
let sent: Message[];
beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-backup-'));
	server = await startServer({ dataDir: join(folder, 'data') });
	tenant = await createTenant(server);
	room = await createGroup(tenant, 'alice', ['bob']);
	sent = [];
	for (let count = 0; count < 5; count++) {
		sent.push(await sendMessage(tenant, 'alice', room.room_id, `before ${count}`));
	}
});
afterAll(async () => {
	const exitCode = await server.stop();
	rmSync(folder, { recursive: true, force: true });
	expect({ exitCode, stderr: server.stderr() }).toEqual({ exitCode: 0, stderr: '' });
});

const newDir = (): string => mkdtempSync(join(folder, 'dir-'));
const env = () => ({ DATA_DIR: server.dataDir });

/** A backup of the running server in a directory of its own. */
async function backUp(): Promise<string> {
	const { exitCode, stdout } = await runBinary(['backup', '--out', newDir()], env());
	expect(exitCode).toBe(0);
	return stdout.trim();
}

/** The data directory of a restored backup. */
async function restored(): Promise<string> {
	const dataDir = join(newDir(), 'data');
	const result = await runBinary(['restore', await backUp(), '--data-dir', dataDir]);
	expect(result).toMatchObject({ exitCode: 0, stderr: '' });
	expect(result.stdout).toContain('new epoch');
	return dataDir;
}

describe('chatapi backup', () => {
	test('writes beside a running server into backups/, for its user alone, and prints where', async () => {
		const { exitCode, stdout, stderr } = await runBinary(['backup'], env());

		const file = stdout.trim();
		expect(exitCode).toBe(0);
		expect(file).toStartWith(join(server.dataDir, 'backups', 'chatapi-'));
		expect(stderr).toContain('1 tenant,');
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(readdirSync(join(server.dataDir, 'backups'))).toHaveLength(2);
		expect((await runBinary(['verify', file])).exitCode).toBe(0);
		await sendMessage(tenant, 'alice', room.room_id, 'the server goes on');
	});

	test('writes to the file that is named, silently if asked, and never over one', async () => {
		const file = join(newDir(), 'mine.db');

		const first = await runBinary(['backup', '--out', file, '--quiet'], env());
		const contents = contentsOf(join(file, '..'));
		const second = await runBinary(['backup', '--out', file], env());

		expect(first).toEqual({ exitCode: 0, stdout: `${file}\n`, stderr: '' });
		expect(second).toMatchObject({ exitCode: 1, stdout: '' });
		expect(second.stderr).toBe(`chatapi: ${file} is there already\n`);
		expect(contentsOf(join(file, '..'))).toEqual(contents);
	});

	test('holds no key: neither the master key nor that of a tenant', async () => {
		const file = await backUp();

		const secret = tenant.api_key.slice(13);
		for (const path of [file, `${file}.manifest.json`]) {
			const bytes = readFileSync(path);
			expect(bytes.includes(secret)).toBe(false);
			expect(bytes.includes(server.masterKey)).toBe(false);
		}
		expect(readFileSync(file).includes(tenant.api_key.slice(0, 13))).toBe(true);
	});

	test('removes what a killed one left', async () => {
		const dir = newDir();
		const drafts = () => readdirSync(dir).filter((name) => name.startsWith('.chatapi-draft-'));
		const child = Bun.spawn([BINARY, 'backup', '--out', dir], {
			env: { DATA_DIR: server.dataDir },
			stdout: 'ignore',
			stderr: 'ignore',
		});
		await eventually(() => drafts().length > 0 || child.exitCode !== null, 10_000);
		child.kill('SIGKILL');
		await within(child.exited, 'the backup to die');
		expect(drafts()).toHaveLength(1);

		const next = await runBinary(['backup', '--out', dir], env());

		expect(next.exitCode).toBe(0);
		expect(drafts()).toEqual([]);
		expect(readdirSync(dir)).toHaveLength(2);
	});

	test.each([
		['no database', () => ({ DATA_DIR: join(folder, 'none') }), [], /nothing to back up/],
		['no directory', env, ['--out', '/nonexistent/x/'], /is not there/],
		['a wrong setting', () => ({ ...env(), DURABILITY: 'x' }), [], /DURABILITY/],
	])('says in one sentence that there is %s', async (_, environment, args, sentence) => {
		const { exitCode, stdout, stderr } = await runBinary(['backup', ...args], environment());

		expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
		expect(stderr).toMatch(sentence);
		expect(stderr.trim().split('\n')).toHaveLength(1);
		expect(existsSync(join(folder, 'none'))).toBe(false);
	});
});

describe('chatapi verify', () => {
	test('says what it found, and changes nothing', async () => {
		const file = await backUp();
		const before = contentsOf(join(file, '..'));

		const { exitCode, stdout, stderr } = await runBinary(['verify', file]);

		expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
		expect(stdout).toMatch(/^ok: .+ 1 tenant, as of .+Z, by chatapi \d+\.\d+\.\d+, schema \d+\n$/);
		expect(contentsOf(join(file, '..'))).toEqual(before);
	});

	test('refuses a flipped bit and the live file with exit code 1 and one sentence', async () => {
		const file = await backUp();
		const bytes = readFileSync(file);
		bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
		writeFileSync(file, bytes);

		for (const [path, sentence] of [
			[file, /SHA-256/],
			[join(server.dataDir, 'chatapi.db'), /manifest\.json is missing/],
			[join(folder, 'none'), /is not there/],
			[folder, /is no file/],
		] as const) {
			const { exitCode, stdout, stderr } = await runBinary(['verify', path]);
			expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
			expect(stderr).toMatch(sentence);
			expect(stderr.trim().split('\n')).toHaveLength(1);
		}
	});
});

describe('chatapi restore', () => {
	test('makes a data directory in which every message is that was acknowledged before', async () => {
		const other = await startServer({ dataDir: await restored() });

		const client = httpClient(other, { key: tenant.api_key, user: 'bob' });
		const path = `/rooms/${room.room_id}/messages?after_seq=0&limit=${sent.length}`;
		const { messages } = bodyOf(await client.get<MessagesPage>(path), 200);
		expect(messages.map(({ message_id }) => message_id)).toEqual(
			sent.map(({ message_id }) => message_id),
		);
		expect(other.log().filter(({ level }) => level === 'error')).toEqual([]);
		expect(await other.stop()).toBe(0);
	});

	test('tells every cursor of before that it is of another life: resync, not silence', async () => {
		const dataDir = await restored();
		// Newer than the backup: a place that the restored log has not come to yet.
		const { cursor } = await sendMessage(tenant, 'alice', room.room_id, 'after the backup');
		const other = await startServer({ dataDir });
		const key = tenant.api_key;

		for (const old of [sent[0]?.cursor, cursor]) {
			const socket = await openSocket(other, { key, user: 'bob', query: `cursor=${old}` });
			expect(await socket.next('resync')).toMatchObject({ reason: 'unknown' });
			await socket.close();
			const events = await httpClient(other, { key }).get(`/events?after=${old}`);
			expect(events.status).toBe(409);
			expect(errorOf(events).code).toBe('CONFLICT');
		}

		// The server it was copied from knows them still.
		const socket = await openSocket(server, {
			key,
			user: 'bob',
			query: `cursor=${sent[0]?.cursor}`,
		});
		await socket.next('replay.done');
		expect(socket.all('resync')).toEqual([]);
		await socket.close();
		expect(await other.stop()).toBe(0);
	});

	test('refuses a directory that is served, forced or not, and the server notices nothing', async () => {
		const file = await backUp();

		for (const args of [[], ['--force']]) {
			const result = await runBinary(['restore', file, ...args], env());
			expect(result).toMatchObject({ exitCode: 1, stdout: '' });
			expect(result.stderr).toMatch(/Another process is serving/);
		}

		await sendMessage(tenant, 'alice', room.room_id, 'still here');
	});

	test('refuses a directory with a database unless forced, and keeps what was there', async () => {
		const dataDir = await restored();
		const file = await backUp();
		const before = contentsOf(dataDir);

		const refused = await runBinary(['restore', file], { DATA_DIR: dataDir });
		expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
		expect(refused.stderr).toMatch(/is there already; with --force/);
		expect(contentsOf(dataDir)).toEqual(before);

		const forced = await runBinary(['restore', file, '--force'], { DATA_DIR: dataDir });
		expect(forced).toMatchObject({ exitCode: 0, stderr: '' });
		const aside = /was there is (.+)\n/.exec(forced.stdout)?.[1] ?? '';
		expect(contentsOf(join(aside, '..'))[aside.slice(dataDir.length + 1)]).toBe(
			before['chatapi.db'] ?? '?',
		);
	});

	test('of a spoilt backup changes nothing', async () => {
		const dataDir = await restored();
		const file = await backUp();
		const before = contentsOf(dataDir);
		const bytes = readFileSync(file);
		writeFileSync(file, bytes.subarray(0, bytes.length - 4096));

		const { exitCode, stderr } = await runBinary(['restore', file, '--force'], {
			DATA_DIR: dataDir,
		});

		expect(exitCode).toBe(1);
		expect(stderr).toMatch(/its manifest says/);
		expect(contentsOf(dataDir)).toEqual(before);
	});

	test('that a kill cut short is finished by the next start', async () => {
		const dataDir = await restored();
		const old = await startServer({ dataDir });
		expect(await old.stop()).toBe(0);
		const database = join(dataDir, 'chatapi.db');
		const pending = join(dataDir, 'chatapi.db.restored');
		const next = await restored();
		writeFileSync(pending, readFileSync(join(next, 'chatapi.db')));
		mkdirSync(join(dataDir, '.chatapi-draft-left'));

		const server = await startServer({ dataDir });

		const line = server.log().find(({ msg }) => msg === 'Finished a restore that was cut short');
		expect(line?.level).toBe('info');
		expect(existsSync(String(line?.replaced))).toBe(true);
		expect([existsSync(pending), existsSync(database)]).toEqual([false, true]);
		expect(existsSync(join(dataDir, '.chatapi-draft-left'))).toBe(false);
		expect(await server.stop()).toBe(0);
	});
});

describe('each of them', () => {
	const COMMANDS = ['backup', 'verify', 'restore'];

	test.each(COMMANDS)('%s --help says how, and does nothing', async (command) => {
		for (const flag of ['--help', '-h']) {
			const { exitCode, stdout, stderr } = await runBinary([command, flag], env());

			expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
			expect(stdout).toStartWith(`Usage: chatapi ${command} `);
		}
	});

	test.each([
		...COMMANDS.map((command) => [command, '--nonsense']),
		['backup', 'x'],
		['backup', '--out'],
		['verify'],
		['verify', 'x', 'y'],
		['restore'],
		['restore', 'x', '--force=yes'],
	])('%s %s is no use of it: exit code 2', async (...args) => {
		const given = args.filter((word) => word !== undefined);
		const { exitCode, stdout, stderr } = await runBinary(given, env());

		expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
		expect(stderr).toContain(`chatapi ${given[0]} --help`);
	});

	test('is listed by help', async () => {
		const { stdout } = await runBinary(['help']);

		for (const command of COMMANDS) expect(stdout).toContain(`\n  ${command} `);
	});
});
