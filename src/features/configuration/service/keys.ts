import { parseTimestamp, toTimestamp } from '../../../core/clock.ts';
import { AppError } from '../../../core/errors.ts';
import type { KeyId, TenantId } from '../../../core/ids.ts';
import type { OutputOf } from '../../../core/operation.ts';
import { expandGrants } from '../../../core/permissions.ts';
import type { listKeys } from '../../keys/schema.ts';
import { expiryOf, requireRoom } from '../../keys/service/changes.ts';
import type { Change, KeyWanted } from '../schema.ts';
import { differenceOf } from './differences.ts';
import { isPruned, keep, located, only, type Pass } from './pass.ts';
import { newFields } from './plans.ts';

export type ShownKey = OutputOf<typeof listKeys>['api_keys'][number];

/** A tenant whose keys are meant; it has no id in a dry run that would make it. */
export interface KeysOwner {
	tenant_id: TenantId | null;
	name: string;
}

/** Makes a tenant's keys what the document says. `place`: of the tenant, for errors. */
export async function reconcileKeys(
	pass: Pass,
	owner: KeysOwner,
	{ wanted, place, now }: { wanted: readonly KeyWanted[]; place: string; now: number },
): Promise<void> {
	const there = owner.tenant_id === null ? [] : await allKeys(pass, owner.tenant_id);
	const byName = Map.groupBy(there, ({ name }) => name);
	const byId = new Map(there.map((key) => [key.key_id, key]));
	let count = there.length;
	for (const [index, key] of wanted.entries()) {
		await located(`${place}/keys/${index}`, async () => {
			expandGrants(key.permissions);
			const before = find(key, byName, byId);
			if (before === undefined) {
				// A dry run tells of it, too.
				requireRoom(count++);
				await create(pass, owner, key, now);
			} else await update(pass, owner, { wanted: key, before, now });
		});
	}
	for (const { key_id, name } of there) {
		if (owner.tenant_id === null || !isPruned(pass, key_id)) continue;
		if (!pass.isDry) {
			await pass.operations.keys.revoke(pass.caller, { tenant_id: owner.tenant_id, key_id });
		}
		pass.changes.push(changeOf(owner, { action: 'pruned', name, id: key_id, fields: [] }));
	}
}

/** Every live key of a tenant, newest first. */
export async function allKeys(
	{ operations, caller }: Pick<Pass, 'operations' | 'caller'>,
	tenant_id: TenantId,
): Promise<ShownKey[]> {
	const keys: ShownKey[] = [];
	for (let cursor: { cursor?: string } = {}; ; ) {
		const page = await operations.keys.list(caller, { tenant_id, limit: 100, ...cursor });
		keys.push(...page.api_keys);
		if (page.next_cursor === null) return keys;
		cursor = { cursor: page.next_cursor };
	}
}

function find(
	{ key_id, name }: KeyWanted,
	byName: ReadonlyMap<string, ShownKey[]>,
	byId: ReadonlyMap<KeyId, ShownKey>,
): ShownKey | undefined {
	if (key_id === undefined) return only(byName.get(name) ?? [], (key) => key, 'keys', 'key_id');
	const key = byId.get(key_id);
	if (key !== undefined) return key;
	throw new AppError('NOT_FOUND', 'API key not found', { field: 'key_id' });
}

async function create(pass: Pass, owner: KeysOwner, key: KeyWanted, now: number): Promise<void> {
	const { name, permissions, expires_at = null } = key;
	expiryOf(expires_at, now);
	const fields = newFields({ name, ...{ permissions, expires_at } });
	if (pass.isDry || owner.tenant_id === null) {
		pass.changes.push(changeOf(owner, { action: 'created', name, id: null, fields }));
		return;
	}
	const { tenant_id } = owner;
	const made = await pass.operations.keys.create(pass.caller, {
		...{ tenant_id, name, permissions, expires_at },
	});
	tellNew(pass, { tenant_id, name: owner.name }, made, fields);
}

/** Writes down a key that was made, with its secret. */
export function tellNew(
	pass: Pass,
	{ tenant_id, name: tenant }: { tenant_id: TenantId; name: string },
	{ key_id, name, api_key }: { key_id: KeyId; name: string; api_key: string },
	fields: Change['fields'],
): void {
	keep(pass, key_id);
	pass.changes.push(
		changeOf({ tenant_id, name: tenant }, { action: 'created', name, id: key_id, fields }),
	);
	pass.api_keys.push({ tenant_id, tenant, key_id, name, api_key });
}

async function update(
	pass: Pass,
	owner: KeysOwner,
	{ wanted, before, now }: { wanted: KeyWanted; before: ShownKey; now: number },
): Promise<void> {
	const { key_id } = before;
	keep(pass, key_id);
	const { name, permissions, expires_at } = wanted;
	const { patch, fields } = differenceOf(before, {
		...{ name, permissions },
		expires_at: canonical(expires_at),
	});
	if (fields.length === 0) {
		pass.unchanged.api_keys++;
		return;
	}
	// What has ended may stay so, but nothing is made to end in the past.
	if ('expires_at' in patch) expiryOf(expires_at ?? null, now);
	if (!pass.isDry && owner.tenant_id !== null) {
		await pass.operations.keys.update(pass.caller, {
			...{ ...patch, tenant_id: owner.tenant_id, key_id },
		});
	}
	pass.changes.push(changeOf(owner, { action: 'changed', name, id: key_id, fields }));
}

/** A time as the server writes it; what is none is left for whoever reads it. */
function canonical(time: string | null | undefined): string | null | undefined {
	if (time === null || time === undefined) return time;
	const at = parseTimestamp(time);
	return at === undefined ? time : toTimestamp(at);
}

const changeOf = ({ name }: KeysOwner, change: Omit<Change, 'kind' | 'tenant'>): Change => ({
	...change,
	kind: 'api_key',
	tenant: name,
});
