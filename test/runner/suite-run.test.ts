import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
	appendFileSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSuite, type Schedule, scheduleOf } from './suite-run.ts';

/** Starting a test runner, on busy cores. */
const DEADLINE_MS = 60_000;

let root: string;
let printed: string[];
beforeEach(() => {
	root = mkdtempSync(join(tmpdir(), 'chatapi-suite-'));
	mkdirSync(join(root, 'reports'));
	writeFileSync(join(root, 'log'), '');
	printed = [];
});
afterEach(() => rmSync(root, { recursive: true }));

/** Writes the test files and runs them so. */
function runFiles(
	files: Record<string, string>,
	schedule: Partial<Schedule>,
	{ lanes = 2, deadlineMs = DEADLINE_MS } = {},
) {
	for (const [name, text] of Object.entries(files)) {
		writeFileSync(join(root, name), `import { expect, test } from 'bun:test';\n${text}`);
	}
	return runSuite({
		schedule: { sideBySide: [], alone: [], ...schedule },
		lanes,
		deadlineMs,
		root,
		reports: join(root, 'reports'),
		isCi: false,
		allowedSkips: [],
		print(text) {
			printed.push(text);
			appendFileSync(join(root, 'log'), `print ${text.trim()}\n`);
		},
	});
}

/** A test that says when it begins and ends, and stays until all of these have begun. */
const staying = (name: string, until: readonly string[]): string => `
	import { appendFileSync, readFileSync } from 'node:fs';
	const log = ${JSON.stringify(join(root, 'log'))};
	test('stays', async () => {
		appendFileSync(log, 'begin ${name}\\n');
		const begun = (each) => readFileSync(log, 'utf8').includes('begin ' + each);
		while (!${JSON.stringify(until)}.every(begun)) await Bun.sleep(5);
		appendFileSync(log, 'end ${name}\\n');
	}, ${DEADLINE_MS});`;

describe('the files of a suite', () => {
	test('begin with those that take long, in that order; the rest by name', () => {
		const files = ['c', 'a', 'd', 'b'];

		expect(scheduleOf(files, { first: ['d', 'c'], alone: [] })).toEqual({
			sideBySide: ['d', 'c', 'a', 'b'],
			alone: [],
		});
	});

	test('that want the machine run apart, and all of them where the suite says so', () => {
		expect(scheduleOf(['a', 'b', 'c'], { alone: ['b'] })).toEqual({
			sideBySide: ['a', 'c'],
			alone: ['b'],
		});
		expect(scheduleOf(['b', 'a'], { alone: 'all' })).toEqual({ sideBySide: [], alone: ['a', 'b'] });
	});
});

describe('a suite', () => {
	test('runs files side by side, and then those that run alone, one after the other', async () => {
		const files = {
			'a.test.ts': staying('a', ['b']),
			'b.test.ts': staying('b', ['a']),
			'c.test.ts': staying('c', []),
			'd.test.ts': staying('d', []),
		};

		const result = await runFiles(files, {
			sideBySide: ['a.test.ts', 'b.test.ts'],
			alone: ['c.test.ts', 'd.test.ts'],
		});

		expect(result).toMatchObject({ passed: 4, failed: [], skipped: [], problems: [] });
		const log = readFileSync(join(root, 'log'), 'utf8').trim().split('\n');
		// Neither of these ends before both have begun.
		expect(log.slice(0, 6).sort()).toEqual([
			...['begin a', 'begin b', 'end a', 'end b'],
			...['print a.test.ts', 'print b.test.ts'],
		]);
		expect(log.slice(6)).toEqual(
			['c', 'd'].flatMap((name) => [`print ${name}.test.ts`, `begin ${name}`, `end ${name}`]),
		);
	});

	test('counts every file, and prints whole what a failing one wrote, and of no other', async () => {
		const files = {
			'a.test.ts': "test('a', () => console.log('of a')); test('b', () => {});",
			'b.test.ts': `test('c', () => { console.log('of b'); expect(1).toBe(2); });
				test.skip('d (skipped: no moon)', () => {});`,
			'c.test.ts': "throw new Error('it does not load');",
			'd.test.ts': "test('e', () => process.exit(7));",
		};

		const result = await runFiles(files, { sideBySide: Object.keys(files) });

		expect(result).toMatchObject({
			passed: 2,
			failed: ['b.test.ts: c'],
			skipped: [{ name: 'b.test.ts: d', reason: 'no moon' }],
		});
		expect(result.problems).toEqual(['c.test.ts ran no test', 'd.test.ts ran no test']);
		expect(result.slowest.map(({ file }) => file).sort()).toEqual(Object.keys(files));
		const names = printed.filter((text) => /^ {3}\S+$/.test(text)).map((text) => text.trim());
		expect(names.sort()).toEqual(Object.keys(files));
		const outputs = printed.filter((text) => text.startsWith('\n')).join('');
		expect(outputs).toContain('of b');
		expect(outputs).toContain('expect(received).toBe(expected)');
		expect(outputs).toContain('it does not load');
		expect(outputs).not.toContain('of a');
	});

	test('is over at its deadline: what runs is ended, what waits is not begun, both fail', async () => {
		const files = { 'a.test.ts': staying('a', ['nobody']), 'b.test.ts': "test('b', () => {});" };

		const result = await runFiles(
			files,
			{ sideBySide: ['a.test.ts'], alone: ['b.test.ts'] },
			{ lanes: 1, deadlineMs: 3_000 },
		);

		expect(result).toMatchObject({ passed: 0, failed: [] });
		expect(result.problems).toEqual([
			expect.stringMatching(/^a\.test\.ts: ended after \d+ s/),
			'b.test.ts: no time was left to run it',
		]);
		expect(printed).toContain('   a.test.ts');
		expect(printed).not.toContain('   b.test.ts');
	});

	test('without a file has failed', async () => {
		const result = await runFiles({}, {});

		expect(result).toMatchObject({ passed: 0, problems: ['there is no test to run'] });
	});
});
