/** What of a tenant cannot go with its file as it is, and what becomes of it where it is imported. */
import { Database } from 'bun:sqlite';
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { bodyOf, errorOf } from '../helpers/http.ts';
import { runBinary, type Server } from '../helpers/server.ts';
import { createTenant, operator, type TestTenant } from '../helpers/tenants.ts';
import { eventually } from '../helpers/wait.ts';
import type { AuditPage, Tenant } from '../helpers/wire.ts';
import { databaseOf, importInto, useStage } from './tenant-file-stage.ts';

// Several processes a test, on shared cores.
setDefaultTimeout(30_000);

const { stage, newDir, another } = useStage();

/** A tenant of the stage as a file. */
async function fileOf({ tenant_id }: TestTenant): Promise<string> {
	const target = join(newDir(), 'moved.db');
	const env = { DATA_DIR: stage.server.dataDir };
	expect(await runBinary(['export', tenant_id, target], env)).toMatchObject({ exitCode: 0 });
	return target;
}

const shownAt = async (server: Server, { tenant_id }: TestTenant) =>
	bodyOf(await operator(server).get<Tenant>(`/admin/tenants/${tenant_id}`), 200);

describe('an SMTP password', () => {
	const SMTP = { host: 'smtp.acme.example', port: 587, user: 'mailer', pass: 'correct-horse-9' };

	async function withSmtp(): Promise<TestTenant> {
		const tenant = await createTenant(stage.server);
		const path = `/admin/tenants/${tenant.tenant_id}`;
		bodyOf(await operator(stage.server).patch(path, { smtp: SMTP }), 200);
		return tenant;
	}

	test('of another server’s key is said to be unreadable, by the import and by the API, until it is set anew', async () => {
		const tenant = await withSmtp();
		const file = await fileOf(tenant);
		const other = await another();
		const line =
			`The SMTP password of ${tenant.tenant_id} cannot be read here, for it is under another server's SECRETS_KEY: ` +
			`set smtp.pass anew (PATCH /admin/tenants/${tenant.tenant_id}), or serve with that key\n`;

		const imported = await importInto(other.dataDir, file);
		const shown = await shownAt(other, tenant);
		const path = `/admin/tenants/${tenant.tenant_id}`;
		const renamed = await operator(other).patch<Tenant>(path, {
			name: 'Moved',
			smtp: { port: 465 },
		});
		const elsewhere = await operator(other).patch(path, { smtp: { host: 'evil.example' } });
		const mended = await operator(other).patch<Tenant>(path, { smtp: { pass: SMTP.pass } });
		const withoutServer = await importInto(join(newDir(), 'data'), file);

		expect({ exitCode: imported.exitCode, stderr: imported.stderr }).toEqual({
			...{ exitCode: 0, stderr: '' },
		});
		expect(imported.stdout).toEndWith(line);
		expect(withoutServer.stdout).toEndWith(line);
		expect(shown.smtp).toMatchObject({ host: SMTP.host, password: 'unreadable' });
		expect(bodyOf(renamed, 200).smtp).toMatchObject({ port: 465, password: 'unreadable' });
		expect(errorOf(elsewhere).field).toBe('/smtp/pass');
		expect(bodyOf(mended, 200).smtp).toMatchObject({ password: 'set' });
		expect(await other.stop()).toBe(0);
	});

	test('under the same key just works, through a server and without one', async () => {
		const tenant = await withSmtp();
		const file = await fileOf(tenant);
		const other = await another();
		const dataDir = join(newDir(), 'data');
		await other.stop();
		const key = (from: string) => join(from, 'secrets.key');
		copyFileSync(key(stage.server.dataDir), key(other.dataDir));
		const again = await another(other.dataDir);
		const env = { DATA_DIR: dataDir, SECRETS_KEY_FILE: key(stage.server.dataDir) };

		const through = await importInto(again.dataDir, file);
		const without = await runBinary(['import', file], env);

		for (const { exitCode, stdout } of [through, without]) {
			expect(exitCode).toBe(0);
			expect(stdout).toMatch(/^Imported \S+ \d+ rows?\n$/);
		}
		expect((await shownAt(again, tenant)).smtp).toMatchObject({ password: 'set' });
		expect(await again.stop()).toBe(0);
	});
});

test('users who were online at the export are offline after the import, and were seen when the source last said', async () => {
	const tenant = await createTenant(stage.server);
	const socket = await tenant.socket('alice');
	const isOnline = () => seenIn(databaseOf(stage.server), tenant)?.is_online === 1;
	await eventually(isOnline, 15_000, 'the coming to be written');
	const file = await fileOf(tenant);
	await socket.close();
	const other = await another();

	expect((await importInto(other.dataDir, file)).exitCode).toBe(0);

	const [at, before] = [seenIn(databaseOf(other), tenant), seenIn(file, tenant)];
	expect(before).toMatchObject({ is_online: 1 });
	expect(at).toEqual({
		is_online: 0,
		last_seen_at: Math.max(before?.last_seen_at ?? 0, before?.alive_at ?? 0),
		alive_at: before?.alive_at ?? 0,
	});
	expect(await other.stop()).toBe(0);
});

interface Seen {
	is_online: number;
	last_seen_at: number;
	alive_at: number;
}

/** When the one user of a tenant was seen, as it is written. */
function seenIn(path: string, { tenant_id }: TestTenant): Seen | null {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		return db
			.query<Seen, [string]>(
				`SELECT p.is_online, p.last_seen_at, h.alive_at FROM presences p
				JOIN presence_heads h ON h.tenant = p.tenant
				JOIN tenants t ON t.tenant = p.tenant WHERE t.tenant_id = ?`,
			)
			.get(tenant_id);
	} finally {
		db.close();
	}
}

test('a tenant that is being deleted comes so, and its erasing is filed under no plan of this server', async () => {
	const plan = bodyOf(
		await operator(stage.server).post<{ plan_id: string }>('/admin/plans', { name: 'Gold' }),
		201,
	);
	const tenant = await createTenant(stage.server, { plan_id: plan.plan_id });
	bodyOf(await operator(stage.server).delete(`/admin/tenants/${tenant.tenant_id}`), 202);
	const file = await fileOf(tenant);
	const db = new Database(file, { readwrite: true, create: false });
	db.run(`UPDATE tenants SET purge = json_set(purge, '$.by.plan', 1)`);
	db.close();
	const other = await another();
	const foreign = bodyOf(
		await operator(other).post<{ plan_id: string }>('/admin/plans', { name: 'Foreign' }),
		201,
	);

	expect((await importInto(other.dataDir, file)).exitCode).toBe(0);
	expect(await other.stop()).toBe(0);
	// Its time passes.
	const disk = new Database(databaseOf(other), { readwrite: true, create: false });
	disk.run(`UPDATE tenants SET purge_at = 1 WHERE status = 'deleting'`);
	disk.close();
	const again = await another(other.dataDir);

	const purged = async () => {
		const log = await operator(again).get<AuditPage>('/admin/audit?action=tenants.purge');
		return bodyOf(log, 200).entries;
	};
	await eventually(async () => (await purged()).length === 1, 20_000, 'the erasing');
	expect((await purged())[0]).toMatchObject({
		...{ credential: 'master', plan_id: null, target: { tenant_id: tenant.tenant_id } },
	});
	const theirs = await operator(again).get<AuditPage>(`/admin/audit?plan_id=${foreign.plan_id}`);
	expect(theirs.text).not.toContain(tenant.tenant_id);
	expect(await again.stop()).toBe(0);
});
