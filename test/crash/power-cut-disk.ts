/**
 * A disk of its own whose power can be cut: ext4 in a file, mounted over a loop device. A cut takes
 * away what was written and not yet synced, as the loss of power does; what had reached the disk
 * stays, and the next mount replays the file system's journal.
 *
 * Takes Linux, root and loop devices. Whoever makes one removes it; what a run that was killed left
 * behind is removed by the next.
 */
import { dlopen } from 'bun:ffi';
import {
	closeSync,
	existsSync,
	fstatSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readdirSync,
	readFileSync,
	realpathSync,
	rmSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../helpers/wait.ts';

/** Sparse: it takes what is written to it. */
const DISK_BYTES = 1024 * 1024 * 1024;
/** The name goes on with the process that made it. */
const PREFIX = 'chatapi-power-cut-';
const COMMAND_DEADLINE_MS = 20_000;
/** As the list of mounts names it. */
const PARENT = realpathSync(tmpdir());

/** @see https://www.kernel.org/doc/html/latest/filesystems/ext4/ and linux/fs/ext4/ext4.h */
const EXT4_IOC_SHUTDOWN = 0x8004587dn;
/** Not even the file system's own journal is written any more. */
const EXT4_GOING_FLAGS_NOLOGFLUSH = 2;
const LOOP_MAJOR = 7n;

export interface Disk {
	/** Where its file system is mounted. */
	readonly path: string;
	/** Cuts the power: from here on the file system refuses every write and sync. */
	cut(): void;
	/** Gives it power again: whoever used it must be gone. */
	remount(): Promise<void>;
	remove(): Promise<void>;
}

const disks = new Set<string>();
process.on('exit', () => {
	for (const folder of disks) removeAtOnce(folder);
});

/** Runs a program to its end. @throws with what it said when it fails. */
function run(program: string, ...args: string[]): void {
	const { exitCode, stderr } = Bun.spawnSync([program, ...args], {
		stdout: 'ignore',
		timeout: COMMAND_DEADLINE_MS,
	});
	if (exitCode !== 0) throw new Error(`${program} ended with ${exitCode}: ${stderr}`.trim());
}

/** Makes a disk and mounts it. @throws when this machine cannot. */
export function createDisk(): Disk {
	const folder = mkdtempSync(join(PARENT, `${PREFIX}${process.pid}-`));
	const image = join(folder, 'image');
	const path = join(folder, 'mounted');
	// The loop device goes with the mount, however that ends.
	const mount = () => run('mount', '-t', 'ext4', '-o', 'loop', image, path);
	disks.add(folder);
	try {
		mkdirSync(path);
		writeFileSync(image, '');
		truncateSync(image, DISK_BYTES);
		run('mkfs.ext4', '-q', '-F', image);
		mount();
	} catch (error) {
		removeAtOnce(folder);
		throw error;
	}
	return {
		path,
		cut: () => shutDown(path),
		async remount() {
			// Whoever was killed may hold it for another moment.
			await eventually(() => unmount(path), COMMAND_DEADLINE_MS, 'the disk to be let go of');
			mount();
		},
		async remove() {
			await eventually(() => unmount(path), COMMAND_DEADLINE_MS, 'the disk to be let go of').catch(
				() => {},
			);
			removeAtOnce(folder);
		},
	};
}

function unmount(path: string): true {
	run('umount', path);
	return true;
}

/** Takes a disk away from whoever still uses it. */
function removeAtOnce(folder: string): void {
	const path = join(folder, 'mounted');
	if (isMounted(path)) Bun.spawnSync(['umount', '--lazy', path], { stderr: 'ignore' });
	if (!isMounted(path)) rmSync(folder, { recursive: true, force: true });
	disks.delete(folder);
}

const isMounted = (path: string): boolean =>
	readFileSync('/proc/self/mounts', 'utf8').includes(` ${path} `);

/** Shuts the file system down. @throws when it is not one of a loop device: never this machine's own. */
function shutDown(path: string): void {
	const directory = openSync(path, 'r');
	try {
		const { dev } = fstatSync(directory, { bigint: true });
		if (((dev >> 8n) & 0xfffn) !== LOOP_MAJOR) throw new Error(`${path} is no loop device`);
		const flags = new Uint32Array([EXT4_GOING_FLAGS_NOLOGFLUSH]);
		const result = libc().symbols.ioctl(directory, EXT4_IOC_SHUTDOWN, flags);
		if (result !== 0) throw new Error(`The file system of ${path} cannot be shut down`);
	} finally {
		closeSync(directory);
	}
}

const libc = () =>
	dlopen('libc.so.6', { ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } } as const);

/** Removes what runs that were killed have left: a process that is gone uses no disk. */
function removeLeftovers(): void {
	for (const name of readdirSync(PARENT)) {
		const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('-')[0] : undefined;
		if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeAtOnce(join(PARENT, name));
	}
}

/** Why no disk can be made here; undefined when one was made, cut and mounted again. */
export async function whyNoDisk(): Promise<string | undefined> {
	if (process.platform !== 'linux') return 'ext4 is shut down on Linux only';
	if (process.getuid?.() !== 0) return 'mounting takes root';
	for (const program of ['mkfs.ext4', 'mount', 'umount', 'setpriv']) {
		if (Bun.which(program) === null) return `no ${program}`;
	}
	removeLeftovers();
	let disk: Disk | undefined;
	try {
		disk = createDisk();
		disk.cut();
		await disk.remount();
		return undefined;
	} catch (error) {
		const [first = ''] = String(error instanceof Error ? error.message : error).split('\n');
		return `no disk of its own: ${first}`;
	} finally {
		await disk?.remove();
	}
}
