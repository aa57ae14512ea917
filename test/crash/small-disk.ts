/** A disk that is small and can be filled: a tmpfs, which takes root. */
import {
	closeSync,
	mkdtempSync,
	openSync,
	rmdirSync,
	rmSync,
	statfsSync,
	statSync,
	writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SmallDisk {
	readonly folder: string;
	freeBytes(): number;
	/** The size of a file on it, 0 where there is none. */
	sizeOf(name: string): number;
	/** Fills it with a file of somebody else's, but for so many bytes. */
	fill(leaveBytes: number): void;
	/** Takes that file away. */
	empty(): void;
	unmount(): void;
}

const BLOCK = new Uint8Array(64 * 1024);

/** Mounts one of so many MiB; undefined where that is not allowed. */
export function mountSmallDisk(mib: number): SmallDisk | undefined {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-full-'));
	const { exitCode } = Bun.spawnSync([
		'mount',
		'-t',
		'tmpfs',
		'-o',
		`size=${mib}m`,
		'tmpfs',
		folder,
	]);
	if (exitCode !== 0) {
		rmdirSync(folder);
		return undefined;
	}
	const hog = join(folder, 'hog');
	const freeBytes = () => {
		const { bavail, bsize } = statfsSync(folder);
		return bavail * bsize;
	};
	return {
		folder,
		freeBytes,
		sizeOf: (name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0,

		fill(leaveBytes) {
			const file = openSync(hog, 'a');
			try {
				for (let left = freeBytes() - leaveBytes; left > 0; ) {
					left -= writeSync(file, BLOCK, 0, Math.min(Math.ceil(left), BLOCK.length));
				}
			} catch (error) {
				// The server was faster with the last bytes: full is full.
				if ((error as { code?: unknown }).code !== 'ENOSPC') throw error;
			} finally {
				closeSync(file);
			}
		},

		empty: () => rmSync(hog, { force: true }),

		unmount() {
			Bun.spawnSync(['umount', folder]);
			rmdirSync(folder);
		},
	};
}
