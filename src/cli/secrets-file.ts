import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import type { NewSecret } from '../features/configuration/schema.ts';
import { CommandFailed } from './failure.ts';

export interface SecretsFile {
	/** Writes them, a line of JSON each; on disk when it returns. None at all: there is no file. */
	finish(secrets: readonly NewSecret[]): void;
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
	return {
		finish(secrets) {
			for (const secret of secrets) writeSync(descriptor, `${JSON.stringify(secret)}\n`);
			fsyncSync(descriptor);
			closeSync(descriptor);
			if (secrets.length === 0) unlinkSync(path);
		},
	};
}
