/** The thread of `log-folder.ts`: told a database's path, it folds its log; told null, it ends. */
import type { Database } from 'bun:sqlite';
import { openDatabase } from './client.ts';

declare const self: Worker & { close(): void };

let db: Database | undefined;

self.onmessage = ({ data: path }: MessageEvent<string | null>) => {
	if (path === null) {
		db?.close();
		self.close();
		return;
	}
	try {
		db ??= openDatabase(path, 'write', 'normal');
		db.run('PRAGMA wal_checkpoint(PASSIVE)');
		postMessage(null);
	} catch (error) {
		postMessage(String(error));
	}
};
