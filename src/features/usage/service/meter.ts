/**
 * Counts in memory what tenants use, until it is written. Messages sent are not counted here: the
 * commit that stores one counts it.
 *
 * Called by: both faces for what they let through, the gateway for sockets, the writer's publications
 * and replays for what was delivered. Concurrency: none of it waits; `take` hands over what there
 * is, and `putBack` what could not be written.
 *
 * A count belongs to the UTC day in which it is made, by the wall clock; how long a socket was open is
 * measured by the monotonic one. So a clock that is set back or ahead moves counts to other days,
 * and never makes one smaller.
 */
import { DAY_MS, dayOf } from '../../../core/calendar.ts';
import type { Clock } from '../../../core/clock.ts';
import type { TenantId, TenantNo, UserId } from '../../../core/ids.ts';

/** Whom something is counted for. */
export interface Counted {
	tenant: TenantNo;
	tenant_id: TenantId;
	user_id: UserId | null;
}

/** What a tenant used on one day, as far as it is not written yet. */
export interface Tally {
	readonly tenant: TenantNo;
	readonly day: number;
	api_requests: number;
	messages_delivered: number;
	connection_ms: number;
	peak_connections: number;
	/** 0 where no socket was open. */
	peak_at: number;
	readonly users: Set<UserId>;
}

interface Meter {
	readonly tenant: TenantNo;
	/** Sockets open now. */
	open: number;
	/** Up to when their time is counted, on the monotonic clock. */
	accruedAt: number;
	/** When it was looked at last, on the wall clock. */
	seenAt: number;
	/** When it last gave what it had, on the monotonic clock. */
	takenAt: number;
	/** A socket was opened since. */
	hasOpened: boolean;
	tally: Tally | undefined;
}

/** So long a tenant may have sockets, and nothing else, before their time is written. */
export const IDLE_MS_MAX = 60_000;
/** Users of a tenant that wait to be written. Only a disk that is full for long makes them so many. */
const USERS_MAX = 100_000;
/** Days that an open socket's time may be spread over: more than a suspended machine sleeps. */
const DAYS_MAX = 400;

export function createMeter(clock: Clock) {
	const meters = new Map<TenantNo, Meter>();
	/** Of days that are over. */
	const closed = new Map<TenantNo, Tally[]>();

	function meterOf(tenant: TenantNo): Meter {
		let meter = meters.get(tenant);
		if (meter === undefined) {
			const [accruedAt, seenAt] = [clock.monotonic(), clock.now()];
			meter = {
				...{ tenant, open: 0, accruedAt, seenAt, takenAt: accruedAt },
				...{ hasOpened: false, tally: undefined },
			};
			meters.set(tenant, meter);
		}
		return meter;
	}

	function close(tally: Tally): void {
		const others = closed.get(tally.tenant);
		const same = others?.find(({ day }) => day === tally.day);
		if (same !== undefined) addTo(same, tally);
		else if (others !== undefined) others.push(tally);
		else closed.set(tally.tenant, [tally]);
	}

	/** The tally of a day; that of another day is over with it. */
	function tallyOn(meter: Meter, day: number, now: number): Tally {
		const { tally, open, tenant } = meter;
		if (tally?.day === day) return tally;
		if (tally !== undefined) close(tally);
		// Sockets that were open as the day began are its peak until more are.
		const peak_at = open === 0 ? 0 : Math.max(day * DAY_MS, Math.min(now, meter.seenAt));
		const made: Tally = {
			...{ tenant, day, api_requests: 0, messages_delivered: 0, connection_ms: 0 },
			...{ peak_connections: open, peak_at, users: new Set() },
		};
		meter.tally = made;
		return made;
	}

	const today = (meter: Meter): Tally => {
		const now = clock.now();
		return tallyOn(meter, dayOf(now), now);
	};

	/** Counts the time of the open sockets up to now, each part of it for its day. */
	function accrue(meter: Meter): void {
		const [steady, now] = [clock.monotonic(), clock.now()];
		let restMs = steady - meter.accruedAt;
		meter.accruedAt = steady;
		if (meter.open > 0) {
			const parts: [day: number, ms: number][] = [];
			let day = dayOf(now);
			for (let roomMs = now - day * DAY_MS; restMs > 0; roomMs = DAY_MS) {
				const ms = parts.length < DAYS_MAX ? Math.min(restMs, roomMs) : restMs;
				parts.push([day--, ms]);
				restMs -= ms;
			}
			for (const [partDay, ms] of parts.reverse()) {
				tallyOn(meter, partDay, now).connection_ms += ms * meter.open;
			}
		}
		meter.seenAt = now;
	}

	function note(tally: Tally, user_id: UserId | null): void {
		if (user_id !== null && tally.users.size < USERS_MAX) tally.users.add(user_id);
	}

	/** Takes what one meter has; forgets a meter that is not needed. */
	function takeFrom(meter: Meter, isAll: boolean, taken: Tally[]): void {
		accrue(meter);
		const { tally } = meter;
		if (tally !== undefined) {
			const isIdle =
				tally.api_requests === 0 &&
				tally.messages_delivered === 0 &&
				tally.users.size === 0 &&
				!meter.hasOpened;
			if (isIdle && !isAll && clock.monotonic() - meter.takenAt < IDLE_MS_MAX) return;
			taken.push(tally);
			meter.tally = undefined;
			meter.hasOpened = false;
			meter.takenAt = clock.monotonic();
		}
		if (meter.open === 0) meters.delete(meter.tenant);
	}

	return {
		/** A request or frame that was let through: its credential is good, may do it, and has the tokens. */
		countRequest(caller: Counted): void {
			const tally = today(meterOf(caller.tenant));
			tally.api_requests++;
			note(tally, caller.user_id);
		},

		/** A user who acts, where that becomes known after the request was counted. */
		countUser({ tenant, user_id }: Counted): void {
			if (user_id !== null) note(today(meterOf(tenant)), user_id);
		},

		/** Message frames that were handed to sockets. */
		countDelivered(tenant: TenantNo, frames: number): void {
			if (frames > 0) today(meterOf(tenant)).messages_delivered += frames;
		},

		countOpened({ tenant, user_id }: Counted): void {
			const meter = meterOf(tenant);
			accrue(meter);
			const tally = today(meter);
			meter.open++;
			meter.hasOpened = true;
			if (meter.open > tally.peak_connections) {
				tally.peak_connections = meter.open;
				tally.peak_at = clock.now();
			}
			note(tally, user_id);
		},

		/** Of a socket that was counted as opened. */
		countClosed({ tenant }: Pick<Counted, 'tenant'>): void {
			const meter = meterOf(tenant);
			accrue(meter);
			meter.open = Math.max(0, meter.open - 1);
		},

		/**
		 * Hands over what there is to write: of one tenant all of it, of all tenants what is worth a write.
		 * `isAll`: at the end, when there is no later.
		 */
		take(of: TenantNo | 'due' | 'all'): Tally[] {
			const taken: Tally[] = [];
			if (typeof of === 'string') {
				for (const meter of meters.values()) takeFrom(meter, of === 'all', taken);
				for (const tallies of closed.values()) taken.push(...tallies);
				closed.clear();
				return taken;
			}
			const meter = meters.get(of);
			if (meter !== undefined) takeFrom(meter, true, taken);
			taken.push(...(closed.get(of) ?? []));
			closed.delete(of);
			return taken;
		},

		/** Takes back what could not be written. */
		putBack(tallies: readonly Tally[]): void {
			for (const tally of tallies) {
				const newer = meters.get(tally.tenant)?.tally;
				if (newer?.day === tally.day) addTo(newer, tally);
				else close(tally);
			}
		},

		/** Whether a user of today is not written yet. */
		isNoted: (tenant: TenantNo, user_id: UserId): boolean =>
			meters.get(tenant)?.tally?.users.has(user_id) === true,

		/** Tenants that are looked after, for tests of their bound. */
		get size(): number {
			return meters.size + closed.size;
		},
	};

	function addTo(newer: Tally, tally: Tally): void {
		newer.api_requests += tally.api_requests;
		newer.messages_delivered += tally.messages_delivered;
		newer.connection_ms += tally.connection_ms;
		if (tally.peak_connections > newer.peak_connections) {
			newer.peak_connections = tally.peak_connections;
			newer.peak_at = tally.peak_at;
		}
		for (const user_id of tally.users) note(newer, user_id);
	}
}

export type UsageMeter = ReturnType<typeof createMeter>;

/** What faces and the gateway count with. */
export type UsageCounter = Pick<
	UsageMeter,
	'countRequest' | 'countUser' | 'countOpened' | 'countClosed'
>;
