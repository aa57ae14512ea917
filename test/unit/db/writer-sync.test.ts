import { describe, expect, test } from 'bun:test';
import { statSync } from 'node:fs';
import { systemClock } from '../../../src/core/clock.ts';
import { createLogSync, type LogSync } from '../../../src/db/log-sync.ts';
import { within } from '../../helpers/wait.ts';
import { ACME, event, rejectionOf, useWorkbench } from './workbench.ts';

const openWorkbench = useWorkbench();
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Syncs that end when the test says so. */
function heldSync() {
	const waiting: ((error?: unknown) => void)[] = [];
	const logSync: LogSync = { sync: (done) => void waiting.push(done), isInline: false, close() {} };
	return {
		logSync,
		get count() {
			return waiting.length;
		},
		/** Ends the oldest one. */
		end(error?: unknown): void {
			const done = waiting.shift();
			if (done === undefined) throw new Error('no sync is under way');
			done(error);
		},
		async begun(): Promise<void> {
			while (waiting.length === 0) await turn();
		},
	};
}

describe('while a commit is synced', () => {
	test('nobody is told of it, and no read sees it; then all do, in one turn', async () => {
		const disk = heldSync();
		const bench = openWorkbench(disk);
		let isAnswered = false;
		const answer = bench.note('a', { events: 1 }).then(() => {
			isAnswered = true;
		});
		await disk.begun();
		for (let turns = 0; turns < 5; turns++) await turn();

		expect(bench.notes()).toEqual(['a']); // committed: another process may see it
		expect({ isAnswered, told: bench.told, seen: bench.seen() }).toEqual({
			isAnswered: false,
			told: [],
			seen: [],
		});

		disk.end();

		expect(bench.told).toHaveLength(1);
		expect(bench.seen()).toEqual(['a']);
		await within(answer, 'the answer');
	});

	test('the event loop goes on, and what arrives becomes the next batch', async () => {
		const disk = heldSync();
		const bench = openWorkbench(disk);
		const first = bench.note('a');
		await disk.begun();
		const others = [bench.note('b'), bench.note('c')];
		for (let turns = 0; turns < 5; turns++) await turn();

		expect(bench.notes()).toEqual(['a']);
		expect(disk.count).toBe(1);

		disk.end();
		expect(await first).toBe('a');
		await disk.begun();
		disk.end();
		expect(await Promise.all(others)).toEqual(['b', 'c']);
		expect(bench.writer.counters).toMatchObject({ commits: 2, changes: 3 });
	});

	test('a refusal waits for it as well', async () => {
		const disk = heldSync();
		const bench = openWorkbench(disk);
		let isRefused = false;
		const refused = rejectionOf(
			bench.writer.commit(ACME, () => {
				throw new Error('no');
			}),
		).then(() => {
			isRefused = true;
		});
		await disk.begun();
		await turn();
		expect(isRefused).toBe(false);
		disk.end();
		await within(refused, 'the refusal');
	});

	test('a drain waits for it, and the log is not folded', async () => {
		const disk = heldSync();
		const bench = openWorkbench(disk);
		const answer = bench.note('a');
		await disk.begun();
		let isDrained = false;
		const drained = bench.writer.drain().then(() => {
			isDrained = true;
		});

		expect(bench.writer.foldLog()).toBe('part');
		expect(bench.seen()).toEqual([]);
		await turn();
		expect(isDrained).toBe(false);
		disk.end();
		await within(Promise.all([answer, drained]), 'the drain');
		expect(bench.writer.foldLog()).toBe('whole');
		expect(bench.seen()).toEqual(['a']);
	});
});

describe('a sync that fails', () => {
	test('leaves the outcome unknown: everybody is told so, nothing is shown, nothing more is written', async () => {
		const disk = heldSync();
		const bench = openWorkbench(disk);
		const answers = [bench.note('a', { events: 1 }), bench.note('b')].map(rejectionOf);
		await disk.begun();
		const waiting = rejectionOf(bench.note('c'));
		const failure = new Error('EIO');

		disk.end(failure);

		for (const error of await Promise.all([...answers, waiting])) {
			expect(error).toMatchObject({ errorCode: 'UNAVAILABLE' });
		}
		expect(bench.fatal).toEqual([failure]);
		expect([bench.told, bench.seen()]).toEqual([[], []]);
		expect(bench.writer.isWritable).toBe(false);
		expect(await rejectionOf(bench.note('d'))).toMatchObject({ errorCode: 'UNAVAILABLE' });
	});
});

describe('the log', () => {
	const MIB = 1024 ** 2;
	const noteOf = (number: number) => `${number} ${'x'.repeat(MIB)}`;

	test('is folded beside the batches, and begins again', async () => {
		const bench = openWorkbench();
		for (let round = 0; round < 4; round++) {
			// 20 MiB: more than a fold waits for.
			for (let number = 0; number < 20; number++) {
				await bench.note(noteOf(round * 20 + number), { events: 1 });
			}
			await within(bench.writer.drain(), 'the fold');
		}

		expect(bench.defects).toEqual([]);
		expect(bench.seen()).toHaveLength(80);
		expect(bench.cursors(ACME)).toHaveLength(80);
		expect(statSync(bench.path).size).toBeGreaterThan(60 * MIB);
		expect(statSync(`${bench.path}-wal`).size).toBeLessThan(40 * MIB);
	}, 60_000);

	test('grows beside somebody who reads the whole file, and shrinks again', async () => {
		const bench = openWorkbench();
		const logBytes = () => statSync(`${bench.path}-wal`).size;
		bench.outside.run('BEGIN');
		bench.outside.query('SELECT count(*) FROM notes').get();
		for (let number = 0; number < 40; number++) await bench.note(noteOf(number));
		await within(bench.writer.drain(), 'the fold');
		expect(logBytes()).toBeGreaterThan(40 * MIB);
		bench.outside.run('COMMIT');

		for (let number = 40; number < 50; number++) await bench.note(noteOf(number));
		await within(bench.writer.drain(), 'the fold');
		await bench.note('the first of a new log');

		expect(logBytes()).toBeLessThanOrEqual(17 * MIB);
		expect(bench.seen()).toHaveLength(51);
		expect(bench.defects).toEqual([]);
	}, 60_000);

	/** Folds that end when the test says so. */
	function heldFolds() {
		const waiting: ((error?: Error) => void)[] = [];
		return {
			folder: {
				fold: () =>
					new Promise<void>((resolve, reject) => {
						waiting.push((error) => (error === undefined ? resolve() : reject(error)));
					}),
				close: () => Promise.resolve(),
			},
			end: (error?: Error) => waiting.shift()?.(error),
			begun: async () => {
				while (waiting.length === 0) await turn();
			},
		};
	}

	test('batches go on beside the first fold, and wait for the second, even one that was due already', async () => {
		const folds = heldFolds();
		const bench = openWorkbench(folds);
		await bench.note('x'.repeat(20 * MIB));
		await folds.begun();
		expect(await bench.note('beside')).toBe('beside');

		const due = bench.note('held');
		folds.end();
		await folds.begun();
		for (let turns = 0; turns < 5; turns++) await turn();
		expect(bench.notes().slice(1)).toEqual(['beside']);

		folds.end();
		expect(await due).toBe('held');
		await within(bench.writer.drain(), 'the drain');
		expect(bench.defects).toEqual([]);
	});

	test('a fold that fails is told, and loses nothing', async () => {
		const folds = heldFolds();
		const bench = openWorkbench(folds);
		await bench.note('x'.repeat(20 * MIB));
		const [first, second] = [new Error('no thread'), new Error('no disk')];
		for (const error of [first, second]) {
			await folds.begun();
			folds.end(error);
		}
		await within(bench.writer.drain(), 'the drain');

		expect(bench.defects).toEqual([first, second]);
		expect(await bench.note('after')).toBe('after');
		expect(bench.writer.isWritable).toBe(true);
		expect(bench.notes().slice(1)).toEqual(['after']);
	});

	test('grows while another process reads, and is folded after it', async () => {
		const bench = openWorkbench();
		bench.outside.run('BEGIN');
		bench.notes();
		for (let number = 0; number < 30; number++) await bench.note(noteOf(number));
		await within(bench.writer.drain(), 'the fold');
		expect(bench.outside.query('SELECT count(*) FROM notes').values()).toEqual([[0]]);

		bench.outside.run('COMMIT');
		expect(bench.writer.foldLog()).toBe('whole');
		expect(bench.notes()).toHaveLength(30);
		expect(bench.defects).toEqual([]);
	}, 60_000);
});

describe('how the log is synced', () => {
	/** A disk whose syncs take as long as the test says, as far as the clock tells. */
	function timed(bench: ReturnType<typeof openWorkbench>) {
		let ms = 0;
		let isEven = true;
		let now = 0;
		const monotonic = () => {
			isEven = !isEven;
			if (isEven) now += ms;
			return now;
		};
		const logSync = createLogSync(bench.path, { monotonic });
		/** Whether it was done before the call returned. */
		const isInline = async (takes: number): Promise<boolean> => {
			ms = takes;
			let isDone = false;
			const done = Promise.withResolvers<void>();
			logSync.sync((error) => {
				isDone = true;
				error === undefined ? done.resolve() : done.reject(error);
			});
			const answer = isDone;
			await within(done.promise, 'the sync');
			return answer;
		};
		return { isInline, close: logSync.close };
	}

	test('on the spot where that is quick, beside the event loop where it is slow', async () => {
		const bench = openWorkbench();
		await bench.note('a');
		const { isInline, close } = timed(bench);

		/** Where each of many syncs was made: `i` on the spot, `-` on the other thread. */
		const many = async (...takes: number[]) => {
			let places = '';
			for (const ms of takes) places += (await isInline(ms)) ? 'i' : '-';
			return places;
		};
		const times = (ms: number, count: number) => Array.from({ length: count }, () => ms);

		const [HERE, AWAY] = ['i', '-'];
		expect(await many(...times(0.1, 20))).toBe(HERE.repeat(20));
		expect(await many(5, 5, 5, ...times(0.1, 20))).toBe(HERE.repeat(23)); // hiccups
		expect(await many(5, 5, 5, 5, ...times(5, 16))).toBe(HERE.repeat(4) + AWAY.repeat(16));
		// Tried now and then, ever more rarely while it is slow.
		expect(await many(...times(5, 33))).toBe(HERE + AWAY.repeat(32));
		expect(await many(...times(5, 65))).toBe(HERE + AWAY.repeat(64));
		const long = await many(...times(5, 3000));
		expect([...long].filter((place) => place === HERE).length).toBeLessThan(8);
		// Quick again: seen at the next trial.
		const after = await many(...times(0.1, 1200));
		expect(after).toMatch(/^-*i+$/);
		close();
	});

	test('a log that is not there is an error, not silence', async () => {
		const logSync = createLogSync('/nowhere/chatapi.db', systemClock);
		const errors: unknown[] = [];
		logSync.sync((error) => errors.push(error));
		expect(errors).toEqual([expect.objectContaining({ code: 'ENOENT' })]);
	});
});

test('an event is seen by reads in the turn in which it is published', async () => {
	const bench = openWorkbench();
	const answer = bench.writer.commit(ACME, (tx) => {
		tx.insert('a');
		return { value: null, events: [event('a')] };
	});
	while (bench.told.length === 0) await turn();
	expect(bench.seen()).toEqual(['a']);
	await answer;
});
