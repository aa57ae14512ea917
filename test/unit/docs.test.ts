/** The pages of docs/ against the source: what they name exists, and what the source has, they name. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { pages } from '../../docs/generate.ts';
import { OPTIONS } from '../../src/config/options.ts';
import { ERRORS } from '../../src/core/errors.ts';
import type { EventType } from '../../src/core/event.ts';
import { CLOSE } from '../../src/realtime/close-codes.ts';
import type { FrameBinding } from '../../src/ws/frames.ts';
import { declarationsOf } from '../tidy/operations.ts';

const ROOT = resolve(import.meta.dir, '..', '..');

const filesOf = (...globs: string[]) =>
	globs.flatMap((glob) => [...new Bun.Glob(glob).scanSync({ cwd: ROOT })]).sort();
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const PAGES = filesOf('*.md', 'docs/**/*.md');
const TEXTS = new Map(PAGES.map((path) => [path, read(path)]));
const protocol = read('docs/protocol.md');
const operations = read('docs/operations.md');

/** The row of a table that begins with this cell; empty when there is none. */
const rowOf = (page: string, cell: string) =>
	page.split('\n').find((line) => line.startsWith(`| ${cell} |`)) ?? '';

describe('the generated pages', () => {
	test.each(Object.entries(pages()))('%s is fresh: else run `npm run docs`', (path, text) => {
		expect(read(path)).toBe(text);
	});

	test('have every setting with its default, and every error with its status', () => {
		for (const [name, option] of Object.entries(OPTIONS)) {
			const row = rowOf(read('docs/configuration.md'), `\`${name}\``);
			expect(row).toContain(option.summary);
			expect(row).toContain(option.default === '' ? '| none |' : `| \`${option.default}\` |`);
		}
		for (const [code, { status, summary }] of Object.entries(ERRORS)) {
			const row = rowOf(read('docs/errors.md'), `\`${code}\``);
			expect(row).toContain(`| ${status} |`);
			expect(row).toContain(summary);
		}
	});
});

describe('what a page points at', () => {
	test('exists: each file and each heading that a link names', () => {
		const links = [...TEXTS].flatMap(([path, text]) =>
			[...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ path, target })),
		);
		const broken = links.filter(({ path, target }) => !isLinkGood(path, target));

		expect(links.length).toBeGreaterThan(20);
		expect(broken).toEqual([]);
	});

	test('exists: each path of the repository that stands in backticks', () => {
		const paths = [...TEXTS].flatMap(([page, text]) =>
			[...text.matchAll(/`((?:src|test|docs|drizzle|examples)\/[^`\s]+)`/g)].map(
				([, path = '']) => ({ page, path }),
			),
		);
		const missing = paths.filter(
			({ path }) => !existsSync(join(ROOT, path)) && filesOf(path).length === 0,
		);

		expect(paths.length).toBeGreaterThan(40);
		expect(missing).toEqual([]);
	});

	test('exists: each script of package.json', () => {
		const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
		const named = [...TEXTS.values()].flatMap((text) =>
			[...text.matchAll(/\bnpm run ([a-z]+)/g)].map(([, script = '']) => script),
		);

		expect(named.length).toBeGreaterThan(5);
		expect(named.filter((script) => !(script in scripts))).toEqual([]);
	});

	test('is JSON where it says so', () => {
		const blocks = [...TEXTS.values()].flatMap((text) => [
			...text.matchAll(/```json\n([\s\S]*?)```/g),
		]);

		expect(blocks.length).toBeGreaterThan(3);
		for (const [, json = ''] of blocks) expect(JSON.parse(json)).toBeObject();
	});

	test('leads from the architecture or the README to every decision', () => {
		const text = `${read('README.md')}${read('docs/architecture.md')}`;

		for (const path of filesOf('docs/adr/*.md')) expect(text).toContain(path.replace('docs/', ''));
	});
});

/** Frames that are neither events nor sent by clients. */
const OTHERS = [
	...['connected', 'error', 'pong', 'reply', 'server.shutdown'],
	...['replay.done', 'resync', 'room.gap'],
];

describe('docs/protocol.md', () => {
	let bindings: FrameBinding[];
	let events: EventType[];

	beforeAll(async () => {
		const modules = await Promise.all(
			filesOf('src/features/*/frames.ts').map((path) => import(join(ROOT, path))),
		);
		// Which frames there are does not depend on the use-cases behind them.
		bindings = modules.flatMap((module: Record<string, (useCases: object) => FrameBinding[]>) =>
			Object.values(module).flatMap((framesOf) => framesOf({})),
		);
		const schemas = await Promise.all(
			filesOf('src/features/*/schema.ts').map((path) => import(join(ROOT, path))),
		);
		events = declarationsOf(schemas).events;
	});

	test('has every frame of a client, with its fields, permission and cost', () => {
		expect(bindings.length).toBeGreaterThan(5);
		for (const { type, operation } of bindings) {
			const required: string[] = operation.input.required ?? [];
			const fields = Object.keys(operation.input.properties)
				.map((name) => `\`${name}${required.includes(name) ? '' : '?'}\``)
				.join(', ');
			const cost = operation.frame_cost ?? operation.cost;
			const row = `| \`${type}\` | ${fields || 'none'} | \`${operation.permission}\` | ${cost} |`;
			expect(protocol).toContain(`\n${row}`);
		}
	});

	test('has every event, with each of its fields', () => {
		expect(events.length).toBeGreaterThan(5);
		for (const { type, frame = type, data } of events) {
			const row = rowOf(protocol, `\`${frame}\``);
			for (const field of Object.keys(data.properties)) expect(row).toContain(`\`${field}\``);
		}
	});

	test('has every other frame of the server', () => {
		const types = filesOf(
			'src/ws/*.ts',
			'src/features/connections/*.ts',
			'src/features/events/service/missed.ts',
		).flatMap((path) => [...read(path).matchAll(/(?:\(\{|"|\{)\s*"?type"?: ?['"]([a-z._]+)['"]/g)]);
		const names = [...new Set(types.map(([, type = '']) => type))].sort();

		expect(names).toEqual([...OTHERS].sort());
		for (const name of names) expect(rowOf(protocol, `\`${name}\``)).not.toBe('');
	});

	test('names no frame that is not there', () => {
		const known = [
			...OTHERS,
			...bindings.map(({ type }) => type),
			...events.map(({ type, frame }) => frame ?? type),
		];
		const section = protocol.slice(protocol.indexOf('## Frames'), protocol.indexOf('## Order'));
		const rows = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, type = '']) => type);

		expect(rows.sort()).toEqual(known.sort());
	});

	test('has every close code, with its reason, and no other of ours', () => {
		const rows = [...protocol.matchAll(/^\| (4\d{3}) \| `([a-z_]+)` \|/gm)];

		expect(Object.fromEntries(rows.map(([, code, reason = '']) => [reason, Number(code)]))).toEqual(
			{ ...CLOSE },
		);
	});
});

describe('docs/operations.md', () => {
	test('has every line that the server logs', () => {
		const calls = /log\.(debug|info|warn|error)\(\s*(?:\{[^}]*\}),\s*'([^']+)'/g;
		const lines = filesOf('src/**/*.ts').flatMap((path) => [...read(path).matchAll(calls)]);

		expect(lines.length).toBeGreaterThan(14);
		for (const [, level = '', msg = ''] of lines) {
			const row = operations
				.split('\n')
				.find((line) => line.startsWith(`| ${level} |`) && line.includes(`\`${msg}\``));
			expect({ level, msg, isThere: row !== undefined }).toEqual({ level, msg, isThere: true });
		}
	});

	test('has every metric of ours', () => {
		const names = [...read('src/app/metrics.ts').matchAll(/'(chatapi_[a-z_]+)'/g)];

		expect(names.length).toBeGreaterThan(10);
		for (const [, name = ''] of names) expect(operations).toContain(`\`${name}`);
	});
});

describe('docs/architecture.md', () => {
	test('has every feature and every layer of src', () => {
		const text = read('docs/architecture.md');

		for (const path of filesOf('src/features/*/schema.ts')) {
			expect(rowOf(text, `\`${path.split('/')[2]}\``)).not.toBe('');
		}
		for (const folder of new Set(filesOf('src/*/**/*.ts').map((path) => path.split('/')[1]))) {
			expect(text).toContain(`| \`src/${folder}`);
		}
	});
});

/** Whether a link of a page leads somewhere. What is on other hosts is not asked. */
function isLinkGood(page: string, target: string): boolean {
	if (/^[a-z]+:/.test(target)) return /^https:\/\//.test(target);
	const [file = '', heading] = target.split('#');
	const path = file === '' ? page : normalize(join(dirname(page), file));
	if (!existsSync(join(ROOT, path))) return false;
	return heading === undefined || headingsOf(read(path)).includes(heading);
}

/** The anchors of a page's headings, as hosts of repositories make them. */
const headingsOf = (text: string): string[] =>
	[...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
		title
			.toLowerCase()
			.replaceAll(/[^\w\s-]/g, '')
			.trim()
			.replaceAll(/\s/g, '-'),
	);
