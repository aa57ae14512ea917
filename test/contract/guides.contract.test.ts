import { describe, expect, test } from 'bun:test';
import { join, resolve } from 'node:path';
import { freePort, isFree } from '../helpers/ports.ts';
import { BINARY, startServer } from '../helpers/server.ts';
import { within } from '../helpers/wait.ts';

const REPOSITORY = resolve(import.meta.dir, '..', '..');
const DONE = 'Every command of the guide gave what it promises.';

/** Every curl command of ChatAPI's guide. An example that drifts from its guide is no example of it. */
const CHATAPI = [
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

/** Those of SelfMX's, with messages in the place of e-mails. */
const SELFMX = [
	`curl -X POST https://api.yourdomain.com/v1/tenants \\
  -H "Authorization: Bearer ADMIN_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Acme Corp",
    "domain": "acme.com",
    "settings": {
      "from_name": "Acme",
      "reply_to": "support@acme.com"
    }
  }'`,
	`curl -X POST https://api.yourdomain.com/v1/tenants/tenant_abc123/api-keys \\
  -H "Authorization: Bearer ADMIN_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Production",
    "permissions": ["send", "templates:read"]
  }'`,
	`curl https://api.yourdomain.com/v1/messages \\
  -H "Authorization: Bearer TENANT_API_KEY"`,
	`curl https://api.yourdomain.com/v1/tenants \\
  -H "Authorization: Bearer ADMIN_API_KEY"`,
	`curl https://api.yourdomain.com/v1/tenants/tenant_abc123/messages \\
  -H "Authorization: Bearer ADMIN_API_KEY"`,
	`curl -X PUT https://api.yourdomain.com/v1/tenants/tenant_abc123 \\
  -H "Authorization: Bearer ADMIN_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "smtp": {
      "host": "smtp.acme.com",
      "port": 587,
      "user": "noreply@acme.com",
      "pass": "tenant-smtp-password"
    }
  }'`,
	`curl https://api.yourdomain.com/v1/tenants/tenant_abc123/usage \\
  -H "Authorization: Bearer ADMIN_API_KEY"`,
	`curl -X PUT https://api.yourdomain.com/v1/tenants/tenant_abc123 \\
  -H "Authorization: Bearer ADMIN_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "rate_limit": {
      "requests_per_minute": 200,
      "messages_per_day": 10000
    }
  }'`,
];

const GUIDES = [
	{ script: 'chatapi.sh', commands: CHATAPI },
	{ script: 'selfmx.sh', commands: SELFMX },
	// Its page shows no command: what App Management is for is in docs/management.md.
	{ script: 'cometchat.sh', commands: [] },
];

const needed = ['bash', 'curl', 'openssl'].filter((program) => Bun.which(program) === null);
const reason = needed.length === 0 ? '' : ` (skipped: no ${needed.join(', ')} on this machine)`;

for (const { script, commands } of GUIDES) {
	describe(`examples/${script}`, () => {
		if (commands.length > 0) {
			test('holds every command of its guide, letter for letter and in order', async () => {
				const text = await Bun.file(join(REPOSITORY, 'examples', script)).text();
				let at = 0;
				for (const command of commands) {
					const found = text.indexOf(`\n${command}\n`, at);
					expect({ command, isThere: found >= 0 }).toEqual({ command, isThere: true });
					at = found + 1;
				}
			});
		}

		test.skipIf(needed.length > 0)(
			`runs by itself, server and all${reason}`,
			async () => {
				const port = (await isFree(8080)) ? 8080 : await freePort();
				const result = await run(script, { CHATAPI_BIN: BINARY, PORT: String(port) });

				expect(result).toMatchObject({ exitCode: 0, stderr: '' });
				expect(result.stdout).toEndWith(`${DONE}\n`);
			},
			60_000,
		);

		test.skipIf(needed.length > 0)(
			`runs against a server that is there${reason}`,
			async () => {
				const server = await startServer();
				const result = await run(script, { BASE: server.url, MASTER_API_KEY: server.masterKey });

				expect(result).toMatchObject({ exitCode: 0, stderr: '' });
				expect(result.stdout).toEndWith(`${DONE}\n`);
				expect(await server.stop()).toBe(0);
			},
			60_000,
		);

		test.skipIf(needed.length > 0)(
			`fails where the server is not what its guide says${reason}`,
			async () => {
				const impostor = Bun.serve({
					port: 0,
					hostname: '127.0.0.1',
					fetch: () => Response.json({ tenant_id: 'tenant_1', id: 'tenant_1', plan_id: 'plan_1' }),
				});
				const BASE = `http://127.0.0.1:${impostor.port}`;
				const result = await run(script, { BASE, MASTER_API_KEY: 'x' });
				await impostor.stop(true);

				expect(result.exitCode).toBe(1);
				expect(result.stderr).toMatch(/FAILED: (tenant_id|id|plan_id) is/);
			},
		);
	});
}

async function run(script: string, env: Record<string, string>) {
	const child = Bun.spawn(['bash', join(REPOSITORY, 'examples', script)], {
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
