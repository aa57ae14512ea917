/**
 * Folds SQLite's write-ahead log into the database file from a thread of its own: that writes
 * thousands of pages and syncs two files, and would hold up every socket for as long.
 *
 * Called by: the writer. Lifecycle: the thread starts with the first fold, and ends with `close`.
 *
 * @see docs/adr/0007-syncs-off-the-main-thread.md
 */

/** Folds as much as readers allow, without waiting for them. */
export interface LogFolder {
	/** @throws when the thread cannot start or the fold fails; what is not folded stays in the log. */
	fold(): Promise<void>;
	/** After the last fold. */
	close(): Promise<void>;
}

/** In the executable all modules are one, and the entry points lie side by side with their folders. */
const WORKER = import.meta.path.startsWith('/$bunfs/')
	? './db/log-folder-worker.ts'
	: new URL('log-folder-worker.ts', import.meta.url).href;

export function createLogFolder(path: string): LogFolder {
	let worker: Worker | undefined;
	return {
		fold() {
			const { promise, resolve, reject } = Promise.withResolvers<void>();
			// A smaller heap: it runs one statement.
			worker ??= new Worker(WORKER, { smol: true });
			worker.onmessage = ({ data }) => {
				data === null ? resolve() : reject(new Error(String(data)));
			};
			worker.onerror = (event) => {
				worker = undefined;
				reject(new Error(event.message));
			};
			worker.postMessage(path);
			return promise;
		},
		async close() {
			const { promise, resolve } = Promise.withResolvers<void>();
			if (worker === undefined) return;
			worker.addEventListener('close', () => resolve());
			worker.postMessage(null);
			worker = undefined;
			await promise;
		},
	};
}
