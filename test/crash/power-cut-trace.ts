/**
 * What a power cut would have left of a database, worked out from the trace that power-cut-shim.c
 * keeps. What a sync covers stays; of what no sync covers yet each file keeps all, nothing, a
 * beginning, or any sectors in any order: a disk promises no more.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Randomness } from './randomness.ts';

const SHIM = join(import.meta.dir, 'power-cut-shim.c');
const HEADER_BYTES = 16;
const SECTOR_BYTES = 512;
/** As the shim numbers them. */
const KINDS = [undefined, 'write', 'truncate', 'sync', 'unexpected'] as const;
const FILES = ['database', 'log'] as const;
type File = (typeof FILES)[number];

export interface TraceRecord {
	kind: 'write' | 'truncate' | 'sync';
	file: File;
	/** Of the data; of a truncation, the new size; of a sync, how much of the trace it covers. */
	offset: number;
	data: Uint8Array;
	/** Where the record ends in the trace. */
	end: number;
}

/** Compiles the shim into a folder. Returns its path, or undefined when this machine cannot. */
export function compileShim(folder: string): string | undefined {
	const path = join(folder, 'shim.so');
	if (process.platform !== 'linux' || Bun.which('cc') === null) return undefined;
	const command = ['cc', '-shared', '-fPIC', '-O2', '-o', path, SHIM, '-ldl', '-lpthread'];
	const { exitCode } = Bun.spawnSync(command, { stdout: 'ignore', stderr: 'ignore' });
	return exitCode === 0 ? path : undefined;
}

/** Reads a trace. @throws when the server did to the files what no record can say. */
export function readTrace(path: string): TraceRecord[] {
	const bytes = readFileSync(path);
	const records: TraceRecord[] = [];
	for (let at = 0; at < bytes.length; ) {
		const kind = KINDS[bytes.readUInt8(at)];
		const file = FILES[bytes.readUInt8(at + 1) - 1];
		const length = bytes.readUInt32LE(at + 4);
		const end = at + HEADER_BYTES + length;
		if (kind === undefined || kind === 'unexpected' || file === undefined || end > bytes.length) {
			throw new Error(`The trace says at ${at} what cannot be rebuilt: ${kind} of ${file}`);
		}
		const offset = Number(bytes.readBigUInt64LE(at + 8));
		records.push({ kind, file, offset, data: bytes.subarray(at + HEADER_BYTES, end), end });
		at = end;
	}
	return records;
}

/** A file in memory that grows. */
class Image {
	#bytes: Uint8Array;
	#size: number;

	constructor(bytes: Uint8Array) {
		this.#bytes = bytes.slice();
		this.#size = bytes.length;
	}

	get content(): Uint8Array {
		return this.#bytes.subarray(0, this.#size);
	}

	/** Applies a record, of a write only the sectors that are wanted. */
	apply({ kind, offset, data }: TraceRecord, isWanted: (sector: number) => boolean): void {
		if (kind === 'truncate') {
			this.#resize(offset);
			return;
		}
		for (let from = 0; from < data.length; ) {
			const sector = Math.floor((offset + from) / SECTOR_BYTES);
			const to = Math.min(data.length, (sector + 1) * SECTOR_BYTES - offset);
			if (isWanted(sector)) {
				if (offset + to > this.#size) this.#resize(offset + to);
				this.#bytes.set(data.subarray(from, to), offset + from);
			}
			from = to;
		}
	}

	#resize(size: number): void {
		if (size > this.#bytes.length) {
			const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2));
			grown.set(this.content);
			this.#bytes = grown;
		}
		// What lies beyond the end is not there: it reads as zeros once the file grows again.
		if (size < this.#size) this.#bytes.fill(0, size, this.#size);
		this.#size = size;
	}
}

const HOW = ['all', 'nothing', 'a beginning', 'any sectors'] as const;

export interface Replay {
	/** Goes on to where the trace has this many records; never back. */
	advance(count: number): void;
	/** Writes what a cut here might leave into a folder. Returns what became of the unsynced. */
	leaveIn(folder: string, random: Randomness): { unsynced: number; how: string };
	/** What the files hold while the power stays on. */
	current(file: File): Uint8Array;
}

/** Follows a trace from the files that it began with. */
export function createReplay(
	records: readonly TraceRecord[],
	before: Readonly<Record<File, Uint8Array>>,
): Replay {
	const synced = { database: new Image(before.database), log: new Image(before.log) };
	const unsynced: Record<File, TraceRecord[]> = { database: [], log: [] };
	let done = 0;

	function advanceOne(record: TraceRecord): void {
		const waiting = unsynced[record.file];
		if (record.kind !== 'sync') {
			waiting.push(record);
			return;
		}
		for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
			if (first.end > record.offset) return;
			synced[record.file].apply(first, () => true);
			waiting.shift();
		}
	}

	function withUnsynced(file: File, how: (typeof HOW)[number], random: Randomness): Uint8Array {
		const image = new Image(synced[file].content);
		const waiting = unsynced[file];
		const kept = how === 'a beginning' ? random.between(0, waiting.length) : waiting.length;
		for (const record of waiting.slice(0, kept)) {
			const isKept = record.kind === 'write' || how !== 'any sectors' || random.chance(0.5);
			if (isKept) image.apply(record, () => how !== 'any sectors' || random.chance(0.5));
		}
		return image.content;
	}

	return {
		advance(count) {
			for (const record of records.slice(done, count)) advanceOne(record);
			done = Math.max(done, count);
		},
		leaveIn(folder, random) {
			const hows: string[] = [];
			for (const [file, name] of [
				['database', 'chatapi.db'],
				['log', 'chatapi.db-wal'],
			] as const) {
				const how = random.pick(HOW);
				hows.push(`${how} of ${unsynced[file].length} writes to the ${file}`);
				const content = how === 'nothing' ? synced[file].content : withUnsynced(file, how, random);
				writeFileSync(join(folder, name), content);
			}
			return {
				unsynced: unsynced.database.length + unsynced.log.length,
				how: hows.join(', '),
			};
		},
		current(file) {
			const image = new Image(synced[file].content);
			for (const record of unsynced[file]) image.apply(record, () => true);
			return image.content;
		},
	};
}
