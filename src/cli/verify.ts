import { verifyBackup } from '../db/backup.ts';
import { command } from './arguments.ts';
import { counted, progressLines, sizeText } from './progress.ts';

const usage = {
	help: `Usage: chatapi verify FILE [--quiet]

Proves that FILE is the backup that FILE.manifest.json tells of: its size and SHA-256, its schema,
SQLite's integrity_check and foreign_key_check, its tenants and the ends of their logs. Changes
nothing, and needs no server. Exit code 0: it is; 1: it is not, with the reason on stderr.

  --quiet  No progress on stderr.`,
	options: { quiet: { type: 'boolean' } },
	words: 1,
} as const;

/** Verifies a backup. Exit code 0: it is whole. */
export const verify = command(usage, async (values, [file = '']) => {
	const { bytes, tenants, created_at, version, schema } = await verifyBackup(
		file,
		progressLines(values.quiet === true),
	);
	console.log(
		`ok: ${sizeText(bytes)}, ${counted(tenants.length, 'tenant')}, as of ${created_at}, ` +
			`by chatapi ${version}, schema ${schema.migrations}`,
	);
	return 0;
});
