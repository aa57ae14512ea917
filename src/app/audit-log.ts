import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { openLiveReader } from '../db/live-reader.ts';
import { DatabaseRefused, refusalOf } from '../db/migrate.ts';
import { writeAlone } from '../db/write-alone.ts';
import { type Copy, recordCopy } from '../features/audit/service/copies.ts';
import { type Verdict, type VerifyTask, verifyChain } from '../features/audit/service/verifying.ts';
import { newAct, type Recorded } from '../features/audit/service.ts';
import { createAuditStore } from '../features/audit/store.ts';

/** The database is of a version from before there was a log. */
export class AuditLogMissing extends DatabaseRefused {}

/**
 * Verifies the audit log of the database at `path`, whether a server writes it or none does. Its entries come
 * first, and then whether what keeps them is still there: its triggers.
 *
 * @throws DatabaseRefused when there is no such database, or none that can be read.
 */
export async function verifyAuditLog(
	path: string,
	task: Omit<VerifyTask, 'audit'>,
): Promise<Verdict> {
	const reader = openLiveReader(path);
	try {
		const audit = createAuditStore(reader.db);
		const verdict = await verifyChain({ audit, ...task });
		if (verdict.isWhole) reader.requireWhole();
		return verdict;
	} catch (error) {
		const refusal = refusalOf(error, path);
		if (refusal instanceof DatabaseRefused || !isOfSchema(error)) throw refusal;
		throw new DatabaseRefused(`${path} has no audit log that could be read: ${error.message}`);
	} finally {
		reader.close();
	}
}

/**
 * Records a copy in a database that nobody else writes: one under the lock of its data directory, or a draft. It is
 * on disk when this resolves, and the file is whole without its write-ahead log.
 *
 * @throws DatabaseRefused when it cannot be written; AuditLogMissing; `NOT_FOUND` as `recordCopy`.
 */
export async function appendCopy(
	path: string,
	by: Recorded,
	{ action, ...copy }: Copy,
): Promise<void> {
	const act = newAct(action, { clock: systemClock, random: systemRandom });
	try {
		await writeAlone(path, async (db) => {
			await recordCopy({ audit: createAuditStore(db) }, by, act, copy);
		});
	} catch (error) {
		if (isOfSchema(error)) throw new AuditLogMissing(`${path} is older than the audit log`);
		if (isFull(error)) throw new DatabaseRefused('the disk is full');
		throw refusalOf(error, path);
	}
}

const isFull = (error: unknown): boolean =>
	String((error as { code?: unknown } | null)?.code).startsWith('SQLITE_FULL');

/** SQLite's own words where a table or column is not there. */
const isOfSchema = (error: unknown): error is Error =>
	error instanceof Error && /^no such (table|column)/.test(error.message);
