import { describe, expect, test } from 'bun:test';
import { journalViolations, lockViolations, topLevelViolations } from './repository.ts';

describe('migrations', () => {
	const entry = (idx: number, when: number, tag: string) => ({ idx, when, tag });

	test.each([
		['out of order in time', [entry(0, 2, 'a'), entry(1, 1, 'b')], ['a.sql', 'b.sql']],
		['of the same time', [entry(0, 1, 'a'), entry(1, 1, 'b')], ['a.sql', 'b.sql']],
		['misnumbered', [entry(0, 1, 'a'), entry(2, 2, 'b')], ['a.sql', 'b.sql']],
		['without a file', [entry(0, 1, 'a'), entry(1, 2, 'b')], ['a.sql']],
		['not listed', [entry(0, 1, 'a')], ['a.sql', 'b.sql']],
		['listed twice', [entry(0, 1, 'a'), entry(1, 2, 'a')], ['a.sql']],
	])('that are %s are refused', (_, entries, files) => {
		expect(journalViolations({ entries }, files)).toHaveLength(1);
	});
});

describe('the top of the repository', () => {
	test('refuses what is on no list', () => {
		const gitignore = '# local\nnode_modules/\n/chatapi\n*.log\n';
		const entries = ['src', 'node_modules', 'chatapi', 'a.log', 'lib', 'chatapi2'];

		expect(topLevelViolations(entries, gitignore)).toEqual([
			'lib is on no list of what lies at the top of the repository',
			'chatapi2 is on no list of what lies at the top of the repository',
		]);
	});
});

describe('the lock', () => {
	test('refuses to lack what a package needs, for another platform too', () => {
		const packages = {
			'': { dependencies: { a: '1.0.0' }, devDependencies: { b: '1.0.0' } },
			'node_modules/a': { optionalDependencies: { '@a/other-platform': '1.0.0' } },
		};

		expect(lockViolations({ packages })).toEqual([
			'package.json needs b, which the lock does not hold',
			'node_modules/a needs @a/other-platform, which the lock does not hold',
		]);
	});

	test('finds a package beside the one that needs it, below it, and above it', () => {
		const packages = {
			'': { dependencies: { '@s/a': '1.0.0' } },
			'node_modules/@s/a': { dependencies: { b: '1.0.0', c: '1.0.0' } },
			'node_modules/@s/a/node_modules/b': { dependencies: { c: '1.0.0', d: '1.0.0' } },
			'node_modules/@s/a/node_modules/d': {},
			'node_modules/c': {},
		};

		expect(lockViolations({ packages })).toEqual([]);
	});
});
