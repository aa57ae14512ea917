import type { OwnCaller } from '../../../core/caller.ts';
import type { Clock } from '../../../core/clock.ts';
import { assert } from '../../../core/errors.ts';
import type { InputOf, OutputOf } from '../../../core/operation.ts';
import { requireVersion } from '../../../core/precondition.ts';
import type { Writer } from '../../../db/writer.ts';
import { changedOf } from '../../keys/service.ts';
import { inheritedFrom } from '../../plans/service.ts';
import type { getSettings, updateSettings } from '../schema.ts';
import type { TenantRow } from '../store.ts';
import { ownSettings, settingsOf, type TenantsRead, type TenantsTx } from './rows.ts';
import { mergedSettings } from './updating.ts';

export interface OwnSettingsDeps {
	writer: Writer<TenantsTx>;
	read: TenantsRead;
	clock: Clock;
}

/** The use-cases of settings in the hands of the tenant itself. */
export function createOwnSettings({ writer, read, clock }: OwnSettingsDeps) {
	return {
		/** @throws `VALIDATION_ERROR` for a user. */
		get: async (caller: OwnCaller): Promise<OutputOf<typeof getSettings>> => {
			return shown(read, await ownRow(read, caller));
		},

		/**
		 * Merges a patch into them. Takes effect on the next request, and on open sockets. One that leaves them as
		 * they are changes nothing, the version neither.
		 *
		 * @throws `VALIDATION_ERROR` for a user; `PRECONDITION_FAILED` when the tenant is no longer the version
		 * that was named.
		 */
		update: async (
			caller: OwnCaller,
			patch: InputOf<typeof updateSettings>,
		): Promise<OutputOf<typeof updateSettings>> => {
			const updated_at = clock.now();
			return writer.commit(caller, async (tx) => {
				const before = await ownRow(tx, caller);
				requireVersion(caller, before.version);
				const settings = mergedSettings(before, patch);
				if (settings === before.settings) return { value: await shown(tx, before) };
				const row = { ...before, settings, version: before.version + 1, updated_at };
				await tx.tenants.update(row);
				return { value: await shown(tx, row), effects: [changedOf(caller.tenant_id)] };
			});
		},
	};
}

export type OwnSettings = ReturnType<typeof createOwnSettings>;

async function ownRow(tx: Pick<TenantsTx, 'tenants'>, { tenant }: OwnCaller): Promise<TenantRow> {
	const row = await tx.tenants.find(tenant);
	assert(row !== undefined, 'a caller has a tenant');
	return row;
}

const shown = async (tx: Pick<TenantsTx, 'plans'>, row: TenantRow) => ({
	settings: ownSettings(row),
	effective_settings: settingsOf(row, await inheritedFrom(tx, row.plan)),
	version: row.version,
});
