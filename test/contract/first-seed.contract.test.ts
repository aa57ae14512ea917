import { expect, test } from 'bun:test';
import { join, resolve } from 'node:path';
import { freePort, isFree } from '../helpers/ports.ts';
import { BINARY, startServer } from '../helpers/server.ts';
import { within } from '../helpers/wait.ts';

const REPOSITORY = resolve(import.meta.dir, '..', '..');
const SCRIPT = join(REPOSITORY, 'examples', 'first-seed.sh');
const DONE = 'Every command of the guide gave what it promises.';

/** Every curl command of the guide. An example that drifts from the guide is no example of it. */
const COMMANDS = [
	`curl -X POST http://localhost:8080/admin/tenants \\
  -H "X-Master-Key: your-master-key-here" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "MyCompany"}'`,
	`curl -X POST http://localhost:8080/rooms \\
  -H "X-API-Key: $CHATAPI_KEY" \\
  -H "X-User-Id: testuser" \\
  -H "Content-Type: application/json" \\
  -d '{"type": "dm", "members": ["alice", "bob"]}'`,
	`curl -X POST http://localhost:8080/rooms/room_abc123/messages \\
  -H "X-API-Key: $CHATAPI_KEY" \\
  -H "X-User-Id: alice" \\
  -H "Content-Type: application/json" \\
  -d '{"content": "Hello from my tenant!"}'`,
	`curl -X POST http://localhost:8080/admin/tenants \\
  -H "X-Master-Key: your-master-key" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "AnotherCompany"}'`,
	`curl -X POST http://localhost:8080/admin/tenants \\
  -H "X-Master-Key: your-master-key" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "StagingEnvironment"}'`,
];

const needed = ['bash', 'curl', 'openssl'].filter((program) => Bun.which(program) === null);
const reason = needed.length === 0 ? '' : ` (skipped: no ${needed.join(', ')} on this machine)`;

test('the example holds every command of the first guide, letter for letter and in order', async () => {
	const script = await Bun.file(SCRIPT).text();
	let at = 0;
	for (const command of COMMANDS) {
		const found = script.indexOf(`\n${command}\n`, at);
		expect({ command, isThere: found >= 0 }).toEqual({ command, isThere: true });
		at = found + 1;
	}
});

test.skipIf(needed.length > 0)(
	`it runs by itself, server and all${reason}`,
	async () => {
		const port = (await isFree(8080)) ? 8080 : await freePort();
		const result = await run({ CHATAPI_BIN: BINARY, PORT: String(port) });

		expect(result).toMatchObject({ exitCode: 0, stderr: '' });
		expect(result.stdout).toEndWith(`${DONE}\n`);
	},
	60_000,
);

test.skipIf(needed.length > 0)(
	`it runs against a server that is there${reason}`,
	async () => {
		const server = await startServer();
		const result = await run({ BASE: server.url, MASTER_API_KEY: server.masterKey });

		expect(result).toMatchObject({ exitCode: 0, stderr: '' });
		expect(result.stdout).toEndWith(`${DONE}\n`);
		expect(await server.stop()).toBe(0);
	},
	60_000,
);

test.skipIf(needed.length > 0)(
	`it fails where the server is not what the guide says${reason}`,
	async () => {
		const impostor = Bun.serve({
			port: 0,
			hostname: '127.0.0.1',
			fetch: () => Response.json({ tenant_id: 'tenant_1', api_key: 'sk_1', name: 'MyCompany' }),
		});
		const BASE = `http://127.0.0.1:${impostor.port}`;
		const result = await run({ BASE, MASTER_API_KEY: 'x' });
		await impostor.stop(true);

		expect(result.exitCode).toBe(1);
		expect(result.stderr).toContain('tenant_id');
	},
);

async function run(env: Record<string, string>) {
	const child = Bun.spawn(['bash', SCRIPT], {
		cwd: REPOSITORY,
		env: { PATH: process.env.PATH ?? '', ...env },
		stdin: 'ignore',
		stdout: 'pipe',
		stderr: 'pipe',
	});
	const [exitCode, stdout, stderr] = await within(
		Promise.all([
			child.exited,
			new Response(child.stdout).text(),
			new Response(child.stderr).text(),
		]),
		'the example to end',
		50_000,
	).finally(() => child.kill());
	return { exitCode, stdout, stderr };
}
