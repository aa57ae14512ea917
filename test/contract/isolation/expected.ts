/**
 * Who may do what: written by hand from the contract (sections 2 to 5) and the rulings, and never
 * derived from the code it is held against. An operation or a frame without its rows fails the
 * matrix.
 *
 * Two tenants hold the same user ids, room names and client_msg_ids. `own` is what belongs to the
 * first tenant, `foreign` the second tenant's twin of it, `missing` was never given out. All callers
 * but `twi` hold a key of the first tenant.
 */

/** What each kind of caller sends; see callers.ts for how each is made. */
export const CALLERS = {
	non: 'no credential at all',
	mal: 'an API key with a wrong checksum',
	unk: 'a well-formed API key that was never given out',
	for: 'the id of a real key with another secret, and a checksum that fits',
	rev: 'a revoked key',
	exp: 'an expired key',
	lac: 'the owner, with a key of every permission but the one that is needed',
	twi: 'the owner of the foreign room, with the key of the other tenant',
	out: 'a user who is no member here, and the owner of the foreign room',
	mem: 'a member',
	mod: 'a moderator',
	adm: 'an admin',
	own: 'the owner',
	ten: 'the tenant itself: its key without a user',
	bea: 'the owner, with the key as bearer token',
	mas: 'the operator: the master key in X-Master-Key',
	mab: 'the operator: the master key as bearer token',
	tne: 'the tenant itself, with a key of every permission but events:read',
	evt: 'the tenant itself, with a key of events:read alone',
	tok: 'the owner, with a user token',
	tic: 'the owner, with a ticket: in the query of /ws, as bearer token anywhere else',
	man: 'management credentials of the plan that the tenant is on',
	mao: 'management credentials of the plan that the other tenant is on',
} as const;

export type CallerName = keyof typeof CALLERS;

export const TARGETS = {
	own: 'what belongs to the tenant',
	foreign: 'what belongs to the other tenant',
	missing: 'what nobody has',
	foreign_user: 'the own room, and a user whom the other tenant alone knows, in its twin',
	missing_user: 'the own room, and a user whom nobody knows',
	foreign_key: 'the own tenant, and a key of the other one',
	missing_key: 'the own tenant, and a key that nobody has',
} as const;

export type TargetName = keyof typeof TARGETS;

/** HTTP statuses, by operation and target. */
const HTTP = `
operation        target       non mal unk for rev exp lac twi out mem mod adm own ten bea mas mab tok tic man mao
tenants.create   own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 201 201 401 401 201 201
tenants.list     own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 200
tenants.get      own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
tenants.get      foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
tenants.get      missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
tenants.update   own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
tenants.update   foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
tenants.update   missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
tenants.merge    own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
tenants.merge    foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
tenants.merge    missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
tenants.suspend  own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
tenants.suspend  foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
tenants.suspend  missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
tenants.resume   own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
tenants.resume   foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
tenants.resume   missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
tenants.delete   own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 202 202 401 401 202 404
tenants.delete   foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 202 202 401 401 404 202
tenants.delete   missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
tenants.restore  own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
tenants.restore  foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
tenants.restore  missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
limits.get       own          401 401 401 401 401 401 403 200 200 200 200 200 200 200 200 401 401 403 401 401 401
settings.get     own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
settings.update  own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
keys.create      own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 201 201 401 401 201 404
keys.create      foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 201 201 401 401 404 201
keys.create      missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.list        own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
keys.list        foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
keys.list        missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.update      own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
keys.update      foreign_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.update      missing_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.update      missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.rotate      own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
keys.rotate      foreign_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.rotate      missing_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.rotate      missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
api_keys.create  own          401 401 401 401 401 401 403 400 400 400 400 400 400 201 400 401 401 403 401 401 401
api_keys.list    own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
api_keys.update  own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
api_keys.update  foreign_key  401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
api_keys.update  missing_key  401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
api_keys.rotate  own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
api_keys.rotate  foreign_key  401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
api_keys.rotate  missing_key  401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
api_keys.revoke  own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
api_keys.revoke  foreign_key  401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
api_keys.revoke  missing_key  401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
keys.revoke      own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
keys.revoke      foreign_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.revoke      missing_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
keys.revoke      missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
configuration.apply   own      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
configuration.export  own      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
configuration.progress own      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
plans.create           own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 201 201 401 401 403 403
plans.list             own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 200
plans.get              own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
plans.get              foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
plans.get              missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
plans.update           own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
plans.update           foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
plans.update           missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 403 403
plans.delete           own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 409 409 401 401 403 403
plans.delete           foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 409 409 401 401 403 403
plans.delete           missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 403 403
management_keys.create own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 201 201 401 401 403 403
management_keys.create foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 201 201 401 401 403 403
management_keys.create missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 403 403
management_keys.list   own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
management_keys.list   foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
management_keys.list   missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 403 403
management_keys.revoke own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
management_keys.revoke foreign_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 403 403
management_keys.revoke missing_key  401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 403 403
management_keys.revoke missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 403 403
audit.list             own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 200
rooms.create     own          401 401 401 401 401 401 403 201 201 201 201 201 201 201 201 401 401 201 401 401 401
rooms.list       own          401 401 401 401 401 401 403 200 200 200 200 200 200 400 200 401 401 200 401 401 401
rooms.get        own          401 401 401 401 401 401 403 404 404 200 200 200 200 200 200 401 401 200 401 401 401
rooms.get        foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 404 404 401 401 404 401 401 401
rooms.get        missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
rooms.update     own          401 401 401 401 401 401 403 404 404 403 403 200 200 200 200 401 401 200 401 401 401
rooms.update     foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 404 404 401 401 404 401 401 401
rooms.update     missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
rooms.delete     own          401 401 401 401 401 401 403 404 404 403 403 403 200 200 200 401 401 200 401 401 401
rooms.delete     foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 404 404 401 401 404 401 401 401
rooms.delete     missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
members.list     own          401 401 401 401 401 401 403 404 404 200 200 200 200 200 200 401 401 200 401 401 401
members.list     foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 404 404 401 401 404 401 401 401
members.list     missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
members.add      own          401 401 401 401 401 401 403 404 404 403 201 201 201 201 201 401 401 201 401 401 401
members.add      foreign      401 401 401 401 401 401 403 201 404 404 404 404 404 404 404 401 401 404 401 401 401
members.add      missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
members.update   own          401 401 401 401 401 401 403 404 404 403 403 200 200 200 200 401 401 200 401 401 401
members.update   foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 404 404 401 401 404 401 401 401
members.update   missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
members.update   foreign_user 401 401 401 401 401 401 403 404 404 403 403 404 404 404 404 401 401 404 401 401 401
members.update   missing_user 401 401 401 401 401 401 403 404 404 403 403 404 404 404 404 401 401 404 401 401 401
members.remove   own          401 401 401 401 401 401 403 404 404 403 200 200 200 200 200 401 401 200 401 401 401
members.remove   foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 404 404 401 401 404 401 401 401
members.remove   missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
members.remove   foreign_user 401 401 401 401 401 401 403 404 404 403 404 404 404 404 404 401 401 404 401 401 401
members.remove   missing_user 401 401 401 401 401 401 403 404 404 403 404 404 404 404 404 401 401 404 401 401 401
messages.send    own          401 401 401 401 401 401 403 404 404 201 201 201 201 201 201 401 401 201 401 401 401
messages.send    foreign      401 401 401 401 401 401 403 201 404 404 404 404 404 404 404 401 401 404 401 401 401
messages.send    missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
messages.list    own          401 401 401 401 401 401 403 404 404 200 200 200 200 200 200 401 401 200 401 401 401
messages.list    foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 404 404 401 401 404 401 401 401
messages.list    missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 404 401 401 401
acks.send        own          401 401 401 401 401 401 403 404 404 200 200 200 200 400 200 401 401 200 401 401 401
acks.send        foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 400 404 401 401 404 401 401 401
acks.send        missing      401 401 401 401 401 401 403 404 404 404 404 404 404 400 404 401 401 404 401 401 401
reads.send       own          401 401 401 401 401 401 403 404 404 200 200 200 200 400 200 401 401 200 401 401 401
reads.send       foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 400 404 401 401 404 401 401 401
reads.send       missing      401 401 401 401 401 401 403 404 404 404 404 404 404 400 404 401 401 404 401 401 401
events.list      own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.get        own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.get        foreign_user 401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
users.get        missing_user 401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
users.reactivate own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.reactivate foreign_user 401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
users.reactivate missing_user 401 401 401 401 401 401 403 400 400 400 400 400 400 404 400 401 401 403 401 401 401
users.update     own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.update     foreign_user 401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.update     missing_user 401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.revoke     own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.revoke     foreign_user 401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.revoke     missing_user 401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
tokens.create    own          401 401 401 401 401 401 403 400 400 400 400 400 400 201 400 401 401 403 401 401 401
tokens.create    foreign_user 401 401 401 401 401 401 403 400 400 400 400 400 400 201 400 401 401 403 401 401 401
tokens.create    missing_user 401 401 401 401 401 401 403 400 400 400 400 400 400 201 400 401 401 403 401 401 401
users.deactivate own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.deactivate foreign_user 401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
users.deactivate missing_user 401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
tickets.create   own          401 401 401 401 401 401 403 200 200 200 200 200 200 400 200 401 401 200 401 401 401
notifications.send   own          401 401 401 401 401 401 403 404 404 202 202 202 202 202 202 401 401 403 401 401 401
notifications.send   foreign      401 401 401 401 401 401 403 202 404 404 404 404 404 404 404 401 401 403 401 401 401
notifications.send   missing      401 401 401 401 401 401 403 404 404 404 404 404 404 404 404 401 401 403 401 401 401
notifications.list   own          401 401 401 401 401 401 403 200 200 200 200 200 200 400 200 401 401 200 401 401 401
subscriptions.create own          401 401 401 401 401 401 403 201 201 201 201 201 201 400 200 401 401 200 401 401 401
subscriptions.list   own          401 401 401 401 401 401 403 200 200 200 200 200 200 400 200 401 401 200 401 401 401
subscriptions.remove own          401 401 401 401 401 401 403 404 404 404 404 404 200 400 200 401 401 200 401 401 401
subscriptions.remove foreign      401 401 401 401 401 401 403 200 404 404 404 404 404 400 404 401 401 404 401 401 401
subscriptions.remove missing      401 401 401 401 401 401 403 404 404 404 404 404 404 400 404 401 401 404 401 401 401
dead_letters.list    own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
dead_letters.review  own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
dead_letters.review  foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
dead_letters.review  missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
connections.open own          401 401 401 401 401 401 403 101 101 101 101 101 101 101 101 401 401 101 101 401 401
usage.get        own          401 401 401 401 401 401 403 400 400 400 400 400 400 200 400 401 401 403 401 401 401
usage.inspect    own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 200 404
usage.inspect    foreign      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 404 200
usage.inspect    missing      401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 404 404 401 401 404 404
status.metrics   own          401 401 401 401 401 401 401 401 401 401 401 401 401 401 401 200 200 401 401 403 403
status.health    own          200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
status.live      own          200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
status.ready     own          200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
`;

/**
 * The same for a tenant's backend with a key of its own: a key with `events:read` opens a socket without a
 * user. Whatever else there is they may as `ten` does, as far as the key's permissions go.
 */
const BACKENDS = `
operation        target       tne evt
connections.open own          400 101
events.list      own          403 200
rooms.list       own          400 403
rooms.get        own          200 403
rooms.get        foreign      404 403
rooms.get        missing      404 403
messages.send    own          201 403
messages.send    foreign      404 403
messages.send    missing      404 403
`;

/**
 * Outcomes of frames: 200 for a reply, else the status that the code of the error frame has over
 * HTTP. `-`: such a caller gets no socket (see connections.open above).
 */
const FRAMES = `
frame            target       lac twi out mem mod adm own bea tok tic
ping             own            - 200 200 200 200 200 200 200 200 200
subscribe        own            - 200 200 200 200 200 200 200 200 200
unsubscribe      own            - 200 200 200 200 200 200 200 200 200
send_message     own          403 404 404 200 200 200 200 200 200 200
send_message     foreign      403 200 404 404 404 404 404 404 404 404
send_message     missing      403 404 404 404 404 404 404 404 404 404
ack              own          403 404 404 200 200 200 200 200 200 200
ack              foreign      403 200 404 404 404 404 404 404 404 404
ack              missing      403 404 404 404 404 404 404 404 404 404
read             own          403 404 404 200 200 200 200 200 200 200
read             foreign      403 200 404 404 404 404 404 404 404 404
read             missing      403 404 404 404 404 404 404 404 404 404
resume           own            - 200 200 200 200 200 200 200 200 200
rooms.list       own            - 200 200 200 200 200 200 200 200 200
rooms.get        own            - 404 404 200 200 200 200 200 200 200
rooms.get        foreign        - 200 404 404 404 404 404 404 404 404
rooms.get        missing        - 404 404 404 404 404 404 404 404 404
typing.start     own            - 404 404 200 200 200 200 200 200 200
typing.start     foreign        - 200 404 404 404 404 404 404 404 404
typing.start     missing        - 404 404 404 404 404 404 404 404 404
typing.stop      own            - 404 404 200 200 200 200 200 200 200
typing.stop      foreign        - 200 404 404 404 404 404 404 404 404
typing.stop      missing        - 404 404 404 404 404 404 404 404 404
presence.query   own            - 200 200 200 200 200 200 200 200 200
presence.subscribe own            - 200 200 200 200 200 200 200 200 200
presence.unsubscribe own            - 200 200 200 200 200 200 200 200 200
members.list     own            - 404 404 200 200 200 200 200 200 200
members.list     foreign        - 200 404 404 404 404 404 404 404 404
members.list     missing        - 404 404 404 404 404 404 404 404 404
messages.list    own          403 404 404 200 200 200 200 200 200 200
messages.list    foreign      403 200 404 404 404 404 404 404 404 404
messages.list    missing      403 404 404 404 404 404 404 404 404 404
notifications.list own        403 200 200 200 200 200 200 200 200 200
subscriptions.list own        403 200 200 200 200 200 200 200 200 200
`;

/** The same for backend sockets: what is a user's is 400 to them, as over HTTP. */
const BACKEND_FRAMES = `
frame            target       ten evt
ping             own          200 200
resume           own          200 200
subscribe        own          400 403
unsubscribe      own          400 403
send_message     own          200 403
send_message     foreign      404 403
send_message     missing      404 403
ack              own          400 403
ack              foreign      400 403
ack              missing      400 403
read             own          400 403
read             foreign      400 403
read             missing      400 403
rooms.list       own          400 403
rooms.get        own          200 403
rooms.get        foreign      404 403
rooms.get        missing      404 403
typing.start     own          400 403
typing.start     foreign      400 403
typing.start     missing      400 403
typing.stop      own          400 403
typing.stop      foreign      400 403
typing.stop      missing      400 403
presence.query own 400 403
presence.subscribe own 400 403
presence.unsubscribe own 400 403
members.list     own          200 403
members.list     foreign      404 403
members.list     missing      404 403
messages.list    own          200 403
messages.list    foreign      404 403
messages.list    missing      404 403
notifications.list own        400 403
subscriptions.list own        400 403
`;

export interface Row {
	/** The operation's name, or the frame's type. */
	subject: string;
	target: TargetName;
	/** Undefined where such a caller cannot come at all. */
	expected: ReadonlyMap<CallerName, number | undefined>;
}

function parse(table: string): Row[] {
	const [head = [], ...rows] = table
		.trim()
		.split('\n')
		.map((line) => line.trim().split(/\s+/));
	const callers = head.slice(2) as CallerName[];
	return rows.map(([subject = '', target = '', ...cells]) => {
		const isWhole = cells.length === callers.length && target in TARGETS;
		const isKnown = cells.every((cell) => /^(\d{3}|-)$/.test(cell));
		if (!isWhole || !isKnown) throw new Error(`No whole row: ${subject} ${target}`);
		const expected = new Map(
			callers.map((caller, index) => {
				const cell = cells[index];
				return [caller, cell === '-' ? undefined : Number(cell)] as const;
			}),
		);
		return { subject, target: target as TargetName, expected };
	});
}

export const HTTP_ROWS: readonly Row[] = parse(HTTP);
export const BACKEND_ROWS: readonly Row[] = parse(BACKENDS);
export const FRAME_ROWS: readonly Row[] = parse(FRAMES);
export const BACKEND_FRAME_ROWS: readonly Row[] = parse(BACKEND_FRAMES);
