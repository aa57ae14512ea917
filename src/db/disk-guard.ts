/**
 * Refuses writes before the disk is full, for SQLite's log needs room to be folded into its file:
 * on a disk without any, neither a write nor a start would ever succeed again.
 *
 * Below the low-water mark nothing is written until there is clearly more room than that. Whatever
 * gets past the mark, because somebody else fills the disk between two looks at it, meets the
 * ballast: its room is given up so that the log can be folded, and taken again before writes go on.
 *
 * Called by: the writer, which asks `hasRoom` for every change and reports a full disk. Concurrency:
 * everything is synchronous, a look takes microseconds. Lifecycle: `start` once, `stop` once.
 *
 * Must never: log, look or touch a file per request.
 */
import { statfsSync } from 'node:fs';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { openBallast } from './ballast.ts';
import type { Folded } from './write-connection.ts';

/** What there is of a file system for a process without privileges. */
export interface Space {
	freeBytes: number;
	totalBytes: number;
}

export interface DiskGuardOptions {
	dir: string;
	lowWaterBytes: number;
	ballastBytes: number;
	log: Log;
	random: Pick<Random, 'bytes'>;
	/** @throws when the file system cannot be asked. */
	measure(dir: string): Space;
	/** Folds SQLite's log into its file as far as that goes, without waiting and without throwing. */
	fold(): Folded;
}

export interface DiskGuard {
	/** Whether changes may be written. Costs nothing to ask. */
	readonly hasRoom: boolean;
	/** As of the last look. */
	readonly freeBytes: number;
	/** SQLite found no room: its transaction is rolled back, and nothing may be written for now. */
	onFull(): void;
	/** Looks at the disk, and acts upon what it sees. */
	check(): void;
	/** Makes the ballast where there is room for it, and looks once a second from now on. */
	start(): void;
	stop(): void;
}

/** Room must come back within 5 s to those who wait for it; 64 MiB take a fast sender about 1 s. */
const LOOK_EVERY_MS = 1000;
/** Neither mark nor ballast takes more of a small file system than this. */
const SHARE_MAX = 1 / 20;
/** Writes go on this far above the mark only, so that they do not stop again at once. */
const RESUME_FACTOR = 1.25;

interface Look {
	freeBytes: number;
	markBytes: number;
	ballastBytes: number;
}

export const measureDisk = (dir: string): Space => {
	const { bavail, blocks, bsize } = statfsSync(dir);
	return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
};

export function createDiskGuard(options: DiskGuardOptions): DiskGuard {
	const { dir, log } = options;
	const ballast = openBallast(dir, options.random);
	let hasRoom = true;
	let isFolded = true;
	let freeBytes = 0;
	let isMeasured = true;
	let isBallastRefused = false;
	let timer: ReturnType<typeof setInterval> | undefined;

	/** A file system that cannot be asked is taken for a roomy one: SQLite will say when it is not. */
	function look(): Look {
		try {
			const space = options.measure(dir);
			freeBytes = space.freeBytes;
			isMeasured = true;
			const share = Math.floor(space.totalBytes * SHARE_MAX);
			return {
				freeBytes,
				markBytes: Math.min(options.lowWaterBytes, share),
				ballastBytes: Math.min(options.ballastBytes, share),
			};
		} catch (error) {
			if (isMeasured) log.warn({ err: error }, 'The free space of the disk cannot be measured');
			isMeasured = false;
			return { freeBytes: Infinity, markBytes: 0, ballastBytes: options.ballastBytes };
		}
	}

	/** `wasFull`: writes need more than the mark, as if they had been refused so far. */
	function check(wasFull = false): void {
		if (!isFolded) fold();
		const { freeBytes: free_bytes, markBytes, ballastBytes } = look();
		const missingBytes = Math.max(0, ballastBytes - ballast.bytes);
		const isClear =
			free_bytes >= markBytes * RESUME_FACTOR + missingBytes && makeBallast(ballastBytes);
		if (hasRoom && (free_bytes < markBytes || (wasFull && !isClear))) {
			refuse();
			const fields = { free_bytes, low_water_bytes: markBytes };
			log.error(fields, 'The disk is almost full: refusing writes');
		} else if (!hasRoom && isClear) {
			hasRoom = true;
			isFolded = true;
			log.info({ free_bytes }, 'There is room on the disk again: taking writes');
		}
	}

	/**
	 * That it can be made proves that there is room, whatever was measured: think of a quota. Where it
	 * cannot be made, writes that were not refused go on, and it is not tried every second.
	 */
	function makeBallast(size: number): boolean {
		if (hasRoom && isBallastRefused) return false;
		try {
			ballast.make(size);
			isBallastRefused = false;
			return true;
		} catch (error) {
			if (!isBallastRefused) log.warn({ err: error }, 'The ballast cannot be made');
			isBallastRefused = true;
			return false;
		}
	}

	function refuse(): void {
		hasRoom = false;
		fold();
	}

	/** Puts SQLite's log in order while there is room for it, at the cost of the ballast if need be. */
	function fold(): void {
		let folded = options.fold();
		if (folded === 'full' && ballast.bytes > 0) {
			ballast.release();
			folded = options.fold();
		}
		isFolded = folded === 'whole';
	}

	function onFull(): void {
		const wasRefusing = !hasRoom;
		// To be made again is its second use: nothing proves room better.
		ballast.release();
		refuse();
		look();
		if (!wasRefusing) log.error({ free_bytes: freeBytes }, 'The disk is full: refusing writes');
	}

	return {
		get hasRoom() {
			return hasRoom;
		},
		get freeBytes() {
			return freeBytes;
		},
		onFull,
		check: () => check(),
		start() {
			check(ballast.isReleased);
			timer ??= setInterval(() => check(), LOOK_EVERY_MS).unref();
		},
		stop: () => clearInterval(timer),
	};
}

/** What a start takes at most: a lock, the index of SQLite's log and the log's beginning. */
const START_BYTES_MAX = 1024 * 1024;

/**
 * Before anything else of a start: gives the ballast up where nothing could be opened otherwise.
 *
 * @throws when the file system cannot be asked.
 */
export function makeRoomToStart(dir: string, random: Pick<Random, 'bytes'>): void {
	if (measureDisk(dir).freeBytes < START_BYTES_MAX) openBallast(dir, random).release();
}
