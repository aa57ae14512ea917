/** Starts that must fail: one clear sentence, an exit code, and nothing damaged. */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, randomSecret, runBinary, startServer } from '../helpers/server.ts';
import { createGroup, createTenant, sendMessage } from '../helpers/tenants.ts';
import { contentsOf } from './start-up-process.ts';

/** A second is promised; the rest is for cores that are shared. */
const REFUSAL_MS = 5_000;

let root: string;
/** The database of a server that was stopped: 200 messages, one file. */
let sound: Buffer;

beforeAll(async () => {
	root = mkdtempSync(join(tmpdir(), 'chatapi-refusals-'));
	const dataDir = join(root, 'sound');
	const server = await startServer({ dataDir, env: { DEFAULT_RATE_LIMIT: '0' } });
	const tenant = await createTenant(server);
	const { room_id } = await createGroup(tenant, 'alice');
	for (let count = 0; count < 200; count++) {
		await sendMessage(tenant, 'alice', room_id, `${count} `.repeat(100));
	}
	expect(await server.stop()).toBe(0);
	sound = readFileSync(join(dataDir, 'chatapi.db'));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

const newDir = (): string => mkdtempSync(join(root, 'data-'));

/** Starts what must not start. Returns its one sentence. */
async function refusal(env: Environment): Promise<string> {
	const { exitCode, stdout, stderr } = await runBinary(
		[],
		{ LISTEN_ADDR: '127.0.0.1:0', MASTER_API_KEY: randomSecret(), ...env },
		REFUSAL_MS,
	);
	expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 1 });
	expect(stdout).not.toContain('"Listening"');
	expect(stderr).toMatch(/^chatapi: [^\n]+\n$/);
	expect(stderr).not.toMatch(/\bat .+:\d+|Error:|SQLITE_/);
	return stderr.slice('chatapi: '.length).trimEnd();
}

describe('an address', () => {
	test('that is in use is named; who listens there goes on undisturbed', async () => {
		const server = await startServer();
		const { host } = new URL(server.url);
		const dataDir = newDir();

		const sentence = await refusal({ LISTEN_ADDR: host, DATA_DIR: dataDir });

		expect(sentence).toContain(host);
		expect(sentence).toContain('in use');
		expect((await fetch(`${server.url}/health`)).status).toBe(200);
		expect(await server.stop()).toBe(0);
	});

	test('of the metrics that is in use is named, and not the other one', async () => {
		const server = await startServer();
		const { host } = new URL(server.url);

		const sentence = await refusal({ METRICS_ADDR: host, DATA_DIR: newDir() });

		expect(sentence).toContain(host);
		expect(sentence).toContain('in use');
		expect(await server.stop()).toBe(0);
	});

	for (const address of ['192.0.2.1:0', 'nowhere.invalid:0']) {
		test(`${address} where nobody can listen is named`, async () => {
			const sentence = await refusal({ LISTEN_ADDR: address, DATA_DIR: newDir() });

			expect(sentence).toContain(address);
		});
	}
});

describe('a data directory', () => {
	test('in whose place a file stands is named', async () => {
		const path = join(newDir(), 'file');
		writeFileSync(path, 'mine');

		expect(await refusal({ DATA_DIR: path })).toContain(path);
		expect(readFileSync(path, 'utf8')).toBe('mine');
	});

	test('below a file is named', async () => {
		const file = join(newDir(), 'file');
		writeFileSync(file, 'mine');
		const path = join(file, 'data');

		expect(await refusal({ DATA_DIR: path })).toContain(path);
		expect(readFileSync(file, 'utf8')).toBe('mine');
	});

	test('where the system lets nobody write is named', async () => {
		expect(await refusal({ DATA_DIR: '/proc/chatapi' })).toContain('/proc/chatapi');
		expect(await refusal({ DATA_DIR: '/proc/self' })).toContain('/proc/self');
	});

	test('that another process serves is named; the other one goes on undisturbed', async () => {
		const dataDir = newDir();
		const server = await startServer({ dataDir });
		const tenant = await createTenant(server);

		const sentence = await refusal({ DATA_DIR: dataDir });

		expect(sentence).toContain(dataDir);
		expect(sentence).toContain('nother process');
		await createGroup(tenant, 'alice');
		expect(await server.stop()).toBe(0);
	});

	test('whose server was killed is free again at once', async () => {
		const dataDir = newDir();
		const server = await startServer({ dataDir });
		await server.kill();

		const again = await startServer({ dataDir });
		expect(await again.stop()).toBe(0);
	});
});

/** A data directory with this as its database. */
function dirWith(content: Uint8Array | string): string {
	const dataDir = newDir();
	writeFileSync(join(dataDir, 'chatapi.db'), content);
	return dataDir;
}

/** Starts on a data directory that it must refuse, and leave as it was but for its own lock. */
async function refusalOf(dataDir: string): Promise<string> {
	const before = contentsOf(dataDir);
	const sentence = await refusal({ DATA_DIR: dataDir });
	const { 'chatapi.lock': _, ...after } = contentsOf(dataDir);
	expect(after).toEqual(before);
	expect(sentence).toContain(join(dataDir, 'chatapi.db'));
	return sentence;
}

const PAGE = 4096;
const withGarbage = (from: number, to: number): Buffer =>
	Buffer.from(sound).fill(0xa5, from, Math.min(to, sound.length));

describe('a database', () => {
	test('that is sound is served, from the same bytes that the others are made of', async () => {
		const server = await startServer({ dataDir: dirWith(sound) });
		expect(sound.length).toBeGreaterThan(20 * PAGE);
		expect(await server.stop()).toBe(0);
	});

	test('that is a text is refused', async () => {
		const text = 'A letter that somebody saved under the wrong name.\n'.repeat(200);
		expect(await refusalOf(dirWith(text))).toContain('is not an SQLite database');
	});

	test('with garbage for a header is refused', async () => {
		expect(await refusalOf(dirWith(withGarbage(0, 100)))).toContain('is not an SQLite database');
	});

	test('with garbage in its first page is refused', async () => {
		expect(await refusalOf(dirWith(withGarbage(100, PAGE)))).toContain('is damaged');
	});

	test('with garbage in any one page is refused', async () => {
		const pages = sound.length / PAGE;
		const free = freePagesOf(sound);
		for (const page of new Set([1, 2, Math.floor(pages / 3), Math.floor(pages / 2), pages - 1])) {
			if (free.has(page)) continue;
			const dataDir = dirWith(withGarbage(page * PAGE, (page + 1) * PAGE));
			expect(await refusalOf(dataDir)).toContain('is damaged');
		}
	});

	test('whose end is missing is refused', async () => {
		for (const length of [PAGE, Math.floor(sound.length / 2), sound.length - PAGE]) {
			expect(await refusalOf(dirWith(sound.subarray(0, length)))).toContain('is damaged');
		}
	});

	test('of a newer version is refused', async () => {
		const dataDir = dirWith(sound);
		change(dataDir, `INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('new', 9e12)`);
		expect(await refusalOf(dataDir)).toContain('another version');
	});

	test('whose migrations are not this version’s is refused', async () => {
		const dataDir = dirWith(sound);
		change(dataDir, `UPDATE __drizzle_migrations SET hash = 'edited'`);
		expect(await refusalOf(dataDir)).toContain('another version');
	});

	test('of another program is refused', async () => {
		const dataDir = newDir();
		change(dataDir, 'CREATE TABLE recipes (title)');
		expect(await refusalOf(dataDir)).toContain('another program');
	});

	test('in whose place a directory stands is refused', async () => {
		const dataDir = newDir();
		mkdirSync(join(dataDir, 'chatapi.db'));
		expect(await refusalOf(dataDir)).toContain('cannot be opened');
	});

	test('that is an empty file is a new one: there is nothing in it to lose', async () => {
		const server = await startServer({ dataDir: dirWith('') });
		await createTenant(server);
		expect(await server.stop()).toBe(0);
	});
});

/** Changes the database of a data directory, and leaves it whole in its one file. */
function change(dataDir: string, sql: string): void {
	const path = join(dataDir, 'chatapi.db');
	const db = new Database(path, { create: true, readwrite: true });
	db.run(sql);
	db.run('PRAGMA wal_checkpoint(TRUNCATE)');
	db.close();
	for (const end of ['-wal', '-shm']) rmSync(path + end, { force: true });
}

/** Pages that hold nothing, counted from 0: garbage in them does no harm and is not looked for. */
function freePagesOf(bytes: Buffer): Set<number> {
	const free = new Set<number>();
	for (let trunk = bytes.readUInt32BE(32); trunk !== 0; ) {
		free.add(trunk - 1);
		const at = (trunk - 1) * PAGE;
		const leaves = bytes.readUInt32BE(at + 4);
		for (let leaf = 0; leaf < leaves; leaf++) free.add(bytes.readUInt32BE(at + 8 + leaf * 4) - 1);
		trunk = bytes.readUInt32BE(at);
	}
	return free;
}

describe('an interrupted copy', () => {
	test('of the database without its log is served as far as it goes, or refused: never a crash', async () => {
		const dataDir = newDir();
		const server = await startServer({ dataDir });
		const tenant = await createTenant(server);
		await createGroup(tenant, 'alice');
		const copy = newDir();
		copyFileSync(join(dataDir, 'chatapi.db'), join(copy, 'chatapi.db'));
		await server.kill();

		const again = await startServer({ dataDir: copy });

		expect((await fetch(`${again.url}/health`)).status).toBe(200);
		expect(await again.stop()).toBe(0);
	});
});
