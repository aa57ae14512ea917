/**
 * What the clients of a run did and were told: each send is *ok* with what was acknowledged, or
 * *unknown*, because the answer never came. The invariants are held against this.
 */
import type { Message } from '../helpers/wire.ts';

export interface Send {
	tenant_id: string;
	room_id: string;
	sender: string;
	content: string;
	/** null for a send that cannot be repeated safely. */
	client_msg_id: string | null;
	/** What was acknowledged; undefined while unknown. */
	ack?: Message;
}

/** A write that is no send, of which only this is known: it was answered, or it may have happened. */
export type Fate = 'done' | 'unknown';

export interface History {
	sends: Send[];
	/** Messages that some socket was told of, by id. */
	seen: Map<string, Message>;
	/** The highest seq of a read that was answered, by tenant, room and user. */
	reads: Map<string, number>;
	/** What an added, then perhaps removed member must be in the end, by tenant, room and user. */
	memberships: Map<string, { fate: Fate; isMember: boolean }>;
	/** Rooms whose making was answered, with their tenant. */
	rooms: Map<string, string>;
	tenants: Set<string>;
	/** How many sends were begun and never answered: what a kill cut off. */
	cut: number;
	/** What no answer may be: told at once, by whoever got it. */
	violations: string[];
}

export const createHistory = (): History => ({
	sends: [],
	seen: new Map(),
	reads: new Map(),
	memberships: new Map(),
	rooms: new Map(),
	tenants: new Set(),
	cut: 0,
	violations: [],
});

export const keyOf = (...parts: readonly string[]): string => parts.join(' ');

/** Notes the answer to a send, and holds it against the send and against an earlier answer. */
export function acknowledge(history: History, send: Send, message: Message): void {
	const { duplicate, ...ack } = message;
	const complain = (what: string) =>
		history.violations.push(`${what}: ${JSON.stringify({ send, message })}`);
	if (
		ack.content !== send.content ||
		ack.room_id !== send.room_id ||
		ack.sender_id !== send.sender ||
		(ack.client_msg_id ?? null) !== send.client_msg_id
	) {
		complain('the answer is to something else');
	}
	if (send.ack === undefined) {
		send.ack = ack;
	} else {
		const { message_id, seq, cursor, created_at } = send.ack;
		const isSame =
			ack.message_id === message_id &&
			ack.seq === seq &&
			ack.cursor === cursor &&
			ack.created_at === created_at;
		if (!isSame) complain('a repeat was answered with another message');
		if (duplicate !== true) complain('a repeat was stored again');
	}
}
