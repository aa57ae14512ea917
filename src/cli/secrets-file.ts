import { closeSync, fsyncSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import type { NewSecret } from '../features/configuration/schema.ts';
import { CommandFailed } from './failure.ts';

export interface SecretsFile {
	/** Writes some more, a line of JSON each; on disk when it returns. @throws what a full disk does. */
	write(secrets: readonly NewSecret[]): void;
	/** After the last; safe to call again. Where nothing was written there is no file. */
	close(): void;
}

/**
 * Opens the file for the secrets of new keys, before there are any: one that cannot be written must be
 * known before.
 *
 * @throws CommandFailed when it is there already.
 */
export function openSecretsFile(path: string): SecretsFile {
	let descriptor: number;
	try {
		descriptor = openSync(path, 'wx', 0o600);
	} catch (error) {
		if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
		throw new CommandFailed(`${path} is there already, and would be overwritten`);
	}
	let isEmpty = true;
	let isOpen = true;
	return {
		write(secrets) {
			if (secrets.length === 0) return;
			isEmpty = false;
			writeFileSync(descriptor, secrets.map((secret) => `${JSON.stringify(secret)}\n`).join(''));
			fsyncSync(descriptor);
		},
		close() {
			if (!isOpen) return;
			isOpen = false;
			closeSync(descriptor);
			if (isEmpty) unlinkSync(path);
		},
	};
}
