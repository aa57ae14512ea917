/**
 * House style that a machine can check, held against this repository. That each rule can fail is
 * shown beside it, in test/tidy.
 */
import { beforeAll, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { STEPS } from './runner/suites.ts';
import { faultViolations } from './tidy/faults.ts';
import { FEATURES, importViolations } from './tidy/imports.ts';
import { declarationsOf, eventViolations, operationViolations } from './tidy/operations.ts';
import { journalViolations, lockViolations, topLevelViolations } from './tidy/repository.ts';
import {
	FILE_LINES_MAX,
	linesOf,
	shapeViolations,
	TIMERS,
	unfinished,
	usageViolations,
} from './tidy/rules.ts';
import { statementsOf, tenantViolations } from './tidy/statements.ts';
import { parseSources, type Source } from './tidy/syntax.ts';

const ROOT = join(import.meta.dir, '..');

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const filesBelow = (pattern: string): string[] =>
	[...new Bun.Glob(pattern).scanSync({ cwd: ROOT, dot: true })].sort();

let sources: Source[];

beforeAll(async () => {
	const paths = filesBelow('src/**/*.{ts,tsx,js,mts,cts,mjs,cjs,jsx}');
	expect(paths.length).toBeGreaterThan(50);
	sources = await parseSources(new Map(paths.map((path) => [path, read(path)])));
});

test('imports go down the layers, without circles, and along the list of features', () => {
	expect(importViolations(sources)).toEqual([]);
});

test('the list of features names those there are, and holds no circle', () => {
	const features = readdirSync(join(ROOT, 'src/features')).sort();
	const reachable = (feature: string, depth = 0): string[] =>
		depth > features.length
			? []
			: (FEATURES[feature] ?? []).flatMap((next) => [next, ...reachable(next, depth + 1)]);

	expect(Object.keys(FEATURES).sort()).toEqual(features);
	for (const feature of features) expect(reachable(feature)).not.toContain(feature);
});

test('every fault that a test plants still has its place in the sources', () => {
	const tests = new Map(
		filesBelow('test/{contract,crash,load,fuzz}/**/*.ts').map((path) => [path, read(path)]),
	);
	const texts = new Map(sources.map(({ path, text }) => [path, text]));

	const { found, violations } = faultViolations(tests, (path) => texts.get(path));

	expect(found).toBeGreaterThan(10);
	expect(violations).toEqual([]);
});

test('clock, randomness, settings, console and timers are used only where they belong', () => {
	expect(usageViolations(sources, TIMERS)).toEqual([]);
});

test('files and functions are short, well placed, and without enums and namespaces', () => {
	expect(shapeViolations(sources)).toEqual([]);
});

test('tests, examples and docs are short too and leave nothing unfinished; no test runs alone', () => {
	const paths = filesBelow('{test,examples,docs,drizzle,.ci}/**/*');
	const code = paths.filter((path) => path.endsWith('.ts'));

	expect(code.length).toBeGreaterThan(20);
	expect(paths.flatMap((path) => unfinished(path, read(path)))).toEqual([]);
	expect(code.filter((path) => linesOf(read(path)) > FILE_LINES_MAX)).toEqual([]);
	expect(code.filter((path) => /\b(test|describe|it)\.only\b/.test(read(path)))).toEqual([]);
});

test('every test file belongs to one suite of `npm test`', () => {
	const suites = STEPS.filter((step) => step.kind === 'suite');
	const claimed = suites.flatMap((suite) => [...new Set(suite.files.flatMap(filesBelow))]);

	expect(claimed.sort()).toEqual(filesBelow('test/**/*.{test,spec}.*'));
});

test('what a suite says of single files, it says of files that it has', () => {
	const said = STEPS.filter((step) => step.kind === 'suite').flatMap((suite) => {
		const named = [...(suite.first ?? []), ...(suite.alone === 'all' ? [] : suite.alone)];
		const files = suite.files.flatMap(filesBelow);
		return named.map((file) => ({ file, isThere: files.includes(file) }));
	});

	expect(said.length).toBeGreaterThan(0);
	expect(said.filter(({ isThere }) => !isThere)).toEqual([]);
	expect(new Set(said.map(({ file }) => file)).size).toBe(said.length);
});

test('operations and events are named, bounded, and shown by an example that fits', async () => {
	const modules = await Promise.all(
		filesBelow('src/features/*/schema.ts').map((path) => import(join(ROOT, path))),
	);
	const { operations, events } = declarationsOf(modules);

	expect(operations.length).toBeGreaterThan(20);
	expect(events.length).toBeGreaterThan(5);
	expect(operationViolations(operations)).toEqual([]);
	expect(eventViolations(events)).toEqual([]);
});

test('every statement of every store keeps to one tenant', async () => {
	const migrations = filesBelow('drizzle/*.sql').map(read);
	const statements: string[] = [];
	for (const path of ['src/db/event-log.ts', ...filesBelow('src/features/*/store.ts')]) {
		const module: Record<string, unknown> = await import(join(ROOT, path));
		for (const [name, create] of Object.entries(module)) {
			if (!/^create[A-Z]/.test(name) || typeof create !== 'function') continue;
			const prepared = statementsOf(migrations, (db) => create(db));
			expect(prepared.length).toBeGreaterThan(0);
			statements.push(...prepared);
		}
	}

	expect(statements.length).toBeGreaterThan(20);
	expect(tenantViolations(statements)).toEqual([]);
});

test('migrations are all listed, in the order of their time', () => {
	const journal = JSON.parse(read('drizzle/meta/_journal.json'));
	const files = filesBelow('drizzle/*.sql').map((path) => path.slice('drizzle/'.length));

	expect(files.length).toBeGreaterThan(0);
	expect(journalViolations(journal, files)).toEqual([]);
});

test('the lock holds every package that any of its packages needs', () => {
	expect(lockViolations(JSON.parse(read('package-lock.json')))).toEqual([]);
});

test('the top of the repository holds what was agreed on', () => {
	expect(topLevelViolations(readdirSync(ROOT), read('.gitignore'))).toEqual([]);
});
