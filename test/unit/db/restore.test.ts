import type { Database } from 'bun:sqlite';
import { afterEach, describe, expect, test } from 'bun:test';
import {
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { systemRandom } from '../../../src/core/random.ts';
import { backUp } from '../../../src/db/backup.ts';
import { openDatabase } from '../../../src/db/client.ts';
import { manifestPath } from '../../../src/db/manifest.ts';
import { DatabaseRefused } from '../../../src/db/migrate.ts';
import { finishRestore, type RestoreTask, restoreBackup } from '../../../src/db/restore.ts';
import { writeAlone } from '../../../src/db/write-alone.ts';
import { createFakeClock } from '../core/fake-clock.ts';
import { dumpOf, EPOCHS, epochsIn, fillDatabase, insertMessage } from './filled.ts';
import { useTempFolders } from './temp-folder.ts';
import { rejectionOf } from './workbench.ts';

const tempFolder = useTempFolders();
const closing: (() => void)[] = [];
afterEach(() => {
	for (const close of closing.splice(0)) close();
});

/** A backup, and a data directory to restore it into. */
async function given() {
	const folder = tempFolder();
	const { path, db } = fillDatabase(folder);
	const file = join(folder, 'backup.db');
	await backUp({
		source: path,
		target: file,
		version: '1',
		clock: createFakeClock(),
		lowWaterBytes: 0,
		onProgress() {},
		record: async () => {},
	});
	db.close();
	const dir = join(folder, 'new');
	mkdirSync(dir);
	const database = join(dir, 'chatapi.db');
	const restore = (
		isForced = false,
		random: typeof systemRandom = systemRandom,
		amend: RestoreTask['amend'] = async () => {},
	) => restoreBackup({ file, database, isForced, random, amend, onProgress() {} });
	return { folder, file, dir, database, restore };
}

/** A database as a kill leaves it: with messages that only its log holds. */
function killedDatabase(dir: string): string {
	const elsewhere = tempFolder();
	const { path, db } = fillDatabase(elsewhere);
	db.run('PRAGMA wal_checkpoint(TRUNCATE)');
	insertMessage(db, 1, 1000);
	for (const suffix of ['', '-wal', '-shm']) {
		copyFileSync(path + suffix, join(dir, `chatapi.db${suffix}`));
	}
	const dump = dumpOf(path);
	db.close();
	expect(dump).toContain('msg_1_1000');
	return dump;
}

describe('a restore', () => {
	test('makes the backup the database, with another epoch for every log and nothing else changed', async () => {
		const { file, dir, database, restore } = await given();

		const { replaced, manifest } = await restore();

		expect(dumpOf(database)).toBe(dumpOf(file));
		expect(epochsIn(file)).toEqual([...EPOCHS]);
		expect(manifest.tenants.map(({ epoch }) => epoch)).toEqual([...EPOCHS]);
		const epochs = epochsIn(database);
		expect(epochs).toHaveLength(EPOCHS.length);
		for (const epoch of epochs) {
			expect(epoch).toMatch(/^[0-9a-v]{5}$/);
			expect(EPOCHS as readonly string[]).not.toContain(epoch);
		}
		expect(replaced).toBeUndefined();
		expect(readdirSync(dir)).toEqual(['chatapi.db']);
		expect(statSync(database).mode & 0o777).toBe(0o600);
	});

	test('has what was written into the copy from its first moment on', async () => {
		const { database, restore } = await given();
		const isThere: boolean[] = [];

		await restore(false, systemRandom, async (copy) => {
			isThere.push(existsSync(database), existsSync(`${database}.restored`));
			await writeAlone(copy, async (db) => insertMessage(db, 1, 1000));
		});

		expect(isThere).toEqual([false, false]);
		expect(dumpOf(database)).toContain('msg_1_1000');
	});

	test('is none where that could not be written, or only into a log that stays behind', async () => {
		const { dir, restore } = await given();
		const before = readdirSync(dir);
		const keptOpen: Database[] = [];

		const refused = await rejectionOf(
			restore(false, systemRandom, () => Promise.reject(new DatabaseRefused('no'))),
		);
		const unfolded = await rejectionOf(
			restore(false, systemRandom, async (copy) => {
				const db = openDatabase(copy, 'write');
				keptOpen.push(db);
				insertMessage(db, 1, 1000);
			}),
		);
		for (const db of keptOpen) db.close();

		expect((refused as Error).message).toBe('no');
		expect((unfolded as Error).message).toContain('the copy is whole without its log');
		expect(readdirSync(dir)).toEqual(before);
	});

	test('takes no epoch that the log had, whatever chance says', async () => {
		const { database, restore } = await given();
		// Four bytes that say 'aaaaa', then others.
		const same = new Uint8Array(4);
		new DataView(same.buffer).setUint32(0, Number.parseInt('aaaaa', 32));
		let asked = 0;

		await restore(false, {
			bytes: () => (asked++ === 0 ? same : systemRandom.bytes(4)),
			fraction: systemRandom.fraction,
		});

		expect(epochsIn(database)).not.toContain('aaaaa');
		expect(asked).toBeGreaterThan(EPOCHS.length);
	});

	test.each(['chatapi.db', 'chatapi.db-wal'])(
		'refuses a directory with a %s, and changes nothing',
		async (name) => {
			const { dir, restore } = await given();
			writeFileSync(join(dir, name), 'mine');

			const error = await rejectionOf(restore());

			expect(error).toBeInstanceOf(DatabaseRefused);
			expect((error as Error).message).toContain('--force');
			expect(readdirSync(dir)).toEqual([name]);
			expect(readFileSync(join(dir, name), 'utf8')).toBe('mine');
		},
	);

	test('that is forced puts the old database aside with its log, and lets neither meet the new', async () => {
		const { file, dir, database, restore } = await given();
		const old = killedDatabase(dir);

		const { replaced = '' } = await restore(true);

		expect(dumpOf(database)).toBe(dumpOf(file));
		expect(dumpOf(replaced)).toBe(old);
	});

	test('that is forced puts a file aside that is no database', async () => {
		const { file, database, restore } = await given();
		writeFileSync(database, 'not a database');

		const { replaced = '' } = await restore(true);

		expect(dumpOf(database)).toBe(dumpOf(file));
		expect(readFileSync(replaced, 'utf8')).toBe('not a database');
	});

	test.each([
		['a flipped bit', (bytes: Buffer) => bytes.fill((bytes[9000] ?? 0) ^ 4, 9000, 9001)],
		['half of it', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
		['nothing', () => Buffer.alloc(0)],
	])('of a backup with %s is refused, forced or not, and changes nothing', async (_, spoil) => {
		const { file, dir, restore } = await given();
		const old = killedDatabase(dir);
		writeFileSync(file, spoil(readFileSync(file)));
		const before = readdirSync(dir);

		const error = await rejectionOf(restore(true));

		expect(error).toBeInstanceOf(DatabaseRefused);
		expect(readdirSync(dir)).toEqual(before);
		expect(dumpOf(join(dir, 'chatapi.db'))).toBe(old);
	});
});

describe('a restore that was killed', () => {
	/** All that is done by then, and the files as they are at that moment. */
	const MOMENTS: Record<string, (database: string, aside: string) => void> = {
		'before the old database was moved': () => {},
		'between the old database and its log': (database, aside) => renameSync(database, aside),
		'after both were moved': (database, aside) => {
			renameSync(database, aside);
			renameSync(`${database}-wal`, `${aside}-wal`);
		},
	};

	for (const [moment, reach] of Object.entries(MOMENTS)) {
		test(`${moment} is finished`, async () => {
			const { file, dir, database, restore } = await given();
			await restore();
			const restored = dumpOf(database);
			renameSync(database, `${database}.restored`);
			const old = killedDatabase(dir);
			const stamp = new Date(statSync(`${database}.restored`).mtimeMs).toISOString();
			reach(database, join(dir, `replaced-${stamp.replaceAll(':', '-')}-chatapi.db`));

			const { replaced = '' } = finishRestore(database) ?? {};

			expect(dumpOf(database)).toBe(restored);
			expect(restored).toBe(dumpOf(file));
			expect(dumpOf(replaced)).toBe(old);
			expect(finishRestore(database)).toBeUndefined();
			expect(existsSync(`${database}.restored`)).toBe(false);
		});
	}

	test('before its copy was complete leaves the old database', async () => {
		const { dir, database } = await given();
		const old = killedDatabase(dir);
		mkdirSync(join(dir, '.chatapi-draft-x'));
		writeFileSync(join(dir, '.chatapi-draft-x', 'copy.db'), 'half');

		expect(finishRestore(database)).toBeUndefined();
		expect(dumpOf(database)).toBe(old);
	});
});

test('a restore reads the manifest that stands beside the file', async () => {
	const { file, folder, restore } = await given();
	renameSync(manifestPath(file), join(folder, 'elsewhere'));

	expect((await rejectionOf(restore())) as Error).toMatchObject({
		message: expect.stringContaining('is missing'),
	});
});
