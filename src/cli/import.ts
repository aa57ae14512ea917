import { join, resolve } from 'node:path';
import { createContainer } from '../app/container.ts';
import { type ControlLine, controlSocketPath, importFile } from '../app/control-socket.ts';
import { databasePath } from '../app/persistence.ts';
import type { Settings } from '../config/settings.ts';
import { systemClock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { createLog } from '../core/log.ts';
import { systemRandom } from '../core/random.ts';
import { requireFile } from '../db/backup.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { finishRestore } from '../db/restore.ts';
import type { Imported } from '../features/imports/service.ts';
import { command } from './arguments.ts';
import { commandUser } from './command-user.ts';
import { makeDataDir, tryLock } from './data-dir.ts';
import { CommandFailed } from './failure.ts';
import { counted } from './progress.ts';
import { thisCommand } from './recording.ts';
import { keptSecretsKey } from './secrets-key.ts';
import { settingsOf } from './settings.ts';
import { version } from './version.ts';

const usage = {
	help: `Usage: chatapi import FILE [--new-epoch] [--data-dir DIRECTORY] [--quiet]

Brings the tenant of a file by chatapi export into DATA_DIR: through the server that uses it, which
goes on serving, or without one. Ids, seqs and cursors stay. Refused when a tenant of that id is
there, unless it was purged. Nobody sees the tenant before all of it is there. Says what of it
cannot be used here: a plan that is not there, an SMTP password under another server's SECRETS_KEY.

  --new-epoch  For a copy of a tenant that lives on elsewhere, and for a file that is older than
               what its clients saw: clients with a cursor are told to load anew.
  --data-dir   Default: DATA_DIR.
  --quiet      No progress on stderr.`,
	options: {
		'new-epoch': { type: 'boolean' },
		'data-dir': { type: 'string' },
		quiet: { type: 'boolean' },
	},
	words: 1,
} as const;

interface Task {
	file: string;
	isNewEpoch: boolean;
	/** Told how many rows are stored, now and then. */
	onRows(rows: number): void;
}

/** Imports a tenant. Exit code 0: it is served, or will be. */
export const importTenant = command(usage, async (values, [file = '']) => {
	process.umask(0o077);
	const settings = settingsOf(values['data-dir']);
	const task: Task = {
		file: resolve(requireFile(file)),
		isNewEpoch: values['new-epoch'] === true,
		onRows: rowLines(values.quiet === true),
	};
	makeDataDir(settings.DATA_DIR);
	const lock = tryLock(settings.DATA_DIR);
	let imported: Imported;
	if (lock === undefined) imported = await throughServer(settings, task);
	else {
		try {
			imported = await withoutServer(settings, task);
		} finally {
			lock.release();
		}
	}
	console.log(`Imported ${imported.tenant_id}: ${counted(imported.rows, 'row')}`);
	for (const what of imported.dropped) console.log(`Not here, and left out: ${what}`);
	if (imported.hasUnreadablePassword) console.log(passwordLine(imported.tenant_id));
	return 0;
});

const passwordLine = (tenant_id: string): string =>
	`The SMTP password of ${tenant_id} cannot be read here, for it is under another server's SECRETS_KEY: ` +
	`set smtp.pass anew (PATCH /admin/tenants/${tenant_id}), or serve with that key`;

const LINE_EVERY_MS = 2000;

function rowLines(isQuiet: boolean): (rows: number) => void {
	let saidAt = systemClock.monotonic();
	return (rows) => {
		const now = systemClock.monotonic();
		if (isQuiet || now - saidAt < LINE_EVERY_MS) return;
		saidAt = now;
		console.error(rows === 0 ? 'checking' : counted(rows, 'row'));
	};
}

/** @throws CommandFailed when the server does not answer, or says why it did not. */
async function throughServer({ DATA_DIR }: Settings, task: Task): Promise<Imported> {
	const gone = new CommandFailed(
		`The server of ${DATA_DIR} ended, or cannot be asked, before the import was done`,
	);
	let response: Response;
	try {
		response = await fetch('http://chatapi/import', {
			method: 'POST',
			unix: controlSocketPath(DATA_DIR),
			body: JSON.stringify({
				...{ file: task.file, is_new_epoch: task.isNewEpoch, user: commandUser() },
			}),
		});
	} catch {
		throw gone;
	}
	for await (const line of linesOf(response)) {
		if ('done' in line) return line.done;
		if ('error' in line) throw new CommandFailed(line.error);
		task.onRows(line.rows);
	}
	throw gone;
}

async function* linesOf(response: Response): AsyncGenerator<ControlLine, void, void> {
	let rest = '';
	const decoder = new TextDecoder();
	try {
		for await (const chunk of response.body ?? []) {
			const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
			rest = lines.pop() ?? '';
			for (const line of lines) yield JSON.parse(line);
		}
	} catch {
		// The server is gone: whoever reads finds that the last line is missing.
	}
}

/** The same import, in this process. */
async function withoutServer(settings: Settings, task: Task): Promise<Imported> {
	const path = databasePath(settings.DATA_DIR);
	finishRestore(path);
	migrateDatabase(path, join(settings.DATA_DIR, 'backups'), systemClock.now());
	const container = createContainer({
		settings,
		secretsKey: keptSecretsKey(settings),
		...{ masterKey: '', version, clock: systemClock, random: systemRandom },
		log: createLog('error', process.stderr),
		isDraining: () => false,
		onFatal: () => process.exit(1),
	});
	try {
		await container.features.imports.removeHalfDone();
		return await importFile(container.features.imports, task.file, {
			by: thisCommand(),
			isNewEpoch: task.isNewEpoch,
			isCancelled: () => false,
			say: ({ rows }) => task.onRows(rows),
		});
	} catch (error) {
		throw error instanceof AppError ? new CommandFailed(error.message) : error;
	} finally {
		await container.writer.drain();
		await container.close();
	}
}
