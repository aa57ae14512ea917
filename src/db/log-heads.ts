import { assert } from '../core/errors.ts';
import type { TenantId, TenantNo } from '../core/ids.ts';
import type { EventLog } from './event-log.ts';
import { MessageCount } from './message-count.ts';
import type { MessageQuotas } from './message-quotas.ts';
import type { QuotaRows } from './quota-rows.ts';

/** Where in the log a change stands. */
export interface Place {
	epoch: string;
	/** The number its first event will get; its k-th gets `cursor + k - 1`. */
	cursor: number;
	/** What the tenant has stored before it, in this batch too, and whether it may store more. */
	messages: Pick<MessageCount, 'onDayOf' | 'inMonthOf' | 'spentAt'>;
}

/** The log heads a batch has touched: read once, counted in memory, stored once before the COMMIT. */
export interface LogHeads {
	/** To be asked first. */
	placeOf(whose: Whose): Place;
	advance(tenant: TenantNo, events: number): void;
	/** Of a change that has succeeded: outside of its savepoint, for what it counts is the batch's. */
	countMessages(tenant: TenantNo, messages: { count: number; at: number }): void;
	store(): void;
}

/** A tenant, or the control plane in its place. */
interface Whose {
	tenant: TenantNo;
	tenant_id: TenantId;
}

interface Head extends Place {
	messages: MessageCount;
}

const NO_MESSAGES = { message_day: 0, day_messages: 0, month_messages: 0 };

export function createLogHeads(log: EventLog, rows: QuotaRows, quotas: MessageQuotas): LogHeads {
	const heads = new Map<TenantNo, Head>();
	const moved = new Set<TenantNo>();
	const allowed = quotas.ofBatch(rows, store);

	function placeOf({ tenant, tenant_id }: Whose): Head {
		let head = heads.get(tenant);
		if (head === undefined) {
			const row = log.findWhole(tenant);
			const { epoch = '', last_cursor = 0 } = row ?? {};
			const messages = new MessageCount(
				log,
				allowed,
				{ tenant, tenant_id },
				row ?? { ...NO_MESSAGES },
			);
			head = { epoch, cursor: last_cursor + 1, messages };
			heads.set(tenant, head);
		}
		return head;
	}

	function headOf(tenant: TenantNo): Head {
		const head = heads.get(tenant);
		assert(head !== undefined, 'a change knows its place');
		return head;
	}

	/** Safe to call again, and before the end. */
	function store(): void {
		for (const tenant of moved) {
			const { cursor, messages } = headOf(tenant);
			log.moveHead(tenant, cursor - 1, messages.open);
		}
	}

	return {
		placeOf,
		advance(tenant, events) {
			if (events === 0) return;
			const { epoch, cursor, messages } = headOf(tenant);
			assert(epoch !== '', 'only a tenant has events');
			heads.set(tenant, { epoch, cursor: cursor + events, messages });
			moved.add(tenant);
		},
		countMessages(tenant, { at, count }) {
			headOf(tenant).messages.add(at, count);
			moved.add(tenant);
		},
		store,
	};
}
