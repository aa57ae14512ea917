/** A server with two tenants, and files of one of them. */
import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, expect } from 'bun:test';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBinary, type Server, startServer } from '../helpers/server.ts';
import {
	createGroup,
	createTenant,
	createToken,
	sendMessage,
	type TestTenant,
} from '../helpers/tenants.ts';
import type { Message, Room } from '../helpers/wire.ts';

/** In everything that Globex has. */
export const CANARY = 'the secret of Globex';

export interface Stage {
	folder: string;
	server: Server;
	acme: TestTenant;
	globex: TestTenant;
	/** Of Acme, with what was sent there; and of Globex. */
	room: Room;
	sent: Message[];
	globexRoom: Room;
	/** Acme, exported. */
	file: string;
}

export const databaseOf = ({ dataDir }: Pick<Server, 'dataDir'>) => join(dataDir, 'chatapi.db');

/** Types `chatapi import`. */
export const importInto = (dataDir: string, ...args: string[]) =>
	runBinary(['import', ...args], { DATA_DIR: dataDir }, 60_000);

/** A stage for all tests of a file. Its server must end well. */
export function useStage() {
	const stage = {} as Stage;
	const newDir = (): string => mkdtempSync(join(stage.folder, 'dir-'));

	/** Acme as a file. */
	async function exported(): Promise<string> {
		const target = join(newDir(), 'acme.db');
		const env = { DATA_DIR: stage.server.dataDir };
		const made = await runBinary(['export', stage.acme.tenant_id, target], env);
		expect(made).toMatchObject({ exitCode: 0, stdout: `${target}\n` });
		return target;
	}

	beforeAll(async () => {
		stage.folder = mkdtempSync(join(tmpdir(), 'chatapi-tenant-'));
		const server = await startServer({ dataDir: join(stage.folder, 'data') });
		stage.server = server;
		stage.globex = await createTenant(server, { name: 'Globex', metadata: { canary: CANARY } });
		stage.acme = await createTenant(server, { name: 'Acme' });
		// The same users and names on both sides.
		stage.globexRoom = await createGroup(stage.globex, 'alice', ['bob'], { name: CANARY });
		stage.room = await createGroup(stage.acme, 'alice', ['bob']);
		await createToken(stage.acme, 'bob');
		await stage.acme.as().put('/users/bob', { name: 'Bob' });
		stage.sent = [];
		for (let count = 0; count < 5; count++) {
			await sendMessage(stage.globex, 'alice', stage.globexRoom.room_id, `${CANARY} ${count}`);
			stage.sent.push(
				await sendMessage(stage.acme, 'alice', stage.room.room_id, `before ${count}`),
			);
		}
		stage.file = await exported();
	});
	afterAll(async () => {
		const { server } = stage;
		const exitCode = await server.stop();
		const hasSocket = existsSync(join(server.dataDir, 'chatapi.sock'));
		const complaints = server.log().filter(({ level }) => level === 'error');
		rmSync(stage.folder, { recursive: true, force: true });
		expect({ exitCode, hasSocket, complaints, stderr: server.stderr() }).toEqual({
			...{ exitCode: 0, hasSocket: false, complaints: [], stderr: '' },
		});
	});

	/** A copy of the file that something was done to. */
	function spoilt(spoil: (db: Database, path: string) => void): string {
		const path = join(newDir(), 'spoilt.db');
		copyFileSync(stage.file, path);
		const db = new Database(path, { readwrite: true, create: false });
		spoil(db, path);
		db.close();
		return path;
	}

	return {
		stage,
		newDir,
		exported,
		spoilt,
		/** Another server, of which nobody knows anything. */
		another: (dataDir = join(newDir(), 'data')): Promise<Server> =>
			startServer({ dataDir, env: { AUTH_FAILURES_PER_MINUTE: '0' } }),
		/** The file with so many more messages: enough for an import to take a while. */
		inflated: (messages: number): string => spoilt((db) => inflate(db, messages)),
	};
}

function inflate(db: Database, messages: number): void {
	db.run('BEGIN');
	db.run(
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${messages})
		INSERT INTO messages (tenant, room, seq, cursor, ordinal, message_id, sender_id, content, created_at)
		SELECT 1, h.room, h.last_seq + i, t.last_cursor + i, h.last_ordinal + i, 'msg_' || i, 'alice',
			'content ' || i || hex(zeroblob(100)), 0
		FROM n, room_heads h JOIN tenant_heads t ON t.tenant = h.tenant`,
	);
	db.run(
		`INSERT INTO events (tenant, cursor, stream, type, ref, payload, created_at)
		SELECT tenant, cursor, 'r/' || room, 'message.created', seq, NULL, 0 FROM messages
		WHERE message_id NOT LIKE 'msg\\_0%' ESCAPE '\\'`,
	);
	db.run(
		`UPDATE room_heads SET last_seq = last_seq + ${messages}, last_ordinal = last_ordinal + ${messages},
			last_cursor = last_cursor + ${messages}`,
	);
	db.run(`UPDATE tenant_heads SET last_cursor = last_cursor + ${messages}`);
	db.run('COMMIT');
}
