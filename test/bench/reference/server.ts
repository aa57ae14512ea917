/**
 * The bare-Bun reference that the benchmark divides by: `Bun.serve` and `bun:sqlite`, nothing else.
 *
 * FROZEN. Every ratio ever published is relative to this file, so a change to it needs an ADR that
 * says why and gives the ratios before and after.
 *
 * It is a limit, not a product: no keys, no membership, no validation, no event log. What it shares
 * with the binary is the durability (WAL, `synchronous=FULL`, an answer only after the commit) and
 * the bytes on the wire (the message object of the contract). Per request: one JSON.parse, one
 * prepared insert, one serialisation, one native publish. Per `setImmediate` batch: one commit.
 */
import { Database } from 'bun:sqlite';
import { join } from 'node:path';

interface Draft {
	readonly room_id: string;
	readonly sender_id: string;
	readonly content: string;
	/** Called with the serialised message once it is on disk. */
	readonly answer: (json: string) => void;
}

interface Row {
	readonly seq: number;
	readonly sender_id: string;
	readonly content: string;
	readonly created_at: number;
}

interface SocketData {
	readonly room_id: string;
	readonly user_id: string;
}

const db = new Database(join(process.env.DATA_DIR ?? '.', 'reference.db'), { create: true });
for (const pragma of ['journal_mode=WAL', 'synchronous=FULL', 'busy_timeout=5000']) {
	db.run(`PRAGMA ${pragma}`);
}
db.run(`CREATE TABLE IF NOT EXISTS messages (
	room_id TEXT NOT NULL, seq INTEGER NOT NULL, sender_id TEXT NOT NULL, content TEXT NOT NULL,
	created_at INTEGER NOT NULL, PRIMARY KEY (room_id, seq)) WITHOUT ROWID`);

const insert = db.prepare<null, [string, number, string, string, number]>(
	'INSERT INTO messages (room_id, seq, sender_id, content, created_at) VALUES (?, ?, ?, ?, ?)',
);
const head = db.prepare<{ seq: number | null }, [string]>(
	'SELECT max(seq) AS seq FROM messages WHERE room_id = ?',
);
const pageAfter = db.prepare<Row, [string, number, number]>(
	'SELECT seq, sender_id, content, created_at FROM messages WHERE room_id = ? AND seq > ? ORDER BY seq LIMIT ?',
);
const pageNewest = db.prepare<Row, [string, number]>(
	'SELECT seq, sender_id, content, created_at FROM messages WHERE room_id = ? ORDER BY seq DESC LIMIT ?',
);

const seqs = new Map<string, number>();
const waiting: Draft[] = [];
let cursors = 0;
let rooms = 0;

function nextSeq(roomId: string): number {
	const seq = (seqs.get(roomId) ?? head.get(roomId)?.seq ?? 0) + 1;
	seqs.set(roomId, seq);
	return seq;
}

const messageOf = (roomId: string, row: Row, cursor: number) => ({
	cursor: cursor.toString().padStart(16, '0'),
	room_id: roomId,
	message_id: `msg_${row.seq.toString().padStart(26, '0')}`,
	seq: row.seq,
	kind: 'user',
	sender_id: row.sender_id,
	content: row.content,
	meta: null,
	client_msg_id: null,
	created_at: new Date(row.created_at).toISOString(),
});

function send(draft: Draft): void {
	if (waiting.push(draft) === 1) setImmediate(commitWaiting);
}

const insertAll = db.transaction((drafts: readonly Draft[]) => {
	const created_at = Date.now();
	return drafts.map(({ room_id, sender_id, content }) => {
		const seq = nextSeq(room_id);
		insert.run(room_id, seq, sender_id, content, created_at);
		return JSON.stringify(messageOf(room_id, { seq, sender_id, content, created_at }, ++cursors));
	});
});

function commitWaiting(): void {
	const batch = waiting.splice(0);
	const stored = insertAll.immediate(batch);
	for (const [index, draft] of batch.entries()) {
		const json = stored[index] ?? '';
		server.publish(draft.room_id, `{"type":"message",${json.slice(1)}`);
		draft.answer(json);
	}
}

function history(roomId: string, query: URLSearchParams): Response {
	const limit = Number(query.get('limit') ?? 50);
	const after = query.get('after_seq');
	const rows =
		after === null
			? pageNewest.all(roomId, limit).reverse()
			: pageAfter.all(roomId, Number(after), limit);
	const messages = rows.map((row) => messageOf(roomId, row, row.seq));
	return Response.json({ messages, has_more: rows.length === limit });
}

const JSON_201 = { status: 201, headers: { 'content-type': 'application/json' } };

const server = Bun.serve({
	hostname: '127.0.0.1',
	port: 0,
	development: false,
	routes: {
		'/health': () => Response.json({ status: 'ok' }),
		'/rooms': {
			POST: () => {
				const room_id = `room_${Date.now().toString(36)}${(++rooms).toString().padStart(18, '0')}`;
				return Response.json({ room_id }, { status: 201 });
			},
		},
		'/rooms/:room_id/messages': {
			GET: (request) => history(request.params.room_id, new URL(request.url).searchParams),
			POST: async (request) => {
				const { content } = JSON.parse(await request.text());
				const { room_id } = request.params;
				const sender_id = request.headers.get('x-user-id') ?? '';
				return new Promise<Response>((resolve) => {
					const answer = (json: string) => resolve(new Response(json, JSON_201));
					send({ room_id, sender_id, content, answer });
				});
			},
		},
		'/ws': (request, server) => {
			const room_id = new URL(request.url).searchParams.get('room_id') ?? '';
			const user_id = request.headers.get('x-user-id') ?? '';
			const isUpgraded = server.upgrade(request, { data: { room_id, user_id } });
			return isUpgraded ? undefined : new Response(null, { status: 426 });
		},
	},
	websocket: {
		data: {} as SocketData,
		perMessageDeflate: false,
		closeOnBackpressureLimit: true,
		backpressureLimit: 1024 * 1024,
		maxPayloadLength: 512 * 1024,
		idleTimeout: 60,
		sendPings: true,
		open(socket) {
			socket.subscribe(socket.data.room_id);
			socket.send('{"type":"connected"}');
		},
		message(socket, text) {
			const { request_id, room_id, content } = JSON.parse(String(text));
			const answer = (json: string) =>
				socket.send(`{"type":"reply","request_id":"${request_id}","ok":true,"data":${json}}`);
			send({ room_id, sender_id: socket.data.user_id, content, answer });
		},
	},
});

process.on('SIGTERM', () => {
	server.stop(true);
	db.close();
	process.exit(0);
});
console.log(JSON.stringify({ level: 'info', msg: 'Listening', url: server.url.href }));
