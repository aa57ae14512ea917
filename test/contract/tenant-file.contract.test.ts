/** `chatapi export` and `import`: one tenant as one file, into this or another server. */
import { Database } from 'bun:sqlite';
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { runBinary } from '../helpers/server.ts';
import { openSocket } from '../helpers/socket.ts';
import { countsOf, dumpOfTenant, withoutBackground } from '../helpers/tenant-dump.ts';
import { createGroup, createTenant, operator, sendMessage } from '../helpers/tenants.ts';
import type { Message } from '../helpers/wire.ts';
import { CANARY, databaseOf, importInto, useStage } from './tenant-file-stage.ts';

// Several processes a test, on shared cores.
setDefaultTimeout(30_000);

const { stage, newDir, another } = useStage();

describe('a tenant that was exported and imported', () => {
	test('is the same in every table, and its clients go on with their keys, seqs and cursors', async () => {
		const other = await another();
		await createTenant(other, { name: 'somebody before, so that numbers differ' });

		const { exitCode, stdout, stderr } = await importInto(other.dataDir, stage.file);

		expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
		expect(stdout).toMatch(new RegExp(`^Imported ${stage.acme.tenant_id}: \\d+ rows\\n$`));
		const rows = dumpOfTenant(stage.file, stage.acme.tenant_id);
		expect(dumpOfTenant(databaseOf(other), stage.acme.tenant_id)).toEqual(rows);
		expect(rows.length).toBeGreaterThan(20);
		const atHome = dumpOfTenant(databaseOf(stage.server), stage.acme.tenant_id);
		expect(withoutBackground(atHome)).toEqual(withoutBackground(rows));

		const key = stage.acme.api_key;
		const tenantThere = bodyOf(
			await operator(other).get(`/admin/tenants/${stage.acme.tenant_id}`),
			200,
		);
		expect(tenantThere).toMatchObject({ name: 'Acme' });
		const query = `cursor=${stage.sent[2]?.cursor}`;
		const socket = await openSocket(other, { key, user: 'bob', query });
		expect((await socket.next('message')).message_id).toBe(stage.sent[3]?.message_id);
		expect((await socket.next('message')).message_id).toBe(stage.sent[4]?.message_id);
		await socket.next('replay.done');
		expect(socket.all('resync')).toEqual([]);
		const client = httpClient(other, { key, user: 'alice' });
		const next = await client.post<Message>(`/rooms/${stage.room.room_id}/messages`, {
			content: 'next',
		});
		expect(bodyOf(next, 201).seq).toBe((stage.sent[4]?.seq ?? 0) + 1);
		expect(bodyOf(next, 201).cursor > (stage.sent[4]?.cursor ?? '')).toBe(true);
		expect((await socket.next('message')).message_id).toBe(bodyOf(next, 201).message_id);
		const events = httpClient(other, { key });
		const page = await events.get<{ events: unknown[] }>(`/events?after=${stage.sent[3]?.cursor}`);
		expect(bodyOf(page, 200).events).toHaveLength(2);
		await socket.close();
		expect(await other.stop()).toBe(0);
	});

	test('is in a directory without a server too, and with --new-epoch tells its clients to resync', async () => {
		const dataDir = join(newDir(), 'data');

		const { exitCode, stderr } = await importInto(dataDir, stage.file, '--new-epoch');

		expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
		const withoutEpoch = (lines: string[]) =>
			lines.map((line) => line.replace(/"epoch":"\w+"/, '"epoch":""'));
		expect(withoutEpoch(dumpOfTenant(databaseOf({ dataDir }), stage.acme.tenant_id))).toEqual(
			withoutEpoch(dumpOfTenant(stage.file, stage.acme.tenant_id)),
		);
		const other = await another(dataDir);
		const query = `cursor=${stage.sent[2]?.cursor}`;
		const socket = await openSocket(other, { key: stage.acme.api_key, user: 'bob', query });
		expect(await socket.next('resync')).toMatchObject({ reason: 'unknown' });
		await socket.close();
		expect(await other.stop()).toBe(0);
	});

	test('of a stopped server is the same in every table, those written in the background too', async () => {
		const other = await another();
		const tenant = await createTenant(other);
		const socket = await tenant.socket('alice');
		const { room_id } = await createGroup(tenant, 'alice', ['bob']);
		await sendMessage(tenant, 'alice', room_id);
		await socket.close();
		expect(await other.stop()).toBe(0);
		const target = join(newDir(), 'stopped.db');
		const env = { DATA_DIR: other.dataDir };

		expect((await runBinary(['export', tenant.tenant_id, target], env)).exitCode).toBe(0);

		const rows = dumpOfTenant(databaseOf(other), tenant.tenant_id);
		expect(dumpOfTenant(target, tenant.tenant_id)).toEqual(rows);
		expect(withoutBackground(rows).length).toBeLessThan(rows.length);
	});

	test('stays on its plan where there is one of that id, and else is on none, which is said', async () => {
		const plan = bodyOf(
			await operator(stage.server).post<{ plan_id: string }>('/admin/plans', { name: 'Gold' }),
			201,
		);
		const gold = await createTenant(stage.server, { plan_id: plan.plan_id });
		const target = join(newDir(), 'gold.db');
		const env = { DATA_DIR: stage.server.dataDir };
		expect((await runBinary(['export', gold.tenant_id, target], env)).exitCode).toBe(0);
		const other = await another();
		const restored = join(newDir(), 'data');
		const backup = (await runBinary(['backup', '--out', newDir()], env)).stdout.trim();
		expect((await runBinary(['restore', backup, '--data-dir', restored])).exitCode).toBe(0);
		const purged = new Database(join(restored, 'chatapi.db'));
		purged.run('PRAGMA foreign_keys = 0');
		for (const table of ['tenants', 'tenant_heads', 'api_keys']) {
			const numbers = 'SELECT max(tenant) FROM tenant_heads';
			purged.run(
				`DELETE FROM ${table} WHERE tenant = (${numbers}) AND ${table !== 'tenant_heads'}`,
			);
		}
		purged.run('DELETE FROM tenant_heads WHERE tenant NOT IN (SELECT tenant FROM tenants)');
		purged.close();

		const without = await importInto(other.dataDir, target);
		const withPlan = await importInto(restored, target);

		expect(without).toMatchObject({ exitCode: 0, stderr: '' });
		expect(without.stdout).toContain(`Not here, and left out: plan ${plan.plan_id}\n`);
		const shown = await operator(other).get<{ plan_id: unknown }>(
			`/admin/tenants/${gold.tenant_id}`,
		);
		expect(bodyOf(shown, 200).plan_id).toBeNull();
		expect(await other.stop()).toBe(0);
		expect(withPlan).toMatchObject({ exitCode: 0, stderr: '' });
		expect(withPlan.stdout).not.toContain('left out');
		const again = await another(restored);
		const path = `/admin/tenants/${gold.tenant_id}`;
		const kept = await operator(again).get<{ plan_id: unknown }>(path);
		expect(bodyOf(kept, 200).plan_id).toBe(plan.plan_id);
		expect(await again.stop()).toBe(0);
	});

	test('has the quotas of its file, whatever it had here before it was purged', async () => {
		const tenant = await createTenant(stage.server, { quotas: { messages_per_month: 3 } });
		const { room_id } = await createGroup(tenant, 'alice');
		await sendMessage(tenant, 'alice', room_id);
		const file = join(newDir(), 'with-quota.db');
		const env = { DATA_DIR: stage.server.dataDir };
		expect(await runBinary(['export', tenant.tenant_id, file], env)).toMatchObject({ exitCode: 0 });
		const path = `/admin/tenants/${tenant.tenant_id}`;
		bodyOf(await operator(stage.server).patch(path, { quotas: null }), 200);
		await sendMessage(tenant, 'alice', room_id);
		bodyOf(await operator(stage.server).delete(`${path}?purge=now`), 200);

		expect(await importInto(stage.server.dataDir, file)).toMatchObject({ exitCode: 0 });

		const statuses: number[] = [];
		for (let count = 0; count < 4; count++) {
			const sent = await tenant.as('alice').post(`/rooms/${room_id}/messages`, { content: 'x' });
			statuses.push(sent.status);
		}
		expect(statuses).toEqual([201, 201, 403, 403]);
		// What it used would be written in the background, while others count rows.
		bodyOf(await operator(stage.server).delete(`${path}?purge=now`), 200);
	});

	test('is refused where it is already, and nothing changes', async () => {
		const before = countsOf(databaseOf(stage.server));

		const { exitCode, stdout, stderr } = await importInto(stage.server.dataDir, stage.file);

		expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
		expect(stderr).toBe(`chatapi: The tenant ${stage.acme.tenant_id} is here already\n`);
		expect(countsOf(databaseOf(stage.server))).toEqual(before);
	});
});

describe('the file', () => {
	test('holds nothing of another tenant, and no number of a database', () => {
		const bytes = readFileSync(stage.file);
		for (const foreign of [CANARY, stage.globex.tenant_id, stage.globex.api_key.slice(0, 13)]) {
			expect(bytes.includes(foreign)).toBe(false);
		}
		expect(bytes.includes(stage.acme.api_key.slice(0, 13))).toBe(true);
		expect(bytes.includes(stage.acme.api_key.slice(13))).toBe(false);
		const db = new Database(stage.file, { readonly: true });
		const tables = db
			.query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%\`tenant\`%'`)
			.values()
			.flat();
		expect(tables.length).toBeGreaterThan(8);
		for (const table of tables) {
			const numbers = db.query(`SELECT DISTINCT tenant FROM ${table}`).values().flat();
			expect(numbers.filter((number) => number !== 1)).toEqual([]);
		}
		db.close();
	});

	test('is one moment, whatever is written meanwhile, and holds what was answered before', async () => {
		const busy = await createTenant(stage.server, {
			rate_limit: { requests_per_second: 1_000_000 },
		});
		const { room_id } = await createGroup(busy, 'alice', ['bob']);
		let isOver = false;
		let last = 0;
		const writing = Promise.all(
			['alice', 'bob'].map(async (user) => {
				while (!isOver) last = Math.max(last, (await sendMessage(busy, user, room_id)).seq);
			}),
		);
		try {
			for (let count = 0; count < 3; count++) {
				const target = join(newDir(), 'busy.db');
				const before = last;
				const env = { DATA_DIR: stage.server.dataDir };
				expect((await runBinary(['export', busy.tenant_id, target], env)).exitCode).toBe(0);

				expect(momentOf(target).last_seq).toBeGreaterThanOrEqual(before);
				expect(momentOf(target)).toEqual(evenMoment(momentOf(target).last_seq));
				expect(statSync(target).mode & 0o777).toBe(0o600);
				expect(readdirSync(join(target, '..'))).toEqual(['busy.db']);
			}
		} finally {
			isOver = true;
			await writing;
		}
		expect(last).toBeGreaterThan(20);
	});

	test.each([
		['an unknown tenant', ['tenant_00000000000000000000000000'], /There is no tenant/],
		['nonsense', ["x' OR 1=1 --"], /There is no tenant/],
	])('of %s is not made', async (_, [tenant_id = ''], sentence) => {
		const target = join(newDir(), 'none.db');
		const env = { DATA_DIR: stage.server.dataDir };

		const { exitCode, stdout, stderr } = await runBinary(['export', tenant_id, target], env);

		expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
		expect(stderr).toMatch(sentence);
		expect(readdirSync(join(target, '..'))).toEqual([]);
	});
});

test('the socket is for the server’s user alone, and knows imports and what the operator may', async () => {
	const path = join(stage.server.dataDir, 'chatapi.sock');

	expect(statSync(path).mode & 0o777).toBe(0o600);
	for (const [method, target, body] of [
		['GET', '/import', undefined],
		['POST', '/import', 'x'],
		['POST', '/import', '{"file":"relative.db"}'],
		['POST', '/import', '[]'],
	] as const) {
		const answer = await fetch(`http://chatapi${target}`, {
			...{ method, unix: path },
			...(body === undefined ? {} : { body }),
		});
		expect([answer.status, await answer.text()]).toEqual([404, '']);
	}
	const statusOf = async (target: string) =>
		(await fetch(`http://chatapi${target}`, { unix: path })).status;
	expect(await statusOf('/admin/tenants')).toBe(200);
	expect(await statusOf('/rooms')).toBe(401);
	expect(await statusOf('/nowhere')).toBe(404);
});

interface Moment {
	last_seq: number;
	messages: number;
	/** Of them in the log. */
	logged: number;
	/** Cursors that no event has. */
	holes: number;
}

/** How far each part of a file has come. */
function momentOf(path: string): Moment {
	const db = new Database(path, { readonly: true });
	try {
		return db
			.query(
				`SELECT last_seq, (SELECT count(*) FROM messages) AS messages,
					(SELECT count(*) FROM events WHERE type = 'message.created') AS logged,
					h.last_cursor - (SELECT count(*) FROM events) AS holes
				FROM room_heads, tenant_heads h`,
			)
			.get() as Moment;
	} finally {
		db.close();
	}
}

const evenMoment = (last_seq: number): Moment => ({
	...{ last_seq, messages: last_seq, logged: last_seq, holes: 0 },
});
