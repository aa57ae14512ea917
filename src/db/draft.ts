import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DataDirLock, lockDataDir } from './lock.ts';

/** A folder for files that are not whole yet, beside where they will be. */
export interface Draft {
	/** Of a file in it. */
	path(name: string): string;
	/** Removes the folder with all that is still in it. Safe to call again. */
	discard(): void;
}

const PREFIX = '.chatapi-draft-';
const LOCK = 'lock';

/**
 * Makes a draft in a directory, which must be there. What processes that were killed have left there is
 * removed first: a draft belongs to whoever holds its lock, and the system frees that with the process.
 *
 * @throws what the file system says.
 */
export function openDraft(dir: string): Draft {
	removeStaleDrafts(dir);
	for (;;) {
		const folder = mkdtempSync(join(dir, PREFIX));
		const lock = lockOf(folder);
		// Another process took the new folder for a stale one, between its making and its lock.
		if (lock === undefined) continue;
		let isThere = true;
		return {
			path: (name) => join(folder, name),
			discard() {
				if (!isThere) return;
				isThere = false;
				rmSync(folder, { recursive: true, force: true });
				lock.release();
			},
		};
	}
}

/** Removes the drafts of processes that are gone. What cannot be removed is left for the next time. */
export function removeStaleDrafts(dir: string): void {
	for (const name of draftsIn(dir)) {
		const folder = join(dir, name);
		try {
			const lock = lockOf(folder);
			if (lock === undefined) continue;
			rmSync(folder, { recursive: true, force: true });
			lock.release();
		} catch {
			// Not ours to remove, or just removed by somebody else.
		}
	}
}

function draftsIn(dir: string): string[] {
	try {
		return readdirSync(dir).filter((name) => name.startsWith(PREFIX));
	} catch {
		// No such directory, or not ours to read: nothing of ours is in it.
		return [];
	}
}

function lockOf(folder: string): DataDirLock | undefined {
	try {
		return lockDataDir(join(folder, LOCK));
	} catch (error) {
		if ((error as { code?: string }).code === 'SQLITE_CANTOPEN') return undefined;
		throw error;
	}
}
