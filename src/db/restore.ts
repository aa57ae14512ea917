/**
 * Puts a backup in the place of a data directory's database.
 *
 * Called by: the command, under the directory's lock; and every start, which finishes what a killed
 * command has begun. The backup becomes the database at one moment: when its checked and durable copy gets
 * the name `chatapi.db.restored`. What follows are renames, and can be done again.
 *
 * Must never: let the log of the old database meet the new one. SQLite would fold it in.
 *
 * @see docs/adr/0017-backups-by-another-process.md
 */
import { Database } from 'bun:sqlite';
import { existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createEpoch } from '../core/cursor.ts';
import { assert } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import {
	type OnProgress,
	requireContents,
	requireDigest,
	requireFile,
	requireSize,
	sizeOf,
} from './backup.ts';
import { openDraft } from './draft.ts';
import { type Manifest, readManifest } from './manifest.ts';
import { DatabaseRefused, refusalOf } from './migrate.ts';
import { copyWhole, syncPath } from './whole-file.ts';

export interface RestoreTask {
	file: string;
	/** Of the data directory, which is there and locked. */
	database: string;
	/** Put aside what is there now. */
	isForced: boolean;
	/** Writes into the checked copy what is to be true of it from its first moment on. */
	amend(copy: string, manifest: Manifest): Promise<void>;
	random: Pick<Random, 'bytes'>;
	onProgress: OnProgress;
}

export interface Restored {
	manifest: Manifest;
	/** Where the database is that was there before. */
	replaced: string | undefined;
}

const LOG_FILES = ['-wal', '-shm', '-journal'];
const pendingPath = (database: string) => `${database}.restored`;

/**
 * Checks a backup, copies it, gives every tenant's log a new epoch, and makes it the database.
 *
 * A new epoch is a new life of the log: cursors of the old one are answered `resync`, where otherwise those
 * from after the backup would be taken for a place in a log that goes on differently.
 *
 * @throws DatabaseRefused when the backup is not whole, or a database is there and it is not forced;
 * then nothing is changed.
 */
export async function restoreBackup(task: RestoreTask): Promise<Restored> {
	const { file, database, onProgress } = task;
	const manifest = readManifest(requireFile(file));
	requireSize(file, manifest);
	const isThere = [database, ...LOG_FILES.map((suffix) => database + suffix)].some(existsSync);
	if (isThere && !task.isForced) {
		throw new DatabaseRefused(
			`${database} is there already; with --force it is put aside, and the backup takes its place`,
		);
	}
	const draft = openDraft(dirname(database));
	try {
		const copy = draft.path('copy.db');
		const { bytes: total } = manifest;
		const digest = await copyWhole(file, copy, (done) =>
			onProgress({ stage: 'copying', done, total }),
		);
		requireDigest(file, manifest, digest);
		await requireContents(copy, manifest, onProgress);
		renewEpochs(copy, task.random);
		await task.amend(copy, manifest);
		assert(sizeOf(`${copy}-wal`) === 0, 'the copy is whole without its log');
		syncPath(copy);
		renameSync(copy, pendingPath(database));
		syncPath(dirname(database));
	} catch (error) {
		throw refusalOf(error, file);
	} finally {
		draft.discard();
	}
	return { manifest, replaced: finishRestore(database)?.replaced };
}

/** Whether a restore was cut short that the next start will finish. */
export const isRestorePending = (database: string): boolean => existsSync(pendingPath(database));

/**
 * Finishes a restore whose copy was complete. Safe to call again, whenever it was cut short.
 *
 * @returns undefined when there is none; else where the database is that was there before, if one was.
 */
export function finishRestore(database: string): { replaced: string | undefined } | undefined {
	const pending = pendingPath(database);
	const stats = statSync(pending, { throwIfNoEntry: false });
	if (stats === undefined) return undefined;
	const folder = dirname(database);
	// The same name in each attempt, for the log must follow its database.
	const stamp = new Date(stats.mtimeMs).toISOString().replaceAll(':', '-');
	const aside = join(folder, `replaced-${stamp}-${basename(database)}`);
	for (const suffix of ['', '-wal', '-journal']) {
		if (existsSync(database + suffix)) renameSync(database + suffix, aside + suffix);
	}
	// The index of the log: made anew by whoever opens it.
	rmSync(`${database}-shm`, { force: true });
	syncPath(folder);
	renameSync(pending, database);
	syncPath(folder);
	return { replaced: existsSync(aside) ? aside : undefined };
}

/** Every tenant's log begins another life, with cursors that no client has seen. */
function renewEpochs(path: string, random: Pick<Random, 'bytes'>): void {
	const db = new Database(path, { readwrite: true, create: false, strict: true });
	try {
		db.run('PRAGMA synchronous = FULL');
		const heads = db
			.query<{ tenant: number; epoch: string }, []>('SELECT tenant, epoch FROM tenant_heads')
			.all();
		const renew = db.query('UPDATE tenant_heads SET epoch = $epoch WHERE tenant = $tenant');
		db.transaction(() => {
			for (const { tenant, epoch: old } of heads)
				renew.run({ tenant, epoch: another(old, random) });
		})();
	} finally {
		db.close();
	}
}

function another(old: string, random: Pick<Random, 'bytes'>): string {
	for (;;) {
		const epoch = createEpoch(random.bytes(4));
		if (epoch !== old) return epoch;
	}
}
