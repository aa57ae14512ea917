import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { lockDataDir } from '../../../src/db/lock.ts';
import { within } from '../../helpers/wait.ts';
import { useTempFolders } from './temp-folder.ts';

const tempFolder = useTempFolders();
const LOCK = join(import.meta.dir, '../../../src/db/lock.ts');

/** Another process that holds the lock, or says that it could not have it. */
function other(path: string) {
	const source = `
		const { lockDataDir } = await import(${JSON.stringify(LOCK)});
		globalThis.lock = lockDataDir(${JSON.stringify(path)});
		console.log(globalThis.lock === undefined ? 'refused' : 'held');
		setInterval(() => {}, 1000);
	`;
	const child = Bun.spawn([process.execPath, '-e', source], { stdout: 'pipe', stderr: 'inherit' });
	return {
		async says(): Promise<string> {
			const { value } = await within(child.stdout.getReader().read(), 'the other process');
			return new TextDecoder().decode(value).trim();
		},
		async kill() {
			child.kill('SIGKILL');
			await child.exited;
		},
	};
}

test('one process has it; another is told at once that it cannot have it', async () => {
	const path = join(tempFolder(), 'chatapi.lock');
	const lock = lockDataDir(path);
	const rival = other(path);

	expect(lock).toBeDefined();
	expect(await rival.says()).toBe('refused');
	await rival.kill();
	lock?.release();
});

test('is free after a release', async () => {
	const path = join(tempFolder(), 'chatapi.lock');
	lockDataDir(path)?.release();
	const rival = other(path);

	expect(await rival.says()).toBe('held');
	await rival.kill();
});

test('is free after a kill of its holder, with nothing to clean up', async () => {
	const path = join(tempFolder(), 'chatapi.lock');
	const holder = other(path);
	expect(await holder.says()).toBe('held');
	expect(lockDataDir(path)).toBeUndefined();

	await holder.kill();

	const lock = lockDataDir(path);
	expect(lock).toBeDefined();
	lock?.release();
});

test('throws where no file can be', () => {
	expect(() => lockDataDir(join(tempFolder(), 'absent', 'chatapi.lock'))).toThrow();
});
