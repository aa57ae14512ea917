import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type App, codeOf, OPERATOR, openApp } from './app.ts';
import { DOCUMENT, type Document, stateOf } from './configuration-document.ts';

let app: App;
beforeEach(async () => {
	app = await openApp();
});
afterEach(() => app.end());

const apply = (document: Document) => app.configuration.apply(OPERATOR, document);
const state = () => stateOf(app);

describe('an export', () => {
	/** All pages together. */
	async function exported(limit: number): Promise<Document> {
		const document: Required<Pick<Document, 'plans' | 'tenants'>> = { plans: [], tenants: [] };
		let cursor: string | null | undefined;
		do {
			const page = await app.configuration.exportPage(OPERATOR, {
				limit,
				...(typeof cursor === 'string' && { cursor }),
			});
			expect(page.plans.length + page.tenants.length).toBeLessThanOrEqual(limit);
			document.plans.push(...page.plans);
			document.tenants.push(...page.tenants);
			cursor = page.next_cursor;
		} while (cursor !== null);
		return document;
	}

	test('leaves the keys of a tenant out that has more than a document can name', async () => {
		const { tenant_id } = await app.tenant({ name: 'Many' });
		const { tenant_id: fewer } = await app.tenant({ name: 'Hundred' });
		const copies = (count: number, of: string) =>
			app.write(
				`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
				INSERT INTO api_keys (tenant, key_id, name, prefix, hash, permissions, created_at)
				SELECT tenant, 'key_' || i, 'k' || i, tenant || '_' || i, x'00', '["send"]', i FROM n, tenants
				WHERE tenant_id = '${of}'`,
			);
		copies(100, tenant_id);
		copies(99, fewer);
		const before = state();

		const document = await exported(10);

		const names = document.tenants?.map(({ name, keys }) => [name, keys?.length]);
		expect(names).toEqual([
			['Many', undefined],
			['Hundred', 100],
		]);
		const answer = await apply({ ...structuredClone(document), prune: true });
		expect(answer.changes).toEqual([]);
		expect(state()).toEqual(before);
	});

	test('applied changes nothing, whatever there is: twins, ended keys, every field', async () => {
		await apply(structuredClone(DOCUMENT));
		await app.tenant({ name: 'Twin' });
		const { tenant_id } = await app.tenant({ name: 'Twin' });
		await app.tenants.update(OPERATOR, {
			tenant_id,
			webhook_url: 'https://twin.com/hooks',
			metadata: { deep: { list: [{ a: null }] }, empty: {} },
			quotas: { messages_per_month: 5 },
		});
		for (const name of ['Same', 'Same']) {
			await app.plans.create(OPERATOR, { name });
			await app.keys.create(OPERATOR, { tenant_id, name, permissions: ['*'] });
		}
		const [plan] = (await app.plans.list(OPERATOR, {})).plans;
		await app.tenants.update(OPERATOR, { tenant_id, plan_id: plan?.plan_id as never });
		await apply({
			tenants: [
				{
					...{ name: 'Twin', tenant_id },
					keys: [{ name: 'Ending', permissions: ['send'], expires_at: '2100-01-01T00:00:00Z' }],
				},
			],
		});
		app.write("UPDATE api_keys SET expires_at = 1 WHERE name = 'Ending'");
		const before = state();

		const document = await exported(2);
		const answer = await apply({ ...structuredClone(document), prune: true });

		expect(answer.changes).toEqual([]);
		expect(state()).toEqual(before);
		expect(await exported(100)).toEqual(document);
		expect(document.tenants?.map(({ name }) => name)).toEqual(['Acme', 'Globex', 'Twin', 'Twin']);
		expect(document.tenants?.at(-1)).toMatchObject({
			...{ tenant_id, plan_id: plan?.plan_id, webhook_url: 'https://twin.com/hooks' },
			quotas: { messages_per_month: 5 },
		});
		expect(JSON.stringify(document)).not.toContain('sk_');
	});

	test('of nothing is nothing, and a foreign cursor is refused', async () => {
		expect(await exported(1)).toEqual({ plans: [], tenants: [] });
		expect(await codeOf(app.configuration.exportPage(OPERATOR, { cursor: 'x' }))).toBe(
			'VALIDATION_ERROR',
		);
	});

	test('has no password of smtp; applied, it leaves it, and with one it is stored but once', async () => {
		const smtp = { host: 'smtp.acme.com', port: 587, user: 'acme', pass: 'correct horse' };
		const wanted: Document = { tenants: [{ name: 'Mailing', smtp }] };
		const columns = () => app.rows('SELECT smtp, smtp_secret FROM tenants');

		const made = await apply(structuredClone(wanted));
		const stored = columns();
		const again = await apply(structuredClone(wanted));
		const document = await exported(100);
		const back = await apply(structuredClone(document));

		expect(JSON.stringify([made.changes, document])).not.toContain('correct horse');
		expect(stored[0]?.smtp_secret).not.toBeNull();
		expect([again.changes, back.changes]).toEqual([[], []]);
		expect(columns()).toEqual(stored);
		expect(document.tenants?.[0]?.smtp).toEqual({ host: 'smtp.acme.com', port: 587, user: 'acme' });
		const moved = await apply({ tenants: [{ name: 'Mailing', smtp: { ...smtp, port: 25 } }] });
		expect(moved.changes[0]?.fields).toEqual([
			{ field: 'smtp.port', before: 587, after: 25 },
			{ field: 'smtp.pass', before: null, after: '(secret)' },
		]);
		await apply({ tenants: [{ name: 'Mailing', smtp: null }] });
		expect(columns()).toEqual([{ smtp: null, smtp_secret: null }]);
	});
});
