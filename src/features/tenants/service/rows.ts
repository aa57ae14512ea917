/** A tenant as it is stored, and as it is shown. */
import type { OperatorCaller } from '../../../core/caller.ts';
import { toTimestamp } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { TenantId } from '../../../core/ids.ts';
import { fromJsonColumn } from '../../../core/json.ts';
import { type OwnSettings, settingsInEffect } from '../../../core/tenant-settings.ts';
import type { Vault } from '../../../core/vault.ts';
import type { Stored } from '../../../db/client.ts';
import type { KeysTx } from '../../keys/service.ts';
import { type Inherited, inheritedFrom, type PlansTx } from '../../plans/service.ts';
import type { TenantRow, TenantsStore } from '../store.ts';
import { shownSmtp } from './smtp.ts';

export interface TenantsTx extends KeysTx, PlansTx {
	tenants: Stored<TenantsStore>;
}

/** What the stores for reading are asked. */
export type TenantsRead = Pick<TenantsTx, 'tenants' | 'plans'>;

/**
 * The tenant, as far as it exists for the caller. For use within a change, too.
 *
 * @throws `NOT_FOUND`.
 */
export async function requireTenantRow(
	tx: Pick<TenantsTx, 'tenants'>,
	{ plan }: OperatorCaller,
	tenant_id: TenantId,
): Promise<TenantRow> {
	const row = await tx.tenants.findById(tenant_id);
	if (row !== undefined && (plan === null || plan === row.plan)) return row;
	throw new AppError('NOT_FOUND', 'Tenant not found');
}

/** The same of one that is not being erased. @throws `NOT_FOUND`. */
export async function requireKeptRow(
	...asked: Parameters<typeof requireTenantRow>
): Promise<TenantRow> {
	const row = await requireTenantRow(...asked);
	if (row.status !== 'purging') return row;
	throw new AppError('NOT_FOUND', 'Tenant not found');
}

/** The settings that a tenant has set itself. */
export const ownSettings = ({ settings }: Pick<TenantRow, 'settings'>): OwnSettings =>
	fromJsonColumn(settings) ?? {};

/** Every setting of a tenant as it is in effect. */
export const settingsOf = (row: Pick<TenantRow, 'settings'>, inherited: Inherited) =>
	settingsInEffect(ownSettings(row), inherited.settings);

/** A tenant as an operator sees it: nothing that is secret. */
export async function shownOf(
	tx: Parameters<typeof inheritedFrom>[0],
	row: Omit<TenantRow, 'tenant'>,
	vault: Vault,
) {
	const inherited = await inheritedFrom(tx, row.plan);
	return {
		tenant_id: row.tenant_id,
		id: row.tenant_id,
		name: row.name,
		domain: row.domain,
		status: row.status,
		plan_id: inherited.plan_id,
		rate_limit: fromJsonColumn(row.rate_limit),
		quotas: fromJsonColumn(row.quotas) ?? {},
		allowed_origins: fromJsonColumn(row.allowed_origins),
		webhook_url: row.webhook_url,
		smtp: shownSmtp(row, vault),
		settings: ownSettings(row),
		effective_settings: settingsOf(row, inherited),
		features: inherited.features,
		metadata: fromJsonColumn(row.metadata),
		purge_at: row.purge_at === null ? null : toTimestamp(row.purge_at),
		erased_rows: row.status === 'purging' ? erasedRows(row) : null,
		version: row.version,
		created_at: toTimestamp(row.created_at),
		updated_at: toTimestamp(row.updated_at),
	};
}

/** How far the erasing has come. */
function erasedRows({ purge }: Pick<TenantRow, 'purge'>): number {
	const rows: Record<string, number> = purge === null ? {} : JSON.parse(purge).rows;
	return Object.values(rows).reduce((sum, count) => sum + count, 0);
}

/** An object that was stored, or nothing: what has no members is stored as none. */
export const toObjectColumn = (value: object): string | null =>
	Object.keys(value).length === 0 ? null : JSON.stringify(value);
