import { expect, test } from 'bun:test';
import { CLOSE } from '../../../src/realtime/close-codes.ts';

// The contract's codes, by hand.
test('close codes are those of the contract, and say by their range whether to reconnect', () => {
	expect(CLOSE).toEqual({
		server_shutdown: 4001,
		slow_consumer: 4002,
		rate_limited: 4005,
		credential_revoked: 4501,
		bad_request: 4502,
		connection_limit: 4504,
		user_deactivated: 4507,
		tenant_suspended: 4509,
		tenant_deleted: 4510,
	});
});
