import { describe, expect, test } from 'bun:test';
import { expandGrants, GRANTS, PERMISSIONS } from '../../../src/core/permissions.ts';
import { appErrorOf } from './thrown.ts';

const expanded = (...grants: string[]): string[] => [...expandGrants(grants)].sort();

describe('permissions', () => {
	// Written out by hand: what the contract says a preset holds, not what the code computes.
	test.each([
		['send', ['messages:write', 'notifications:send', 'rooms:read']],
		['auth_only', ['tokens:create', 'users:write']],
		[
			'read_only',
			['events:read', 'messages:read', 'rooms:read', 'templates:read', 'usage:read', 'users:read'],
		],
		['rooms:*', ['rooms:read', 'rooms:write']],
		['messages:*', ['messages:moderate', 'messages:read', 'messages:write']],
		['keys:*', ['keys:manage']],
		['rooms:read', ['rooms:read']],
	])('of %s are %j', (grant, permissions) => {
		expect(expanded(grant)).toEqual(permissions);
	});

	test('of * and of full_access are all there are', () => {
		expect(expanded('*')).toEqual([...PERMISSIONS].sort());
		expect(expanded('full_access')).toEqual([...PERMISSIONS].sort());
	});

	test('of no grant are none', () => {
		expect(expanded()).toEqual([]);
	});

	test('add up, and a repeated grant adds nothing', () => {
		expect(expanded('send', 'rooms:write', 'send')).toEqual([
			'messages:write',
			'notifications:send',
			'rooms:read',
			'rooms:write',
		]);
	});

	test.each([
		{
			what: 'no name of ours',
			wrong: ['', 'ROOMS:READ', 'rooms', 'rooms:', ':*', 'room:*', '*:*', '* ', 'rooms:read\0'],
		},
		{
			what: 'a name every object has',
			wrong: ['__proto__', 'constructor', 'toString', 'hasOwnProperty'],
		},
		{
			what: 'something stranger',
			wrong: ['\ud800', 'x'.repeat(100_000), 'users:delete', 'rooms:*:read'],
		},
	])('refuse what is no grant but $what, and name the place', ({ wrong }) => {
		for (const grant of wrong) {
			const error = appErrorOf(() => expandGrants(['rooms:read', grant]));

			expect(error.errorCode).toBe('VALIDATION_ERROR');
			expect(error.details.field).toBe('/permissions/1');
			for (const known of GRANTS) expect(error.message).toContain(known);
			if (grant.length > 20) expect(error.message).not.toContain(grant);
		}
	});
});
