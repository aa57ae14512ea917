/**
 * Work on whole database files that takes as long as they are large, on a thread of its own, so that the
 * command that waits for it can tell how far it is.
 *
 * Called by: commands. Concurrency: a thread a job. Nothing here changes a file that was there before.
 */
import { Database } from 'bun:sqlite';
import { openForReading } from './immutable.ts';
import { DatabaseRefused } from './migrate.ts';
import { type ExportJob, exportTenant } from './tenant-export.ts';
import { checkTenantFile } from './tenant-file.ts';
import { digestOf } from './whole-file.ts';

/**
 * `copy`: a consistent copy of a database that others may be writing. `export`: the same of one tenant.
 * `check`: is a file sound? `check-tenant`: and fit to be imported? `digest`: what is its SHA-256?
 */
export type FileJob =
	| { name: 'copy'; from: string; to: string }
	| ExportJob
	| { name: 'check' | 'check-tenant' | 'digest'; path: string };

/** In the executable all modules are one, and the entry points lie side by side with their folders. */
const WORKER = import.meta.path.startsWith('/$bunfs/')
	? './db/file-worker.ts'
	: new URL('file-worker.ts', import.meta.url).href;

/** Told first are the first problems that are found; more would be of no use. */
const PROBLEMS_MAX = 10;

/**
 * Does a job on a thread of its own and returns what it found: problems, for a check; the digest.
 *
 * @throws DatabaseRefused, or an error with SQLite's code where there is one.
 */
export function runFileJob(job: FileJob): Promise<readonly string[]> {
	const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
	const worker = new Worker(WORKER, { smol: true });
	worker.onmessage = ({ data }) => {
		if ('value' in data) resolve(data.value);
		else reject(errorOf(data.error));
	};
	worker.onerror = (event) => reject(new Error(event.message));
	worker.postMessage(job);
	return promise;
}

/** An error as it crossed over. */
export interface Failure {
	message: string;
	code: string | undefined;
	isRefusal: boolean;
}

const errorOf = ({ message, code, isRefusal }: Failure): Error =>
	isRefusal ? new DatabaseRefused(message) : Object.assign(new Error(message), { code });

/** Does a job where it is called. */
export async function doFileJob(job: FileJob): Promise<readonly string[]> {
	switch (job.name) {
		case 'copy':
			return copyDatabase(job);
		case 'export':
			return exportTenant(job);
		case 'check':
			return checkFile(job.path);
		case 'check-tenant':
			return [...checkFile(job.path), ...checkTenantFile(job.path)];
		case 'digest':
			return [(await digestOf(job.path)).sha256];
	}
}

/**
 * Copies a database as it is at one moment, with what its log holds, into a file that is not there yet.
 * One read transaction: the server goes on writing, and its log cannot begin anew meanwhile.
 *
 * @see https://sqlite.org/lang_vacuum.html#vacuuminto
 */
function copyDatabase({ from, to }: { from: string; to: string }): readonly string[] {
	const db = new Database(from, { readwrite: true, create: false });
	try {
		db.run('PRAGMA busy_timeout = 5000');
		db.run('PRAGMA cell_size_check = 1');
		db.query('VACUUM INTO ?').run(to);
	} finally {
		db.close();
	}
	return [];
}

/** What SQLite finds wrong with a file: its structure, its indexes, its references. */
function checkFile(path: string): readonly string[] {
	const db = openForReading(path);
	try {
		const integrity = db.query(`PRAGMA integrity_check(${PROBLEMS_MAX})`).values().flat();
		if (integrity.length !== 1 || integrity[0] !== 'ok') return integrity.map(String);
		const dangling = db.query('PRAGMA foreign_key_check').values().slice(0, PROBLEMS_MAX);
		return dangling.map(([table, , parent]) => `a row of ${table} refers to no row of ${parent}`);
	} finally {
		db.close();
	}
}
