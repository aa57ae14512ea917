/** What a start does, and leaves behind. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
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
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY, startServer } from '../helpers/server.ts';
import { createGroup, createTenant, operator, sendMessage } from '../helpers/tenants.ts';
import { within } from '../helpers/wait.ts';
import type { Member, MessagesPage, RoomsPage } from '../helpers/wire.ts';
import { serveIn } from './start-up-process.ts';

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-start-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const newDir = (): string => mkdtempSync(join(folder, 'dir-'));

describe('in an empty directory, without one variable', () => {
	test('it serves, and all that it makes is ./data', async () => {
		const cwd = newDir();

		const server = await serveIn(cwd, {});

		expect((await fetch(`${server.url}/health`)).status).toBe(200);
		expect((await fetch(`${server.url}/swagger`)).status).toBe(200);
		expect(await server.stop()).toBe(0);
		expect(readdirSync(cwd)).toEqual(['data']);
		expect(statSync(join(cwd, 'data')).mode & 0o777).toBe(0o700);
		const left = readdirSync(join(cwd, 'data')).filter((name) => !/-(wal|shm)$/.test(name));
		expect(left.sort()).toEqual([
			'ballast',
			'chatapi.db',
			'chatapi.lock',
			'master.key',
			'secrets.key',
		]);
	});

	test('it makes a master key that only its user can read, and says where, not what', async () => {
		const cwd = newDir();
		const file = join(cwd, 'data', 'master.key');

		const server = await serveIn(cwd, {});
		const key = readFileSync(file, 'utf8').trim();
		const headers = { 'X-Master-Key': key };
		const answer = await fetch(`${server.url}/admin/tenants`, { headers });

		expect(answer.status).toBe(200);
		expect(key.length).toBeGreaterThanOrEqual(32);
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(server.log.filter((line) => String(line.file).endsWith('master.key'))).toHaveLength(1);
		expect(server.log.find((line) => 'file' in line)?.file).toContain('master.key');
		expect(JSON.stringify(server.log)).not.toContain(key);
		expect(await server.stop()).toBe(0);
	});

	test('the second start uses the same master key, two servers have two', async () => {
		const [cwd, other] = [newDir(), newDir()];
		const keyOf = async (directory: string) => {
			const server = await serveIn(directory, {});
			expect(await server.stop()).toBe(0);
			return readFileSync(join(directory, 'data', 'master.key'), 'utf8');
		};

		const first = await keyOf(cwd);

		expect(await keyOf(cwd)).toBe(first);
		expect(await keyOf(other)).not.toBe(first);
	});

	test('a master key in its file that was cut short is refused, and kept', async () => {
		const cwd = newDir();
		mkdirSync(join(cwd, 'data'));
		writeFileSync(join(cwd, 'data', 'master.key'), 'abc\n');

		await expect(serveIn(cwd, {})).rejects.toThrow(/master\.key/);
		expect(readFileSync(join(cwd, 'data', 'master.key'), 'utf8')).toBe('abc\n');
	});
});

describe('in a directory with baits', () => {
	/** Files that Bun reads on its own, in a way that nobody could miss. */
	function baited(): string {
		const cwd = newDir();
		writeFileSync(join(cwd, '.env'), 'LOG_LEVEL=bait\n');
		writeFileSync(join(cwd, '.env.production'), 'LOG_LEVEL=bait\n');
		writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./preload.ts"]\n');
		writeFileSync(join(cwd, 'preload.ts'), 'console.log("bait taken");\n');
		writeFileSync(join(cwd, 'tsconfig.json'), '{ "extends": "./absent.json" }\n');
		writeFileSync(join(cwd, 'package.json'), '{ "type": "commonjs", "name": "bait" }\n');
		return cwd;
	}

	test('it takes none of them', async () => {
		const server = await serveIn(baited(), { DATA_DIR: newDir() });

		expect(server.log.at(-1)?.msg).toBe('Listening');
		expect((await fetch(`${server.url}/health`)).status).toBe(200);
		expect(await server.stop()).toBe(0);
	});

	test('Bun itself does: they are good baits', async () => {
		const child = Bun.spawn([process.execPath, '-e', 'console.log(process.env.LOG_LEVEL)'], {
			cwd: baited(),
			env: {},
			stdout: 'pipe',
			stderr: 'ignore',
		});

		const said = await within(new Response(child.stdout).text(), 'Bun to end');

		expect(said).toContain('bait taken');
		expect(said).toContain('bait\n');
	});
});

test('the binary says production, whatever the environment says', async () => {
	for (const NODE_ENV of ['development', 'test', '']) {
		const server = await startServer({ env: { NODE_ENV } });
		const answer = await httpClient(server).call('GET', '/nowhere');

		expect(answer.status).toBe(404);
		expect(answer.text).not.toMatch(/node_modules|\bat .+:\d+|<html/i);
		expect(await server.stop()).toBe(0);
	}
	expect(BINARY).toEndWith('chatapi');
});

test('a stop asked for during the start is a stop: exit 0, nothing on stderr', async () => {
	const cwd = newDir();
	const child = Bun.spawn([BINARY], {
		cwd,
		env: { LISTEN_ADDR: '127.0.0.1:0' },
		stdout: 'pipe',
		stderr: 'pipe',
	});
	const reader = child.stdout.getReader();
	// The master key is made before anything else, and long before it listens.
	const { value } = await within(reader.read(), 'the first line');
	expect(new TextDecoder().decode(value)).toContain('master.key');
	child.kill('SIGTERM');

	expect(await within(child.exited, 'the server to stop', 15_000)).toBe(0);
	expect(await new Response(child.stderr).text()).toBe('');
	const again = await serveIn(cwd, {});
	expect(await again.stop()).toBe(0);
});

test('a restart keeps everything: tenants, keys, rooms, roles, messages, positions', async () => {
	const dataDir = newDir();
	const server = await startServer({ dataDir });
	const tenant = await createTenant(server, { metadata: { plan: 'x' } });
	const { room_id } = await createGroup(tenant, 'alice', ['bob'], { metadata: { a: [1] } });
	const sent = [];
	for (const content of ['one', 'two', 'three']) {
		sent.push(await sendMessage(tenant, 'alice', room_id, content));
	}
	bodyOf(await tenant.as('bob').post(`/rooms/${room_id}/read`, { seq: 2 }), 200);
	const look = async (url: string) => {
		const as = (user: string) => httpClient({ url }, { key: tenant.api_key, user });
		return {
			tenants: bodyOf(await operator({ ...server, url }).get('/admin/tenants'), 200),
			rooms: bodyOf(await as('bob').get<RoomsPage>('/rooms'), 200),
			members: bodyOf(await as('bob').get<{ members: Member[] }>(`/rooms/${room_id}/members`), 200),
			messages: bodyOf(await as('bob').get<MessagesPage>(`/rooms/${room_id}/messages`), 200),
		};
	};
	const before = await look(server.url);
	expect(await server.stop()).toBe(0);

	const again = await startServer({ dataDir, env: { MASTER_API_KEY: server.masterKey } });

	expect(await look(again.url)).toEqual(before);
	expect(before.messages.messages).toEqual(sent);
	expect(before.rooms.rooms[0]).toMatchObject({ unread_count: 1, last_read_seq: 2, last_seq: 3 });
	const next = await sendMessage(
		{ ...tenant, ...clientsOf(again.url, tenant.api_key) },
		'alice',
		room_id,
	);
	expect(next.seq).toBe(4);
	expect(next.cursor > (sent.at(-1)?.cursor ?? '')).toBe(true);
	expect(again.log().filter(({ msg }) => msg === 'Database migrated')).toEqual([]);
	expect(await again.stop()).toBe(0);
});

const clientsOf = (url: string, key: string) => ({
	as: (user?: string) => httpClient({ url }, user === undefined ? { key } : { key, user }),
});

test('a clean stop leaves a database that is whole in its one file', async () => {
	const dataDir = newDir();
	const server = await startServer({ dataDir });
	const tenant = await createTenant(server);
	const { room_id } = await createGroup(tenant, 'alice');
	const message = await sendMessage(tenant, 'alice', room_id, 'kept');
	expect(await server.stop()).toBe(0);
	const copy = newDir();
	writeFileSync(join(copy, 'chatapi.db'), readFileSync(join(dataDir, 'chatapi.db')));

	const again = await startServer({ dataDir: copy });

	const page = await clientsOf(again.url, tenant.api_key)
		.as('alice')
		.get<MessagesPage>(`/rooms/${room_id}/messages`);
	expect(bodyOf(page, 200).messages).toEqual([message]);
	expect(await again.stop()).toBe(0);
});
