/** Files as a whole: copied, hashed, made durable, whatever is in them. A mebibyte in memory at a time. */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

const BLOCK_BYTES = 1024 * 1024;

export interface FileDigest {
	bytes: number;
	/** In hexadecimal. */
	sha256: string;
}

/** Told how many bytes are done, now and then. */
export type OnBytes = (bytes: number) => void;

/** The size of a file and the SHA-256 of what is in it. @throws what the file system says. */
export async function digestOf(path: string, onBytes: OnBytes = () => {}): Promise<FileDigest> {
	const source = await open(path, 'r');
	try {
		return await readThrough(source, undefined, onBytes);
	} finally {
		await source.close();
	}
}

/**
 * Copies a file to a place where none is, and returns the digest of what was written. Not yet durable.
 *
 * @throws what the file system says.
 */
export async function copyWhole(
	from: string,
	to: string,
	onBytes: OnBytes = () => {},
): Promise<FileDigest> {
	const source = await open(from, 'r');
	try {
		const target = await open(to, 'wx', 0o600);
		try {
			return await readThrough(source, target, onBytes);
		} finally {
			await target.close();
		}
	} finally {
		await source.close();
	}
}

async function readThrough(
	source: FileHandle,
	target: FileHandle | undefined,
	onBytes: OnBytes,
): Promise<FileDigest> {
	const hasher = new Bun.CryptoHasher('sha256');
	const block = Buffer.allocUnsafe(BLOCK_BYTES);
	let bytes = 0;
	for (;;) {
		const { bytesRead } = await source.read(block, 0, BLOCK_BYTES, null);
		if (bytesRead === 0) return { bytes, sha256: hasher.digest('hex') };
		const part = block.subarray(0, bytesRead);
		hasher.update(part);
		if (target !== undefined) await writeAll(target, part);
		bytes += bytesRead;
		onBytes(bytes);
	}
}

async function writeAll(target: FileHandle, part: Uint8Array): Promise<void> {
	for (let done = 0; done < part.length; ) {
		done += (await target.write(part, done)).bytesWritten;
	}
}

/** Makes a file, or a directory's list of names, durable. */
export function syncPath(path: string): void {
	const descriptor = openSync(path, 'r');
	try {
		fsyncSync(descriptor);
	} finally {
		closeSync(descriptor);
	}
}
