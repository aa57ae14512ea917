/**
 * What each client must have been told, worked out by hand from the database in the end: every event
 * of a room while the user was in it, its own coming and going included.
 */
import { Database } from 'bun:sqlite';
import type { Frame } from '../../examples/client.ts';
import type { Follower } from './chaos-clients.ts';

interface LogRow {
	cursor: number;
	type: string;
	room_id: string;
	payload: string | null;
	content: string | null;
	seq: number | null;
	message_id: string | null;
}

/** An event that a user must be told. */
interface Line {
	/** Enough to tell it from any other. */
	text: string;
	room_id: string;
	content: string | null;
	/** Whether the user itself came or went. */
	own?: 'came' | 'went';
}

const textOf = (cursor: number, type: string, ...rest: unknown[]) =>
	[cursor, type.replace('message.created', 'message'), ...rest].join(' ');

const numberOf = (cursor: string): number => Number.parseInt(cursor.slice(5), 32);

const textsOf = (told: readonly Frame[]): string[] =>
	told.map(({ cursor = '', type, seq, message_id }) =>
		type === 'message'
			? textOf(numberOf(cursor), type, seq, message_id)
			: textOf(numberOf(cursor), type),
	);

/** By user, from each one's `start` on. */
export type Truth = ReadonlyMap<string, readonly Line[]>;

/** Reads the log of the only tenant; `members` is who was in each room before anything happened. */
export function truthOf(
	path: string,
	followers: readonly Follower[],
	members: ReadonlyMap<string, ReadonlySet<string>>,
): Truth {
	const inside = new Map([...members].map(([room_id, users]) => [room_id, new Set(users)]));
	const starts = new Map(followers.map(({ user, start }) => [user, numberOf(start)]));
	const from = Math.min(...starts.values());
	const truth = new Map(followers.map(({ user }) => [user, [] as Line[]]));
	for (const { cursor, type, room_id, payload, content, seq, message_id } of readLog(path)) {
		if (cursor <= from) continue;
		const users = inside.get(room_id) ?? new Set<string>();
		inside.set(room_id, users);
		const data = JSON.parse(payload ?? '{}');
		const added: string[] = (data.members ?? []).map(({ user_id }: Frame) => user_id);
		if (type === 'member.added') for (const user of added) users.add(user);
		const text = seq === null ? textOf(cursor, type) : textOf(cursor, type, seq, message_id);
		for (const user of users) {
			if (cursor <= (starts.get(user) ?? 0)) continue;
			const line: Line = { text, room_id, content };
			if (type === 'member.added' && added.includes(user)) line.own = 'came';
			if (type === 'member.removed' && data.user_id === user) line.own = 'went';
			truth.get(user)?.push(line);
		}
		if (type === 'member.removed') users.delete(data.user_id);
	}
	return truth;
}

function readLog(path: string): LogRow[] {
	const db = new Database(path, { readonly: true });
	try {
		return db
			.query<LogRow, []>(
				`SELECT e.cursor, e.type, r.room_id, e.payload, m.content, m.seq, m.message_id
				FROM events e
				JOIN rooms r ON r.tenant = e.tenant AND 'r/' || r.room = e.stream
				LEFT JOIN messages m ON m.tenant = e.tenant AND m.room = r.room AND m.seq = e.ref
				ORDER BY e.cursor`,
			)
			.all();
	} finally {
		db.close();
	}
}

/**
 * What a client need not have been told: the end of an earlier membership, when it came back while it
 * was away; `member.added` about itself says so. See docs/adr/0008-resume-by-streams.md.
 *
 * Each of it must be followed by nothing but such lines of its room, up to the going, and then by a
 * coming of which it was told in a replay, or which is excused itself.
 */
function excusedOf(
	lines: readonly Line[],
	isTold: (line: Line) => boolean,
	isReplayed: (line: Line) => boolean,
): Set<Line> {
	const excused = new Set<Line>();
	for (const ofRoom of Map.groupBy(lines, ({ room_id }) => room_id).values()) {
		let isExcused = false;
		let cameBack = false;
		for (const line of ofRoom.toReversed()) {
			if (isTold(line)) isExcused = false;
			else if (line.own === 'went') isExcused = cameBack;
			if (isExcused) excused.add(line);
			if (line.own !== undefined || isTold(line)) {
				cameBack = line.own === 'came' && (isExcused || isReplayed(line));
			}
		}
	}
	return excused;
}

/** Whether a client has got as far as it must. */
export const isCaughtUp = (truth: Truth, { user, told, isLive }: Follower): boolean =>
	isLive && textsOf(told.slice(-1))[0] === truth.get(user)?.at(-1)?.text;

export interface Comparison {
	differences: string[];
	/** Contents that it need not have been told. */
	excused: ReadonlySet<string | null>;
}

/** How what a client was told differs from what it must have been told. */
export function compare(truth: Truth, { user, told, replayed }: Follower): Comparison {
	const is = textsOf(told);
	const has = new Set(is);
	const lines = truth.get(user) ?? [];
	const again = new Set(textsOf([...replayed]));
	const excused = excusedOf(
		lines,
		({ text }) => has.has(text),
		({ text }) => again.has(text),
	);
	const must = lines.filter((line) => !excused.has(line)).map(({ text }) => text);
	const contents = new Set([...excused].map(({ content }) => content));
	const at = is.findIndex((text, index) => text !== must[index]);
	const first = at === -1 ? is.length : at;
	if (at === -1 && is.length === must.length) return { differences: [], excused: contents };
	const difference =
		`${user} was told ${is.length} of ${must.length} events, and ` +
		`“${is[first]}” for “${must[first]}” at ${first}, after “${is[first - 1]}”`;
	return { differences: [difference], excused: contents };
}
