import type { RoomId, RoomNo, TenantNo } from '../../../core/ids.ts';
import type { Stored } from '../../../db/client.ts';
import type { Cursors, EventsStore, LogRow, StreamRow } from '../store.ts';
import { EventsPruned } from './logged.ts';

/** What of one stream is to be replayed. An event that is in several is replayed once. */
export interface StreamPart extends Cursors {
	/** Its name in the log. */
	stream: string;
	/** Its notifications: of a room they are among its events, all others are found by their target. */
	isTarget?: true;
	/** Of a room. */
	room_id?: RoomId;
	/** Of a room, from which seq on its messages are replayed too; left out where none was missed. */
	messages?: { room: RoomNo; seq: number };
}

/** Rows of one kind of one stream, or of the log, as far as they were read. */
interface Source {
	rows: LogRow[];
	next: number;
	/** Reads those that follow this one; without one, the first. */
	read(after?: LogRow): Promise<LogRow[]>;
}

/** Read at once of one stream. What is held in memory is so many times the sources at most. */
const SOURCE_ROWS = 64;
const NO_ROOM = '' as RoomId;
/** Read at once of the log, which is one source. */
const LOG_ROWS = 256;

/**
 * The events of several streams in the order of their cursors, in pages of at most `limit`. Each page is
 * read when it is asked for; what is pruned by then is left out.
 */
export function readStreams(
	events: Stored<EventsStore>,
	tenant: TenantNo,
	parts: readonly StreamPart[],
	limit: number,
): AsyncGenerator<LogRow[], void, void> {
	return merge(
		parts.flatMap((part) => sourcesOf(events, tenant, part)),
		limit,
	);
}

/**
 * The same, read from the log between two cursors that all parts lie in: all messages of each. Cheaper where
 * the log is short and the streams are many.
 *
 * @throws EventsPruned where some of the log is gone by then: messages would be missing.
 */
export function readLog(
	events: Stored<EventsStore>,
	tenant: TenantNo,
	parts: readonly StreamPart[],
	cursors: Cursors,
	limit: number,
): AsyncGenerator<LogRow[], void, void> {
	const targets = parts.filter(({ isTarget }) => isTarget);
	const source = logSource(
		events,
		tenant,
		parts.filter(({ isTarget }) => !isTarget),
		cursors,
	);
	return merge([source, ...targets.flatMap((part) => sourcesOf(events, tenant, part))], limit);
}

async function* merge(all: readonly Source[], limit: number): AsyncGenerator<LogRow[], void, void> {
	const sources: Source[] = [];
	for (const source of all) {
		source.rows = await source.read();
		if (source.rows.length > 0) sources.push(source);
	}
	// The next one last, where it is taken from without moving the others.
	sources.sort((one, other) => cursorOf(other) - cursorOf(one));
	let page: LogRow[] = [];
	let cursor = 0;
	for (let source = sources.pop(); source !== undefined; source = sources.pop()) {
		const other = sources.at(-1);
		const otherCursor = other === undefined ? Number.POSITIVE_INFINITY : cursorOf(other);
		// As many of it as come before any other's.
		while (source.rows.length > 0 && cursorOf(source) <= otherCursor) {
			const row = source.rows[source.next++] as LogRow;
			if (row.cursor !== cursor) page.push(row);
			cursor = row.cursor;
			if (page.length === limit) {
				yield page;
				page = [];
			}
			if (source.next < source.rows.length) continue;
			source.rows = await source.read(row);
			source.next = 0;
		}
		if (source.rows.length > 0) sources.splice(placeOf(source, sources), 0, source);
	}
	if (page.length > 0) yield page;
}

function sourcesOf(
	events: Stored<EventsStore>,
	tenant: TenantNo,
	{ stream, isTarget, after, through, messages }: StreamPart,
): Source[] {
	const readStream = isTarget ? events.readTarget : events.readStream;
	const sources = [
		inPages(SOURCE_ROWS, (row, limit) =>
			readStream(tenant, stream, { after: row?.cursor ?? after, through }, limit),
		),
	];
	if (messages === undefined) return sources;
	const { room, seq } = messages;
	sources.push(
		inPages(SOURCE_ROWS, (row, limit) =>
			events.readMessages(tenant, room, row === undefined ? seq : row.seq + 1, through, limit),
		),
	);
	return sources;
}

/** A source that ends with the first page that is not full. */
function inPages(
	limit: number,
	read: (after: LogRow | undefined, limit: number) => LogRow[] | Promise<LogRow[]>,
): Source {
	let isOver = false;
	return {
		...{ rows: [], next: 0 },
		async read(after) {
			if (isOver) return [];
			const rows = await read(after, limit);
			isOver = rows.length < limit;
			return rows;
		},
	};
}

function logSource(
	events: Stored<EventsStore>,
	tenant: TenantNo,
	parts: readonly StreamPart[],
	{ after, through }: Cursors,
): Source {
	const ofStream = new Map<string, StreamPart[]>();
	for (const part of parts) {
		const same = ofStream.get(part.stream);
		if (same === undefined) ofStream.set(part.stream, [part]);
		else same.push(part);
	}
	const streams = JSON.stringify([...ofStream.keys()]);
	const partOf = ({ stream, cursor }: StreamRow): StreamPart | undefined =>
		ofStream.get(stream)?.find((part) => cursor > part.after && cursor <= part.through);
	/** The last that was read, wanted or not. */
	let last = after;
	let isOver = false;
	return {
		...{ rows: [], next: 0 },
		async read() {
			for (const wanted: LogRow[] = []; !isOver; ) {
				const from = last;
				const rows = await events.readStreams(tenant, streams, { after: from, through }, LOG_ROWS);
				// After the rows: what is not pruned now was not when they were read.
				const ends = await events.findEnds(tenant);
				if (ends === undefined || ends.pruned_through > from) throw new EventsPruned();
				isOver = rows.length < LOG_ROWS;
				last = rows.at(-1)?.cursor ?? through;
				for (const row of rows) {
					const part = partOf(row);
					if (part === undefined) continue;
					wanted.push(Object.assign(row, { room_id: part.room_id ?? NO_ROOM }));
				}
				if (wanted.length > 0) return wanted;
			}
			return [];
		},
	};
}

const cursorOf = ({ rows, next }: Source): number => rows[next]?.cursor ?? 0;

/** Where a source belongs among those that are sorted, the one with the lowest cursor last. */
function placeOf(source: Source, sorted: readonly Source[]): number {
	const cursor = cursorOf(source);
	let from = 0;
	let to = sorted.length;
	while (from < to) {
		const middle = (from + to) >> 1;
		if (cursorOf(sorted[middle] as Source) > cursor) from = middle + 1;
		else to = middle;
	}
	return from;
}
