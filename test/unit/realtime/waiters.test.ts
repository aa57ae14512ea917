import { describe, expect, test } from 'bun:test';
import { AppError } from '../../../src/core/errors.ts';
import type { TenantId } from '../../../src/core/ids.ts';
import { createWaiters } from '../../../src/realtime/waiters.ts';
import { createFakeClock } from '../core/fake-clock.ts';

const [ACME, GLOBEX, INITECH] = ['tenant_a', 'tenant_b', 'tenant_c'] as [
	string,
	string,
	string,
] as [TenantId, TenantId, TenantId];
/** Longer than any test here: whatever ends was ended. */
const LONG_MS = 60_000;

const setUp = (perTenantMax = 2, perServerMax = 3) => {
	const clock = createFakeClock();
	return { clock, waiters: createWaiters({ clock, perTenantMax, perServerMax }) };
};

const isPending = async (promise: Promise<void>) => {
	const pending = Symbol('pending');
	// Settled promises win the race by then.
	await Promise.resolve();
	return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
};

function errorOf(act: () => unknown): AppError {
	try {
		act();
	} catch (error) {
		if (error instanceof AppError) return error;
	}
	throw new Error('It was allowed');
}

describe('a wait', () => {
	test('ends when its tenant is woken, and not with another', async () => {
		const { waiters } = setUp();
		const [own, same, other] = [
			waiters.wait(ACME, LONG_MS),
			waiters.wait(ACME, LONG_MS),
			waiters.wait(GLOBEX, LONG_MS),
		];

		waiters.wake(ACME);

		await Promise.all([own, same]);
		expect(await isPending(other)).toBe(true);
		expect(waiters.size).toBe(1);
		waiters.close();
		await other;
	});

	test('ends by itself, and leaves nothing behind', async () => {
		const { waiters } = setUp();

		await waiters.wait(ACME, 1);

		expect(waiters.size).toBe(0);
	});

	test('ends when its client has gone; one that had gone before does not begin', async () => {
		const { waiters } = setUp();
		const client = new AbortController();
		const wait = waiters.wait(ACME, LONG_MS, client.signal);
		expect(await isPending(wait)).toBe(true);

		client.abort();

		await wait;
		expect(waiters.size).toBe(0);
		await waiters.wait(ACME, LONG_MS, client.signal);
		expect(waiters.size).toBe(0);
	});

	test('ends with all others at the close, after which none begins', async () => {
		const { waiters } = setUp();
		const waits = [waiters.wait(ACME, LONG_MS), waiters.wait(GLOBEX, LONG_MS)];

		waiters.close();

		await Promise.all([...waits, waiters.wait(ACME, LONG_MS)]);
		expect(waiters.size).toBe(0);
	});
});

describe('waits are bounded', () => {
	test('per tenant: one more is refused until the first to end, and others are not', () => {
		const { clock, waiters } = setUp();
		void waiters.wait(ACME, 5000);
		clock.advance(2000);
		void waiters.wait(ACME, 4000);

		const error = errorOf(() => waiters.wait(ACME, LONG_MS));

		expect(error.errorCode).toBe('RATE_LIMIT_EXCEEDED');
		expect(error.details.retry_after_ms).toBe(3000);
		void waiters.wait(GLOBEX, LONG_MS);
		expect(waiters.size).toBe(3);
		waiters.wake(ACME);
		void waiters.wait(ACME, LONG_MS);
		waiters.close();
	});

	test('in all: one more of whatever tenant is refused until the first to end', () => {
		const { waiters } = setUp();
		for (const tenant_id of [ACME, ACME, GLOBEX]) void waiters.wait(tenant_id, 7000);

		const error = errorOf(() => waiters.wait(INITECH, LONG_MS));

		expect(error.errorCode).toBe('UNAVAILABLE');
		expect(error.details.retry_after_ms).toBe(7000);
		waiters.wake(GLOBEX);
		void waiters.wait(INITECH, LONG_MS);
		waiters.close();
	});
});
