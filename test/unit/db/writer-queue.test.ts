import { describe, expect, test } from 'bun:test';
import { ACME, GLOBEX, rejectionOf, useWorkbench } from './workbench.ts';

const openWorkbench = useWorkbench();

describe('the queue', () => {
	test('is bounded: what is beyond is refused at once, with the time it takes to empty', async () => {
		const { writer, note, notes } = openWorkbench({ queueMax: 3 });
		const waiting = [note('a'), note('b'), note('c')];

		const refusal = await rejectionOf(note('d'));

		expect(refusal).toMatchObject({
			errorCode: 'UNAVAILABLE',
			details: { retry_after_ms: expect.any(Number) },
		});
		expect(notes()).toEqual([]);
		await Promise.all(waiting);
		expect(notes()).toEqual(['a', 'b', 'c']);
		expect(await note('e')).toBe('e');
		expect(writer.isWritable).toBe(true);
	});

	test('tells the longer a wait, the more is waiting and the slower changes are', async () => {
		const waitOf = async (queueMax: number, msPerChange: number) => {
			const { writer, note, clock } = openWorkbench({ queueMax });
			await writer.commit(ACME, () => {
				clock.advance(msPerChange);
				return { value: null };
			});
			const waiting = Array.from({ length: queueMax }, (_, index) => note(`n${index}`));
			const refusal = await rejectionOf(note('one too many'));
			await Promise.all(waiting);
			return (refusal as { details: { retry_after_ms: number } }).details.retry_after_ms;
		};

		expect(await waitOf(10, 20)).toBe(200);
		expect(await waitOf(20, 20)).toBe(400);
		expect(await waitOf(10, 5)).toBe(50);
	});

	test('lets tenants take turns: one waits for the other’s next change only, not for all of them', async () => {
		const { note, notes } = openWorkbench();
		const flood = Array.from({ length: 50 }, (_, index) => note(`flood${index}`));
		const other = Array.from({ length: 2 }, (_, index) => note(`other${index}`, { scope: GLOBEX }));

		await Promise.all([...flood, ...other]);

		expect(notes().slice(0, 5)).toEqual(['flood0', 'other0', 'flood1', 'other1', 'flood2']);
	});

	test('gives a tenant its part of every batch, however much another has waiting', async () => {
		const { writer, note } = openWorkbench({ queueMax: 10_000 });
		const flood = Array.from({ length: 3000 }, (_, index) => note(`flood${index}`));
		const commitsSeen: number[] = [];

		const other = Array.from({ length: 600 }, (_, index) =>
			note(`other${index}`, { scope: GLOBEX }).then(() =>
				commitsSeen.push(writer.counters.commits),
			),
		);
		await Promise.all([...flood, ...other]);

		// 512 of the first batch's 1,024, the rest in the second; the flood takes four.
		expect(commitsSeen.filter((commits) => commits === 1)).toHaveLength(512);
		expect(Math.max(...commitsSeen)).toBe(2);
		expect(writer.counters.commits).toBe(4);
	});

	test('takes what comes while a batch is answered into the next one', async () => {
		const { writer, note, notes } = openWorkbench();

		await note('a').then(() => Promise.all([note('b'), note('c')]));

		expect(notes()).toEqual(['a', 'b', 'c']);
		expect(writer.counters).toEqual({ commits: 2, changes: 3, queued: 0 });
	});
});

describe('drain', () => {
	test('resolves when everything that waits is on disk', async () => {
		const { writer, note, notes } = openWorkbench({ queueMax: 5000 });
		const waiting = Array.from({ length: 3000 }, (_, index) => note(`n${index}`));

		await writer.drain();

		expect(notes()).toHaveLength(3000);
		await Promise.all(waiting);
	});

	test('resolves at once when nothing waits, and may be asked twice', async () => {
		const { writer, note } = openWorkbench();
		await writer.drain();
		const waiting = note('a');

		await Promise.all([writer.drain(), writer.drain()]);

		expect(await waiting).toBe('a');
	});

	test('resolves when the last change that waited has failed', async () => {
		const { writer } = openWorkbench();
		const failing = rejectionOf(
			writer.commit(ACME, () => {
				throw new Error('no');
			}),
		);

		await writer.drain();

		expect(await failing).toMatchObject({ message: 'no' });
	});
});

describe('close', () => {
	test('refuses further changes, and is not writable any more', async () => {
		const { writer, note } = openWorkbench();
		await note('a');
		expect(writer.isWritable).toBe(true);

		writer.close();

		expect(writer.isWritable).toBe(false);
		expect(await rejectionOf(note('b'))).toMatchObject({ errorCode: 'UNAVAILABLE' });
	});

	test('leaves one file that holds everything by itself', async () => {
		const { writer, note, path, outside } = openWorkbench();
		await Promise.all(['a', 'b'].map((text) => note(text)));

		writer.close();

		expect(Bun.file(`${path}-wal`).size).toBe(0);
		expect(outside.query('SELECT text FROM notes').values()).toEqual([['a'], ['b']]);
	});
});
