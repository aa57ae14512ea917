/** What the command line and the environment may say, and what is said back. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import packageJson from '../../package.json';
import { freePort } from '../helpers/ports.ts';
import { randomSecret, runBinary, startServer } from '../helpers/server.ts';
import { operator } from '../helpers/tenants.ts';

let folder: string;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-settings-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The key that the first seed's documents print. */
const EXAMPLE_KEY = 's08XLS75G2SHN3owC2WkYtcdddHpUPBJXCG/3cKc66M=';

/** Every setting that the contract or the issue names. */
const SETTINGS = `MASTER_API_KEY LISTEN_ADDR DATA_DIR LOG_LEVEL DEFAULT_RATE_LIMIT ALLOWED_ORIGINS
	WS_MAX_CONNECTIONS_PER_USER WS_MAX_CONNECTIONS_PER_TENANT WS_MAX_CONNECTIONS
	WS_FRAMES_PER_SECOND WS_MAX_SUBSCRIPTIONS SHUTDOWN_DRAIN_TIMEOUT TRUSTED_PROXIES
	AUTH_FAILURES_PER_MINUTE MAX_BODY_BYTES MAX_CONTENT_BYTES MAX_METADATA_BYTES MAX_ROOM_MEMBERS
	MAX_ROOMS_PER_USER LIVE_RECEIPTS_MAX METRICS_ADDR WRITER_QUEUE_MAX`.split(/\s+/);

const COMMANDS = `serve backup verify restore export import audit apply export-config healthcheck
	version help`.split(/\s+/);

describe('the command line', () => {
	for (const flag of ['--help', '-h', 'help']) {
		test(`${flag} lists every setting and every command`, async () => {
			const { exitCode, stdout, stderr } = await runBinary([flag]);

			expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
			for (const name of SETTINGS) expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
			for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
		});
	}

	for (const flag of ['version', '--version', '-v']) {
		test(`${flag} prints the version and nothing else`, async () => {
			const run = await runBinary([flag]);

			expect(run).toEqual({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: '' });
		});
	}

	for (const words of [['bogus'], ['--bogus'], ['serve', 'extra'], ['help', 'bogus'], ['']]) {
		test(`${JSON.stringify(words)} is unknown: exit code 2, and where help is`, async () => {
			const { exitCode, stdout, stderr } = await runBinary(words);

			expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
			expect(stderr).toMatch(/^chatapi: [^\n]+\nTry: chatapi (\w+ )?--help\n$/);
		});
	}

	for (const name of COMMANDS) {
		test(`help ${name} and ${name} --help say the same, and do nothing`, async () => {
			const env = { DATA_DIR: join(folder, 'none'), LOG_LEVEL: 'shouting' };
			const asked = await runBinary(['help', name], env);

			expect(asked).toEqual({ exitCode: 0, stdout: asked.stdout, stderr: '' });
			expect(asked.stdout).toStartWith(`Usage: chatapi ${name}`);
			for (const line of asked.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
			for (const flag of ['--help', '-h'])
				expect(await runBinary([name, flag], env)).toEqual(asked);
			expect(existsSync(env.DATA_DIR)).toBe(false);
		});
	}

	test('help breaks its lines where a narrow terminal would', async () => {
		const { stdout } = await runBinary(['help']);

		for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
	});

	for (const [words, complaint] of [
		[['verify'], 'verify: something is missing. Usage: chatapi verify FILE [--quiet]'],
		[['verify', 'a', 'b'], 'verify: "b" is more than it takes'],
		[['backup', '--nonsense', '-x'], 'backup: it has no option --nonsense'],
		[['backup', '--out'], 'backup: --out needs a value'],
		[['backup', '--out', '--quiet'], 'backup: --out needs a value'],
		[['backup', '--quiet=yes'], 'backup: --quiet takes no value'],
		[['restore', '--__proto__', 'x'], 'restore: it has no option --__proto__'],
	] as const) {
		test(`${words.join(' ')}: says what is wrong, and where help is`, async () => {
			expect(await runBinary([...words])).toEqual({
				...{ exitCode: 2, stdout: '' },
				stderr: `chatapi: ${complaint}\nTry: chatapi ${words[0]} --help\n`,
			});
		});
	}

	test('a file that is not there is named in one sentence, with no word of the system', async () => {
		const gone = join(folder, 'gone', 'file');

		for (const words of [
			['apply', '--dry-run', '-f', gone],
			['backup', '--out', gone, '--data-dir', folder],
			['verify', gone],
		]) {
			const { exitCode, stdout, stderr } = await runBinary(words);
			expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
			expect(stderr).toMatch(/^chatapi: [^\n]+ is not there[^\n]*\n$/);
			expect(stderr).not.toMatch(/ENOENT|Error/);
		}
	});

	for (const word of ['constructor', '__proto__', 'toString']) {
		test(`${word} is no command either`, async () => {
			expect((await runBinary([word])).exitCode).toBe(2);
		});
	}
});

describe('healthcheck', () => {
	test('is 0 for a server that is well', async () => {
		const port = await freePort();
		const server = await startServer({ env: { LISTEN_ADDR: `127.0.0.1:${port}` } });

		const run = await runBinary(['healthcheck'], { LISTEN_ADDR: `127.0.0.1:${port}` });

		expect(run).toEqual({ exitCode: 0, stdout: 'ok\n', stderr: '' });
		expect(await server.stop()).toBe(0);
	});

	test('is 0 for a server that listens on all addresses', async () => {
		const port = await freePort();
		const server = await startServer({ env: { LISTEN_ADDR: `:${port}` } });

		expect((await runBinary(['healthcheck'], { LISTEN_ADDR: `:${port}` })).exitCode).toBe(0);
		expect(await server.stop()).toBe(0);
	});

	test('is 1 where nobody answers', async () => {
		const address = `127.0.0.1:${await freePort()}`;

		const { exitCode, stdout, stderr } = await runBinary(['healthcheck'], { LISTEN_ADDR: address });

		expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
		expect(stderr).toMatch(new RegExp(`^chatapi: [^\\n]*${address}[^\\n]*\\n$`));
	});

	test('is 1 where something else answers, and 1 where it never does', async () => {
		for (const fetch of [
			() => new Response('no', { status: 404 }),
			() => new Promise<Response>(() => {}),
		]) {
			const other = Bun.serve({ hostname: '127.0.0.1', port: 0, idleTimeout: 30, fetch });
			const run = await runBinary(['healthcheck'], { LISTEN_ADDR: `127.0.0.1:${other.port}` });
			await other.stop(true);

			expect(run.exitCode).toBe(1);
			expect(run.stderr).toMatch(/^chatapi: [^\n]+\n$/);
		}
	});
});

describe('bad settings', () => {
	test('are told all at once, one line each, and never with their values', async () => {
		const values = {
			MASTER_API_KEY: 'hunter2-hunter2',
			LISTEN_ADDR: 'not//an//address',
			LOG_LEVEL: 'shouting',
			DEFAULT_RATE_LIMIT: '-17',
			ALLOWED_ORIGINS: 'ftp://secret.example',
			MAX_BODY_BYTES: '3 parsecs',
			SHUTDOWN_DRAIN_TIMEOUT: 'fortnight',
			WRITER_QUEUE_MAX: '0',
			WS_MAX_CONNECTIONS: '1e3',
		};

		const { exitCode, stdout, stderr } = await runBinary([], values);

		expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
		const lines = stderr.trimEnd().split('\n');
		expect(lines).toHaveLength(Object.keys(values).length);
		for (const [name, value] of Object.entries(values)) {
			expect(lines.filter((line) => new RegExp(`\\b${name}\\b`).test(line))).toHaveLength(1);
			if (value !== '0') expect(stderr).not.toContain(value);
		}
		expect(stderr).not.toMatch(/\bat .+:\d+/);
	});

	for (const [what, key] of [
		['short', randomSecret().slice(0, 31)],
		['the example of the documentation', EXAMPLE_KEY],
		['one character held down', 'a'.repeat(64)],
		['blank', ' '.repeat(40)],
		['no header', `${randomSecret()}\u00e9`],
	] as const) {
		test(`a master key that is ${what} is refused`, async () => {
			const { exitCode, stderr } = await runBinary([], { MASTER_API_KEY: key });

			expect(exitCode).toBe(1);
			expect(stderr).toMatch(/^chatapi: MASTER_API_KEY [^\n]+\n$/);
			expect(stderr).not.toContain(key.trim() || key);
		});
	}

	test('stop a healthcheck too', async () => {
		const { exitCode, stderr } = await runBinary(['healthcheck'], { LOG_LEVEL: 'shouting' });

		expect(exitCode).toBe(1);
		expect(stderr).toContain('LOG_LEVEL');
	});
});

describe('MASTER_API_KEY_FILE', () => {
	const fileWith = (content: string): string => {
		const path = join(mkdtempSync(join(folder, 'key-')), 'key');
		writeFileSync(path, content);
		return path;
	};

	test('holds the key, whatever white space is around it', async () => {
		const key = randomSecret();
		const env = { MASTER_API_KEY: undefined, MASTER_API_KEY_FILE: fileWith(`  ${key}\r\n`) };
		const dataDir = mkdtempSync(join(folder, 'data-'));
		writeFileSync(join(dataDir, 'master.key'), randomSecret());

		const server = await startServer({ dataDir, env });

		const answer = await operator({ ...server, masterKey: key }).get('/admin/tenants');
		expect(answer.status).toBe(200);
		expect(await server.stop()).toBe(0);
	});

	test('beside MASTER_API_KEY is refused: one of them would be wrong', async () => {
		const key = randomSecret();
		const { exitCode, stderr } = await runBinary([], {
			MASTER_API_KEY: key,
			MASTER_API_KEY_FILE: fileWith(key),
		});

		expect(exitCode).toBe(1);
		expect(stderr).toMatch(/^chatapi: [^\n]*MASTER_API_KEY_FILE[^\n]*\n$/);
		expect(stderr).not.toContain(key);
	});

	for (const [what, path] of [
		['absent', () => join(folder, 'absent')],
		['a directory', () => folder],
		['empty', () => fileWith('')],
		['too short', () => fileWith('short\n')],
		['the example', () => fileWith(EXAMPLE_KEY)],
	] as const) {
		test(`that is ${what} is refused`, async () => {
			const { exitCode, stderr } = await runBinary([], { MASTER_API_KEY_FILE: path() });

			expect(exitCode).toBe(1);
			expect(stderr).toMatch(/^chatapi: [^\n]*MASTER_API_KEY[^\n]*\n$/);
		});
	}
});
