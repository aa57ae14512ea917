import { systemRandom } from '../core/random.ts';
import type { Change } from '../features/configuration/schema.ts';
import { command, UsageError } from './arguments.ts';
import { type Applied, differenceLines, summaryOf } from './difference.ts';
import { readDocument } from './document.ts';
import { CommandFailed } from './failure.ts';
import { canAsk, saysYes } from './question.ts';
import { openSecretsFile } from './secrets-file.ts';
import { type Sending, send } from './sending.ts';
import { type AskedServer, serverOf } from './server-call.ts';
import { settingsOf } from './settings.ts';

const usage = {
	help: `Usage: chatapi apply -f FILE [--dry-run] [--prune] [--yes] [--secrets-out FILE] [--url URL]

Makes the plans, tenants and keys of the running server what FILE says (YAML or JSON, at most
16 MiB; - is stdin), and prints what changed. A field that FILE names becomes what it says, one
that it leaves out stays. Applying twice changes nothing.

  -f, --file         The document; see docs/configuration-as-code.md
  --dry-run          Print what would change, and change nothing
  --prune            Also take away what FILE does not name, of the lists that it has: keys,
                     tenants, plans. Asks first
  --yes              Do not ask
  --secrets-out      A new file (mode 0600) for the secrets of new keys, a line of JSON each.
                     Default: stdout
  --url              A server elsewhere, asked with MASTER_API_KEY. Default: that of the data
                     directory
  --master-key-file  The file that holds the master key for --url
  --data-dir         Default: DATA_DIR
  --resume           Go on with an apply whose answer was lost, under the key that it printed
  --quiet            No progress on stderr

\${NAME} in a value is filled in from the environment; $\${ is the text \${. Exit code 0: done, or
nothing to do; 2: --dry-run found something to do; 1: an error.`,
	options: {
		file: { type: 'string', short: 'f' },
		'dry-run': { type: 'boolean' },
		prune: { type: 'boolean' },
		yes: { type: 'boolean' },
		'secrets-out': { type: 'string' },
		url: { type: 'string' },
		'data-dir': { type: 'string' },
		'master-key-file': { type: 'string' },
		resume: { type: 'string' },
		quiet: { type: 'boolean' },
	},
	words: 0,
	// 2 says that there is something to do.
	usageExitCode: 1,
} as const;

const DRIFT = 2;

/** Applies a document. */
export const apply = command(usage, async (values) => {
	if (values.file === undefined) throw new UsageError('it needs a document: -f FILE', 1);
	const isDry = values['dry-run'] === true;
	const isPruning = values.prune === true;
	const document = readDocument(values.file, process.env);
	const server = serverOf(settingsOf(values['data-dir']), {
		url: values.url,
		masterKeyFile: values['master-key-file'],
	});
	await requireAnswer(server);
	const sending: Sending = { server, document, isQuiet: values.quiet === true };
	const looked = isDry || isPruning ? await look(sending, isPruning) : undefined;
	if (isDry && looked !== undefined) {
		print(looked);
		return looked.changes.some(({ action }) => action !== 'kept') ? DRIFT : 0;
	}
	const pruned = looked?.changes.filter(({ action }) => action === 'pruned') ?? [];
	if (pruned.length > 0 && values.yes !== true) await askFor(pruned);
	const secretsFile =
		values['secrets-out'] === undefined ? undefined : openSecretsFile(values['secrets-out']);
	let applied: Applied | undefined;
	try {
		applied = await send(sending, {
			...{ query: '', body: document.wanted },
			idempotencyKey: values.resume ?? newKey(),
		});
	} finally {
		secretsFile?.finish(applied?.api_keys ?? []);
	}
	const all = pruned.length === 0 ? applied : joined(applied, await prune(sending, pruned));
	print(all);
	if (secretsFile === undefined) printSecrets(all);
	return 0;
});

/** Before all else: one that was never there is not waited for, as one that went away is. */
async function requireAnswer({ ask, name }: AskedServer): Promise<void> {
	const reply = await ask({ method: 'GET', path: '/admin/apply' });
	if (reply === undefined) throw new CommandFailed(`${name} does not answer`);
}

const newKey = (): string => `apply-${Buffer.from(systemRandom.bytes(16)).toString('hex')}`;

const look = (sending: Sending, isPruning: boolean): Promise<Applied> =>
	send(sending, {
		query: `?dry_run=true${isPruning ? '&prune=true' : ''}`,
		body: sending.document.wanted,
	});

/** Takes away what was shown, and nothing else, after all else is made. */
function prune(sending: Sending, shown: readonly Change[]): Promise<Applied> {
	const prune_ids = shown.flatMap(({ id }) => id ?? []);
	return send(sending, {
		query: '?prune=true',
		body: { ...sending.document.wanted, prune_ids },
		idempotencyKey: newKey(),
	});
}

const joined = (made: Applied, pruned: Applied): Applied => ({
	...made,
	changes: [...made.changes, ...pruned.changes],
});

/** @throws CommandFailed when nobody can be asked, or says no. */
async function askFor(pruned: readonly Change[]): Promise<void> {
	const count = pruned.length;
	for (const line of differenceLines(pruned, isColoured(process.stderr))) {
		process.stderr.write(`${line}\n`);
	}
	if (!canAsk()) {
		throw new CommandFailed(
			`--prune would take ${count} away, and there is no terminal to ask on: say --yes`,
		);
	}
	const what = count === 1 ? 'Take this away?' : `Take these ${count} away?`;
	if (!(await saysYes(what))) throw new CommandFailed('Nothing was changed');
}

const isColoured = (stream: NodeJS.WriteStream): boolean =>
	stream.isTTY === true && !process.env.NO_COLOR;

function print(applied: Applied): void {
	for (const line of differenceLines(applied.changes, isColoured(process.stdout)))
		console.log(line);
	console.log(summaryOf(applied));
}

function printSecrets({ api_keys }: Applied): void {
	if (api_keys.length === 0) return;
	console.log('\nSecrets of new keys, shown this once:');
	for (const secret of api_keys) console.log(JSON.stringify(secret));
}
