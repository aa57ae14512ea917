import { openLiveReader } from '../db/live-reader.ts';
import { DatabaseRefused, refusalOf } from '../db/migrate.ts';
import { type Verdict, type VerifyTask, verifyChain } from '../features/audit/service/verifying.ts';
import { createAuditStore } from '../features/audit/store.ts';

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

/** SQLite's own words where a table or column is not there. */
const isOfSchema = (error: unknown): error is Error =>
	error instanceof Error && /^no such (table|column)/.test(error.message);
