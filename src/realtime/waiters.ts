/**
 * Who waits for a tenant's next event. One per process; woken where events are published.
 *
 * Bounded per tenant and in all; each wait ends by itself. What comes between looking for events and
 * beginning to wait wakes nobody: look again once the wait has begun.
 */
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { TenantId } from '../core/ids.ts';

export interface Waiters {
	/**
	 * Resolves once the tenant is woken, `ms` have passed, `signal` aborts, or all are let go; at once
	 * where that has been already.
	 *
	 * @throws `RATE_LIMIT_EXCEEDED` when too many wait for the tenant, `UNAVAILABLE` when too many wait at
	 * all; each with the time after which a place is free for certain.
	 */
	wait(tenant_id: TenantId, ms: number, signal?: AbortSignal): Promise<void>;
	/** Ends the waits for a tenant: something happened. */
	wake(tenant_id: TenantId): void;
	/** Ends all waits, and lets nobody wait any more. */
	close(): void;
	readonly size: number;
}

export interface WaitersOptions {
	clock: Pick<Clock, 'monotonic'>;
	perTenantMax: number;
	perServerMax: number;
}

interface Waiter {
	deadlineMs: number;
	end(): void;
}

export function createWaiters({ clock, perTenantMax, perServerMax }: WaitersOptions): Waiters {
	const byTenant = new Map<TenantId, Set<Waiter>>();
	let size = 0;
	let isClosed = false;

	/** Until the first of these ends by itself. */
	function msUntilFree(waiters: Iterable<Waiter>): number {
		const deadlines = Array.from(waiters, ({ deadlineMs }) => deadlineMs);
		return Math.max(1, Math.min(...deadlines) - clock.monotonic());
	}

	function requirePlace(tenant_id: TenantId): void {
		const own = byTenant.get(tenant_id);
		if (own !== undefined && own.size >= perTenantMax) {
			throw new AppError(
				'RATE_LIMIT_EXCEEDED',
				`At most ${perTenantMax} requests of a tenant wait for events`,
				{ retry_after_ms: msUntilFree(own) },
			);
		}
		if (size >= perServerMax) {
			const all = [...byTenant.values()].flatMap((waiters) => [...waiters]);
			throw new AppError('UNAVAILABLE', 'Too many requests wait for events', {
				retry_after_ms: msUntilFree(all),
			});
		}
	}

	function wake(tenant_id: TenantId): void {
		if (size === 0) return;
		for (const waiter of byTenant.get(tenant_id) ?? []) waiter.end();
	}

	return {
		wait(tenant_id, ms, signal) {
			if (isClosed || signal?.aborted === true) return Promise.resolve();
			requirePlace(tenant_id);
			const { promise, resolve } = Promise.withResolvers<void>();
			const waiter: Waiter = { deadlineMs: clock.monotonic() + ms, end };
			const own = byTenant.get(tenant_id) ?? new Set();
			byTenant.set(tenant_id, own.add(waiter));
			size++;
			const timer = setTimeout(end, ms);
			signal?.addEventListener('abort', end, { once: true });

			function end(): void {
				if (!own.delete(waiter)) return;
				if (own.size === 0) byTenant.delete(tenant_id);
				size--;
				clearTimeout(timer);
				signal?.removeEventListener('abort', end);
				resolve();
			}

			return promise;
		},
		wake,
		close() {
			isClosed = true;
			for (const tenant_id of [...byTenant.keys()]) wake(tenant_id);
		},
		get size() {
			return size;
		},
	};
}
