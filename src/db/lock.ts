import { Database } from 'bun:sqlite';

/** Held for as long as the process serves; the operating system frees it, however the process ends. */
export interface DataDirLock {
	release(): void;
}

/**
 * Makes this the only process on a data directory: an exclusive SQLite lock on a file of its own,
 * which works wherever SQLite does and survives no kill. Waits so long for another to let go.
 *
 * @returns undefined when another process holds it.
 */
export function lockDataDir(path: string, waitMs = 0): DataDirLock | undefined {
	const db = new Database(path, { create: true, readwrite: true });
	try {
		db.run(`PRAGMA busy_timeout = ${waitMs}`);
		db.run('PRAGMA locking_mode = EXCLUSIVE');
		db.run('BEGIN EXCLUSIVE');
	} catch (error) {
		db.close();
		if ((error as { code?: string }).code === 'SQLITE_BUSY') return undefined;
		throw error;
	}
	return {
		release() {
			db.run('ROLLBACK');
			db.close();
		},
	};
}
