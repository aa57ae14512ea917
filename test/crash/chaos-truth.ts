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
	seq: number | null;
	message_id: string | null;
}

/** An event that a user must be told. */
interface Line {
	/** Enough to tell it from any other. */
	text: string;
	/** Whether the user itself came. */
	hasCome: boolean;
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
	for (const { cursor, type, room_id, payload, seq, message_id } of readLog(path)) {
		if (cursor <= from) continue;
		const users = inside.get(room_id) ?? new Set<string>();
		inside.set(room_id, users);
		const data = JSON.parse(payload ?? '{}');
		const added: string[] = (data.members ?? []).map(({ user_id }: Frame) => user_id);
		if (type === 'member.added') for (const user of added) users.add(user);
		const text = seq === null ? textOf(cursor, type) : textOf(cursor, type, seq, message_id);
		for (const user of users) {
			if (cursor <= (starts.get(user) ?? 0)) continue;
			truth.get(user)?.push({ text, hasCome: added.includes(user) });
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
				`SELECT e.cursor, e.type, r.room_id, e.payload, m.seq, m.message_id
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

/** How often one of these came back while it was away: was added in an event that it was replayed. */
export const returnsOf = (truth: Truth, { user, replayed }: Follower): number => {
	const again = new Set(textsOf([...replayed]));
	return (truth.get(user) ?? []).filter(({ text, hasCome }) => hasCome && again.has(text)).length;
};

/** Whether a client has got as far as it must. */
export const isCaughtUp = (truth: Truth, { user, told, isLive }: Follower): boolean =>
	isLive && textsOf(told.slice(-1))[0] === truth.get(user)?.at(-1)?.text;

/** How what a client was told differs from what it must have been told. */
export function differencesOf(truth: Truth, { user, told }: Follower): string[] {
	const is = textsOf(told);
	const must = (truth.get(user) ?? []).map(({ text }) => text);
	const at = is.findIndex((text, index) => text !== must[index]);
	const first = at === -1 ? is.length : at;
	if (at === -1 && is.length === must.length) return [];
	return [
		`${user} was told ${is.length} of ${must.length} events, and ` +
			`“${is[first]}” for “${must[first]}” at ${first}, after “${is[first - 1]}”`,
	];
}

/**
 * How the positions that a client was told differ from those that are stored, in the rooms that it
 * was in from the beginning.
 */
export function misplacedOf(path: string, followers: readonly Follower[]): string[] {
	const db = new Database(path, { readonly: true });
	try {
		const stored = db
			.query<{ room_id: string; user_id: string; read_seq: number; delivered_seq: number }, []>(
				`SELECT r.room_id, p.user_id, p.read_seq, p.delivered_seq FROM positions p
				JOIN rooms r ON r.tenant = p.tenant AND r.room = p.room`,
			)
			.all();
		return followers.flatMap(({ user, positions, cameTo }) => {
			const own = new Set(stored.filter((row) => row.user_id === user).map((row) => row.room_id));
			return stored
				.filter(({ room_id }) => own.has(room_id) && !cameTo.has(room_id))
				.flatMap(({ room_id, user_id, read_seq, delivered_seq }) => {
					const [read, delivered] = positions.get(`${room_id} ${user_id}`) ?? [0, 0];
					if (read === read_seq && delivered === delivered_seq) return [];
					const is = `${read}/${delivered} for ${read_seq}/${delivered_seq}`;
					return [`${user} has ${user_id} at ${is} in ${room_id}`];
				});
		});
	} finally {
		db.close();
	}
}
