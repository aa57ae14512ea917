import { closeSync, fdatasyncSync, openSync, statfsSync, writeSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { spreadOf } from './compare.ts';
import type { Machine } from './report.ts';

/** From linux/magic.h: what `statfs` calls the file systems that matter here. */
const FILE_SYSTEMS = new Map([
	[0x01021994, 'tmpfs'],
	[0x858458f6, 'ramfs'],
	[0xef53, 'ext4'],
	[0x58465342, 'xfs'],
	[0x9123683e, 'btrfs'],
	[0x794c7630, 'overlayfs'],
]);

const SYNCS = 100;

/**
 * Where this runs, for the report.
 *
 * @throws when the folder lies in memory: a sync that costs nothing makes every figure a lie.
 */
export function machineAt(folder: string): Machine {
	const type = statfsSync(folder).type;
	const file_system = FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
	if (file_system === 'tmpfs' || file_system === 'ramfs') {
		throw new Error(`${folder} is ${file_system}: the benchmark needs a real disk (--work)`);
	}
	return {
		cores: cpus().length,
		cpu: cpus()[0]?.model ?? 'unknown',
		kernel: release(),
		bun: Bun.version,
		file_system,
		sync_ms: syncMs(join(folder, 'sync-probe')),
	};
}

function syncMs(path: string): number {
	const file = openSync(path, 'w');
	const page = Buffer.alloc(4_096, 1);
	const took = Array.from({ length: SYNCS }, () => {
		const begin = performance.now();
		writeSync(file, page);
		fdatasyncSync(file);
		return performance.now() - begin;
	});
	closeSync(file);
	return spreadOf(took).median;
}
