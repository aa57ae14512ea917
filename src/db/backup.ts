/**
 * Copies of a whole database that can be proved whole, made while a server writes it.
 *
 * Called by: commands, in a process of their own. SQLite lets other processes read beside the one that
 * writes, so a backup costs the server nothing but the disk, and its log, which grows meanwhile.
 *
 * Must never: leave under its final name what is not whole, durable and checked.
 *
 * @see docs/adr/0017-backups-by-another-process.md
 */
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { type Clock, toTimestamp } from '../core/clock.ts';
import { measureDisk } from './disk-guard.ts';
import { openDraft } from './draft.ts';
import { runFileJob } from './file-jobs.ts';
import { openForReading } from './immutable.ts';
import {
	type LogState,
	type Manifest,
	manifestPath,
	manifestText,
	readManifest,
} from './manifest.ts';
import { DatabaseRefused, refusalOf } from './migrate.ts';
import { type SchemaVersion, schemaVersionOf } from './schema-version.ts';
import { digestOf, type FileDigest, syncPath } from './whole-file.ts';

/** What a long command is at. `done` and `total` are bytes; null where nobody can tell. */
export interface Progress {
	stage: 'copying' | 'hashing' | 'checking';
	done: number | null;
	total: number | null;
}

export type OnProgress = (progress: Progress) => void;

export interface CopyTask {
	/** The database of a data directory, whether it is served or not. */
	source: string;
	/** Where the copy will be; nothing may be there. */
	target: string;
	/** So much room stays free for the server. */
	lowWaterBytes: number;
	onProgress: OnProgress;
	/** Told of the whole, checked copy before it gets its name; what it throws keeps that from it. */
	record(copy: FileDigest): Promise<void>;
}

export interface BackupTask extends CopyTask {
	/** Of the executable. */
	version: string;
	clock: Pick<Clock, 'now'>;
}

/** How often a copy's growth is looked at. */
const LOOK_EVERY_MS = 250;

/**
 * Makes a backup and its manifest, and checks it as `verifyBackup` does before it gets its name.
 *
 * @throws DatabaseRefused, in one sentence, when there is nothing to copy, no room, or a copy that is not
 * sound; then nothing new is there.
 */
export async function backUp(task: BackupTask): Promise<Manifest> {
	const { source, target, onProgress } = task;
	const folder = dirname(target);
	if (existsSync(target)) throw new DatabaseRefused(`${target} is there already`);
	requireRoom(task);
	const draft = openDraft(folder);
	try {
		const copy = draft.path('copy.db');
		// Before the moment that the copy shows: what was answered by now is in it.
		const created_at = toTimestamp(task.clock.now());
		await withGrowth(task, copy, () => runFileJob({ name: 'copy', from: source, to: copy }));
		syncPath(copy);
		const digest = await digestOf(copy, (done) =>
			onProgress({ stage: 'hashing', done, total: sizeOf(copy) }),
		);
		const { schema, tenants } = await inspectSound(copy, onProgress);
		const manifest: Manifest = {
			format: 'chatapi-backup-1',
			created_at,
			version: task.version,
			file: basename(target),
			...digest,
			schema,
			tenants,
		};
		writeFileSync(draft.path('manifest'), manifestText(manifest), { mode: 0o600 });
		syncPath(draft.path('manifest'));
		await task.record(digest);
		// The manifest first: where the file is, so is its manifest.
		renameSync(draft.path('manifest'), manifestPath(target));
		renameSync(copy, target);
		syncPath(folder);
		return manifest;
	} catch (error) {
		throw refusalOf(error, source);
	} finally {
		draft.discard();
	}
}

/**
 * Proves that a file is the backup that its manifest tells of: the bytes, the schema, SQLite's own checks,
 * the tenants and the ends of their logs. Writes nothing.
 *
 * @throws DatabaseRefused with the first thing that is wrong.
 */
export async function verifyBackup(file: string, onProgress: OnProgress): Promise<Manifest> {
	const manifest = readManifest(requireFile(file));
	const { bytes: total } = manifest;
	requireSize(file, manifest);
	const digest = await digestOf(file, (done) => onProgress({ stage: 'hashing', done, total }));
	requireDigest(file, manifest, digest);
	await requireContents(file, manifest, onProgress);
	return manifest;
}

/** @returns the path. @throws DatabaseRefused when there is no such file. */
export function requireFile(file: string): string {
	const stats = statSync(file, { throwIfNoEntry: false });
	if (stats === undefined) throw new DatabaseRefused(`${file} is not there`);
	if (!stats.isFile()) throw new DatabaseRefused(`${file} is no file`);
	return file;
}

/** A cheap first look: most copies that went wrong are short. */
export function requireSize(file: string, { bytes }: Manifest): void {
	const actual = sizeOf(file);
	if (actual === bytes) return;
	throw new DatabaseRefused(`${file} has ${actual} bytes, and its manifest says ${bytes}`);
}

export function requireDigest(file: string, manifest: Manifest, digest: FileDigest): void {
	if (digest.sha256 === manifest.sha256 && digest.bytes === manifest.bytes) return;
	throw new DatabaseRefused(`${file} is not what was backed up: its SHA-256 is ${digest.sha256}`);
}

/** What is in a file of the right bytes: a manifest may have been made for a bad one. */
export async function requireContents(
	file: string,
	manifest: Manifest,
	onProgress: OnProgress,
): Promise<void> {
	const found = await inspectSound(file, onProgress);
	if (!Bun.deepEquals(found.schema, manifest.schema)) {
		throw new DatabaseRefused(`${file} has another schema than its manifest says`);
	}
	if (!Bun.deepEquals(found.tenants, manifest.tenants)) {
		throw new DatabaseRefused(`${file} has other tenants or logs than its manifest says`);
	}
}

/** The schema and tenants of a file. @throws DatabaseRefused when it is not sound, or not ours. */
async function inspectSound(
	path: string,
	onProgress: OnProgress,
): Promise<{ schema: SchemaVersion; tenants: LogState[] }> {
	try {
		const db = openForReading(path);
		try {
			const schema = schemaVersionOf(db, path);
			onProgress({ stage: 'checking', done: null, total: null });
			const [problem] = await runFileJob({ name: 'check', path });
			if (problem !== undefined) throw new DatabaseRefused(`${path} is damaged: ${problem}`);
			const tenants = db
				.query<LogState, []>(
					`SELECT t.tenant_id, h.epoch, h.last_cursor FROM tenants t
					JOIN tenant_heads h ON h.tenant = t.tenant ORDER BY t.tenant`,
				)
				.all();
			return { schema, tenants };
		} finally {
			db.close();
		}
	} catch (error) {
		throw refusalOf(error, path);
	}
}

/** A copy that fills the disk would stop the server's writes. @throws DatabaseRefused. */
export function requireRoom({ source, target, lowWaterBytes }: CopyTask): void {
	if (!existsSync(source))
		throw new DatabaseRefused(`${source} is not there: nothing to back up or export`);
	const needed = sizeOf(source) + sizeOf(`${source}-wal`) + lowWaterBytes;
	const { freeBytes } = measureDisk(dirname(target));
	if (freeBytes >= needed) return;
	throw new DatabaseRefused(
		`${dirname(target)} has ${freeBytes} bytes free; the copy takes up to ${needed - lowWaterBytes}, ` +
			`and ${lowWaterBytes} must stay (DISK_LOW_WATER)`,
	);
}

/** Tells how far a copy has grown, while it is made on another thread. */
export async function withGrowth(
	{ source, onProgress }: CopyTask,
	copy: string,
	work: () => Promise<unknown>,
): Promise<void> {
	const total = sizeOf(source);
	const timer = setInterval(
		() => onProgress({ stage: 'copying', done: sizeOf(copy), total }),
		LOOK_EVERY_MS,
	);
	try {
		await work();
	} finally {
		clearInterval(timer);
	}
}

/** 0 for what is not there. */
export const sizeOf = (path: string): number =>
	statSync(path, { throwIfNoEntry: false })?.size ?? 0;
