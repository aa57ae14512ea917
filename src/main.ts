import './production.ts';
import { AddressRefused } from './app/server.ts';
import { CommandFailed } from './cli/failure.ts';
import { healthcheck } from './cli/healthcheck.ts';
import { helpText } from './cli/help.ts';
import { serve } from './cli/serve.ts';
import { version } from './cli/version.ts';
import { SettingsRefused } from './config/settings.ts';
import { DatabaseRefused } from './db/migrate.ts';

const print = async (text: string) => {
	console.log(text);
	return 0;
};

const COMMANDS: Readonly<Record<string, () => Promise<number>>> = {
	serve,
	healthcheck,
	version: () => print(version),
	help: () => print(helpText()),
};
const FLAGS: Readonly<Record<string, string>> = {
	'--help': 'help',
	'-h': 'help',
	'--version': 'version',
	'-v': 'version',
};

async function run(words: readonly string[]): Promise<number> {
	const [word = 'serve', ...rest] = words;
	const command = COMMANDS[FLAGS[word] ?? word];
	if (command === undefined || rest.length > 0) {
		const unknown = command === undefined ? word : rest[0];
		console.error(`chatapi: unknown command or option: ${unknown}\nTry: chatapi --help`);
		return 2;
	}
	try {
		return await command();
	} catch (error) {
		const isExpected =
			error instanceof AddressRefused ||
			error instanceof CommandFailed ||
			error instanceof DatabaseRefused ||
			error instanceof SettingsRefused;
		console.error(isExpected ? `chatapi: ${error.message}` : error);
		return 1;
	}
}

process.exit(await run(process.argv.slice(2)));
