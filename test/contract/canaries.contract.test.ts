/**
 * Forty secrets that a server is told or makes, and everything that it writes: none of them stands in its log,
 * its metrics, its errors, its database, a backup of that, or a tenant's file.
 */
import { expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY } from '../helpers/server.ts';
import { openSocket } from '../helpers/socket.ts';
import {
	createGroup,
	createKey,
	createManagementKey,
	createPlan,
	createTenant,
	createTicket,
	createToken,
	operator,
	sendMessage,
	withToken,
} from '../helpers/tenants.ts';
import { useServer } from '../helpers/use-server.ts';
import type { ApiKey } from '../helpers/wire.ts';

const used = useServer({ LOG_LEVEL: 'debug' });

/** The part of a secret that nothing may hold: what is public of it stands before. */
const hiddenPartOf = (secret: string): string => secret.slice(-20);

test('forty secrets are in nothing that the server writes', async () => {
	const { server } = used;
	const secrets: string[] = [server.masterKey];
	const errors: string[] = [];
	const owner = operator(server);

	for (let count = 0; count < 4; count++) {
		const plan = await createPlan(server);
		const management = await createManagementKey(server, plan.plan_id);
		const idempotencyKey = `idempotency-${crypto.randomUUID()}`;
		const tenant = await createTenant(server, { plan_id: plan.plan_id });
		const key = await createKey(tenant, ['*']);
		const path = `/admin/tenants/${tenant.tenant_id}`;
		const rotated = bodyOf(
			await owner.post<ApiKey>(`${path}/api-keys/${key.key_id}/rotate`, {}),
			200,
		);
		const password = `smtp-${crypto.randomUUID()}`;
		const smtp = { host: 'smtp.acme.com', port: 587, user: 'noreply@acme.com', pass: password };
		bodyOf(await owner.patch(path, { smtp }), 200);
		const token = await createToken(tenant, 'ann');
		const [ticket, unused] = [await createTicket(tenant, 'ann'), await createTicket(tenant, 'ann')];
		const made = await tenant
			.as()
			.post<ApiKey>(
				'/api-keys',
				{ name: 'K', permissions: ['send'] },
				{ 'Idempotency-Key': idempotencyKey },
			);
		const bearer = made.body.api_key ?? '';
		secrets.push(management.secret, idempotencyKey, tenant.api_key, key.api_key, password, token);
		secrets.push(rotated.api_key ?? '', ticket, unused, bearer);

		const { room_id } = await createGroup(tenant, 'ann');
		await sendMessage(tenant, 'ann', room_id);
		const socket = await openSocket(server, { query: `token=${ticket}` });
		await socket.settle();
		await socket.close();
		errors.push((await httpClient(server, { management }).get('/admin/plans/plan_x')).text);
		errors.push((await withToken(server, `${token}x`).get('/rooms')).text);
		errors.push((await httpClient(server, { key: `${bearer}x` }).get('/rooms')).text);
		errors.push((await owner.patch(path, { smtp: { ...smtp, port: 'none' } })).text);
		errors.push(
			(
				await tenant
					.as()
					.post('/api-keys', { name: 'Other' }, { 'Idempotency-Key': idempotencyKey })
			).text,
		);
		errors.push((await owner.get(path)).text, (await owner.get(`${path}/api-keys`)).text);
	}

	expect(secrets.length).toBeGreaterThan(40);
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-canaries-'));
	try {
		await run('backup', '--out', join(folder, 'backup.db'));
		const first = bodyOf(
			await owner.get<{ tenants: { tenant_id: string }[] }>('/admin/tenants'),
			200,
		);
		await run('export', first.tenants[0]?.tenant_id ?? '', join(folder, 'tenant.db'));
		const texts = new Map<string, string>([
			['the log', JSON.stringify(server.log())],
			['stderr', server.stderr()],
			['the metrics', (await owner.get('/metrics')).text],
			['the audit log', (await owner.get('/admin/audit?limit=100')).text],
			['the errors', errors.join('\n')],
		]);
		for (const name of readdirSync(server.dataDir, { recursive: true }) as string[]) {
			// Where they are kept, apart from all else and for their owner alone.
			if (/^(master|secrets)\.key$/.test(name) || name.endsWith('.sock')) continue;
			texts.set(name, bytesOf(join(server.dataDir, name)));
		}
		for (const name of readdirSync(folder)) texts.set(name, bytesOf(join(folder, name)));
		// What is public of a key is there to be found: so would the rest be.
		const live = `${texts.get('chatapi.db')}${texts.get('chatapi.db-wal')}`;
		for (const text of [live, texts.get('backup.db')]) {
			expect(text).toContain(secrets.find((secret) => secret.startsWith('sk_'))?.slice(0, 13));
		}
		expect(texts.get('tenant.db')?.length).toBeGreaterThan(10_000);

		for (const [where, text] of texts) {
			const found = secrets.filter((secret) => text.includes(hiddenPartOf(secret)));
			expect({ where, found: found.map((secret) => secret.slice(0, 6)) }).toEqual({
				where,
				found: [],
			});
		}
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
});

/** A file as text in which every byte is a character; nothing of a folder. */
function bytesOf(path: string): string {
	try {
		return readFileSync(path).toString('latin1');
	} catch {
		// A folder, or a file of SQLite's that is gone again.
		return '';
	}
}

async function run(...args: string[]): Promise<void> {
	const child = Bun.spawn([BINARY, ...args], {
		env: { PATH: process.env.PATH ?? '', DATA_DIR: used.server.dataDir },
		stdin: 'ignore',
		stdout: 'pipe',
		stderr: 'pipe',
	});
	const [exitCode, stderr] = await Promise.all([
		child.exited,
		new Response(child.stderr).text(),
		new Response(child.stdout).text(),
	]);
	expect({ args: args[0], exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({
		args: args[0],
		exitCode: 0,
		stderr: '',
	});
}
