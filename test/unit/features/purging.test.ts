/** Erasing a tenant: of whatever tables there are none keeps a row of it, and others keep all of theirs. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { TenantId } from '../../../src/core/ids.ts';
import { hashOf } from '../../../src/features/audit/service.ts';
import type { EntryRow } from '../../../src/features/audit/store.ts';
import { type App, codeOf, OPERATOR, openApp, type TestTenant } from './app.ts';

let app: App;
beforeAll(async () => {
	app = await openApp({ DELETED_TENANT_RETENTION: '30d' });
});
afterAll(() => app.end());

interface Column {
	name: string;
	type: string;
}

/** Above what one slice takes. */
const ROWS = 300;
const CANARY = 'canary_of_';
const DAY_MS = 24 * 60 * 60 * 1000;

const tables = () =>
	app
		.rows<{ name: string }>(
			"SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
		)
		.map(({ name }) => name);
const columnsOf = (table: string) => app.rows<Column>(`PRAGMA table_info(${table})`);
const hasTenant = (table: string) => columnsOf(table).some(({ name }) => name === 'tenant');
const numberOf = ({ tenant_id }: { tenant_id: TenantId }) =>
	app.rows<{ tenant: number }>(`SELECT tenant FROM tenants WHERE tenant_id = '${tenant_id}'`)[0]
		?.tenant ?? 0;
const countOf = (table: string, tenant: number) =>
	app.rows<{ count: number }>(`SELECT count(*) AS count FROM ${table} WHERE tenant = ${tenant}`)[0]
		?.count ?? -1;

/** Rows in every table that has a tenant, made from the columns that it has: a new table is no exception. */
function fill({ tenant_id }: TestTenant): Record<string, number> {
	const tenant = numberOf({ tenant_id });
	for (const table of tables()) {
		if (!hasTenant(table) || table === 'tenants' || table === 'audit') continue;
		const columns = columnsOf(table);
		const names = columns.map(({ name }) => name).join(', ');
		const textOf = ({ name, type }: Column, row: number): string => {
			if (name === 'tenant') return `${tenant}`;
			if (type === 'BLOB') return `x'${(tenant * 1000 + row).toString(16).padStart(8, '0')}'`;
			return type === 'INTEGER' ? `${row}` : `'${CANARY}${tenant}_${row}'`;
		};
		const isOne = columns.length > 0 && countOf(table, tenant) === 1 && /_heads$/.test(table);
		if (isOne && table !== 'room_heads') continue;
		const rows = Array.from(
			{ length: /^(tenant|presence)_heads$/.test(table) ? 1 : ROWS },
			(_, n) => {
				const values = columns.map((column) => textOf(column, n + 10_000));
				return `(${values.join(', ')})`;
			},
		);
		app.write(`INSERT INTO ${table} (${names}) VALUES ${rows.join(', ')}`);
	}
	return countsOf(tenant);
}

const countsOf = (tenant: number) =>
	Object.fromEntries(
		tables()
			.filter(hasTenant)
			.map((table) => [table, countOf(table, tenant)]),
	);

/** Tables and columns in which a text stands somewhere. */
function placesOf(text: string): string[] {
	return tables().flatMap((table) =>
		columnsOf(table)
			.filter(
				({ name }) =>
					(app.rows<{ count: number }>(
						`SELECT count(*) AS count FROM ${table} WHERE instr(CAST("${name}" AS TEXT), '${text}')`,
					)[0]?.count ?? 0) > 0,
			)
			.map(({ name }) => `${table}.${name}`),
	);
}

const isWhole = (): boolean => {
	let before: Uint8Array = new Uint8Array(32);
	return app.rows<EntryRow>('SELECT * FROM audit ORDER BY entry').every((row) => {
		const isNext = Buffer.compare(row.hash, hashOf(before, row)) === 0;
		before = row.hash;
		return isNext;
	});
};

describe('purging', () => {
	test('leaves no row of the tenant in any table, all rows of others, and a receipt of each', async () => {
		const [tenant, other] = [
			await app.tenant({ name: `${CANARY}name` }),
			await app.tenant({ name: 'Other' }),
		];
		await app.tenants.update(OPERATOR, {
			tenant_id: tenant.tenant_id,
			metadata: { note: `${CANARY}metadata` },
		});
		const number = numberOf(tenant);
		const [before, others] = [fill(tenant), fill(other)];
		expect(Object.values(before).every((count) => count > 0)).toBe(true);
		expect(Object.keys(before).length).toBeGreaterThan(20);
		const socket = await tenant.listen('ann');

		const answer = await app.tenants.remove(OPERATOR, {
			tenant_id: tenant.tenant_id,
			purge: 'now',
		});

		expect(socket.closedWith).toBe(4510);
		expect(answer).toMatchObject({
			status: 'purged',
			receipt: { tenant_id: tenant.tenant_id, deleted_by: 'master' },
		});
		for (const [table, count] of Object.entries(countsOf(number))) {
			expect({ table, count }).toEqual({ table, count: 0 });
		}
		// One entry more: that of the deletion itself.
		expect(answer.receipt?.rows).toEqual({ ...before, audit: (before.audit ?? 0) + 1 });
		expect(countsOf(numberOf(other))).toEqual(others);
		expect(placesOf(`${CANARY}name`)).toEqual([]);
		expect(placesOf(`${CANARY}metadata`)).toEqual([]);
		expect(placesOf(`${CANARY}${number}_`)).toEqual([]);
		// The receipt names the tenant, and nothing else does.
		expect(placesOf(tenant.tenant_id)).toEqual(['audit.details']);
		const [last] = app.rows<EntryRow>('SELECT * FROM audit ORDER BY entry DESC LIMIT 1');
		expect(last).toMatchObject({ action: 'tenants.purge', credential: 'master', tenant: null });
		expect(JSON.parse(last?.details ?? '').after).toEqual(answer.receipt);
		expect(isWhole()).toBe(true);
	});

	test('gives its number to nobody', async () => {
		const tenant = await app.tenant();
		const number = numberOf(tenant);
		await app.tenants.remove(OPERATOR, { tenant_id: tenant.tenant_id, purge: 'now' });

		expect(numberOf(await app.tenant())).toBe(number + 1);
	});

	test('is refused to whoever comes with its key, by then unknown', async () => {
		const tenant = await app.tenant();
		await app.tenants.remove(OPERATOR, { tenant_id: tenant.tenant_id, purge: 'now' });

		const headers = new Headers({ 'X-API-Key': tenant.api_key });
		expect(await codeOf(app.authentication.tenant(headers, () => ''))).toBe('AUTHENTICATION_ERROR');
		expect(await codeOf(app.rooms.create(tenant.as('ann'), { type: 'group', name: 'Late' }))).toBe(
			'AUTHORIZATION_ERROR',
		);
		const { tenant_id } = tenant;
		expect(await codeOf(app.tenants.get(OPERATOR, { tenant_id }))).toBe('NOT_FOUND');
		expect(await codeOf(app.tenants.remove(OPERATOR, { tenant_id }))).toBe('NOT_FOUND');
		expect(await codeOf(app.tenants.restore(OPERATOR, { tenant_id }))).toBe('NOT_FOUND');
	});
});

describe('a deleted tenant', () => {
	test('is kept to the millisecond of its purge_at, and erased then', async () => {
		const { tenant_id } = await app.tenant();
		await app.tenants.remove(OPERATOR, { tenant_id });

		app.clock.advance(30 * DAY_MS - 1);
		await app.purging.eraseDue();
		const kept = await app.tenants.get(OPERATOR, { tenant_id });
		app.clock.advance(1);
		await app.purging.eraseDue();

		expect(kept.status).toBe('deleting');
		expect(await codeOf(app.tenants.get(OPERATOR, { tenant_id }))).toBe('NOT_FOUND');
	});

	test('is what it was when it is restored: suspended, if it was', async () => {
		const { tenant_id } = await app.tenant();
		await app.tenants.suspend(OPERATOR, { tenant_id });
		await app.tenants.remove(OPERATOR, { tenant_id });

		expect(await codeOf(app.tenants.resume(OPERATOR, { tenant_id }))).toBe('CONFLICT');
		const restored = await app.tenants.restore(OPERATOR, { tenant_id });
		app.clock.advance(31 * DAY_MS);
		await app.purging.eraseDue();

		expect(restored).toMatchObject({ status: 'suspended', purge_at: null });
		expect((await app.tenants.get(OPERATOR, { tenant_id })).status).toBe('suspended');
	});

	test('goes on being erased where a run was cut short, and cannot be restored any more', async () => {
		const tenant = await app.tenant();
		const { tenant_id } = tenant;
		const before = fill(tenant);
		await app.tenants.remove(OPERATOR, { tenant_id });
		app.clock.advance(30 * DAY_MS);
		app.drain(true);
		await app.purging.eraseDue();
		expect((await app.tenants.get(OPERATOR, { tenant_id })).erased_rows).toBeNull();
		app.drain(false);
		const running = app.purging.erase({ tenant: tenant.itself.tenant, tenant_id });
		app.drain(true);
		expect(await running).toBeUndefined();

		const half = await app.tenants.get(OPERATOR, { tenant_id });
		const isTooLate = await codeOf(app.tenants.restore(OPERATOR, { tenant_id }));
		const isGone = await codeOf(app.keys.list(OPERATOR, { tenant_id }));
		app.drain(false);
		await app.purging.eraseDue();

		expect(half).toMatchObject({ status: 'purging', erased_rows: 250 });
		expect([isTooLate, isGone]).toEqual(['CONFLICT', 'NOT_FOUND']);
		const [last] = app.rows<EntryRow>('SELECT * FROM audit ORDER BY entry DESC LIMIT 1');
		const { rows } = JSON.parse(last?.details ?? '').after;
		expect(rows).toEqual({ ...before, audit: (before.audit ?? 0) + 1 });
	});

	test('goes on being erased where the clock is set back meanwhile', async () => {
		const tenant = await app.tenant();
		const { tenant_id } = tenant;
		fill(tenant);
		await app.tenants.remove(OPERATOR, { tenant_id });
		app.clock.advance(30 * DAY_MS);
		const running = app.purging.erase({ tenant: tenant.itself.tenant, tenant_id });
		app.drain(true);
		await running;
		app.drain(false);

		app.clock.jump(-DAY_MS);
		expect((await app.tenants.get(OPERATOR, { tenant_id })).status).toBe('purging');
		await app.purging.eraseDue();

		expect(await codeOf(app.tenants.get(OPERATOR, { tenant_id }))).toBe('NOT_FOUND');
	});

	test('that cannot be erased keeps no other from it, and is told', async () => {
		const [broken, other] = [await app.tenant(), await app.tenant()];
		for (const { tenant_id } of [broken, other]) {
			await app.tenants.remove(OPERATOR, { tenant_id });
			app.clock.advance(1);
		}
		app.write(`UPDATE tenants SET purge = '{' WHERE tenant_id = '${broken.tenant_id}'`);
		app.clock.advance(30 * DAY_MS);

		await expect(app.purging.eraseDue()).rejects.toThrow();

		const { tenant_id } = other;
		expect(await codeOf(app.tenants.get(OPERATOR, { tenant_id }))).toBe('NOT_FOUND');
		expect(countOf('tenants', numberOf(broken))).toBe(1);
	});
});
