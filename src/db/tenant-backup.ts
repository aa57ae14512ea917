import { existsSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { type CopyTask, requireRoom, sizeOf, withGrowth } from './backup.ts';
import { openDraft } from './draft.ts';
import { runFileJob } from './file-jobs.ts';
import { DatabaseRefused, refusalOf } from './migrate.ts';
import { digestOf, syncPath } from './whole-file.ts';

/**
 * Writes the file of one tenant, beside a running server or not, and checks it as an import does before
 * it gets its name. Returns its size.
 *
 * @throws DatabaseRefused, in one sentence; then nothing new is there.
 */
export async function exportToFile(task: CopyTask & { tenant_id: string }): Promise<number> {
	const { source: from, target, tenant_id, onProgress } = task;
	if (existsSync(target)) throw new DatabaseRefused(`${target} is there already`);
	requireRoom(task);
	const draft = openDraft(dirname(target));
	try {
		const to = draft.path('tenant.db');
		await withGrowth(task, to, () => runFileJob({ name: 'export', from, to, tenant_id }));
		onProgress({ stage: 'checking', done: null, total: null });
		const [problem] = await runFileJob({ name: 'check-tenant', path: to });
		if (problem !== undefined) {
			throw new DatabaseRefused(`${from} has what cannot be exported: ${problem}`);
		}
		syncPath(to);
		await task.record(
			await digestOf(to, (done) => onProgress({ stage: 'hashing', done, total: sizeOf(to) })),
		);
		renameSync(to, target);
		syncPath(dirname(target));
		return sizeOf(target);
	} catch (error) {
		throw refusalOf(error, from);
	} finally {
		draft.discard();
	}
}
