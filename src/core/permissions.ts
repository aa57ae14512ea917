import { AppError } from './errors.ts';

/** Every permission a tenant's API key can hold, in the order the docs list them. */
export const PERMISSIONS = [
	'rooms:read',
	'rooms:write',
	'members:write',
	'messages:read',
	'messages:write',
	'messages:moderate',
	'templates:read',
	'templates:write',
	'users:read',
	'users:write',
	'tokens:create',
	'notifications:send',
	'subscriptions:write',
	'events:read',
	'webhooks:manage',
	'keys:manage',
	'settings:manage',
	'usage:read',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** Names that stand for several permissions. */
export const PRESETS: Readonly<Record<string, readonly string[]>> = {
	full_access: ['*'],
	read_only: PERMISSIONS.filter((permission) => permission.endsWith(':read')),
	send: ['messages:write', 'notifications:send', 'rooms:read'],
	auth_only: ['tokens:create', 'users:write'],
};

/** What a user may do with a token or ticket of their own, whatever the key that made it may. */
export const USER_PERMISSIONS: ReadonlySet<Permission> = new Set<Permission>([
	'rooms:read',
	'rooms:write',
	'members:write',
	'messages:read',
	'messages:write',
	'subscriptions:write',
]);

const NOUNS = [...new Set(PERMISSIONS.map((permission) => permission.split(':')[0]))];

/** What a key may be given: a permission, `noun:*`, `*`, or a preset. */
export const GRANTS: readonly string[] = [
	...PERMISSIONS,
	...NOUNS.map((noun) => `${noun}:*`),
	'*',
	...Object.keys(PRESETS),
];

/**
 * The permissions that a list of grants amounts to.
 *
 * @throws `VALIDATION_ERROR` on an unknown grant, listing the known ones.
 */
export function expandGrants(grants: readonly string[]): ReadonlySet<Permission> {
	const expanded = new Set<Permission>();
	for (const [index, grant] of grants.entries()) {
		if (!GRANTS.includes(grant)) {
			throw new AppError(
				'VALIDATION_ERROR',
				`Unknown permission. Must be one of: ${GRANTS.join(', ')}`,
				{ field: `/permissions/${index}` },
			);
		}
		const patterns = PRESETS[grant] ?? [grant];
		for (const permission of PERMISSIONS) {
			const noun = permission.slice(0, permission.indexOf(':'));
			if (patterns.some((p) => p === '*' || p === permission || p === `${noun}:*`)) {
				expanded.add(permission);
			}
		}
	}
	return expanded;
}
