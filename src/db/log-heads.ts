import { assert } from '../core/errors.ts';
import type { TenantNo } from '../core/ids.ts';
import type { EventLog } from './event-log.ts';

/** Where in the log a change stands. */
export interface Place {
	epoch: string;
	/** The number its first event will get; its k-th gets `cursor + k - 1`. */
	cursor: number;
}

/** The log heads a batch has touched: read once, counted in memory, stored once before the COMMIT. */
export interface LogHeads {
	placeOf(tenant: TenantNo): Place;
	advance(tenant: TenantNo, events: number): void;
	store(): void;
}

export function createLogHeads(log: EventLog): LogHeads {
	const places = new Map<TenantNo, Place>();
	const moved = new Set<TenantNo>();
	return {
		placeOf(tenant) {
			let place = places.get(tenant);
			if (place === undefined) {
				const head = log.findHead(tenant);
				place = { epoch: head?.epoch ?? '', cursor: (head?.last_cursor ?? 0) + 1 };
				places.set(tenant, place);
			}
			return place;
		},
		advance(tenant, events) {
			if (events === 0) return;
			const place = places.get(tenant);
			assert(place !== undefined && place.epoch !== '', 'only a tenant has events');
			places.set(tenant, { epoch: place.epoch, cursor: place.cursor + events });
			moved.add(tenant);
		},
		store() {
			for (const tenant of moved) {
				const place = places.get(tenant);
				if (place !== undefined) log.moveHead(tenant, place.cursor - 1);
			}
		},
	};
}
