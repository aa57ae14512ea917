import { afterEach, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Draft, openDraft, removeStaleDrafts } from '../../../src/db/draft.ts';
import { within } from '../../helpers/wait.ts';
import { useTempFolders } from './temp-folder.ts';

const tempFolder = useTempFolders();
const opened: Draft[] = [];
afterEach(() => {
	for (const draft of opened.splice(0)) draft.discard();
});

function open(dir: string): Draft {
	const draft = openDraft(dir);
	opened.push(draft);
	return draft;
}

test('a draft is a folder beside what is there, and goes with all that is in it', () => {
	const dir = tempFolder();
	writeFileSync(join(dir, 'other'), 'x');
	const draft = open(dir);
	writeFileSync(draft.path('half'), 'x');

	draft.discard();
	draft.discard();

	expect(readdirSync(dir)).toEqual(['other']);
});

test('two drafts in one directory leave each other alone', () => {
	const dir = tempFolder();
	const first = open(dir);
	writeFileSync(first.path('half'), 'x');

	const second = open(dir);
	removeStaleDrafts(dir);

	expect(existsSync(first.path('half'))).toBe(true);
	expect(first.path('')).not.toBe(second.path(''));
	expect(readdirSync(dir)).toHaveLength(2);
});

test('what a killed process left is removed by the next, and by no one while it lives', async () => {
	const dir = tempFolder();
	const source = join(import.meta.dir, '../../../src/db/draft.ts');
	const script = `import { openDraft } from ${JSON.stringify(source)};
		await Bun.write(openDraft(process.argv[1]).path('half'), 'x');
		console.log('ready');
		setInterval(() => {}, 1000);`;
	const child = Bun.spawn([process.execPath, '-e', script, dir], { stdout: 'pipe' });
	const { value } = await within(child.stdout.getReader().read(), 'the other process to begin');
	expect(new TextDecoder().decode(value)).toContain('ready');
	const [name = ''] = readdirSync(dir);
	removeStaleDrafts(dir);
	expect(existsSync(join(dir, name, 'half'))).toBe(true);

	child.kill('SIGKILL');
	await within(child.exited, 'the other process to die');
	const draft = open(dir);

	expect(existsSync(join(dir, name))).toBe(false);
	expect(existsSync(draft.path(''))).toBe(true);
});

test('a draft without a lock, made a moment before a kill, is removed; no directory is no failure', () => {
	const dir = tempFolder();
	mkdirSync(join(dir, '.chatapi-draft-abcdef'));

	removeStaleDrafts(dir);
	removeStaleDrafts(join(dir, 'none'));

	expect(readdirSync(dir)).toEqual([]);
});
