import type { InputOf } from '../../../src/core/operation.ts';
import type { applyConfiguration } from '../../../src/features/configuration/schema.ts';
import type { App } from './app.ts';

export type Document = InputOf<typeof applyConfiguration>;

/** Everything that is in the database of what a document is about, but for times. */
export const stateOf = (app: App) => ({
	plans: app.rows('SELECT plan, name, quotas, features, settings, version FROM plans'),
	tenants: app.rows(
		'SELECT tenant, name, plan, domain, metadata, rate_limit, settings, version FROM tenants',
	),
	keys: app.rows(
		'SELECT tenant, name, permissions, expires_at, revoked_at FROM api_keys ORDER BY key_id',
	),
	audit: app.rows('SELECT entry, action FROM audit'),
});

export const DOCUMENT: Document = {
	plans: [{ name: 'School', quotas: { messages_per_month: 1000 }, features: { typing: true } }],
	tenants: [
		{
			name: 'Acme',
			plan: 'School',
			domain: 'acme.com',
			metadata: { crm: 1, tags: ['a', null], none: null },
			rate_limit: { requests_per_second: 5 },
			settings: { history: 'joined', from_name: null },
			allowed_origins: ['https://acme.com'],
			keys: [
				{ name: 'Backend', permissions: ['full_access'] },
				{ name: 'Reader', permissions: ['read_only'], expires_at: '2100-01-01T00:00:00+01:00' },
			],
		},
		{ name: 'Globex', plan: null },
	],
};
