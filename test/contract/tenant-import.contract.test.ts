/** What `chatapi import` refuses, and what is left of one that was cut short. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bodyOf, httpClient } from '../helpers/http.ts';
import { BINARY, type Server } from '../helpers/server.ts';
import { countsOf, dumpOfTenant } from '../helpers/tenant-dump.ts';
import { createGroup, createTenant, operator, sendMessage } from '../helpers/tenants.ts';
import { eventually, within } from '../helpers/wait.ts';
import type { Tenant } from '../helpers/wire.ts';
import { databaseOf, importInto, useStage } from './tenant-file-stage.ts';

// Several processes a test, on shared cores.
setDefaultTimeout(30_000);

const { stage, newDir, spoilt, inflated, another } = useStage();

describe('a file that is not fit is refused in one sentence, by a server and without one', () => {
	const FILES: Record<string, [() => string, RegExp]> = {
		'that is not there': [() => join(stage.folder, 'none'), /is not there/],
		'that is a directory': [() => stage.folder, /is no file/],
		'of 0 bytes': [() => spoilt((_, path) => truncateSync(path, 0)), /is no tenant that chatapi/],
		'of text': [
			() => spoilt((_, path) => writeFileSync(path, 'x'.repeat(9000))),
			/is not an SQLite database/,
		],
		'cut short': [() => spoilt((_, path) => truncateSync(path, 20 * 4096)), /damaged/],
		'of another program': [
			() => spoilt((db) => db.run('PRAGMA application_id = 7')),
			/is no tenant that chatapi exported/,
		],
		'with another schema': [
			() => spoilt((db) => db.run('CREATE TRIGGER t AFTER INSERT ON rooms BEGIN SELECT 1; END')),
			/another schema/,
		],
		'of a newer version': [
			() =>
				spoilt((db) =>
					db.run(`INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('x', 9e15)`),
				),
			/another version/,
		],
		'with rows of another number': [
			() => spoilt((db) => db.run('UPDATE messages SET tenant = 2 WHERE seq = 1')),
			/messages has rows of another tenant/,
		],
		'with two tenants': [
			() =>
				spoilt((db) =>
					db.run(
						`INSERT INTO tenants (tenant_id, name, status, created_at, updated_at)
						VALUES ('tenant_x', 'x', 'active', 0, 0)`,
					),
				),
			/tenants has rows of another tenant/,
		],
		'without a tenant': [
			() =>
				spoilt((db) => {
					db.run('PRAGMA foreign_keys = 0');
					db.run('DELETE FROM tenants');
				}),
			/does not have one row in tenants|damaged|not fit/,
		],
		'with a dangling reference': [
			() =>
				spoilt((db) => {
					db.run('PRAGMA foreign_keys = 0');
					db.run('UPDATE rooms SET tenant = 9');
				}),
			/refers to no row/,
		],
		'with a tenant_id that is none': [
			() => spoilt((db) => db.run(`UPDATE tenants SET tenant_id = 'me'`)),
			/tenant_id that is none/,
		],
		'with an epoch that is none': [
			() => spoilt((db) => db.run(`UPDATE tenant_heads SET epoch = 'zzzzzzz'`)),
			/no export writes/,
		],
		'with a head before its log': [
			() => spoilt((db) => db.run('UPDATE tenant_heads SET last_cursor = 1')),
			/an event above the end/,
		],
		'with a number that is too large': [
			() => spoilt((db) => db.run('UPDATE messages SET created_at = 9223372036854775807')),
			/a number that is too large/,
		],
		'with a number below 0': [
			() => spoilt((db) => db.run('UPDATE tenant_heads SET month_messages = -1000')),
			/tenant_heads has a number below 0/,
		],
		'with a value that is too large': [
			() =>
				spoilt((db) =>
					db.run('UPDATE messages SET content = hex(zeroblob(9000000)) WHERE seq = 2'),
				),
			/messages has a value that is too large/,
		],
		'with text that is no JSON': [
			() => spoilt((db) => db.run(`UPDATE tenants SET quotas = '{'`)),
			/tenants has text that is no JSON/,
		],
		'with a tenant that could not be shown': [
			() => spoilt((db) => db.run(`UPDATE tenants SET settings = '{"history":"none"}'`)),
			/a tenant that no server wrote: see settings/,
		],
		'with a status that is none': [
			() => spoilt((db) => db.run(`UPDATE tenants SET status = 'gold'`)),
			/a tenant that no server wrote: see status/,
		],
		'with a tenant that is being erased': [
			() =>
				spoilt((db) => db.run(`UPDATE tenants SET status = 'purging', purge_at = 1, purge = '{}'`)),
			/a tenant that no server wrote: see status/,
		],
		'with a tenant to be erased that was not deleted': [
			() => spoilt((db) => db.run('UPDATE tenants SET purge_at = 1')),
			/a tenant that no server wrote: see purge_at/,
		],
		'with a view': [
			() => spoilt((db) => db.run('CREATE VIEW v AS SELECT * FROM api_keys')),
			/another schema than its migrations make: see v/,
		],
		'with a table more': [
			() => spoilt((db) => db.run('CREATE TABLE more (tenant INTEGER PRIMARY KEY)')),
			/another schema than its migrations make: see more/,
		],
		'of an earlier version': [
			() =>
				spoilt((db) =>
					db.run(
						'DELETE FROM __drizzle_migrations WHERE created_at = (SELECT max(created_at) FROM __drizzle_migrations)',
					),
				),
			/another schema|earlier version/,
		],
		'that is a link to nothing': [
			() => {
				const path = join(newDir(), 'link');
				symlinkSync(join(newDir(), 'nothing'), path);
				return path;
			},
			/is not there/,
		],
		...Object.fromEntries(
			[
				`key_id = 'x y'`,
				`name = ''`,
				`name = 'a' || char(10)`,
				`permissions = '["rooms:destroy"]'`,
				`permissions = '{}'`,
				'expires_at = 8000000000000000',
			].map((spoil) => [
				`with a key whose ${spoil}`,
				[
					() => spoilt((db) => db.run(`UPDATE api_keys SET ${spoil}`)),
					/api_keys has a key that no server makes/,
				] as [() => string, RegExp],
			]),
		),
		'with a key that another tenant has': [
			() =>
				spoilt((db) =>
					db.run(`UPDATE tenants SET tenant_id = 'tenant_00000000000000000000000000'`),
				),
			/does not fit in here: UNIQUE constraint failed: api_keys.prefix/,
		],
	};

	test.each(Object.entries(FILES))('%s', async (_, [make, sentence]) => {
		const path = make();
		const before = countsOf(databaseOf(stage.server));
		const stopped = join(newDir(), 'data');

		for (const dataDir of [stage.server.dataDir, stopped]) {
			// A key can be somebody else's only where somebody is.
			if (dataDir === stopped && sentence.source.includes('UNIQUE')) continue;
			const { exitCode, stdout, stderr } = await importInto(dataDir, path);

			expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
			expect(stderr).toMatch(sentence);
			expect(stderr.trim().split('\n')).toHaveLength(1);
		}

		expect(countsOf(databaseOf(stage.server))).toEqual(before);
		const made = join(stopped, 'chatapi.db');
		if (existsSync(made)) expect(countsOf(made).tenants).toBe(0);
	});
});

test('a file with a key that another tenant had, and has for a while yet, is refused: it would be taken for it', async () => {
	const victim = await createTenant(stage.server);
	const keys = `/admin/tenants/${victim.tenant_id}/api-keys`;
	const { api_keys } = bodyOf(
		await operator(stage.server).get<{ api_keys: { key_id: string }[] }>(keys),
		200,
	);
	const rotation = { grace_seconds: 3600 };
	bodyOf(await operator(stage.server).post(`${keys}/${api_keys[0]?.key_id}/rotate`, rotation), 200);
	const path = spoilt((db) => {
		db.run(`UPDATE tenants SET tenant_id = 'tenant_00000000000000000000000001'`);
		db.run('DELETE FROM user_tokens');
		db.run('UPDATE api_keys SET prefix = ?', [victim.api_key.slice(0, 13)]);
	});
	const before = countsOf(databaseOf(stage.server));

	const { exitCode, stderr } = await importInto(stage.server.dataDir, path);

	expect({ exitCode, stderr }).toEqual({
		exitCode: 1,
		stderr: 'chatapi: The file does not fit in here: it has a key of another tenant\n',
	});
	expect(countsOf(databaseOf(stage.server))).toEqual(before);
	expect((await victim.as('alice').get('/rooms')).status).toBe(200);
});

describe('an import', () => {
	test('of a tenant that was deleted long ago leaves as much time to restore it as a deletion', async () => {
		const other = await another();
		const path = spoilt((db) =>
			db.run(`UPDATE tenants SET status = 'deleting', purge_at = 1, purge = '{}'`),
		);
		const begin = Date.now();

		const { exitCode } = await importInto(other.dataDir, path);

		expect(exitCode).toBe(0);
		const one = `/admin/tenants/${stage.acme.tenant_id}`;
		const came = bodyOf(await operator(other).get<Tenant>(one), 200);
		expect(came.status).toBe('deleting');
		expect(Date.parse(String(came.purge_at))).toBeGreaterThan(begin + 29 * 24 * 3_600_000);
		const back = bodyOf(await operator(other).post<Tenant>(`${one}/restore`), 200);
		expect(back.status).toBe('active');
		expect(await other.stop()).toBe(0);
	});

	test('goes on beside sends, and nobody sees the tenant before it is whole', async () => {
		const other = await another();
		const neighbour = await createTenant(other, { rate_limit: { requests_per_second: 1_000_000 } });
		const own = await createGroup(neighbour, 'alice');
		const child = Bun.spawn([BINARY, 'import', inflated(40_000)], {
			env: { DATA_DIR: other.dataDir },
			stdout: 'pipe',
			stderr: 'pipe',
		});
		const waits: number[] = [];
		const beganAt = performance.now();
		const seen = new Set<number>();
		while (child.exitCode === null) {
			const startedAt = performance.now();
			await sendMessage(neighbour, 'alice', own.room_id);
			waits.push(performance.now() - startedAt);
			const all = await operator(other).get<{ tenants: unknown[] }>('/admin/tenants');
			const one = await operator(other).get(`/admin/tenants/${stage.acme.tenant_id}`);
			const rooms = await httpClient(other, { key: stage.acme.api_key, user: 'bob' }).get('/rooms');
			seen.add(rooms.status);
			// Whoever sees it in one place sees it in all of them from then on.
			const isThere = bodyOf(all, 200).tenants.length === 2;
			if (isThere) expect([one.status, rooms.status]).toEqual([200, 200]);
			if (one.status === 200) expect(rooms.status).toBe(200);
		}

		expect(await new Response(child.stdout).text()).toMatch(/Imported .+ \d{5} rows/);
		const tookMs = performance.now() - beganAt;
		const after = await httpClient(other, { key: stage.acme.api_key, user: 'bob' }).get('/rooms');
		expect(after.status).toBe(200);
		expect(seen.has(401)).toBe(true);
		expect([...seen].filter((status) => status !== 200 && status !== 401)).toEqual([]);
		waits.sort((a, b) => a - b);
		expect(waits.length).toBeGreaterThan(20);
		console.log(
			`${waits.length} sends beside an import waited ${waits[waits.length >> 1]?.toFixed(1)} ms in the ` +
				`median, ${waits[Math.floor(waits.length * 0.95)]?.toFixed(1)} ms at most for 95 %`,
		);
		// Nowhere near as long as the import takes.
		expect(waits[Math.floor(waits.length * 0.95)]).toBeLessThan(tookMs / 4);
		const rows = dumpOfTenant(databaseOf(other), stage.acme.tenant_id);
		expect(rows.filter((line) => line.startsWith('messages '))).toHaveLength(40_005);
		expect(await other.stop()).toBe(0);
	}, 60_000);

	/** Starts a large import, and returns when some of its rows are stored. */
	async function begun(other: Server) {
		const child = Bun.spawn([BINARY, 'import', inflated(150_000)], {
			env: { DATA_DIR: other.dataDir },
			stdout: 'ignore',
			stderr: 'pipe',
		});
		await eventually(
			() => (countsOf(databaseOf(other)).events ?? 0) > 5000 || child.exitCode !== null,
			30_000,
			'the first rows',
		);
		expect(child.exitCode).toBeNull();
		return child;
	}

	async function expectGone(other: Server): Promise<void> {
		await eventually(
			() => countsOf(databaseOf(other)).tenants === 1,
			30_000,
			'the rows to be removed',
		);
		const counts = countsOf(databaseOf(other));
		expect([counts.messages, counts.events, counts.rooms, counts.api_keys]).toEqual([0, 0, 0, 1]);
		const again = await importInto(other.dataDir, stage.file);
		expect(again).toMatchObject({ exitCode: 0, stderr: '' });
		expect(dumpOfTenant(databaseOf(other), stage.acme.tenant_id)).toEqual(
			dumpOfTenant(stage.file, stage.acme.tenant_id),
		);
	}

	test('whose command is killed leaves nothing', async () => {
		const other = await another();
		await createTenant(other);
		const child = await begun(other);

		child.kill('SIGKILL');

		await expectGone(other);
		expect(await other.stop()).toBe(0);
	}, 60_000);

	test('whose server is killed leaves what nobody sees, and the next start removes it', async () => {
		const first = await another();
		await createTenant(first);
		const child = await begun(first);
		const dataDir = join(newDir(), 'kept');
		await first.kill();
		expect(await within(child.exited, 'the command to notice')).toBe(1);
		expect(await new Response(child.stderr).text()).toContain('ended, or cannot be asked');
		expect(dataDir).not.toBe(first.dataDir);

		const other = await another(first.dataDir);

		expect(
			(await httpClient(other, { key: stage.acme.api_key, user: 'bob' }).get('/rooms')).status,
		).toBe(401);
		await expectGone(other);
		const line = other.log().find(({ msg }) => msg === 'Removed what a cut import had left');
		expect(line?.tenants).toEqual([stage.acme.tenant_id]);
		expect(await other.stop()).toBe(0);
	}, 60_000);

	test('whose server is stopped is given up in time', async () => {
		const other = await another();
		await createTenant(other);
		const child = await begun(other);

		const startedAt = performance.now();
		expect(await other.stop()).toBe(0);
		expect(performance.now() - startedAt).toBeLessThan(8000);
		expect(await within(child.exited, 'the command to notice')).toBe(1);

		const next = await another(other.dataDir);
		await expectGone(next);
		expect(await next.stop()).toBe(0);
	}, 60_000);
});
