import { afterEach, describe, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLog } from '../../../src/core/log.ts';
import { systemRandom } from '../../../src/core/random.ts';
import { createDiskGuard, type DiskGuard, type Space } from '../../../src/db/disk-guard.ts';
import type { Folded } from '../../../src/db/write-connection.ts';
import { eventually } from '../../helpers/wait.ts';
import { useTempFolders } from './temp-folder.ts';

const MIB = 1024 ** 2;
const LOW_WATER = 64 * MIB;
const BALLAST = 2 * MIB;
const ROOMY: Space = { freeBytes: 50_000 * MIB, totalBytes: 100_000 * MIB };

const tempFolder = useTempFolders();
const guards: DiskGuard[] = [];
afterEach(() => {
	for (const guard of guards.splice(0)) guard.stop();
});

/** A guard of a disk whose space the test says, and of a log that folds as the test says. */
function openGuard({ dir = tempFolder(), free = ROOMY.freeBytes, total = ROOMY.totalBytes } = {}) {
	const state = {
		space: { freeBytes: free, totalBytes: total },
		isAsked: true,
		/** What each next fold comes to; `whole` when there is none left. */
		folds: [] as Folded[],
		folded: [] as Folded[],
	};
	const log: { level: string; msg: string }[] = [];
	const guard = createDiskGuard({
		dir,
		lowWaterBytes: LOW_WATER,
		ballastBytes: BALLAST,
		log: createLog('info', { write: (line) => log.push(JSON.parse(line)) }),
		random: systemRandom,
		measure() {
			if (!state.isAsked) throw new Error('EIO');
			return state.space;
		},
		fold() {
			const result = state.folds.shift() ?? 'whole';
			state.folded.push(result);
			return result;
		},
	});
	guards.push(guard);
	const file = join(dir, 'ballast');
	return {
		dir,
		guard,
		state,
		file,
		ballastBytes: () => statSync(file, { throwIfNoEntry: false })?.size,
		/** Looks again, with so much free. */
		checkWith(freeBytes: number): boolean {
			state.space = { ...state.space, freeBytes };
			guard.check();
			return guard.hasRoom;
		},
		told: () => log.map(({ level, msg }) => `${level} ${msg}`),
	};
}

const ALMOST_FULL = 'error The disk is almost full: refusing writes';
const FULL = 'error The disk is full: refusing writes';
const ROOM_AGAIN = 'info There is room on the disk again: taking writes';

describe('the low-water mark', () => {
	test('lets writes through at it, and refuses them below', () => {
		const { checkWith } = openGuard();

		expect(checkWith(LOW_WATER)).toBe(true);
		expect(checkWith(LOW_WATER - 1)).toBe(false);
	});

	test('lets them through again a quarter above it, so that they do not flap', () => {
		const { guard, checkWith, told } = openGuard();
		guard.start();
		checkWith(LOW_WATER - 1);

		expect(checkWith(LOW_WATER)).toBe(false);
		expect(checkWith(LOW_WATER * 1.25 - 1)).toBe(false);
		expect(checkWith(LOW_WATER * 1.25)).toBe(true);
		expect(checkWith(LOW_WATER)).toBe(true);
		expect(told()).toEqual([ALMOST_FULL, ROOM_AGAIN]);
	});

	test('is a twentieth of a file system that is small', () => {
		const total = 100 * MIB;
		const { checkWith } = openGuard({ free: total, total });

		expect(checkWith(5 * MIB)).toBe(true);
		expect(checkWith(5 * MIB - 1)).toBe(false);
	});

	test('is said once, however often it is looked at, and the log folded at once', () => {
		const { state, checkWith, told } = openGuard();

		for (let count = 0; count < 5; count++) checkWith(LOW_WATER - 1 - count);

		expect(told()).toEqual([ALMOST_FULL]);
		expect(state.folded).toEqual(['whole']);
	});

	test('holds from the start on, and leaves no ballast where there is no room for it', () => {
		const { guard, ballastBytes, told } = openGuard({ free: LOW_WATER - 1 });

		guard.start();

		expect(guard.hasRoom).toBe(false);
		expect(ballastBytes()).toBeUndefined();
		expect(told()).toEqual([ALMOST_FULL]);
	});

	test('shuts nobody out who starts between it and the room for a ballast', () => {
		const { guard, ballastBytes, told } = openGuard({ free: LOW_WATER + 1 });

		guard.start();

		expect(guard.hasRoom).toBe(true);
		expect(ballastBytes()).toBeUndefined();
		expect(told()).toEqual([]);
	});
});

describe('the ballast', () => {
	test('is made at the start, as blocks that no compression makes smaller, for our user alone', () => {
		const { guard, file, ballastBytes } = openGuard();

		guard.start();

		expect(ballastBytes()).toBe(BALLAST);
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(statSync(file).blocks * 512).toBeGreaterThanOrEqual(BALLAST);
		expect(Bun.gzipSync(new Uint8Array(readFileSync(file))).length).toBeGreaterThan(BALLAST * 0.9);
	});

	test('is kept as it is by the next start', () => {
		const { dir, guard, file } = openGuard();
		guard.start();
		const before = readFileSync(file);

		openGuard({ dir }).guard.start();

		expect(readFileSync(file).equals(before)).toBe(true);
	});

	test('is brought to the size that is set: from a start cut short, and from a larger one', () => {
		for (const size of [BALLAST / 3, BALLAST * 2]) {
			const { guard, file, ballastBytes } = openGuard();
			writeFileSync(file, new Uint8Array(Math.floor(size)));

			guard.start();

			expect(ballastBytes()).toBe(BALLAST);
			expect(guard.hasRoom).toBe(true);
		}
	});

	test('is a twentieth of a file system that is small', () => {
		const { guard, ballastBytes } = openGuard({ free: 20 * MIB, total: 20 * MIB });

		guard.start();

		expect(ballastBytes()).toBe(MIB);
	});

	test('is kept at the mark, and given up when the log cannot be folded without it', () => {
		const { guard, state, checkWith, ballastBytes } = openGuard();
		guard.start();
		checkWith(LOW_WATER - 1);
		expect(ballastBytes()).toBe(BALLAST);
		checkWith(LOW_WATER * 2);

		state.folds = ['full', 'whole'];
		checkWith(0);

		expect(ballastBytes()).toBe(0);
		expect(state.folded).toEqual(['whole', 'full', 'whole']);
	});

	test('must be back before writes are', () => {
		const { guard, checkWith, ballastBytes, told } = openGuard();
		guard.start();
		guard.onFull();

		expect(checkWith(LOW_WATER * 1.25 + BALLAST - 1)).toBe(false);
		expect(ballastBytes()).toBe(0);
		expect(checkWith(LOW_WATER * 1.25 + BALLAST)).toBe(true);
		expect(ballastBytes()).toBe(BALLAST);
		expect(told()).toEqual([FULL, ROOM_AGAIN]);
	});

	test('that was given up keeps writes refused across a start', () => {
		const before = openGuard();
		before.guard.start();
		before.guard.onFull();

		const after = openGuard({ dir: before.dir, free: LOW_WATER + 1 });
		after.guard.start();

		expect(after.guard.hasRoom).toBe(false);
		expect(after.told()).toEqual([ALMOST_FULL]);
		expect(after.checkWith(LOW_WATER * 2)).toBe(true);
	});

	test('that cannot be made is said once, and keeps nobody from writing', () => {
		const { dir, guard, told } = openGuard();
		mkdirSync(join(dir, 'ballast'));

		guard.start();
		for (let count = 0; count < 3; count++) guard.check();

		expect(guard.hasRoom).toBe(true);
		expect(told()).toEqual(['warn The ballast cannot be made']);
	});
});

describe('a disk that SQLite found full', () => {
	test('refuses writes at once, gives the ballast up, folds the log, and says so once', () => {
		const { guard, state, ballastBytes, told } = openGuard();
		guard.start();

		for (let count = 0; count < 3; count++) guard.onFull();

		expect(guard.hasRoom).toBe(false);
		expect(ballastBytes()).toBe(0);
		expect(state.folded[0]).toBe('whole');
		expect(told()).toEqual([FULL]);
	});

	test('has its log folded as soon as nobody is in the way any more', () => {
		const { guard, state, checkWith } = openGuard();
		guard.start();
		state.folds = ['part', 'part', 'whole'];

		guard.onFull();
		for (let count = 0; count < 4; count++) checkWith(0);

		expect(state.folded).toEqual(['part', 'part', 'whole']);
	});
});

describe('a file system that cannot be asked', () => {
	test('is said once a time, and taken for a roomy one', () => {
		const { guard, state, told } = openGuard();
		guard.start();

		state.isAsked = false;
		for (let count = 0; count < 3; count++) guard.check();
		expect(guard.hasRoom).toBe(true);
		state.isAsked = true;
		guard.check();
		state.isAsked = false;
		guard.check();

		const warning = 'warn The free space of the disk cannot be measured';
		expect(told()).toEqual([warning, warning]);
	});

	test('does not keep writes refused when the ballast could be made again', () => {
		const { guard, state, ballastBytes } = openGuard();
		guard.start();
		state.isAsked = false;
		guard.onFull();
		expect(guard.hasRoom).toBe(false);

		guard.check();

		expect(guard.hasRoom).toBe(true);
		expect(ballastBytes()).toBe(BALLAST);
	});
});

test('it looks by itself, as long as it runs', async () => {
	const { guard, state } = openGuard();
	guard.start();

	state.space = { ...ROOMY, freeBytes: 1 };

	await eventually(() => !guard.hasRoom);
	expect(guard.freeBytes).toBe(1);
});
