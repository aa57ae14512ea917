import { type Days, dayOf, firstDayOf, lastDayOf, monthOf } from '../core/calendar.ts';
import type { TenantId, TenantNo } from '../core/ids.ts';
import type { SpentQuota } from '../core/quota.ts';
import type { EventLog, MessageTally } from './event-log.ts';
import type { Allowance, BatchQuotas } from './message-quotas.ts';

/**
 * How many messages a tenant has stored, exactly, as of one place in a batch: what a change asks before
 * it stores one more. Counted by the writer alone, after the change has succeeded and before the next one
 * runs; what is rolled back was never counted.
 *
 * The day of the last message is open: it lies in the head's row, which the writer stores once per
 * batch and tenant anyway. Days that are over lie in usage_days. So a message costs no statement,
 * but for the first of another day than the last one. That day may be an earlier one: a clock that was set
 * back opens it again, and goes on where it was.
 */
export class MessageCount {
	readonly #log: EventLog;
	readonly #tenant: TenantNo;
	readonly #quotas: BatchQuotas;
	readonly #tenant_id: TenantId;
	#allowance: Allowance;
	#open: MessageTally;

	constructor(
		log: EventLog,
		quotas: BatchQuotas,
		{ tenant, tenant_id }: { tenant: TenantNo; tenant_id: TenantId },
		open: MessageTally,
	) {
		this.#log = log;
		this.#quotas = quotas;
		this.#tenant = tenant;
		this.#tenant_id = tenant_id;
		this.#allowance = quotas.allowanceOf(tenant, tenant_id);
		this.#open = open;
	}

	/** Those of the UTC day of a moment. */
	onDayOf(ms: number): number {
		return messagesOnDay(this.#log, this.#tenant, this.#open, ms);
	}

	/** Those of the UTC month of a moment. */
	inMonthOf(ms: number): number {
		return this.#inMonth(dayOf(ms));
	}

	/** The quota that one message more at a moment would be over: the tenant's own, or its plan's. */
	spentAt(ms: number): SpentQuota | undefined {
		const allowance = this.#allowed();
		if (allowance.own === null && allowance.pool === null) return undefined;
		return this.#quotas.spentAt(allowance, ms, () => this.inMonthOf(ms));
	}

	/** For the writer: `count` messages more, created at `ms`. Writes only where the day is another. */
	add(ms: number, count: number): void {
		this.#quotas.count(this.#allowed(), ms, count);
		const day = dayOf(ms);
		const open = this.#open;
		if (day === open.message_day) {
			open.day_messages += count;
			open.month_messages += count;
			return;
		}
		if (open.day_messages > 0) {
			this.#log.putDay(this.#tenant, open.message_day, open.day_messages);
		}
		this.#open = {
			message_day: day,
			day_messages: this.#log.findDay(this.#tenant, day) + count,
			month_messages: this.#inMonth(day) + count,
		};
	}

	/** What the head's row is to say. */
	get open(): Readonly<MessageTally> {
		return this.#open;
	}

	/** A change before, in this batch too, may have made it another. */
	#allowed(): Allowance {
		if (this.#allowance.isStale) {
			this.#allowance = this.#quotas.allowanceOf(this.#tenant, this.#tenant_id);
		}
		return this.#allowance;
	}

	#inMonth(day: number): number {
		const { message_day, month_messages } = this.#open;
		const month = monthOf(day);
		if (day === message_day || month === monthOf(message_day)) return month_messages;
		// None of these days is the open one.
		const days: Days = { from: firstDayOf(month), through: lastDayOf(month) };
		return this.#log.sumDays(this.#tenant, days);
	}
}

/** The messages of a tenant on the UTC day of a moment, where this is its head's row. */
export function messagesOnDay(
	log: Pick<EventLog, 'findDay'>,
	tenant: TenantNo,
	{ message_day, day_messages }: Readonly<MessageTally>,
	ms: number,
): number {
	const day = dayOf(ms);
	return day === message_day ? day_messages : log.findDay(tenant, day);
}
