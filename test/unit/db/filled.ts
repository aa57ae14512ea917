/** A database with two tenants and enough rows for several pages, some of them in its log only. */
import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { openDatabase } from '../../../src/db/client.ts';
import { migrateDatabase } from '../../../src/db/migrate.ts';

export const EPOCHS = ['aaaaa', 'bbbbb'] as const;
const MESSAGES = 200;

/** Fills a new database and returns a connection that keeps its log open. */
export function fillDatabase(folder: string): { path: string; db: Database } {
	const path = join(folder, 'chatapi.db');
	migrateDatabase(path, join(folder, 'backups'), 0);
	const db = openDatabase(path, 'write');
	db.run('PRAGMA wal_autocheckpoint = 0');
	db.run('BEGIN');
	EPOCHS.forEach((epoch, index) => {
		const tenant = index + 1;
		db.run(
			`INSERT INTO tenants (tenant, tenant_id, name, status, created_at, updated_at)
			VALUES (?, ?, 'x', 'active', 0, 0)`,
			[tenant, `tenant_${tenant}`],
		);
		db.run('INSERT INTO tenant_heads (tenant, epoch, last_cursor, last_room) VALUES (?, ?, ?, 1)', [
			tenant,
			epoch,
			MESSAGES,
		]);
		db.run(
			`INSERT INTO rooms (tenant, room, room_id, type, created_at) VALUES (?, 1, 'room_1', 'group', 0)`,
			[tenant],
		);
		for (let seq = 1; seq <= MESSAGES; seq++) insertMessage(db, tenant, seq);
	});
	db.run('COMMIT');
	return { path, db };
}

export function insertMessage(db: Database, tenant: number, seq: number): void {
	db.run(
		`INSERT INTO messages (tenant, room, seq, cursor, ordinal, message_id, sender_id, content, created_at)
		VALUES (?, 1, ?, ?, ?, ?, 'alice', ?, 0)`,
		[tenant, seq, seq, seq, `msg_${tenant}_${seq}`, `content ${seq} ${'.'.repeat(300)}`],
	);
}

/** Every row of every table, but for the epochs, as text. */
export function dumpOf(path: string): string {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		const names = db
			.query<{ name: string }, []>(
				`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name`,
			)
			.all();
		return names
			.flatMap(({ name }) =>
				db
					.query<Record<string, unknown>, []>(`SELECT * FROM ${name}`)
					.all()
					.map(({ epoch: _, ...row }) => `${name} ${JSON.stringify(row)}`),
			)
			.join('\n');
	} finally {
		db.close();
	}
}

export function epochsIn(path: string): string[] {
	const db = new Database(path, { readwrite: true, create: false });
	try {
		return db.query('SELECT epoch FROM tenant_heads ORDER BY tenant').values().flat().map(String);
	} finally {
		db.close();
	}
}
