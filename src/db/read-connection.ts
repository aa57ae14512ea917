import { openDatabase } from './client.ts';

/**
 * The connection that reads. It stays at one moment of the database until told to go on, so that no
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
	function advance(): void {
		release();
		begin.run();
		look.get();
	}
	advance();
	return {
		db,
		/** Goes on to what is committed by now. */
		advance,
		/** Lets go of the moment, so that the log can be folded. Until `advance`, reads see what is committed. */
		release,
		close(): void {
			release();
			db.close();
		},
	};
}

export type Reader = ReturnType<typeof openReader>;
