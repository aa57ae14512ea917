import { type Effect, haltOf, isAboutUser } from '../core/effect.ts';
import type { Stamp } from '../core/generations.ts';
import type { TenantHalt } from '../core/tenant-halt.ts';

/**
 * What the changes of one batch have revoked so far: the generations learn it after the commit only, and
 * whatever runs behind it in the same batch must be refused already. A batch that comes to nothing takes
 * its revocations with it.
 */
export interface Revocations {
	/** Takes the effects of a change that ran through. */
	note(effects: readonly Effect[]): void;
	/** Whether the key was revoked, whoever it acts as. */
	hasKey(stamp: Stamp): boolean;
	/** Whether the user that was stamped was. */
	hasUser(stamp: Stamp): boolean;
	/** Why its tenant was halted; undefined where it was not. */
	haltOf(stamp: Stamp): TenantHalt | undefined;
}

export function createRevocations(): Revocations {
	let keys: Set<string> | undefined;
	let users: Set<string> | undefined;
	let halts: Map<string, TenantHalt> | undefined;
	return {
		note(effects) {
			for (const effect of effects) {
				if (effect.name === 'key.revoked') {
					keys ??= new Set();
					keys.add(effect.key_id);
				}
				const halt = haltOf(effect);
				if (halt !== undefined) {
					halts ??= new Map();
					halts.set(halt.tenant_id, halt.why);
				} else if (isAboutUser(effect)) {
					users ??= new Set();
					users.add(`${effect.tenant_id}/${effect.user_id}`);
				}
			}
		},
		hasKey: ({ key_id }) => keys?.has(key_id) === true,
		haltOf: ({ tenant_id }) => halts?.get(tenant_id),
		hasUser: ({ tenant_id, user_id }) =>
			users !== undefined && user_id !== null && users.has(`${tenant_id}/${user_id}`),
	};
}
