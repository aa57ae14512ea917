import { systemRandom } from '../core/random.ts';
import type { Change } from '../features/configuration/schema.ts';
import { command, UsageError } from './arguments.ts';
import { sayingWhenCutOff } from './cut-off.ts';
import { type Applied, differenceLines, summaryOf } from './difference.ts';
import { readDocument } from './document.ts';
import { CommandFailed } from './failure.ts';
import { canAsk, saysYes } from './question.ts';
import { openSecretsFile, type SecretsFile } from './secrets-file.ts';
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
	const out =
		values['secrets-out'] === undefined ? undefined : openSecretsFile(values['secrets-out']);
	const { resume } = values;
	const key = resume ?? newKey();
	try {
		await sayingWhenCutOff(
			() => {
				out?.close();
				return `Cut off; what the server made stays, and it goes on. ${howToBeTold(key)}`;
			},
			() => make(sending, { pruned, out, key, isResumed: resume !== undefined }),
		);
	} finally {
		out?.close();
	}
	return 0;
});

interface Making {
	/** What a dry run has shown, and is to go. */
	pruned: readonly Change[];
	/** Undefined: secrets are printed. */
	out: SecretsFile | undefined;
	/** Of the request: with it the server tells the same again. */
	key: string;
	isResumed: boolean;
}

/** Makes it so, and tells what was made: secrets too where the pruning fails, for they are told once. */
async function make(sending: Sending, { pruned, out, key, isResumed }: Making): Promise<void> {
	let all = await send(sending, {
		...{ query: '', body: sending.document.wanted },
		...{ idempotencyKey: key, isResumed },
	});
	keep(all, out, key);
	try {
		if (pruned.length === 0) return;
		const pruneKey = newKey();
		const rest = await prune(sending, pruned, pruneKey);
		keep(rest, out, pruneKey);
		all = joined(all, rest);
	} finally {
		print(all);
		if (out === undefined) printSecrets(all);
	}
}

/** @throws CommandFailed saying how to be told the secrets again. */
function keep({ api_keys }: Applied, out: SecretsFile | undefined, key: string): void {
	try {
		out?.write(api_keys);
	} catch (error) {
		const { code } = error as { code?: unknown };
		throw new CommandFailed(`The secrets could not be written (${code}). ${howToBeTold(key)}`);
	}
}

const howToBeTold = (key: string): string =>
	`To be told of it, with the secrets of new keys, within 24 hours: --resume ${key}`;

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
function prune(sending: Sending, shown: readonly Change[], key: string): Promise<Applied> {
	const prune_ids = shown.flatMap(({ id }) => id ?? []);
	return send(sending, {
		query: '?prune=true',
		body: { ...sending.document.wanted, prune_ids },
		idempotencyKey: key,
	});
}

const joined = (made: Applied, pruned: Applied): Applied => ({
	...made,
	changes: [...made.changes, ...pruned.changes],
	api_keys: [...made.api_keys, ...pruned.api_keys],
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
