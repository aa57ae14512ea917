import type { Clock } from '../core/clock.ts';
import { encodeCursor } from '../core/cursor.ts';
import { AppError } from '../core/errors.ts';
import { frameOfStored, type PendingEvent } from '../core/event.ts';
import type { Generations, Stamp } from '../core/generations.ts';
import { AlreadyAnswered } from '../core/once.ts';
import { haltedError } from '../core/tenant-halt.ts';
import type { Change, Outcome, Publication, Scope } from './change.ts';
import type { EventLog } from './event-log.ts';
import type { LogHeads, Place } from './log-heads.ts';
import type { MessageQuotas } from './message-quotas.ts';
import type { Revocations } from './revocations.ts';
import type { WriteConnection } from './write-connection.ts';

/** What became of a change that ran: nobody may know before its batch is on disk. */
export type Ran =
	| { outcome: Outcome<unknown>; publications: readonly Publication[] }
	| { error: unknown };

export interface ChangeRunnerOptions {
	clock: Clock;
	generations: Generations;
	/** A change threw what is no AppError. */
	onDefect(error: unknown): void;
}

/** What a batch keeps until it is committed: it ends with it. */
export interface BatchState {
	heads: LogHeads;
	quotas: Pick<MessageQuotas, 'note'>;
	/** Of the changes that ran before. */
	revocations: Revocations;
}

/** SQLite may have rolled the whole transaction back on these. @see https://sqlite.org/lang_transaction.html */
const ROLLS_BACK = /^SQLITE_(FULL|IOERR|NOMEM|CORRUPT|NOTADB|INTERRUPT)/;

/** SQLite's name for what went wrong; empty for what is no error of SQLite. */
export const codeOf = (error: unknown): string =>
	String((error as { code?: unknown } | null)?.code ?? '');

/**
 * Runs one change within its savepoint, with its events. Throws only when the whole transaction is gone.
 * The connection is the batch's: an abandoned change that goes on after all must not reach the one
 * in its place.
 */
export function createChangeRunner<Tx>({ clock, generations, onDefect }: ChangeRunnerOptions) {
	async function runChange(
		scope: Scope,
		change: Change<Tx, unknown>,
		connection: WriteConnection<Tx>,
		{ heads, revocations, quotas }: BatchState,
	): Promise<Ran> {
		const { stamp, once } = scope;
		const refusal = stamp === undefined ? undefined : refusalOf(stamp, revocations);
		if (refusal !== undefined) return { error: refusal };
		const earlier = once && connection.answers.find(once, clock.now());
		if (earlier !== undefined) return { error: new AlreadyAnswered(earlier) };
		connection.savepoint.run();
		try {
			const place = heads.placeOf(scope);
			const pending = change(connection.tx, place);
			const outcome = pending instanceof Promise ? await pending : pending;
			const publications = appendEvents(connection.log, scope, place, outcome.events);
			heads.advance(scope.tenant, publications.length);
			if (once !== undefined) connection.answers.insert(once, outcome.value, clock.now());
			connection.release.run();
			if (outcome.messages !== undefined) heads.countMessages(scope.tenant, outcome.messages);
			if (outcome.effects !== undefined) {
				revocations.note(outcome.effects);
				quotas.note(outcome.effects);
			}
			const { tenant, tenant_id } = scope;
			for (const live of outcome.live ?? []) {
				publications.push({ tenant, tenant_id, type: null, cursor: null, ...live });
			}
			return { outcome, publications };
		} catch (error) {
			if (ROLLS_BACK.test(codeOf(error)) || !connection.db.inTransaction) throw error;
			connection.undo.run();
			connection.release.run();
			if (!(error instanceof AppError)) onDefect(error);
			return { error };
		}
	}

	/** Why nothing is done for a credential any more: as of the last commit, and of the batch so far. */
	function refusalOf(stamp: Stamp, revocations: Revocations): AppError | undefined {
		const refusal = generations.refusalOf(stamp);
		if (refusal !== undefined) return refusal;
		const halt = revocations.haltOf(stamp);
		if (halt !== undefined) return haltedError(halt);
		if (revocations.hasKey(stamp)) return new AppError('AUTHENTICATION_ERROR', 'Invalid API key');
		if (!revocations.hasUser(stamp)) return undefined;
		return new AppError('AUTHENTICATION_ERROR', 'Invalid or expired token');
	}

	function appendEvents(
		log: EventLog,
		{ tenant, tenant_id }: Scope,
		place: Place,
		events: readonly PendingEvent[] = [],
	): Publication[] {
		const created_at = clock.now();
		return events.map((event, index) => {
			const cursor = place.cursor + index;
			const data = JSON.stringify(event.data);
			const isReference = event.ref !== undefined;
			log.append({
				tenant,
				cursor,
				stream: event.stream.key,
				type: event.type,
				ref: event.ref ?? null,
				payload: isReference ? null : data,
				created_at,
			});
			const frame = frameOfStored(event.frame, encodeCursor(place.epoch, cursor), data);
			const streams = event.also === undefined ? [event.stream] : [event.stream, ...event.also];
			return { tenant, tenant_id, type: event.type, cursor, streams, frame };
		});
	}

	return runChange;
}
