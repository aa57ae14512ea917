import {
	chmodSync,
	closeSync,
	existsSync,
	fsyncSync,
	openSync,
	readFileSync,
	renameSync,
	writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { createContainer } from '../app/container.ts';
import { listenForCommands } from '../app/control-socket.ts';
import { stopServer } from '../app/lifecycle.ts';
import { databasePath } from '../app/persistence.ts';
import { startServer } from '../app/server.ts';
import { type Settings, weaknessOfMasterKey } from '../config/settings.ts';
import { systemClock } from '../core/clock.ts';
import { createLog, type Log } from '../core/log.ts';
import { systemRandom } from '../core/random.ts';
import { removeStaleDrafts } from '../db/draft.ts';
import { migrateDatabase } from '../db/migrate.ts';
import { finishRestore } from '../db/restore.ts';
import { command } from './arguments.ts';
import { makeDataDir, takeLock } from './data-dir.ts';
import { CommandFailed } from './failure.ts';
import { secretsKeyPath, secretsKeyText } from './secrets-key.ts';
import { settingsOf } from './settings.ts';
import { version } from './version.ts';

/** For the answers that say 503, before the process ends over a database it cannot write. */
const LAST_WORDS_MS = 200;

const usage = {
	help: `Usage: chatapi serve

Serves the database of DATA_DIR at LISTEN_ADDR until SIGTERM or SIGINT; makes what is missing, and
brings an older database to its version. This is what chatapi without a command does. A second
signal ends it at once.

Settings are environment variables: chatapi help lists them.`,
	options: {},
	words: 0,
} as const;

/** Serves until a signal, and resolves with the exit code. */
export const serve = command(usage, async () => {
	// From the first moment on: a signal during the start is a stop, not a kill.
	const signalled = nextSignal();
	// What we make is for our user alone: messages of all tenants, and the key to them.
	process.umask(0o077);
	const settings = settingsOf();
	const log = createLog(settings.LOG_LEVEL);
	makeDataDir(settings.DATA_DIR);
	const lock = takeLock(settings.DATA_DIR);
	const masterKey = masterKeyOf(settings, log);
	const path = databasePath(settings.DATA_DIR);
	const backups = join(settings.DATA_DIR, 'backups');
	removeStaleDrafts(settings.DATA_DIR);
	removeStaleDrafts(backups);
	const restored = finishRestore(path);
	if (restored !== undefined) log.info({ ...restored }, 'Finished a restore that was cut short');
	const { applied, backup } = migrateDatabase(path, backups, systemClock.now());
	if (applied > 0) log.info({ applied, backup }, 'Database migrated');

	// Only now: a directory that is refused is left as it was.
	const secretsKey = secretsKeyOf(settings, log);

	let isDraining = false;
	const container = createContainer({
		settings,
		masterKey,
		secretsKey,
		version,
		clock: systemClock,
		random: systemRandom,
		log,
		isDraining: () => isDraining,
		onFatal(error) {
			log.error({ err: error }, 'The database cannot be written: stopping');
			// What was answered is on disk. Whoever waits gets to hear that theirs is not, or may not be.
			setTimeout(() => process.exit(1), LAST_WORDS_MS);
		},
	});
	if (settings.DURABILITY === 'relaxed') {
		log.warn({}, 'DURABILITY=relaxed: a loss of power may undo writes that were answered');
	}
	container.disk.start();
	const running = startServer(container);
	const commands = listenForCommands({ ...container, ...running });
	log.info({ url: running.url, version, data_dir: settings.DATA_DIR }, 'Listening');

	await signalled;
	process.once('SIGTERM', () => process.exit(1));
	process.once('SIGINT', () => process.exit(1));
	isDraining = true;
	await commands.stop();
	await stopServer(running, container, log);
	lock.release();
	return 0;
});

const nextSignal = () =>
	new Promise<void>((resolve) => {
		process.once('SIGTERM', () => resolve());
		process.once('SIGINT', () => resolve());
	});

/** The master key that is set, or else the data directory's own, made at the first start. */
function masterKeyOf({ MASTER_API_KEY, DATA_DIR }: Settings, log: Log): string {
	if (MASTER_API_KEY !== '') return MASTER_API_KEY;
	const file = join(DATA_DIR, 'master.key');
	if (!existsSync(file)) {
		writeSecret(file, `${Buffer.from(systemRandom.bytes(32)).toString('hex')}\n`);
		log.info({ file }, 'Made a master key, because MASTER_API_KEY is not set; it is in this file');
	} else log.info({ file }, 'Using the master key in this file');
	chmodSync(file, 0o600);
	const kept = readFileSync(file, 'utf8').trim();
	const weakness = weaknessOfMasterKey(kept);
	if (weakness !== undefined) throw new CommandFailed(`The master key in ${file} ${weakness}`);
	return kept;
}

/**
 * The key that secrets of tenants are under: the one that is set, or else the data directory's own. A bad one
 * stops nothing: the server runs without these secrets, and says so.
 */
function secretsKeyOf(settings: Settings, log: Log): string | undefined {
	const { SECRETS_KEY, DATA_DIR } = settings;
	const file = secretsKeyPath(DATA_DIR);
	if (SECRETS_KEY === '' && !existsSync(file)) {
		writeSecret(file, `${Buffer.from(systemRandom.bytes(32)).toString('hex')}\n`);
		log.info({ file }, 'Made a key for secrets; no backup has it');
	}
	if (SECRETS_KEY === '') chmodSync(file, 0o600);
	const kept = secretsKeyText(settings);
	const weakness = weaknessOfMasterKey(kept);
	if (weakness === undefined) return kept;
	log.error({ weakness }, 'No good key for secrets: passwords of tenants cannot be stored or read');
	return undefined;
}

/** Whole or not at all, on disk before it is used: a key that a crash ate would lock everybody out. */
function writeSecret(file: string, secret: string): void {
	const draft = `${file}.new`;
	try {
		const descriptor = openSync(draft, 'w', 0o600);
		writeSync(descriptor, secret);
		fsyncSync(descriptor);
		closeSync(descriptor);
		renameSync(draft, file);
	} catch {
		throw new CommandFailed(`${file} cannot be written`);
	}
}
