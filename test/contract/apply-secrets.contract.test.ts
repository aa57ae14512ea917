/** `chatapi apply`: the secrets of new keys are told once, whatever becomes of who was to be told. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY, runBinary, type Server, startServer } from '../helpers/server.ts';
import { operator } from '../helpers/tenants.ts';
import { eventually, within } from '../helpers/wait.ts';

// Several processes a test, on shared cores.
setDefaultTimeout(60_000);

let folder: string;
let server: Server;
beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'chatapi-secrets-'));
	server = await startServer({ dataDir: join(folder, 'data') });
});
afterAll(async () => {
	const exitCode = await server.stop();
	rmSync(folder, { recursive: true, force: true });
	expect({ exitCode, stderr: server.stderr() }).toEqual({ exitCode: 0, stderr: '' });
});

let files = 0;
const newPath = () => join(folder, `file-${++files}`);

/** The path of a document with tenants of these names, a key each. */
function documentOf(names: readonly string[]): string {
	const keys = [{ name: 'Backend', permissions: ['rooms:read'] }];
	const path = newPath();
	writeFileSync(path, JSON.stringify({ tenants: names.map((name) => ({ name, keys })) }));
	return path;
}

const manyNames = (prefix: string, count: number) =>
	Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

const apply = (...args: string[]) =>
	runBinary(['apply', ...args], { DATA_DIR: server.dataDir }, 60_000);

const secretsIn = (text: string): { tenant: string; api_key: string }[] =>
	text
		.split('\n')
		.filter((line) => line.startsWith('{'))
		.map((line) => JSON.parse(line));

async function expectGood(secrets: readonly { api_key: string }[]): Promise<void> {
	const key = secrets.at(-1)?.api_key ?? '';
	expect((await httpClient(server, { key, user: 'ann' }).get('/rooms')).status).toBe(200);
}

const keyIn = (words: string): string => /--resume (apply-[0-9a-f]{32})/.exec(words)?.[1] ?? '';

for (const [signal, exitCode] of [
	['SIGINT', 130],
	['SIGTERM', 143],
] as const) {
	test(`are told again to who was cut off by ${signal}, while the server went on`, async () => {
		const names = manyNames(signal, 600);
		const path = documentOf(names);
		const out = newPath();
		const command = [BINARY, 'apply', '-f', path, '--secrets-out', out];
		const env = { DATA_DIR: server.dataDir };
		const child = Bun.spawn(command, { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
		await eventually(async () => {
			const { body } = await operator(server).get<{ state: string; done: number }>('/admin/apply');
			return (body.state === 'changing' && body.done > 0) || undefined;
		}, 20_000);

		child.kill(signal);

		expect(await within(child.exited, 'the command to end')).toBe(exitCode);
		const words = await new Response(child.stderr).text();
		expect(words).toContain('--resume apply-');
		expect(words.trim().split('\n')).toHaveLength(1);
		expect(existsSync(out)).toBe(false);
		// At once: the first request is at work still.
		const resumed = await apply('-f', path, '--secrets-out', out, '--resume', keyIn(words));
		expect(resumed).toMatchObject({ exitCode: 0, stderr: '' });
		const secrets = secretsIn(readFileSync(out, 'utf8'));
		expect(secrets.map(({ tenant }) => tenant)).toEqual(names);
		await expectGood(secrets);
	});
}

test('are told again where the disk is full that they were to be written to', async () => {
	const names = manyNames('Full', 20);
	const path = documentOf(names);
	const out = newPath();
	// A file may have a block of it, and the signal for more is not heeded.
	const limited = `trap '' XFSZ; ulimit -f 1; exec "$@"`;
	const command = ['sh', '-c', limited, 'sh', BINARY, 'apply', '-f', path, '--secrets-out', out];
	const env = { PATH: process.env.PATH, DATA_DIR: server.dataDir };
	const child = Bun.spawn(command, { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });

	expect(await within(child.exited, 'the command to end')).toBe(1);
	const words = await new Response(child.stderr).text();
	expect(words).toContain('could not be written (EFBIG)');
	const again = await apply('-f', path, '--resume', keyIn(words));
	expect(again).toMatchObject({ exitCode: 0, stderr: '' });
	const secrets = secretsIn(again.stdout);
	expect(secrets.map(({ tenant }) => tenant)).toEqual(names);
	await expectGood(secrets);
});

test('are printed also where what --prune takes away is refused after they were made', async () => {
	bodyOf(await operator(server).post('/admin/plans', { name: 'To go' }), 201);
	const path = newPath();
	writeFileSync(path, JSON.stringify({ plans: [], tenants: [{ name: 'Printed' }] }));
	const key = newPath();
	writeFileSync(key, server.masterKey);
	// Between the command and the server: whatever is to be pruned is refused.
	const between = Bun.serve({
		hostname: '127.0.0.1',
		port: 0,
		async fetch(request) {
			const { pathname, search } = new URL(request.url);
			if (search === '?prune=true') {
				const error = { code: 'CONFLICT', message: 'Another document', retryable: false };
				return Response.json({ success: false, error }, { status: 409 });
			}
			const body = request.method === 'POST' ? await request.text() : null;
			return fetch(`${server.url}${pathname}${search}`, {
				...{ method: request.method, headers: request.headers, body },
			});
		},
	});
	try {
		const url = `http://127.0.0.1:${between.port}`;
		const refused = await apply(
			...['-f', path, '--prune', '--yes', '--url', url, '--master-key-file', key],
		);

		expect(refused).toMatchObject({ exitCode: 1, stderr: 'chatapi: Another document\n' });
		const secrets = secretsIn(refused.stdout);
		expect(secrets.map(({ tenant }) => tenant)).toEqual(['Printed']);
		expect(refused.stdout).toContain('+ tenant "Printed"');
		expect(refused.stdout).not.toContain('- plan');
		const used = httpClient(server, { key: secrets[0]?.api_key ?? '' });
		expect((await used.get('/settings')).status).toBe(200);
	} finally {
		await between.stop(true);
	}
});
