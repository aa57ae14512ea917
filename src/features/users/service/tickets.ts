/**
 * Tickets that were made and not yet used: in memory, by their public part, the secret as a hash.
 *
 * Lost with the process, like the sockets they would have opened: whoever shows one after a restart
 * asks for another, as for every reconnect. `take` does not wait, so of two who show the same ticket
 * one gets it.
 *
 * @see docs/adr/0009-tokens-and-tickets.md
 */
import { createSecret, isSameHash, parseSecret } from '../../../core/api-key.ts';
import type { UserCaller } from '../../../core/caller.ts';
import type { Clock } from '../../../core/clock.ts';
import { assert } from '../../../core/errors.ts';
import type { TenantId } from '../../../core/ids.ts';
import type { Random } from '../../../core/random.ts';

export interface TicketsOptions {
	clock: Pick<Clock, 'monotonic'>;
	random: Random;
	lifeMs: number;
	/** Unused tickets kept: of a tenant, and of all. One more ends the oldest. */
	perTenantMax: number;
	perServerMax: number;
}

interface Ticket {
	hash: Uint8Array;
	caller: UserCaller;
	endsAt: number;
}

export interface Tickets {
	/** A new ticket for this caller: the only time that it is told. */
	issue(caller: UserCaller): string;
	/** The caller of a ticket, which is used up by it; undefined for one that is none, or no more. */
	take(ticket: string): UserCaller | undefined;
	/** Ends all of a tenant. */
	forget(tenant_id: TenantId): void;
	readonly size: number;
}

export function createTickets(options: TicketsOptions): Tickets {
	const { clock, random, lifeMs, perTenantMax, perServerMax } = options;
	// Both in the order in which they were made, and so in which they end.
	const all = new Map<string, Ticket>();
	const byTenant = new Map<TenantId, Set<string>>();

	function remove(prefix: string, { caller }: Ticket): void {
		all.delete(prefix);
		const own = byTenant.get(caller.tenant_id);
		own?.delete(prefix);
		if (own?.size === 0) byTenant.delete(caller.tenant_id);
	}

	function removeOldest(prefixes: Iterable<string>): void {
		for (const prefix of prefixes) {
			const ticket = all.get(prefix);
			if (ticket !== undefined) remove(prefix, ticket);
			return;
		}
	}

	function removeEnded(): void {
		const now = clock.monotonic();
		for (const [prefix, ticket] of all) {
			if (ticket.endsAt > now) return;
			remove(prefix, ticket);
		}
	}

	return {
		forget(tenant_id) {
			for (const prefix of byTenant.get(tenant_id) ?? []) all.delete(prefix);
			byTenant.delete(tenant_id);
		},
		issue(caller) {
			removeEnded();
			const { tenant_id } = caller;
			const own = byTenant.get(tenant_id);
			if (own !== undefined && own.size >= perTenantMax) removeOldest(own);
			if (all.size >= perServerMax) removeOldest(all.keys());
			const ticket = createSecret('wst_', random.bytes);
			const parts = parseSecret('wst_', ticket);
			assert(parts !== undefined, 'a new ticket is well-formed');
			const { prefix, hash } = parts;
			all.set(prefix, { hash, caller, endsAt: clock.monotonic() + lifeMs });
			byTenant.set(tenant_id, (byTenant.get(tenant_id) ?? new Set()).add(prefix));
			return ticket;
		},
		take(text) {
			const parts = parseSecret('wst_', text);
			if (parts === undefined) return undefined;
			const ticket = all.get(parts.prefix);
			if (ticket === undefined || !isSameHash(ticket.hash, parts.hash)) return undefined;
			remove(parts.prefix, ticket);
			return ticket.endsAt > clock.monotonic() ? ticket.caller : undefined;
		},
		get size() {
			return all.size;
		},
	};
}
