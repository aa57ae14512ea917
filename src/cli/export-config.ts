import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { stringify } from 'yaml';
import { systemClock } from '../core/clock.ts';
import type { OutputOf } from '../core/operation.ts';
import type { exportConfiguration } from '../features/configuration/schema.ts';
import { command } from './arguments.ts';
import { CommandFailed } from './failure.ts';
import { type AskedServer, serverOf } from './server-call.ts';
import { settingsOf } from './settings.ts';

const usage = {
	help: `Usage: chatapi export-config [-o FILE] [--url URL] [--data-dir DIRECTORY] [--quiet]

Writes the plans, tenants and keys of the running server as a document for chatapi apply, to stdout
or to FILE, which must not be there. Applied, it changes nothing. There are no secrets in it.

  -o, --out          The file
  --url              A server elsewhere, asked with MASTER_API_KEY. Default: that of the data
                     directory
  --master-key-file  The file that holds the master key for --url
  --data-dir         Default: DATA_DIR
  --quiet            No progress on stderr`,
	options: {
		out: { type: 'string', short: 'o' },
		url: { type: 'string' },
		'data-dir': { type: 'string' },
		'master-key-file': { type: 'string' },
		quiet: { type: 'boolean' },
	},
	words: 0,
} as const;

type Page = OutputOf<typeof exportConfiguration>;
type Thing = Page['plans'][number] | Page['tenants'][number];

const LINE_EVERY_MS = 2000;

/** Exports the configuration, page by page. */
export const exportConfig = command(usage, async (values) => {
	const server = serverOf(settingsOf(values['data-dir']), {
		url: values.url,
		masterKeyFile: values['master-key-file'],
	});
	const { out } = values;
	const target = out === undefined ? undefined : openNew(out);
	const write = (text: string) =>
		target === undefined ? process.stdout.write(text) : writeSync(target, text);
	const begun = new Set<string>();
	let count = 0;
	let saidAt = systemClock.monotonic();
	for await (const { plans, tenants } of pages(server)) {
		for (const [list, things] of [
			['plans', plans],
			['tenants', tenants],
		] as const) {
			for (const thing of things) {
				if (!begun.has(list)) write(`${list}:\n`);
				begun.add(list);
				write(textOf(thing));
				count++;
			}
		}
		if (values.quiet === true || systemClock.monotonic() - saidAt < LINE_EVERY_MS) continue;
		saidAt = systemClock.monotonic();
		console.error(`${count} written`);
	}
	for (const list of ['plans', 'tenants']) if (!begun.has(list)) write(`${list}: []\n`);
	if (target !== undefined) {
		fsyncSync(target);
		closeSync(target);
	}
	return 0;
});

function openNew(path: string): number {
	try {
		return openSync(path, 'wx');
	} catch (error) {
		if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
		throw new CommandFailed(`${path} is there already, and would be overwritten`);
	}
}

async function* pages({ ask, name }: AskedServer): AsyncGenerator<Page, void, void> {
	for (let after = ''; ; ) {
		const reply = await ask({ method: 'GET', path: `/admin/configuration?limit=100${after}` });
		if (reply === undefined) throw new CommandFailed(`${name} does not answer`);
		if ('error' in reply) throw new CommandFailed(reply.error.message);
		const page = reply.body as Page;
		yield page;
		if (page.next_cursor === null) return;
		after = `&cursor=${encodeURIComponent(page.next_cursor)}`;
	}
}

/** An item of a list. What apply would fill in stands for itself. */
const textOf = (thing: Thing): string =>
	stringify([literal(thing)], { lineWidth: 0, aliasDuplicateObjects: false }).replaceAll(
		/^(?=.)/gm,
		'  ',
	);

function literal(value: unknown): unknown {
	if (typeof value === 'string') return value.replaceAll('${', () => '$${');
	if (Array.isArray(value)) return value.map(literal);
	if (typeof value !== 'object' || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, literal(each)]));
}
