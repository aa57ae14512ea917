import { describe, expect, test } from 'bun:test';
import { Type } from '@sinclair/typebox';
import { createAuthorizer, requireActor } from '../../../src/core/authorize.ts';
import type { TenantCaller } from '../../../src/core/caller.ts';
import { NoInput } from '../../../src/core/fields.ts';
import type { KeyId, TenantId, TenantNo, UserId } from '../../../src/core/ids.ts';
import { defineOperation } from '../../../src/core/operation.ts';
import { createRateLimiter } from '../../../src/core/rate-limiter.ts';
import { DEFAULT_SETTINGS } from '../../../src/core/tenant-settings.ts';
import { createFakeClock } from './fake-clock.ts';
import { appErrorOf } from './thrown.ts';

const send = defineOperation({
	name: 'messages.send',
	summary: 'Send a message',
	actor: 'user',
	permission: 'messages:write',
	cost: 1,
	input: NoInput,
	output: Type.Object({}),
	errors: [],
	example: { input: {}, output: {} },
});

const caller = (given: Partial<TenantCaller> = {}): TenantCaller => ({
	kind: 'tenant',
	tenant: 1 as TenantNo,
	tenant_id: 'tenant_1' as TenantId,
	key_id: 'key_1' as KeyId,
	user_id: 'alice' as UserId,
	isBound: false,
	expires_at: null,
	permissions: new Set(['messages:write']),
	settings: DEFAULT_SETTINGS,
	features: {},
	rate: { per_second: 10, burst: 2 },
	stamp: { tenant_id: 'tenant_1', tenant: 0, key_id: 'key_1', key: 0, user_id: 'alice', user: 0 },
	...given,
});

function setUp() {
	const clock = createFakeClock();
	return { clock, authorizer: createAuthorizer(createRateLimiter(clock)) };
}

describe('authorize', () => {
	test('lets a caller with the permission and tokens pass, and takes the cost', () => {
		const { authorizer } = setUp();

		authorizer.authorize(caller(), send, 1);

		expect(authorizer.bucketOf(caller())).toEqual({ limit: 2, remaining: 1, full_after_ms: 100 });
	});

	test('asks the tenant itself for the permission that is meant for it, where there is one', () => {
		const { authorizer } = setUp();
		const own = { ...send, permission_as_tenant: 'events:read' as const };
		const itself = { user_id: null, permissions: new Set(['events:read' as const]) };

		authorizer.authorize(caller(itself), own, 0);

		const asUser = () =>
			authorizer.authorize(caller({ ...itself, user_id: 'a' as UserId }), own, 0);
		const sender = () => authorizer.authorize(caller({ user_id: null }), own, 0);
		const other = () => authorizer.authorize(caller(itself), send, 0);
		expect(appErrorOf(asUser).message).toContain('messages:write');
		expect(appErrorOf(sender).message).toContain('events:read');
		expect(appErrorOf(other).message).toContain('messages:write');
		authorizer.authorize(caller({ user_id: null }), send, 0);
	});

	test('lets a user’s token do what is about that user, whatever it lacks; no key', () => {
		const { authorizer } = setUp();
		const own = { ...send, isOpenToUser: true as const };
		const lacking = { permissions: new Set<never>() };

		authorizer.authorize(caller({ ...lacking, isBound: true }), own, 0);

		const bound = () => authorizer.authorize(caller({ ...lacking, isBound: true }), send, 0);
		const key = () => authorizer.authorize(caller(lacking), own, 0);
		for (const refused of [bound, key]) {
			expect(appErrorOf(refused).errorCode).toBe('AUTHORIZATION_ERROR');
		}
	});

	test('refuses a key without the permission, names it, and takes nothing', () => {
		const { authorizer } = setUp();
		const reader = caller({ permissions: new Set(['messages:read']) });

		const error = appErrorOf(() => authorizer.authorize(reader, send, 1));

		expect(error.errorCode).toBe('AUTHORIZATION_ERROR');
		expect(error.message).toContain('messages:write');
		expect(authorizer.bucketOf(reader)?.remaining).toBe(2);
	});

	test('asks for the permission of what costs nothing too', () => {
		const { authorizer } = setUp();
		const reader = caller({ permissions: new Set() });

		const error = appErrorOf(() => authorizer.authorize(reader, send, 0));

		expect(error.errorCode).toBe('AUTHORIZATION_ERROR');
	});

	test('refuses with an empty bucket, says which, and after which wait it goes on', () => {
		const { authorizer, clock } = setUp();
		authorizer.authorize(caller(), send, 2);

		const error = appErrorOf(() => authorizer.authorize(caller(), send, 1));

		expect(error.errorCode).toBe('RATE_LIMIT_EXCEEDED');
		expect(error.message).toContain('"requests"');
		expect(error.details.retry_after_ms).toBe(100);
		clock.advance(100);
		authorizer.authorize(caller(), send, 1);
	});

	test('empties the bucket of one tenant only, and of all its users and keys', () => {
		const { authorizer } = setUp();
		authorizer.authorize(caller(), send, 2);
		const colleague = caller({ user_id: 'bob' as UserId, key_id: 'key_2' as KeyId });
		const stranger = caller({ tenant_id: 'tenant_2' as TenantId });

		expect(appErrorOf(() => authorizer.authorize(colleague, send, 1)).errorCode).toBe(
			'RATE_LIMIT_EXCEEDED',
		);
		authorizer.authorize(stranger, send, 2);
	});

	test('counts nothing where the limit is switched off, and shows no bucket', () => {
		const { authorizer } = setUp();
		const unlimited = caller({ rate: null });

		for (let round = 0; round < 1000; round++) authorizer.authorize(unlimited, send, 1);

		expect(authorizer.bucketOf(unlimited)).toBeUndefined();
	});

	test('lets what costs nothing pass with an empty bucket', () => {
		const { authorizer } = setUp();
		authorizer.authorize(caller(), send, 2);

		authorizer.authorize(caller(), send, 0);

		expect(authorizer.bucketOf(caller())?.remaining).toBe(0);
	});
});

describe('requireActor', () => {
	test('gives the caller back when a user is named', () => {
		const alice = caller();

		expect(requireActor(alice, send).user_id).toBe('alice' as UserId);
	});

	test('refuses the tenant itself where a user is needed, and names the header', () => {
		const error = appErrorOf(() => requireActor(caller({ user_id: null }), send));

		expect(error.errorCode).toBe('VALIDATION_ERROR');
		expect(error.details.field).toBe('X-User-Id');
	});

	test('refuses a user where only the tenant itself may act, and names the header', () => {
		const own = defineOperation({ ...send, actor: 'tenant' });

		const error = appErrorOf(() => requireActor(caller(), own));

		expect(error.errorCode).toBe('VALIDATION_ERROR');
		expect(error.details.field).toBe('X-User-Id');
		expect(requireActor(caller({ user_id: null }), own).user_id).toBeNull();
	});

	test('takes the tenant itself where anybody may act', () => {
		const list = defineOperation({ ...send, actor: 'any' });

		expect(requireActor(caller({ user_id: null }), list).user_id).toBeNull();
	});
});
