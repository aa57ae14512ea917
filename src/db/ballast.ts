import { closeSync, existsSync, openSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../core/random.ts';

/** A file that holds nothing but room, to be had back when the disk has none left. */
export interface Ballast {
	readonly bytes: number;
	/** Whether it was given up, and not made since: by an earlier process too. */
	readonly isReleased: boolean;
	/** Brings it to this size. @throws what the file system says; then it takes no room at all. */
	make(size: number): void;
	/** Gives its room back, where that can be done. Safe to call again, and without a file. */
	release(): void;
}

const BLOCK_BYTES = 256 * 1024;

/**
 * The ballast of a data directory. It is written, not merely sized, and with noise: a file of holes
 * takes no room, and zeros take none where the file system compresses.
 */
export function openBallast(dir: string, random: Pick<Random, 'bytes'>): Ballast {
	const path = join(dir, 'ballast');
	const bytes = () => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
	const release = () => {
		try {
			if (bytes() > 0) truncateSync(path, 0);
		} catch {
			// Not ours to write: as if there were none.
		}
	};

	function write(size: number): void {
		const file = openSync(path, 'w', 0o600);
		try {
			for (let left = size; left > 0; ) {
				left -= writeSync(file, random.bytes(Math.min(left, BLOCK_BYTES)));
			}
		} finally {
			closeSync(file);
		}
	}

	return {
		get bytes() {
			return bytes();
		},
		get isReleased() {
			return existsSync(path) && bytes() === 0;
		},
		make(size) {
			if (bytes() >= size) {
				if (bytes() > size) truncateSync(path, size);
				return;
			}
			try {
				write(size);
			} catch (error) {
				release();
				throw error;
			}
		},
		release,
	};
}
