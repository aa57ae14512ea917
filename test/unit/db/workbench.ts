/** A writer over a real database with one small table, and all that it tells the world. */
import type { Database } from 'bun:sqlite';
import { afterEach } from 'bun:test';
import { join } from 'node:path';
import { systemClock } from '../../../src/core/clock.ts';
import type { Effect } from '../../../src/core/effect.ts';
import type { PendingEvent, Stream } from '../../../src/core/event.ts';
import { createGenerations } from '../../../src/core/generations.ts';
import type { TenantId, TenantNo } from '../../../src/core/ids.ts';
import type { Scope } from '../../../src/db/change.ts';
import { openDatabase } from '../../../src/db/client.ts';
import { createLogFolder, type LogFolder } from '../../../src/db/log-folder.ts';
import { createLogSync, type LogSync } from '../../../src/db/log-sync.ts';
import { migrateDatabase } from '../../../src/db/migrate.ts';
import { openReader } from '../../../src/db/read-connection.ts';
import { createWriter } from '../../../src/db/writer.ts';
import { createFakeClock } from '../core/fake-clock.ts';
import { useTempFolders } from './temp-folder.ts';

/** The stores of these tests: notes, through both kinds of statement there are. */
export const bindNotes = (db: Database) => {
	const insert = db.query<null, [string]>('INSERT INTO notes (text) VALUES (?)');
	// What drizzle makes of every statement; it outlives the closing of its connection.
	const insertPrepared = db.prepare<null, [string]>('INSERT INTO notes (text) VALUES (?)');
	const all = db.query<{ text: string }, []>('SELECT text FROM notes ORDER BY id');
	return {
		insert: (text: string): void => void insert.run(text),
		insertPrepared: (text: string): void => void insertPrepared.run(text),
		list: (): string[] => all.all().map(({ text }) => text),
	};
};

/** What is the real thing where it is not given. */
interface Options {
	queueMax?: number;
	logSync?: LogSync;
	folder?: LogFolder;
}

export interface Workbench extends ReturnType<typeof open> {}

/** Opens workbenches, and closes them when the test is over. Called once per file. */
export function useWorkbench() {
	const tempFolder = useTempFolders();
	const opened: Workbench[] = [];
	afterEach(async () => {
		for (const bench of opened.splice(0)) await bench.end();
	});
	return (options: Options = {}): Workbench => {
		const bench = open(tempFolder(), options);
		opened.push(bench);
		return bench;
	};
}

const scopeOf = (tenant: number): Scope => ({
	tenant: tenant as TenantNo,
	tenant_id: `tenant_${tenant}` as TenantId,
});

export const ACME = scopeOf(1);
export const GLOBEX = scopeOf(2);

function open(folder: string, { queueMax = 1000, logSync, folder: logFolder }: Options) {
	const path = join(folder, 'chatapi.db');
	migrateDatabase(path, join(folder, 'backups'), 0);
	const outside = openDatabase(path, 'write');
	outside.run('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT');
	for (const [{ tenant, tenant_id }, epoch] of [
		[ACME, 'aaaaa'],
		[GLOBEX, 'bbbbb'],
	] as const) {
		outside.run(
			`INSERT INTO tenants (tenant, tenant_id, name, status, created_at, updated_at)
			VALUES (${tenant}, '${tenant_id}', 'x', 'active', 0, 0)`,
		);
		outside.run(
			`INSERT INTO tenant_heads (tenant, epoch, last_cursor, last_room) VALUES (${tenant}, '${epoch}', 0, 0)`,
		);
	}

	const clock = createFakeClock();
	const generations = createGenerations();
	/** What the writer told, in order: effects, publications, and whatever the test adds. */
	const told: string[] = [];
	const defects: unknown[] = [];
	const fatal: unknown[] = [];
	/** The writer's connections, oldest first: an abandoned change costs it one. */
	const connections: Database[] = [];
	const reader = openReader(path);
	const realFolder = createLogFolder(path);
	const writer = createWriter({
		open() {
			const db = openDatabase(path, 'write', 'normal');
			connections.push(db);
			return db;
		},
		bind: bindNotes,
		reader,
		logSync: logSync ?? createLogSync(path, systemClock),
		folder: logFolder ?? realFolder,
		clock,
		generations,
		apply: (effects, moment) => {
			for (const effect of effects) told.push(`${moment} ${effect.name}`);
		},
		publish: ({ type, cursor, streams, frame }) => {
			const topics = streams.map(({ topic }) => topic).join(' ');
			told.push(`publish ${type} ${cursor} to ${topics}: ${frame}`);
		},
		onFatal: (error) => fatal.push(error),
		onDefect: (error) => defects.push(error),
		queueMax,
	});
	const column = <T>(sql: string): T[] => outside.query(sql).values().flat() as T[];

	return {
		path,
		writer,
		clock,
		generations,
		told,
		defects,
		fatal,
		/** A connection of the test's own: it sees what is committed. */
		outside,
		/** The connection that the writer has now. */
		connection: (): Database => connections.at(-1) ?? outside,
		connections,
		/** Commits a change that stores one note, with as many events. */
		note: (text: string, { scope = ACME, events = 0 } = {}): Promise<string> =>
			writer.commit(scope, (tx) => {
				tx.insert(text);
				return { value: text, events: Array.from({ length: events }, () => event(text)) };
			}),
		notes: (): string[] => column('SELECT text FROM notes ORDER BY id'),
		cursors: ({ tenant }: Scope): number[] =>
			column(`SELECT cursor FROM events WHERE tenant = ${tenant} ORDER BY cursor`),
		head: ({ tenant }: Scope): number | undefined =>
			column<number>(`SELECT last_cursor FROM tenant_heads WHERE tenant = ${tenant}`)[0],
		/** What clients would be shown. */
		seen: (): unknown[] => reader.db.query('SELECT text FROM notes ORDER BY id').values().flat(),
		async end(): Promise<void> {
			outside.close();
			await realFolder.close();
			if (writer.isWritable) writer.close();
			reader.close();
		},
	};
}

const STREAM: Stream = { key: 'r/1', topic: 'r/room_1' };

/** An event of the one stream there is. */
export const event = (text: string, rest: Partial<PendingEvent> = {}): PendingEvent => ({
	type: 'note.added',
	frame: 'note.added',
	stream: STREAM,
	data: { text },
	...rest,
});

/** An effect that is easy to tell apart. */
export const effect = (name: 'member.joined' | 'room.closed'): Effect =>
	({ name, tenant_id: ACME.tenant_id, room_id: 'room_1', user_id: 'u' }) as Effect;

/** What a promise was rejected with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
	const marker = {};
	const settled = await promise.then(
		() => marker,
		(error: unknown) => error,
	);
	if (settled === marker) throw new Error('It was not rejected');
	return settled;
}

/** Throws what SQLite does, from a real statement that it refuses for lack of room. */
export function limitPages(db: Database): () => void {
	const { page_count } = db.query<{ page_count: number }, []>('PRAGMA page_count').get() ?? {
		page_count: 0,
	};
	db.run(`PRAGMA max_page_count = ${page_count}`);
	return () => db.run('PRAGMA max_page_count = 1073741823');
}
