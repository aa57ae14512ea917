import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { Change } from '../../../src/features/configuration/schema.ts';
import { type App, codeOf, OPERATOR, openApp } from './app.ts';
import { DOCUMENT, type Document, stateOf } from './configuration-document.ts';

let app: App;
beforeEach(async () => {
	app = await openApp();
});
afterEach(() => app.end());

const apply = (document: Document) => app.configuration.apply(OPERATOR, document);

/** `+ tenant Acme`: what became of what. */
const told = (changes: readonly Change[]) =>
	changes.map(({ action, kind, name }) => `${action} ${kind} ${name}`);

const state = () => stateOf(app);

describe('applying a document', () => {
	test('makes what is not there, tells the secrets once, and audits each as its own operation', async () => {
		const answer = await apply(structuredClone(DOCUMENT));

		expect(told(answer.changes)).toEqual([
			'created plan School',
			'created tenant Acme',
			'created api_key Backend',
			'created api_key Reader',
			'created tenant Globex',
			'created api_key default',
		]);
		expect(answer.api_keys.map(({ tenant, name }) => [tenant, name])).toEqual([
			['Acme', 'Backend'],
			['Acme', 'Reader'],
			['Globex', 'default'],
		]);
		for (const { api_key } of answer.api_keys) expect(api_key).toMatch(/^sk_[0-9A-Za-z]{45}$/);
		expect(app.rows<{ action: string }>('SELECT action FROM audit ORDER BY entry')).toEqual(
			['plans.create', 'tenants.create', 'keys.create', 'keys.create', 'tenants.create'].map(
				(action) => ({ action }),
			),
		);
		const page = await app.tenants.list(OPERATOR, {});
		expect(page.tenants[1]).toMatchObject({
			name: 'Acme',
			domain: 'acme.com',
			metadata: { crm: 1, tags: ['a', null] },
			rate_limit: { requests_per_second: 5 },
			settings: { history: 'joined' },
			allowed_origins: ['https://acme.com'],
		});
	});

	test('twice changes nothing, and writes nothing', async () => {
		await apply(structuredClone(DOCUMENT));
		const before = state();

		const again = await apply(structuredClone(DOCUMENT));

		expect(again).toMatchObject({
			changes: [],
			api_keys: [],
			unchanged: { plans: 1, tenants: 2, api_keys: 2 },
		});
		expect(state()).toEqual(before);
	});

	test('dry tells the same changes, and changes nothing', async () => {
		const before = state();

		const dry = await apply({ ...structuredClone(DOCUMENT), dry_run: true });

		expect(state()).toEqual(before);
		const real = await apply(structuredClone(DOCUMENT));
		const withoutIds = (changes: readonly Change[]) =>
			changes.map((change) => ({ ...change, id: null }));
		expect(dry.changes).toEqual(withoutIds(real.changes));
		expect(dry.api_keys).toEqual([]);
	});

	test('makes a named field exactly what it says, and leaves alone what it does not name', async () => {
		await apply(structuredClone(DOCUMENT));

		const answer = await apply({
			plans: [{ name: 'School', features: { voice: true } }],
			tenants: [{ name: 'Acme', metadata: { crm: 2 }, domain: null, rate_limit: {} }],
		});

		expect(answer.changes.map(({ fields }) => fields)).toEqual([
			[
				{ field: 'features.typing', before: true, after: null },
				{ field: 'features.voice', before: null, after: true },
			],
			[
				{ field: 'metadata.crm', before: 1, after: 2 },
				{ field: 'metadata.tags', before: ['a', null], after: null },
				{ field: 'domain', before: 'acme.com', after: null },
				{ field: 'rate_limit.requests_per_second', before: 5, after: null },
			],
		]);
		const [plan] = (await app.plans.list(OPERATOR, {})).plans;
		expect(plan).toMatchObject({
			quotas: { messages_per_month: 1000 },
			features: { voice: true },
		});
		const acme = (await app.tenants.list(OPERATOR, {})).tenants[1];
		expect(acme).toMatchObject({
			metadata: { crm: 2 },
			domain: null,
			rate_limit: null,
			settings: { history: 'joined' },
		});
	});

	test('moves a tenant to another plan, and takes it off', async () => {
		await apply(structuredClone(DOCUMENT));

		const moved = await apply({
			plans: [{ name: 'Club' }],
			tenants: [{ name: 'Acme', plan: 'Club' }],
		});
		const off = await apply({ tenants: [{ name: 'Acme', plan: null }] });

		expect(moved.changes.at(-1)?.fields).toEqual([
			{ field: 'plan', before: 'School', after: 'Club' },
		]);
		expect(off.changes.at(-1)?.fields).toEqual([{ field: 'plan', before: 'Club', after: null }]);
	});

	test('changes a key without a new secret', async () => {
		const { api_keys } = await apply(structuredClone(DOCUMENT));

		const answer = await apply({
			tenants: [
				{
					name: 'Acme',
					keys: [{ name: 'Backend', permissions: ['send'], expires_at: '2099-01-01T00:00:00Z' }],
				},
			],
		});

		expect(answer.api_keys).toEqual([]);
		expect(answer.changes).toEqual([
			{
				...{ action: 'changed', kind: 'api_key', name: 'Backend', tenant: 'Acme' },
				id: api_keys[0]?.key_id as string,
				fields: [
					{ field: 'permissions', before: ['full_access'], after: ['send'] },
					{ field: 'expires_at', before: null, after: '2099-01-01T00:00:00.000Z' },
				],
			},
		]);
	});

	test('renames what it names by id', async () => {
		const { changes } = await apply(structuredClone(DOCUMENT));
		const idOf = (name: string) => changes.find((change) => change.name === name)?.id as never;

		const answer = await apply({
			plans: [{ name: 'Universities', plan_id: idOf('School') }],
			tenants: [{ name: 'Acme Inc', tenant_id: idOf('Acme') }],
		});

		expect(answer.changes.map(({ action, id, fields }) => [action, id, fields])).toEqual([
			['changed', idOf('School'), [{ field: 'name', before: 'School', after: 'Universities' }]],
			['changed', idOf('Acme'), [{ field: 'name', before: 'Acme', after: 'Acme Inc' }]],
		]);
	});
});

describe('a document that cannot be', () => {
	/** What it is refused with; nothing is written. */
	async function refusal(document: Document): Promise<unknown[]> {
		const before = state();
		for (const dry_run of [true, false]) {
			expect(await codeOf(apply({ ...structuredClone(document), dry_run }))).not.toBe('done');
			expect(state()).toEqual(before);
		}
		return apply(document).then(
			() => [],
			(error) => [error.errorCode, error.details.field],
		);
	}

	const key = { name: 'A', permissions: ['*'] };

	for (const [claim, document, code, field] of [
		[
			'names a plan twice',
			{ plans: [{ name: 'A' }, { name: 'A' }] },
			'VALIDATION_ERROR',
			'/plans/1/name',
		],
		[
			'names a tenant twice',
			{ tenants: [{ name: 'A' }, { name: 'A' }] },
			'VALIDATION_ERROR',
			'/tenants/1/name',
		],
		[
			'names a key twice',
			{ tenants: [{ name: 'A', keys: [key, key] }] },
			'VALIDATION_ERROR',
			'/tenants/0/keys/1/name',
		],
		[
			'names a plan that is none',
			{ tenants: [{ name: 'B' }, { name: 'A', plan: 'X' }] },
			'NOT_FOUND',
			'/tenants/1/plan',
		],
		[
			'names an id that is none',
			{ tenants: [{ name: 'A', tenant_id: 'tenant_x' as never }] },
			'NOT_FOUND',
			'/tenants/0',
		],
		[
			'grants an unknown permission',
			{ tenants: [{ name: 'A', keys: [{ ...key, permissions: ['x'] }] }] },
			'VALIDATION_ERROR',
			'/tenants/0/keys/0/permissions/0',
		],
		[
			'makes a key that has ended',
			{ tenants: [{ name: 'A', keys: [{ ...key, expires_at: '2001-01-01T00:00:00Z' }] }] },
			'VALIDATION_ERROR',
			'/tenants/0/keys/0/expires_at',
		],
		[
			'has both units of a rate limit',
			{ tenants: [{ name: 'A', rate_limit: { requests_per_minute: 1, requests_per_second: 1 } }] },
			'VALIDATION_ERROR',
			'/tenants/0/rate_limit',
		],
		[
			'has smtp without its password',
			{ tenants: [{ name: 'A', smtp: { host: 'a.com', port: 25, user: 'a' } }] },
			'VALIDATION_ERROR',
			'/tenants/0/smtp/pass',
		],
		['says prune_ids without prune', { prune_ids: [] }, 'VALIDATION_ERROR', 'prune_ids'],
	] as const) {
		test(`and ${claim} is refused by its place, before anything is made`, async () => {
			expect(await refusal(document as unknown as Document)).toEqual([code, field]);
		});
	}

	test('and sends a password elsewhere, or makes one key too many, is refused in a dry run too', async () => {
		const smtp = { host: 'a.com', port: 25, user: 'a' };
		const keys = (prefix: string) =>
			Array.from({ length: 60 }, (_, index) => ({ ...key, name: `${prefix}${index}` }));
		await apply({
			tenants: [{ name: 'There', smtp: { ...smtp, pass: 'correct horse' }, keys: keys('a') }],
		});

		const moved: Document = { tenants: [{ name: 'There', smtp: { ...smtp, host: 'b.com' } }] };
		expect(await refusal(moved)).toEqual(['VALIDATION_ERROR', '/tenants/0/smtp/pass']);
		const more: Document = { tenants: [{ name: 'There', keys: keys('b') }] };
		expect(await refusal(more)).toEqual(['CONFLICT', '/tenants/0/keys/40']);
		const port: Document = { tenants: [{ name: 'There', smtp: { ...smtp, port: 26 } }] };
		expect((await apply(port)).changes).toHaveLength(1);
	});

	test('and means one of two of the same name says which, by id', async () => {
		const { tenant_id } = await app.tenant({ name: 'Twin' });
		await app.tenant({ name: 'Twin' });

		expect(await refusal({ tenants: [{ name: 'Twin', domain: 'a.com' }] })).toEqual([
			'CONFLICT',
			'/tenants/0/name',
		]);
		const pinned = await apply({ tenants: [{ name: 'Twin', tenant_id, domain: 'a.com' }] });

		expect(pinned.changes.map(({ id }) => id)).toEqual([tenant_id]);
	});

	test('and names one thing by name and by id is refused', async () => {
		const { tenant_id } = await app.tenant({ name: 'One' });

		expect(await refusal({ tenants: [{ name: 'One' }, { name: 'Other', tenant_id }] })).toEqual([
			'VALIDATION_ERROR',
			'/tenants/1',
		]);
	});
});

describe('prune', () => {
	test('revokes keys and removes plans that the document does not name, in lists that it has', async () => {
		await apply(structuredClone(DOCUMENT));
		await apply({ plans: [{ name: 'Empty' }] });

		const answer = await apply({
			...{ prune: true, plans: [] },
			tenants: [
				{ name: 'Acme', keys: [{ name: 'Reader', permissions: ['read_only'] }] },
				{ name: 'Globex' },
			],
		});

		expect(told(answer.changes)).toEqual([
			'pruned api_key Backend',
			'pruned plan Empty',
			'kept plan School',
		]);
		const globex = (await app.tenants.list(OPERATOR, { q: 'Globex' })).tenants[0];
		const { api_keys } = await app.keys.list(OPERATOR, { tenant_id: globex?.tenant_id as never });
		expect(api_keys.map(({ name }) => name)).toEqual(['default']);
	});

	test('without it leaves everything', async () => {
		await apply(structuredClone(DOCUMENT));
		const before = state();

		await apply({ plans: [], tenants: [{ name: 'Acme', keys: [] }] });

		expect(state()).toEqual(before);
	});

	test('takes a plan whose last tenant the same document moves off it', async () => {
		await apply(structuredClone(DOCUMENT));
		const document: Document = { prune: true, plans: [], tenants: [{ name: 'Acme', plan: null }] };

		const dry = await apply({ ...structuredClone(document), dry_run: true });
		const answer = await apply(structuredClone(document));

		expect(told(dry.changes)).toEqual(told(answer.changes));
		expect(told(answer.changes)).toContain('pruned plan School');
	});

	test('takes nothing but what it was given leave to', async () => {
		const { changes } = await apply({ plans: [{ name: 'A' }, { name: 'B' }] });
		const [a] = changes.map(({ id }) => id as string);

		const answer = await apply({ prune: true, prune_ids: [a as string], plans: [] });

		expect(told(answer.changes)).toEqual(['pruned plan A']);
	});

	test('deletes tenants that the document does not name, which can be restored, and keeps their plan', async () => {
		await apply(structuredClone(DOCUMENT));

		const answer = await apply({ prune: true, plans: [], tenants: [{ name: 'Globex' }] });
		const again = await apply({ prune: true, plans: [], tenants: [{ name: 'Globex' }] });

		expect(told(answer.changes)).toEqual(['pruned tenant Acme', 'kept plan School']);
		expect(told(again.changes)).toEqual(['kept plan School']);
		const tenant_id = answer.changes[0]?.id as never;
		expect(await app.tenants.get(OPERATOR, { tenant_id })).toMatchObject({ status: 'deleting' });
		expect(await codeOf(apply({ tenants: [{ name: 'Acme' }] }))).toBe('CONFLICT');
		await app.tenants.restore(OPERATOR, { tenant_id });
		expect((await apply(structuredClone(DOCUMENT))).changes).toEqual([]);
	});
});
