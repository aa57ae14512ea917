import type { KeyId, PlanId, RoomId, TenantId, UserId } from './ids.ts';
import type { TenantHalt } from './tenant-halt.ts';

/**
 * What a commit means for things in memory: caches and sockets. Named and plain, so that it can
 * travel to other nodes. Applied after the commit, before its events are published (except
 * `room.closed`, which follows them: the room's subscribers must still learn that it is gone).
 */
export type Effect =
	| { name: 'member.joined'; tenant_id: TenantId; room_id: RoomId; user_id: UserId }
	| { name: 'member.left'; tenant_id: TenantId; room_id: RoomId; user_id: UserId }
	| { name: 'room.closed'; tenant_id: TenantId; room_id: RoomId }
	| { name: 'subscription.added'; tenant_id: TenantId; user_id: UserId; topic: string }
	| { name: 'subscription.removed'; tenant_id: TenantId; user_id: UserId; topic: string }
	| { name: 'key.revoked'; tenant_id: TenantId; key_id: KeyId }
	/** What its credentials may do, how often, or for how long: they stay good. */
	| { name: 'tenant.changed'; tenant_id: TenantId }
	/** What its tenants inherit of it and draw on, or which tenants these are. */
	| { name: 'plan.changed'; plan_id: PlanId }
	| { name: 'tenant.suspended'; tenant_id: TenantId }
	| { name: 'tenant.resumed'; tenant_id: TenantId }
	| { name: 'tenant.deleted'; tenant_id: TenantId }
	/** Nothing of it is stored any more. */
	| { name: 'tenant.purged'; tenant_id: TenantId }
	| { name: 'user.revoked'; tenant_id: TenantId; user_id: UserId }
	| { name: 'user.deactivated'; tenant_id: TenantId; user_id: UserId }
	| { name: 'user.reactivated'; tenant_id: TenantId; user_id: UserId };

/** Whether it changes what may be done as a user. */
export const isAboutUser = (
	effect: Effect,
): effect is Extract<Effect, { name: `user.${string}` }> => effect.name.startsWith('user.');

/** The tenant that it stops, and why; undefined for any other effect. */
export function haltOf(effect: Effect): { tenant_id: TenantId; why: TenantHalt } | undefined {
	const { name } = effect;
	if (name !== 'tenant.suspended' && name !== 'tenant.deleted') return undefined;
	const why = name === 'tenant.deleted' ? 'deleting' : 'suspended';
	return { tenant_id: effect.tenant_id, why };
}
