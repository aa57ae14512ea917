import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type App, codeOf, OPERATOR, openApp, type TestTenant } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

const callerOf = async (api_key: string) =>
	(await app.authentication.tenant(new Headers({ 'X-API-Key': api_key }), () => '')).caller;

const newKey = (tenant: TestTenant, rest: { expires_at?: string } = {}) =>
	app.keys.create(OPERATOR, {
		tenant_id: tenant.tenant_id,
		name: 'k',
		permissions: ['full_access'],
		...rest,
	});

describe('a key that was recognised', () => {
	/** While `act` runs, whoever needs these tables of the database does not find them. */
	async function withoutTables(act: () => Promise<void>): Promise<void> {
		const tables = ['tenants', 'api_keys', 'users', 'tenant_heads'];
		for (const table of tables) app.write(`ALTER TABLE ${table} RENAME TO hidden_${table}`);
		try {
			await act();
		} finally {
			for (const table of tables) app.write(`ALTER TABLE hidden_${table} RENAME TO ${table}`);
		}
	}

	test('is recognised again without the database, as is the user it acts for', async () => {
		const [warm, cold] = [await app.tenant(), await app.tenant()];
		const other = await newKey(cold);
		const [ann, bob] = [warm.as('ann').user_id, warm.as('bob').user_id];
		await app.authentication.actAs(await callerOf(warm.api_key), ann);

		await withoutTables(async () => {
			const caller = await callerOf(warm.api_key);
			expect(caller.tenant_id).toBe(warm.tenant_id);
			expect((await app.authentication.actAs(caller, bob)).user_id).toBe(bob);
			expect(callerOf(other.api_key)).rejects.toThrow('no such table');
		});

		expect(await codeOf(callerOf(other.api_key))).toBe('done');
	});

	test('is so, too, when those of 10,000 tenants were since', async () => {
		const create = (_: unknown, index: number) =>
			app.tenants.create(OPERATOR, { name: `Tenant ${index}` });
		const keys: string[] = [];
		while (keys.length < 10_000) {
			const made = await Promise.all(Array.from({ length: 500 }, create));
			keys.push(...made.map(({ api_key }) => api_key));
		}
		for (const key of keys) await callerOf(key);

		await withoutTables(async () => {
			for (const key of keys) expect((await callerOf(key)).user_id).toBeNull();
		});
	});
});

describe('a revoked key', () => {
	test('has its sockets closed, and what it would write or ask for next refused', async () => {
		const tenant = await app.tenant();
		const ann = tenant.as('ann');
		const { room_id } = await app.rooms.create(ann, { type: 'group' });
		const socket = await tenant.listen('ann');
		await app.keys.revoke(OPERATOR, tenant);

		const late = app.messages.send(ann, { room_id, content: 'late' });

		expect(await codeOf(late)).toBe('AUTHENTICATION_ERROR');
		expect(socket.closedWith).toBe(4501);
		expect(await codeOf(callerOf(tenant.api_key))).toBe('AUTHENTICATION_ERROR');
		expect(app.rows(`SELECT content FROM messages WHERE content = 'late'`)).toEqual([]);
	});

	test('leaves the tenant’s other keys, and their sockets, alone', async () => {
		const tenant = await app.tenant();
		const socket = await tenant.listen('ann');
		const other = await newKey(tenant);

		await app.keys.revoke(OPERATOR, { tenant_id: tenant.tenant_id, key_id: other.key_id });

		expect(await codeOf(callerOf(other.api_key))).toBe('AUTHENTICATION_ERROR');
		expect(await codeOf(callerOf(tenant.api_key))).toBe('done');
		expect(await codeOf(app.rooms.create(tenant.as('ann'), { type: 'group' }))).toBe('done');
		expect(socket.closedWith).toBeUndefined();
	});

	test('is revoked once: the second time there is none', async () => {
		const tenant = await app.tenant();
		const both = await Promise.all([0, 1].map(() => codeOf(app.keys.revoke(OPERATOR, tenant))));

		expect(both.sort()).toEqual(['NOT_FOUND', 'done']);
	});

	test('is not another tenant’s to name', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];

		const crossed = app.keys.revoke(OPERATOR, { tenant_id: one.tenant_id, key_id: two.key_id });

		expect(await codeOf(crossed)).toBe('NOT_FOUND');
		expect(await codeOf(callerOf(two.api_key))).toBe('done');
	});
});

test('a key is good until the moment it expires, also out of the cache', async () => {
	const tenant = await app.tenant();
	const expires_at = new Date(app.clock.now() + 10_000).toISOString();
	const { api_key } = await newKey(tenant, { expires_at });

	app.clock.advance(9_999);
	expect(await codeOf(callerOf(api_key))).toBe('done');
	app.clock.advance(1);
	expect(await codeOf(callerOf(api_key))).toBe('AUTHENTICATION_ERROR');
	expect(await codeOf(newKey(tenant, { expires_at }))).toBe('VALIDATION_ERROR');
});

test('no secret is in any file of the database, and none in the log', async () => {
	const tenant = await app.tenant();
	const { api_key } = await newKey(tenant);
	await callerOf(api_key);
	// The id is its public part; the checksum follows from the rest.
	const secrets = [tenant.api_key, api_key].map((key) => key.slice(13, 42));

	const folder = dirname(app.path);
	const bytes = readdirSync(folder)
		.filter((name) => name.startsWith('chatapi.db'))
		.map((name) => readFileSync(join(folder, name), 'latin1'))
		.join();

	expect(bytes).toContain(tenant.api_key.slice(0, 13));
	for (const secret of secrets) {
		expect(secret).toMatch(/^[0-9A-Za-z]{29}$/);
		expect(bytes).not.toContain(secret);
		expect(app.log.join()).not.toContain(secret);
	}
});

describe('the last use of a key', () => {
	const usedAt = (tenant: TestTenant) =>
		app.rows<{ last_used_at: number | null }>(
			`SELECT last_used_at FROM api_keys WHERE key_id = '${tenant.key_id}'`,
		)[0]?.last_used_at;

	test('is written in the background, for those that were used since, and never falls', async () => {
		const [one, two] = [await app.tenant(), await app.tenant()];
		await app.useRecorder.flush();
		app.clock.advance(5000);
		const at = app.clock.now();
		await callerOf(one.api_key);
		expect(usedAt(one)).not.toBe(at);

		await app.useRecorder.flush();
		const before = usedAt(two);
		app.clock.advance(5000);
		await app.useRecorder.flush();

		expect(usedAt(one)).toBe(at);
		expect(usedAt(two)).toBe(before);
		await callerOf(one.api_key);
		app.clock.jump(-60_000);
		await app.useRecorder.flush();
		expect(usedAt(one)).toBe(at);
		app.clock.jump(60_000);
	});

	test('costs one commit for many, and none where nothing was used', async () => {
		const tenants = await Promise.all(Array.from({ length: 10 }, () => app.tenant()));
		await app.useRecorder.flush();
		for (const { api_key } of tenants) await callerOf(api_key);
		const before = app.writer.counters.commits;

		await app.useRecorder.flush();
		await app.useRecorder.flush();

		expect(app.writer.counters.commits).toBe(before + 1);
	});

	test('is shown in the list', async () => {
		const tenant = await app.tenant();
		await callerOf(tenant.api_key);
		await app.useRecorder.flush();

		const { api_keys } = await app.keys.list(OPERATOR, tenant);

		expect(api_keys[0]?.last_used_at).toBe(new Date(app.clock.now()).toISOString());
	});
});
