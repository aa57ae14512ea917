import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { databasePath } from '../app/persistence.ts';
import { systemClock, toTimestamp } from '../core/clock.ts';
import { backUp } from '../db/backup.ts';
import { manifestPath } from '../db/manifest.ts';
import { command } from './arguments.ts';
import { finishPendingRestore } from './data-dir.ts';
import { CommandFailed } from './failure.ts';
import { counted, progressLines, sizeText } from './progress.ts';
import { haveRecorded } from './recording.ts';
import { settingsOf } from './settings.ts';
import { version } from './version.ts';

const usage = {
	help: `Usage: chatapi backup [--out DIRECTORY or FILE] [--data-dir DIRECTORY] [--quiet]

Writes a consistent, checked copy of the database of DATA_DIR, and its manifest beside it
(FILE.manifest.json), while the server runs or not. Prints the file's path.

  --out       A directory, for a file named after the time; or the file itself, which must not
              be there. Default: backups/ in the data directory.
  --data-dir  Default: DATA_DIR.
  --quiet     No progress on stderr.

Keys are in it as hashes only, and it works without the server's master key, which is not in it.
The audit log has an entry of it; where that cannot be written, stderr says so.`,
	options: {
		out: { type: 'string' },
		'data-dir': { type: 'string' },
		quiet: { type: 'boolean' },
	},
	words: 0,
} as const;

/** Backs the database up. Exit code 0: it is on disk and was checked. */
export const backup = command(usage, async (values) => {
	// Everything that anybody said is in it.
	process.umask(0o077);
	const { DATA_DIR, DISK_LOW_WATER } = settingsOf(values['data-dir']);
	const source = databasePath(DATA_DIR);
	finishPendingRestore(DATA_DIR);
	const target = targetOf(values.out, DATA_DIR, existsSync(source));
	let unrecorded: string | undefined;
	const manifest = await backUp({
		source,
		target,
		version,
		clock: systemClock,
		lowWaterBytes: DISK_LOW_WATER,
		onProgress: progressLines(values.quiet === true),
		async record(copy) {
			try {
				const made = { action: 'backups.create', tenant_id: null, file: target } as const;
				await haveRecorded(DATA_DIR, { ...made, ...copy });
			} catch (error) {
				// A full disk is when a backup is needed most.
				if (!(error instanceof CommandFailed)) throw error;
				unrecorded = error.message;
			}
		},
	});
	if (unrecorded !== undefined) {
		console.error(`chatapi: the audit log does not tell of this backup: ${unrecorded}`);
	}
	const { bytes, tenants, created_at } = manifest;
	if (values.quiet !== true) {
		console.error(
			`${sizeText(bytes)}, ${counted(tenants.length, 'tenant')}, as of ${created_at}; ${manifestPath(target)}`,
		);
	}
	console.log(target);
	return 0;
});

function targetOf(out: string | undefined, dataDir: string, isThere: boolean): string {
	const name = `chatapi-${toTimestamp(systemClock.now()).replaceAll(':', '-')}.db`;
	const folder = join(dataDir, 'backups');
	if (out === undefined) {
		// Where there is nothing to back up, nothing is made.
		if (isThere) mkdirSync(folder, { recursive: true, mode: 0o700 });
		return join(folder, name);
	}
	const path = resolve(out);
	const isFolder = out.endsWith('/') || statSync(path, { throwIfNoEntry: false })?.isDirectory();
	return isFolder === true ? join(path, name) : path;
}
