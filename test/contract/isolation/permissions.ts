/** Which permission each operation needs: by hand from the contract, as the table in expected.ts. */

/** What a key needs for each; an operation that is not here needs no permission. */
export const PERMISSION_OF: Readonly<Record<string, string>> = {
	'rooms.create': 'rooms:write',
	'rooms.list': 'rooms:read',
	'rooms.get': 'rooms:read',
	'rooms.update': 'rooms:write',
	'rooms.delete': 'rooms:write',
	'members.list': 'rooms:read',
	'members.add': 'members:write',
	'members.update': 'members:write',
	'members.remove': 'members:write',
	'messages.send': 'messages:write',
	'messages.list': 'messages:read',
	'messages.list_all': 'messages:read',
	'acks.send': 'messages:read',
	'reads.send': 'messages:read',
	'events.list': 'events:read',
	'api_keys.create': 'keys:manage',
	'api_keys.list': 'keys:manage',
	'api_keys.update': 'keys:manage',
	'api_keys.rotate': 'keys:manage',
	'api_keys.revoke': 'keys:manage',
	'users.get': 'users:read',
	'users.update': 'users:write',
	'users.deactivate': 'users:write',
	'users.reactivate': 'users:write',
	'users.revoke': 'users:write',
	'tokens.create': 'tokens:create',
	'tickets.create': 'tokens:create',
	'limits.get': 'usage:read',
	'settings.get': 'settings:manage',
	'settings.update': 'settings:manage',
	'usage.get': 'usage:read',
	'connections.open': 'rooms:read',
	'typing.start': 'rooms:read',
	'typing.stop': 'rooms:read',
	'presence.query': 'rooms:read',
	'presence.subscribe': 'rooms:read',
	'presence.unsubscribe': 'rooms:read',
	'notifications.send': 'notifications:send',
	'notifications.list': 'messages:read',
	'subscriptions.create': 'subscriptions:write',
	'subscriptions.list': 'subscriptions:write',
	'subscriptions.remove': 'subscriptions:write',
	'dead_letters.list': 'events:read',
	send_message: 'messages:write',
	ack: 'messages:read',
	read: 'messages:read',
};

/** The permissions there are: contract, section 2. */
export const PERMISSIONS = `rooms:read rooms:write members:write messages:read messages:write
	messages:moderate templates:read templates:write users:read users:write tokens:create
	notifications:send subscriptions:write events:read webhooks:manage keys:manage settings:manage
	usage:read`.split(/\s+/);
