import { openDatabase } from './client.ts';

/**
 * The connection that reads. While a commit is being synced it is held at the moment before it, so that no
 * read runs ahead of the sync: what a client was shown is never lost.
 */
export function openReader(path: string) {
	const db = openDatabase(path, 'read');
	const begin = db.query('BEGIN');
	const end = db.query('COMMIT');
	// BEGIN alone looks at nothing; the first read decides on the moment.
	const look = db.query('SELECT 1 FROM sqlite_schema LIMIT 1');
	function release(): void {
		// An error may have ended the transaction already.
		if (db.inTransaction) end.run();
	}
	return {
		db,
		/** Stays at what is committed by now. */
		hold(): void {
			release();
			begin.run();
			look.get();
		},
		/** Sees what is committed, whenever it reads. */
		release,
		close(): void {
			release();
			db.close();
		},
	};
}

export type Reader = ReturnType<typeof openReader>;
