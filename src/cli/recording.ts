/** How a command has it recorded what left the database: through the server that uses it, or by itself without one. */
import { appendCopy } from '../app/audit-log.ts';
import { controlSocketPath } from '../app/control-socket.ts';
import { databasePath } from '../app/persistence.ts';
import { commandCredential } from '../core/caller.ts';
import { systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createIds } from '../core/ids.ts';
import { DatabaseRefused } from '../db/migrate.ts';
import type { Copy } from '../features/audit/service/copies.ts';
import type { Recorded } from '../features/audit/service.ts';
import { commandUser } from './command-user.ts';
import { tryLock } from './data-dir.ts';
import { CommandFailed } from './failure.ts';

/** For how long a data directory may be used by a process that does not answer: a start, a stop. */
const AWAY_MS_MAX = 15_000;
const LOOK_EVERY_MS = 100;

/** This command, as the log names who did something. */
export const thisCommand = (): Recorded => ({
	credential: commandCredential(commandUser()),
	plan: null,
	request_id: createIds()('req'),
});

/**
 * Has a copy recorded, and resolves when that is on disk.
 *
 * @throws CommandFailed, in one sentence: the disk is full, or whoever uses the data directory does not answer.
 */
export async function haveRecorded(dataDir: string, copy: Copy): Promise<void> {
	const until = systemClock.monotonic() + AWAY_MS_MAX;
	for (;;) {
		const isDone = (await withoutServer(dataDir, copy)) || (await throughServer(dataDir, copy));
		if (isDone) return;
		if (systemClock.monotonic() > until) {
			throw new CommandFailed(`another process uses ${dataDir}, and does not answer`);
		}
		await Bun.sleep(LOOK_EVERY_MS);
	}
}

/** False while another process uses the data directory. */
async function withoutServer(dataDir: string, copy: Copy): Promise<boolean> {
	const lock = tryLock(dataDir);
	if (lock === undefined) return false;
	try {
		await appendCopy(databasePath(dataDir), thisCommand(), copy);
		return true;
	} catch (error) {
		const isExpected = error instanceof AppError || error instanceof DatabaseRefused;
		throw isExpected ? new CommandFailed(error.message) : error;
	} finally {
		lock.release();
	}
}

/** False where nobody answers. */
async function throughServer(dataDir: string, copy: Copy): Promise<boolean> {
	let answer: { error?: string };
	try {
		const response = await fetch('http://chatapi/copies', {
			...{ method: 'POST', unix: controlSocketPath(dataDir) },
			body: JSON.stringify({ ...copy, user: commandUser() }),
		});
		answer = (await response.json()) as typeof answer;
	} catch {
		// It has not begun to listen, or has ended.
		return false;
	}
	if (answer.error !== undefined) throw new CommandFailed(answer.error);
	return true;
}
