import './production.ts';
import { AddressRefused } from './app/server.ts';
import { apply } from './cli/apply.ts';
import { type Command, UsageError } from './cli/arguments.ts';
import { audit } from './cli/audit.ts';
import { backup } from './cli/backup.ts';
import { exportTenant } from './cli/export.ts';
import { exportConfig } from './cli/export-config.ts';
import { CommandFailed, sentenceOfFileError } from './cli/failure.ts';
import { healthcheck } from './cli/healthcheck.ts';
import { helpOn } from './cli/help.ts';
import { importTenant } from './cli/import.ts';
import { restore } from './cli/restore.ts';
import { serve } from './cli/serve.ts';
import { verify } from './cli/verify.ts';
import { printVersion } from './cli/version.ts';
import { SettingsRefused } from './config/settings.ts';
import { DatabaseRefused } from './db/migrate.ts';

const COMMANDS: Readonly<Record<string, Command>> = {
	serve,
	backup,
	verify,
	restore,
	audit,
	export: exportTenant,
	import: importTenant,
	apply,
	'export-config': exportConfig,
	healthcheck,
	version: printVersion,
};
const help = helpOn(COMMANDS);
const FLAGS: Readonly<Record<string, string>> = {
	'--help': 'help',
	'-h': 'help',
	'--version': 'version',
	'-v': 'version',
};

async function run(words: readonly string[]): Promise<number> {
	const [word = 'serve', ...rest] = words;
	const name = FLAGS[word] ?? word;
	const command = name === 'help' ? help : commandOf(name);
	try {
		if (command === undefined) throw new UsageError(`unknown command or option: ${word}`);
		return await command.run(rest);
	} catch (error) {
		if (error instanceof UsageError) {
			const where = command === undefined ? '' : `${name} `;
			console.error(`chatapi: ${where && `${name}: `}${error.message}`);
			console.error(`Try: chatapi ${where}--help`);
			return error.exitCode;
		}
		const sentence = sentenceOf(error);
		console.error(sentence === undefined ? error : `chatapi: ${sentence}`);
		return 1;
	}
}

const commandOf = (name: string): Command | undefined =>
	Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;

/** What is said in one sentence: what we found, and what the file system says of a path it was given. */
const sentenceOf = (error: unknown): string | undefined =>
	error instanceof AddressRefused ||
	error instanceof CommandFailed ||
	error instanceof DatabaseRefused ||
	error instanceof SettingsRefused
		? error.message
		: sentenceOfFileError(error);

process.exit(await run(process.argv.slice(2)));
