import { describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './command.ts';
import { type Outcome, type Run, readReport, tally } from './report.ts';

/** What Bun itself reports of a test file with this text. */
async function reportOf(files: Record<string, string>) {
	const folder = mkdtempSync(join(tmpdir(), 'chatapi-report-'));
	try {
		for (const [name, text] of Object.entries(files)) {
			writeFileSync(
				join(folder, name),
				`import { describe, expect, test } from 'bun:test';\n${text}`,
			);
		}
		const { exitCode } = await run(
			[
				process.execPath,
				'test',
				'--reporter=junit',
				'--reporter-outfile=report.xml',
				...Object.keys(files).map((name) => `./${name}`),
			],
			{ cwd: folder, deadlineMs: 30_000 },
		);
		return { exitCode, outcomes: readReport(readFileSync(join(folder, 'report.xml'), 'utf8')) };
	} finally {
		rmSync(folder, { recursive: true });
	}
}

const passed: Outcome = { name: 'a', file: 'a.test.ts', result: 'passed' };
const ran = (change: Partial<Run>): Run => ({
	files: ['a.test.ts'],
	exitCode: 0,
	outcomes: [passed],
	isCi: false,
	allowedSkips: [],
	...change,
});

describe('the report', () => {
	test('tells of every test by its full name, its result, and why it was skipped', async () => {
		const { exitCode, outcomes } = await reportOf({
			'a.test.ts': `
				describe('outer <&">', () => describe('inner', () => {
					test('passes', () => {});
					test('fails', () => { expect(1).toBe(2); });
					test.skip('is skipped [skipped: no browser]', () => {});
				}));
				test.skip('is skipped (skipped: no curl)', () => {});
				test.skip('is skipped', () => {});
				test.todo('is to come');
				describe.skip('a group', () => { test('in it', () => {}); });`,
		});

		expect(exitCode).toBe(1);
		const file = 'a.test.ts';
		expect(outcomes).toEqual([
			{ name: 'outer <&"> > inner > passes', file, result: 'passed' },
			{ name: 'outer <&"> > inner > fails', file, result: 'failed' },
			{ name: 'outer <&"> > inner > is skipped', file, result: 'skipped', reason: 'no browser' },
			{ name: 'is skipped', file, result: 'skipped', reason: 'no curl' },
			{ name: 'is skipped', file, result: 'skipped' },
			{ name: 'is to come', file, result: 'skipped' },
			{ name: 'a group > in it', file, result: 'skipped' },
		]);
	});

	test('of a file that throws while it loads is missing, and that is counted as a failure', async () => {
		const files = { 'a.test.ts': "test('a', () => {});", 'b.test.ts': "throw new Error('b');" };
		const { exitCode, outcomes } = await reportOf(files);

		const counted = tally(ran({ files: Object.keys(files), exitCode, outcomes }));

		expect(counted.passed).toBe(1);
		expect(counted.problems).toEqual(['b.test.ts ran no test']);
	});
});

describe('the tally', () => {
	const skipped: Outcome = {
		name: 'b',
		file: 'a.test.ts',
		result: 'skipped',
		reason: 'no browser',
	};

	test('counts what passed and lists what did not', () => {
		const failed: Outcome = { name: 'c', file: 'a.test.ts', result: 'failed' };

		const counted = tally(ran({ outcomes: [passed, skipped, failed], exitCode: 1 }));

		expect(counted).toEqual({
			passed: 1,
			failed: ['a.test.ts: c'],
			skipped: [{ name: 'a.test.ts: b', reason: 'no browser' }],
			problems: [],
		});
	});

	test('takes a skip without a reason for a failure', () => {
		const { reason: _, ...unexplained } = skipped;

		expect(tally(ran({ outcomes: [passed, unexplained] })).failed).toHaveLength(1);
	});

	test('takes any skip for a failure under CI, but those on the list', () => {
		const run = ran({ outcomes: [passed, skipped], isCi: true });

		expect(tally(run).failed).toHaveLength(1);
		expect(tally({ ...run, allowedSkips: [{ name: 'b', why: 'because' }] }).failed).toEqual([]);
		expect(tally({ ...run, allowedSkips: [{ name: 'c', why: 'because' }] }).failed).toHaveLength(1);
	});

	test.each([
		['no files', { files: [], outcomes: [] }],
		['a file that ran no test', { files: ['a.test.ts', 'b.test.ts'] }],
		['no report at all', { outcomes: [] }],
		['an exit code that nothing explains', { exitCode: 1 }],
		['a crash after the report', { exitCode: 139 }],
	])('takes %s for a failure', (_, change) => {
		expect(tally(ran(change)).problems).toHaveLength(1);
	});
});
