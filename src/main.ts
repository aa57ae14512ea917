import './production.ts';
import { AddressRefused } from './app/server.ts';
import { apply } from './cli/apply.ts';
import { type Command, UsageError } from './cli/arguments.ts';
import { audit } from './cli/audit.ts';
import { backup } from './cli/backup.ts';
import { exportTenant } from './cli/export.ts';
import { exportConfig } from './cli/export-config.ts';
import { CommandFailed } from './cli/failure.ts';
import { healthcheck } from './cli/healthcheck.ts';
import { helpText } from './cli/help.ts';
import { importTenant } from './cli/import.ts';
import { restore } from './cli/restore.ts';
import { serve } from './cli/serve.ts';
import { verify } from './cli/verify.ts';
import { version } from './cli/version.ts';
import { SettingsRefused } from './config/settings.ts';
import { DatabaseRefused } from './db/migrate.ts';

const print = async (text: string) => {
	console.log(text);
	return 0;
};

/** A command that takes nothing. */
const plain =
	(command: () => Promise<number>): Command =>
	([unknown]) => {
		if (unknown === undefined) return command();
		throw new UsageError(`unknown command or option: ${unknown}`);
	};

const COMMANDS: Readonly<Record<string, Command>> = {
	serve: plain(serve),
	backup,
	verify,
	restore,
	audit,
	export: exportTenant,
	import: importTenant,
	apply,
	'export-config': exportConfig,
	healthcheck: plain(healthcheck),
	version: plain(() => print(version)),
	help: plain(() => print(helpText())),
};
const FLAGS: Readonly<Record<string, string>> = {
	'--help': 'help',
	'-h': 'help',
	'--version': 'version',
	'-v': 'version',
};

async function run(words: readonly string[]): Promise<number> {
	const [word = 'serve', ...rest] = words;
	const name = FLAGS[word] ?? word;
	const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
	try {
		if (command === undefined) throw new UsageError(`unknown command or option: ${word}`);
		return await command(rest);
	} catch (error) {
		if (error instanceof UsageError) {
			console.error(`chatapi: ${error.message}\nTry: chatapi --help`);
			return error.exitCode;
		}
		console.error(isExpected(error) ? `chatapi: ${error.message}` : error);
		return 1;
	}
}

/** What is said in one sentence: what we found, and what the file system says of a path it was given. */
const isExpected = (error: unknown): error is Error =>
	error instanceof AddressRefused ||
	error instanceof CommandFailed ||
	error instanceof DatabaseRefused ||
	error instanceof SettingsRefused ||
	(error instanceof Error && 'syscall' in error && 'path' in error);

process.exit(await run(process.argv.slice(2)));
