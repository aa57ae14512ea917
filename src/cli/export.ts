import { resolve } from 'node:path';
import { databasePath } from '../app/persistence.ts';
import type { TenantId } from '../core/ids.ts';
import { exportToFile } from '../db/tenant-backup.ts';
import { command } from './arguments.ts';
import { finishPendingRestore } from './data-dir.ts';
import { CommandFailed } from './failure.ts';
import { progressLines, sizeText } from './progress.ts';
import { haveRecorded } from './recording.ts';
import { settingsOf } from './settings.ts';

const usage = {
	help: `Usage: chatapi export TENANT_ID FILE [--data-dir DIRECTORY] [--quiet]

Writes everything that belongs to one tenant of DATA_DIR, as it is at one moment, into an SQLite
file for chatapi import, while the server runs or not. FILE must not be there.

  --data-dir  Default: DATA_DIR.
  --quiet     No progress on stderr.

Keys and tokens are in it as hashes, and are good wherever it is imported. What was encrypted under
the server's own secrets stays so: take those along, or set it anew. The audit log has an entry of
it, on disk before FILE is there: where that cannot be written, nothing is exported.`,
	options: { 'data-dir': { type: 'string' }, quiet: { type: 'boolean' } },
	words: 2,
} as const;

/** Exports a tenant. Exit code 0: the file is on disk and was checked. */
export const exportTenant = command(usage, async (values, [tenant_id = '', file = '']) => {
	process.umask(0o077);
	const { DATA_DIR, DISK_LOW_WATER } = settingsOf(values['data-dir']);
	const target = resolve(file);
	finishPendingRestore(DATA_DIR);
	const bytes = await exportToFile({
		source: databasePath(DATA_DIR),
		target,
		tenant_id,
		lowWaterBytes: DISK_LOW_WATER,
		onProgress: progressLines(values.quiet === true),
		async record(copy) {
			const exported = { action: 'tenants.export', tenant_id: tenant_id as TenantId } as const;
			await haveRecorded(DATA_DIR, { ...exported, file: target, ...copy }).catch(notExported);
		},
	});
	if (values.quiet !== true) console.error(`${sizeText(bytes)}, ${tenant_id}`);
	console.log(target);
	return 0;
});

/** What belongs to a tenant does not leave without its entry. */
function notExported(error: unknown): never {
	if (!(error instanceof CommandFailed)) throw error;
	throw new CommandFailed(`Not exported, for the audit log cannot tell of it: ${error.message}`);
}
