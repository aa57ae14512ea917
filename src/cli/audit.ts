import { verifyAuditLog } from '../app/audit-log.ts';
import { databasePath } from '../app/persistence.ts';
import { systemClock } from '../core/clock.ts';
import { command, UsageError } from './arguments.ts';
import { counted } from './progress.ts';
import { settingsOf } from './settings.ts';

const usage = {
	help: `Usage: chatapi audit verify [--data-dir DIRECTORY] [--head HASH] [--quiet]

Proves that the audit log of a data directory is what was written: every entry is there, in its
order and unchanged, while the server runs or not. Changes nothing.

  --data-dir  Default: DATA_DIR.
  --head      The hash of an entry, kept elsewhere: it must be in the log. Without it nobody can
              tell a log that was made anew, or one whose end was cut off with great care.
  --quiet     No progress on stderr.

Exit code 0: it is, with the last entry and its hash, to be kept for --head; 1: it is not, with
the first bad entry on stderr.`,
	options: {
		'data-dir': { type: 'string' },
		head: { type: 'string' },
		quiet: { type: 'boolean' },
	},
	words: 1,
} as const;

/** Long work says a line now and then. */
const LINE_EVERY_MS = 2000;

/** Verifies the audit log. Exit code 0: it is whole. */
export const audit = command(usage, async (values, [word = '']) => {
	if (word !== 'verify') throw new UsageError('all it can do is verify');
	const head = headOf(values.head);
	const path = databasePath(settingsOf(values['data-dir']).DATA_DIR);
	const verdict = await verifyAuditLog(path, {
		...(head === undefined ? {} : { head }),
		onEntries: progress(values.quiet === true),
	});
	if (!verdict.isWhole) {
		console.error(`chatapi: entry ${verdict.entry} of the audit log is bad: ${verdict.problem}`);
		return 1;
	}
	const { entries, erased } = verdict;
	console.log(
		`ok: ${counted(entries, 'entry', 'entries')}, ${erased} of them erased with their tenant; ` +
			`entry ${entries} has the hash ${Buffer.from(verdict.head).toString('hex')}`,
	);
	return 0;
});

function headOf(text: string | undefined): Uint8Array | undefined {
	if (text === undefined) return undefined;
	if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
	throw new UsageError('--head must be a hash: 64 of 0-9 a-f');
}

function progress(isQuiet: boolean): (entries: number) => void {
	let saidAt = systemClock.monotonic();
	return (entries) => {
		const now = systemClock.monotonic();
		if (isQuiet || now - saidAt < LINE_EVERY_MS) return;
		saidAt = now;
		console.error(`checked ${counted(entries, 'entry', 'entries')}`);
	};
}
