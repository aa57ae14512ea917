import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { databasePath } from '../app/persistence.ts';
import { systemRandom } from '../core/random.ts';
import { makeRoomToStart } from '../db/disk-guard.ts';
import { type DataDirLock, lockDataDir } from '../db/lock.ts';
import { finishRestore, isRestorePending } from '../db/restore.ts';
import { CommandFailed } from './failure.ts';

/** Makes the data directory where there is none. @throws CommandFailed. */
export function makeDataDir(dir: string): void {
	try {
		mkdirSync(dir, { recursive: true, mode: 0o700 });
	} catch (error) {
		throw new CommandFailed(`The data directory ${dir} cannot be made (${codeOf(error)})`);
	}
}

/** A command that writes one entry of the audit log holds the lock for some milliseconds. */
const LOCK_WAIT_MS = 1000;

/** Makes this the only process on a data directory. @throws CommandFailed, with why it is not. */
export function takeLock(dir: string): DataDirLock {
	const lock = tryLock(dir, LOCK_WAIT_MS);
	if (lock !== undefined) return lock;
	throw new CommandFailed(`Another process is serving the data directory ${dir}`);
}

/** The same; undefined while another process is. @throws CommandFailed when it cannot be told. */
export function tryLock(dir: string, waitMs = 0): DataDirLock | undefined {
	try {
		makeRoomToStart(dir, systemRandom);
		return lockDataDir(join(dir, 'chatapi.lock'), waitMs);
	} catch (error) {
		if (codeOf(error) === 'SQLITE_FULL') throw new CommandFailed(`The disk of ${dir} is full`);
		throw new CommandFailed(`The data directory ${dir} is not writable`);
	}
}

/**
 * Finishes a restore that was cut short, as a start does: what a command reads is then what the next start serves.
 *
 * @throws CommandFailed.
 */
export function finishPendingRestore(dir: string): void {
	const database = databasePath(dir);
	if (!isRestorePending(database)) return;
	const lock = takeLock(dir);
	try {
		finishRestore(database);
	} finally {
		lock.release();
	}
}

const codeOf = (error: unknown): string =>
	String((error as { code?: unknown } | null)?.code ?? (error as Error).message);
