import type { Database } from 'bun:sqlite';
import { ANSWER_LIFE_MS, type Once, type StoredAnswer } from '../core/once.ts';
import { prepare } from './statement.ts';

/** Removed with each one that is stored: so many at most, so that old ones go as new ones come. */
const REMOVED_MAX = 10;

/** The answers to requests with an `Idempotency-Key`, over one connection. */
export function createStoredAnswers(db: Database) {
	const find = prepare<StoredAnswer, [number, Uint8Array, number]>(
		db,
		'SELECT request_hash, answer FROM stored_answers WHERE tenant = ? AND key_hash = ? AND created_at > ?',
	);
	const insert = prepare<null, [number, Uint8Array, Uint8Array, Uint8Array, number]>(
		db,
		`INSERT INTO stored_answers (tenant, key_hash, request_hash, answer, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (tenant, key_hash) DO UPDATE SET
			request_hash = excluded.request_hash, answer = excluded.answer, created_at = excluded.created_at`,
	);
	const removeEnded = prepare<null, [number, number, number, number]>(
		db,
		`DELETE FROM stored_answers WHERE tenant = ? AND key_hash IN (
			SELECT key_hash FROM stored_answers WHERE tenant = ? AND created_at <= ?
			ORDER BY created_at LIMIT ?)`,
	);
	return {
		/** The answer to the same key, if it has not ended by `now`. */
		find: ({ tenant, key_hash }: Once, now: number): StoredAnswer | undefined =>
			find.get(tenant, key_hash, now - ANSWER_LIFE_MS) ?? undefined,
		/** Stores an answer; one that has ended makes room for it. */
		insert({ tenant, key_hash, request_hash, seal }: Once, answer: unknown, now: number): void {
			removeEnded.run(tenant, tenant, now - ANSWER_LIFE_MS, REMOVED_MAX);
			insert.run(tenant, key_hash, request_hash, seal(answer), now);
		},
	};
}

export type StoredAnswers = ReturnType<typeof createStoredAnswers>;
