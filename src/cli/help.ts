import { OPTIONS } from '../config/options.ts';
import { version } from './version.ts';

/** The text of `--help`: the commands, and every setting of the one table. */
export function helpText(): string {
	const settings = Object.entries(OPTIONS).map(([name, { default: fallback, summary }]) => {
		const shown = fallback === '' ? '' : ` [${fallback}]`;
		return `  ${name}${shown}\n      ${summary}`;
	});
	return `chatapi ${version}: a self-hosted, multi-tenant chat backend

Usage: chatapi [command]

Commands:
  serve         Serve until SIGTERM or SIGINT; what happens without a command
  backup        Copy the database, while it is served or not; see: chatapi backup --help
  verify        Prove that a backup is whole; see: chatapi verify --help
  restore       Make a backup the database; see: chatapi restore --help
  export        Write one tenant into a file; see: chatapi export --help
  import        Bring the tenant of a file in; see: chatapi import --help
  audit         Prove that the audit log is whole; see: chatapi audit --help
  apply         Make plans, tenants and keys what a document says; see: chatapi apply --help
  export-config Write them as such a document; see: chatapi export-config --help
  healthcheck   Ask the server of the same settings for its health: exit code 0 or 1
  version       Print the version
  help          Print this

Settings are environment variables; secrets may stand in a file that NAME_FILE names:
${settings.join('\n')}

Docs page of a running server: /swagger
`;
}
