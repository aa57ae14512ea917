import { Database } from 'bun:sqlite';
import { connect } from './client/connection.ts';
import type { Endpoint } from './client/load.ts';
import { FrameReader, upgradeRequest } from './client/wire.ts';
import { shown, spreadOf } from './compare.ts';
import type { Section } from './section.ts';
import { type Server, type Target, withDeadline } from './servers.ts';

/** A resume over reading the same rows by hand, at most. */
const RATIO_GOAL = 1.5;
const ROOMS = 200;
const EVENTS = 1_000;
const SENDS_AT_ONCE = 25;
const TIMES = 60;
const READER = 'user-reader';
const SPEAKER = 'user-speaker';
const DEADLINE_MS = 10_000;

interface Missed {
	readonly server: Server;
	readonly database: string;
	readonly room_ids: readonly string[];
	/** Before the first of them. */
	readonly cursor: string;
}

/**
 * A user in many rooms comes back to a thousand events: the time of a resume, which is that of a connect with
 * a cursor without that of one without, over the time in which hand-written SQL that knows where to
 * begin reads the same rows from the same file and puts them in order: the messages, room by room, and the
 * positions that moved with them. Of each, the first quartile counts: other work on the machine only adds.
 */
export async function resumeOf(
	target: Target,
	rounds: number,
	progress: (line: string) => void,
): Promise<Section> {
	const server = await target.start();
	try {
		const missed = await prepare(server, target.database);
		const read = createReading(missed, (sql) => sql);
		const readKept = createReading(missed, keptPrepared);
		const measured = { resume: [] as number[], sql: [] as number[], kept: [] as number[] };
		for (let round = 0; round < rounds; round++) {
			const times = {
				...{ plain: [] as number[], resumed: [] as number[] },
				...{ sql: [] as number[], kept: [] as number[] },
			};
			for (let time = 0; time < TIMES; time++) {
				times.plain.push(await visit(server, undefined));
				times.resumed.push(await visit(server, missed.cursor));
				times.sql.push(read());
				times.kept.push(readKept());
			}
			const [plain, resumed, sql, kept] = [times.plain, times.resumed, times.sql, times.kept].map(
				quartileOf,
			) as [number, number, number, number];
			measured.resume.push(resumed - plain);
			measured.sql.push(sql);
			measured.kept.push(kept);
			progress(
				`resume: round ${round + 1}/${rounds} connect ${shown(plain)} ms, with a cursor ${shown(resumed)} ms, SQL ${shown(sql)} ms, kept prepared ${shown(kept)} ms`,
			);
		}
		const title = `Resume of ${EVENTS} events in ${ROOMS} rooms, over hand-written SQL`;
		const plain = rowOf(title, measured.resume, measured.sql);
		const kept = rowOf(`${title} that is planned once`, measured.resume, measured.kept);
		const isMet = plain.median <= RATIO_GOAL;
		return {
			name: 'resume',
			rows: [
				{
					...plain.row,
					note: `lower is better; goal ≤ ${RATIO_GOAL}: ${isMet ? 'met' : 'MISSED'}`,
				},
				{ ...kept.row, note: 'lower is better' },
			],
		};
	} finally {
		await server.stop();
	}
}

/** The end of the fastest quarter. */
const quartileOf = (values: readonly number[]): number =>
	values.toSorted((one, other) => one - other)[values.length >> 2] ?? Number.NaN;

function rowOf(title: string, own: readonly number[], other: readonly number[]) {
	const { median, min, max } = spreadOf(own.map((ms, index) => ms / (other[index] ?? Number.NaN)));
	const row = {
		title,
		ratio: `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`,
		own: spreadOf(own).median,
		other: spreadOf(other).median,
		unit: 'ms',
	};
	return { row, median };
}

async function prepare(server: Server, database: string): Promise<Missed> {
	const room_ids: string[] = [];
	for (let room = 0; room < ROOMS; room++) {
		room_ids.push(await server.createRoom([READER, SPEAKER]));
	}
	const { port, api_key } = server.endpoint;
	const headers = {
		'x-api-key': api_key,
		'x-user-id': SPEAKER,
		'content-type': 'application/json',
	};
	const send = async (number: number) => {
		const room_id = room_ids[number % ROOMS];
		const answer = await fetch(`http://127.0.0.1:${port}/rooms/${room_id}/messages`, {
			method: 'POST',
			headers,
			body: JSON.stringify({ content: `${number} `.padEnd(100, 'x') }),
		});
		if (answer.status !== 201) throw new Error(`a send was answered ${answer.status}`);
		return ((await answer.json()) as { cursor: string }).cursor;
	};
	// The cursor of this one is before the thousand.
	const cursor = await send(0);
	for (let sent = 0; sent < EVENTS; sent += SENDS_AT_ONCE) {
		await Promise.all(Array.from({ length: SENDS_AT_ONCE }, (_, index) => send(sent + index)));
	}
	return { server, database, room_ids, cursor };
}

/** Opens a socket and leaves again: milliseconds to `connected`, or to the end of the replay. */
async function visit({ endpoint }: Server, cursor: string | undefined): Promise<number> {
	const connection = await connect(endpoint.port);
	const over = Promise.withResolvers<void>();
	let messages = 0;
	let positions = 0;
	const reader = new FrameReader((_opcode, bytes, start, end) => {
		const type = bytes.toString('latin1', start, Math.min(end, start + 24));
		if (type.startsWith('{"type":"message"')) messages++;
		if (type.startsWith('{"type":"positions"')) positions++;
		if (type.startsWith(cursor === undefined ? '{"type":"connected"' : '{"type":"replay.done"')) {
			over.resolve();
		}
	});
	let isUpgraded = false;
	connection.onData = (chunk) => {
		if (isUpgraded) return reader.push(chunk);
		isUpgraded = true;
		reader.push(chunk.subarray(chunk.indexOf('\r\n\r\n') + 4));
	};
	connection.onLost = (reason) => over.reject(new Error(reason));
	const begin = performance.now();
	connection.write(requestOf(endpoint, cursor));
	await withDeadline(over.promise, DEADLINE_MS, 'a resume');
	const ms = performance.now() - begin;
	connection.close();
	if (cursor !== undefined && (messages !== EVENTS || positions !== ROOMS)) {
		throw new Error(
			`a resume brought ${messages} of ${EVENTS} messages, ${positions} of ${ROOMS} positions`,
		);
	}
	return ms;
}

const requestOf = (endpoint: Endpoint, cursor: string | undefined): Buffer => {
	const path = cursor === undefined ? '/ws' : `/ws?cursor=${cursor}`;
	return upgradeRequest(endpoint, { path, user_id: READER, room_id: '' });
};

/**
 * A value behind a plus is one that SQLite does not look at while it plans: then it does not plan anew for each.
 *
 * @see `prepare` in src/db/statement.ts
 */
const keptPrepared = (sql: string): string => sql.replaceAll('?', '+?');

/** Reads the same rows by hand; returns how many milliseconds it took. */
function createReading(
	{ database, room_ids, cursor }: Missed,
	written: (sql: string) => string,
): () => number {
	const db = new Database(database, { readonly: true });
	const after = Number.parseInt(cursor.slice(5), 32);
	const places = room_ids.map((room_id) => {
		const place = db
			.query<{ tenant: number; room: number; seq: number }, [string, number]>(
				`SELECT r.tenant, r.room, (SELECT min(m.seq) FROM messages m
					WHERE m.tenant = r.tenant AND m.room = r.room AND m.cursor > ?2) AS seq
				FROM rooms r WHERE r.room_id = ?1`,
			)
			.get(room_id, after);
		if (place === null) throw new Error(`no room ${room_id}`);
		return place;
	});
	const ofRoom = db.prepare<{ cursor: number }, [number, number, number]>(
		written(`SELECT m.cursor, m.message_id, r.room_id, m.seq, m.sender_id, m.content, m.meta,
			m.client_msg_id, m.created_at
		FROM messages m JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		WHERE m.tenant = ? AND m.room = ? AND m.seq >= ? ORDER BY m.seq`),
	);
	const moved = db.prepare<{ room_id: string }, [number, string, number]>(
		written(`SELECT r.room_id, p.user_id, p.read_seq, p.delivered_seq
		FROM memberships m INDEXED BY memberships_by_user
		CROSS JOIN rooms r ON r.tenant = m.tenant AND r.room = m.room
		CROSS JOIN positions p ON p.tenant = m.tenant AND p.room = m.room
		WHERE m.tenant = ? AND m.user_id = ? AND p.changed_cursor > ?`),
	);
	return () => {
		const begin = performance.now();
		const rows = places
			.flatMap(({ tenant, room, seq }) => ofRoom.all(tenant, room, seq))
			.sort((one, other) => one.cursor - other.cursor);
		const positions = moved.all(places[0]?.tenant ?? 0, READER, after);
		const ms = performance.now() - begin;
		if (positions.length !== ROOMS) throw new Error(`SQL found ${positions.length} positions`);
		if (rows.length !== EVENTS) throw new Error(`SQL found ${rows.length} of ${EVENTS} events`);
		return ms;
	};
}
