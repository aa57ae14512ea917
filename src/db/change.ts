/** What is written, by whom, and who is told of it: the words of the writer and of those who use it. */
import type { Effect } from '../core/effect.ts';
import type { LiveFrame, Paced, PendingEvent, Stream } from '../core/event.ts';
import type { Stamp } from '../core/generations.ts';
import type { TenantId, TenantNo } from '../core/ids.ts';
import type { Once } from '../core/once.ts';
import type { Place } from './log-heads.ts';

/** Whose change it is. */
export interface Scope {
	tenant: TenantNo;
	tenant_id: TenantId;
	/** Of the caller. Absent for the operator and for our own work. */
	stamp?: Stamp;
	/** Of a request with an `Idempotency-Key`: what it is answered is stored with what it writes. */
	once?: Once;
}

/** The operator's own changes, and those that make a tenant: they have no log and no events. */
export const controlPlane = ({ once }: { once?: Once }): Scope => ({
	tenant: CONTROL_PLANE,
	tenant_id: '' as TenantId,
	...(once === undefined ? {} : { once }),
});

/** In the place of a tenant's number. */
export const CONTROL_PLANE = 0 as TenantNo;

export interface Outcome<Value> {
	value: Value;
	events?: readonly PendingEvent[];
	/** Told to who listens now, and to nobody later: these are in no log. */
	live?: readonly LiveFrame[];
	effects?: readonly Effect[];
	/** How many messages it stored, and the `created_at` by which they count for a day. */
	messages?: { count: number; at: number };
}

/**
 * What to write, as a function of the stores. It touches nothing but `tx`, waits for nothing but
 * `tx`, and may be run again: ids and times are handed in from outside. What it throws undoes only
 * itself.
 */
export type Change<Tx, Value> = (tx: Tx, place: Place) => Outcome<Value> | Promise<Outcome<Value>>;

/** What subscribers of some streams are sent after a commit. */
export interface Publication {
	tenant: TenantNo;
	tenant_id: TenantId;
	/** The event's type and cursor; null for what the log does not hold. */
	type: string | null;
	cursor: number | null;
	streams: readonly Stream[];
	frame: string;
	/** Told at most once a second. */
	paced?: Paced;
}
