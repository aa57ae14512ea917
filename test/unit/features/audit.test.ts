import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { sha256 } from '../../../src/core/api-key.ts';
import type { KeyId } from '../../../src/core/ids.ts';
import { hashOf } from '../../../src/features/audit/service.ts';
import type { EntryRow } from '../../../src/features/audit/store.ts';
import { type App, codeOf, OPERATOR, openApp } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp();
});
afterAll(() => app.end());

const entries = () => app.rows<EntryRow>('SELECT * FROM audit ORDER BY entry');

describe('the audit log', () => {
	test('has an entry of every change, each with the hash of the one before in its own', async () => {
		const plan = await app.plans.create(OPERATOR, { name: 'Pool' });
		const tenant = await app.tenants.create(OPERATOR, { name: 'Acme', plan_id: plan.plan_id });
		await app.plans.update(OPERATOR, { plan_id: plan.plan_id, quotas: { storage_bytes: 1 } });

		const rows = entries();

		expect(rows.map(({ action }) => action)).toEqual([
			'plans.create',
			'tenants.create',
			'plans.update',
		]);
		let before: Uint8Array = new Uint8Array(32);
		for (const [index, row] of rows.entries()) {
			expect(row).toMatchObject({ entry: index + 1, credential: 'master', request_id: 'req_test' });
			expect([...row.details_hash]).toEqual([...sha256(row.details ?? '')]);
			expect([...row.hash]).toEqual([...hashOf(before, row)]);
			before = row.hash;
		}
		expect(JSON.parse(rows[1]?.details ?? '').target).toEqual({ tenant_id: tenant.tenant_id });
		expect(JSON.parse(rows[2]?.details ?? '')).toMatchObject({
			before: { quotas: {}, version: 1 },
			after: { quotas: { storage_bytes: 1 }, version: 2 },
		});
	});

	test('has no entry of what was refused', async () => {
		const { tenant_id } = await app.tenants.create(OPERATOR, { name: 'Acme' });
		const before = entries().length;

		const revoked = app.keys.revoke(OPERATOR, { tenant_id, key_id: 'key_x' as KeyId });
		const created = app.tenants.create(OPERATOR, { name: 'A', plan_id: 'plan_x' as never });

		expect(await codeOf(revoked)).toBe('NOT_FOUND');
		expect(await codeOf(created)).toBe('NOT_FOUND');
		expect(entries()).toHaveLength(before);
	});

	test('holds no secret', async () => {
		const { plan_id } = await app.plans.create(OPERATOR, { name: 'Pool' });
		const { secret } = await app.managementKeys.create(OPERATOR, { plan_id });
		const { tenant_id, api_key } = await app.tenants.create(OPERATOR, { name: 'Acme' });
		const key = await app.keys.create(OPERATOR, { tenant_id, name: 'K', permissions: ['*'] });

		const text = JSON.stringify(entries());

		for (const each of [secret, api_key, key.api_key]) {
			expect(each.length).toBeGreaterThan(20);
			expect(text).not.toContain(each.slice(-20));
		}
	});

	test.each([
		'DELETE FROM audit WHERE entry = 1',
		"UPDATE audit SET action = 'x' WHERE entry = 1",
		"UPDATE audit SET details = 'x' WHERE entry = 1",
		"UPDATE audit SET details = NULL, tenant = NULL, credential = 'x' WHERE entry = 1",
		"UPDATE audit SET details = NULL, tenant = NULL, hash = x'00' WHERE entry = 1",
	])('is append-only: refuses %s', async (statement) => {
		await app.plans.create(OPERATOR, { name: 'Pool' });
		const before = entries();

		expect(() => app.write(statement)).toThrow('append-only');

		expect(entries()).toEqual(before);
	});

	test('lets what it says of a tenant be erased, and stays a chain', async () => {
		await app.tenants.create(OPERATOR, { name: 'Acme' });
		const [row] = app.rows<EntryRow>('SELECT * FROM audit ORDER BY entry DESC LIMIT 1');

		app.write(`UPDATE audit SET details = NULL, tenant = NULL WHERE entry = ${row?.entry}`);

		const erased = entries().at(-1);
		expect(erased).toMatchObject({ details: null, tenant: null });
		expect([...(erased?.hash ?? [])]).toEqual([...(row?.hash ?? [])]);
		const previous = entries().at(-2);
		expect([...hashOf(previous?.hash ?? new Uint8Array(32), erased as EntryRow)]).toEqual([
			...(row?.hash ?? []),
		]);
	});
});
