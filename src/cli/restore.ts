import { resolve } from 'node:path';
import { AuditLogMissing, appendCopy } from '../app/audit-log.ts';
import { databasePath } from '../app/persistence.ts';
import { systemRandom } from '../core/random.ts';
import { finishRestore, restoreBackup } from '../db/restore.ts';
import { command } from './arguments.ts';
import { makeDataDir, takeLock } from './data-dir.ts';
import { counted, progressLines, sizeText } from './progress.ts';
import { thisCommand } from './recording.ts';
import { settingsOf } from './settings.ts';

const usage = {
	help: `Usage: chatapi restore FILE [--data-dir DIRECTORY] [--force] [--quiet]

Verifies a backup and makes it the database of the data directory, which no server may be using.
Killed at any point it leaves the old database or the new one, whole.

  --data-dir  Default: DATA_DIR.
  --force     Where a database is there already: put it aside, as replaced-<time>-chatapi.db.
  --quiet     No progress on stderr.

Every tenant's log gets a new epoch, so that clients with a cursor are told to load anew. Keys and
tokens that were revoked after the backup was made are good again: revoke them again. The audit log
ends where the backup does, with an entry of the restore behind it.
The master key is not in a backup: it stays the one that is set, or in the data directory.`,
	options: {
		'data-dir': { type: 'string' },
		force: { type: 'boolean' },
		quiet: { type: 'boolean' },
	},
	words: 1,
} as const;

/** Restores a backup. Exit code 0: the next start serves it. */
export const restore = command(usage, async (values, [file = '']) => {
	process.umask(0o077);
	const dir = settingsOf(values['data-dir']).DATA_DIR;
	makeDataDir(dir);
	const lock = takeLock(dir);
	const database = databasePath(dir);
	try {
		// What a killed one began comes first: it may be the very database that is there.
		finishRestore(database);
		const { manifest, replaced } = await restoreBackup({
			...{ file, database, random: systemRandom },
			isForced: values.force === true,
			async amend(copy, { bytes, sha256 }) {
				const restored = {
					action: 'backups.restore',
					tenant_id: null,
					file: resolve(file),
				} as const;
				await appendCopy(copy, thisCommand(), { ...restored, bytes, sha256 }).catch((error) => {
					if (!(error instanceof AuditLogMissing)) throw error;
				});
			},
			onProgress: progressLines(values.quiet === true),
		});
		const { bytes, tenants, created_at } = manifest;
		console.log(
			`Restored ${database}: ${sizeText(bytes)}, ${counted(tenants.length, 'tenant')}, as of ${created_at}.`,
		);
		console.log('Every log has a new epoch: clients that come back load anew.');
		if (replaced !== undefined) console.log(`The database that was there is ${replaced}`);
	} finally {
		lock.release();
	}
	return 0;
});
