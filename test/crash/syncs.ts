/**
 * What the server asked of the operating system, from a protocol of strace: when what was written to
 * the log was synced, and when a client was told of it.
 */
import { readFileSync } from 'node:fs';

/** A marker stands in a message's content, and so in the log's pages and in every answer. */
export const markerOf = (number: number): string => `mark-${String(number).padStart(6, '0')}-`;
const MARKER = /mark-\d{6}-/g;

export const STRACE = [
	'strace',
	// As a grandchild: the process that was started is the server itself, to be signalled.
	'-D',
	'-f',
	'-y',
	'-s',
	'65536',
	'-e',
	'trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg',
] as const;

export interface Syncs {
	/** Syncs of the log. */
	count: number;
	/** Markers that some client was told of. */
	told: Set<string>;
	/** Markers that a client was told of before the sync that covers them. */
	early: Set<string>;
}

/** Reads a protocol from its start to its end. */
export function readSyncs(path: string): Syncs {
	const written = new Set<string>();
	const synced = new Set<string>();
	const told = new Set<string>();
	const early = new Set<string>();
	/** Threads in the middle of a sync of the log: what was written when it began is covered. */
	const inSync = new Map<string, string[]>();
	let count = 0;
	const finish = (markers: readonly string[]) => {
		count++;
		for (const marker of markers) synced.add(marker);
	};
	for (const line of readFileSync(path, 'latin1').split('\n')) {
		const [, thread = '', call = ''] = /^(\d+) +(.*)$/s.exec(line) ?? [];
		if (/^(fsync|fdatasync)\(\d+<[^>]*\/chatapi\.db-wal>/.test(call)) {
			if (call.includes('<unfinished')) inSync.set(thread, [...written]);
			else if (call.endsWith('= 0')) finish([...written]);
		} else if (/^<\.\.\. (fsync|fdatasync) resumed>/.test(call)) {
			const markers = inSync.get(thread);
			inSync.delete(thread);
			if (markers !== undefined && call.endsWith('= 0')) finish(markers);
		} else if (/^pwrite64\(\d+<[^>]*\/chatapi\.db-wal>/.test(call)) {
			for (const [marker] of call.matchAll(MARKER)) written.add(marker);
		} else if (/^(write|writev|sendto|sendmsg)\(\d+<(socket|TCP)/.test(call)) {
			for (const [marker] of call.matchAll(MARKER)) {
				told.add(marker);
				if (!synced.has(marker)) early.add(marker);
			}
		}
	}
	return { count, told, early };
}
