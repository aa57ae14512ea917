import type { RoomNo, TenantNo } from '../../../core/ids.ts';
import type { Stored } from '../../../db/client.ts';
import type { Cursors, EventsStore, LogRow } from '../store.ts';

/** What of one stream is to be replayed. An event that is in several is replayed once. */
export interface StreamPart extends Cursors {
	/** Its name in the log. */
	stream: string;
	/** Its notifications: of a room they are among its events, all others are found by their target. */
	isTarget?: true;
	/** Of a room, from which seq on its messages are replayed too; left out where none was missed. */
	messages?: { room: RoomNo; seq: number };
}

/** Rows of one kind of one stream, as far as they were read. */
interface Source {
	rows: LogRow[];
	next: number;
	/** Reads those that follow this one; without one, the first. */
	read(after?: LogRow): LogRow[] | Promise<LogRow[]>;
}

/** Read at once of one source. What is held in memory is so many times the sources at most. */
const SOURCE_ROWS = 64;

/**
 * The events of several streams in the order of their cursors, in pages of at most `limit`. Each page is
 * read when it is asked for; what is pruned by then is left out.
 */
export async function* readStreams(
	events: Stored<EventsStore>,
	tenant: TenantNo,
	parts: readonly StreamPart[],
	limit: number,
): AsyncGenerator<LogRow[], void, void> {
	const sources: Source[] = [];
	for (const source of parts.flatMap((part) => sourcesOf(events, tenant, part))) {
		source.rows = await source.read();
		if (source.rows.length > 0) sources.push(source);
	}
	// The next one last, where it is taken from without moving the others.
	sources.sort((one, other) => cursorOf(other) - cursorOf(one));
	let page: LogRow[] = [];
	let cursor = 0;
	for (let source = sources.pop(); source !== undefined; source = sources.pop()) {
		const row = source.rows[source.next++] as LogRow;
		if (row.cursor !== cursor) page.push(row);
		cursor = row.cursor;
		if (page.length === limit) {
			yield page;
			page = [];
		}
		if (source.next === source.rows.length) {
			source.rows = source.rows.length < SOURCE_ROWS ? [] : await source.read(row);
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
	const read = isTarget ? events.readTarget : events.readStream;
	const sources: Source[] = [
		{
			...{ rows: [], next: 0 },
			read: (row) => read(tenant, stream, { after: row?.cursor ?? after, through }, SOURCE_ROWS),
		},
	];
	if (messages === undefined) return sources;
	const { room } = messages;
	sources.push({
		...{ rows: [], next: 0 },
		read: (row) => {
			const seq = row === undefined ? messages.seq : row.seq + 1;
			return events.readMessages(tenant, room, seq, through, SOURCE_ROWS);
		},
	});
	return sources;
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
