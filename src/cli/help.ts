import { OPTIONS } from '../config/options.ts';
import { type Command, command, UsageError } from './arguments.ts';
import { version } from './version.ts';

/** Of a line, so that a narrow terminal breaks none. */
const COLUMNS_MAX = 80;
const INDENT = '      ';

const usage = {
	help: `Usage: chatapi help [COMMAND]

Prints the commands and all settings, or how one command is used.`,
	options: {},
	words: [0, 1],
} as const;

/** The command that tells of these, and of itself. */
export const helpOn = (commands: Readonly<Record<string, Command>>): Command =>
	command(usage, async (_, [name]) => {
		if (name === undefined) console.log(overview());
		else if (name === 'help') console.log(usage.help);
		else if (Object.hasOwn(commands, name)) console.log(commands[name]?.help);
		else throw new UsageError(`unknown command: ${name}`);
		return 0;
	});

function overview(): string {
	const settings = Object.entries(OPTIONS).map(([name, { default: fallback, summary }]) => {
		const shown = fallback === '' ? '' : ` [${fallback}]`;
		return `  ${name}${shown}\n${wrapped(summary)}`;
	});
	return `chatapi ${version}: a self-hosted, multi-tenant chat backend

Usage: chatapi [COMMAND]

Commands; chatapi help COMMAND tells more of one:
  serve          Serve until SIGTERM or SIGINT; what happens without a command
  backup         Copy the database, while it is served or not
  verify         Prove that a backup is whole
  restore        Make a backup the database
  export         Write one tenant into a file
  import         Bring the tenant of a file in
  apply          Make plans, tenants and keys what a document says
  export-config  Write plans, tenants and keys as such a document
  audit verify   Prove that the audit log is whole
  healthcheck    Ask the server of the same settings for its health
  version        Print the version
  help           Print this

Settings are environment variables, with their [default]. MASTER_API_KEY and
SECRETS_KEY may stand in a file that MASTER_API_KEY_FILE, SECRETS_KEY_FILE name.
${settings.join('\n')}

The API of a running server: /swagger
`;
}

/** The sentence in lines of at most COLUMNS_MAX, indented. */
function wrapped(sentence: string): string {
	const lines: string[] = [];
	let line = INDENT;
	for (const word of sentence.split(' ')) {
		if (line !== INDENT && line.length + word.length + 1 > COLUMNS_MAX) {
			lines.push(line);
			line = INDENT;
		}
		line += line === INDENT ? word : ` ${word}`;
	}
	return [...lines, line].join('\n');
}
