import { describe, expect, test } from 'bun:test';
import { AppError } from '../../../src/core/errors.ts';
import { within } from '../../helpers/wait.ts';
import { ACME, event, GLOBEX, limitPages, rejectionOf, useWorkbench } from './workbench.ts';

const openWorkbench = useWorkbench();

const LARGE = 'x'.repeat(100_000);

describe('a change that waits for something else than its transaction', () => {
	/**
	 * Waits for a later turn of the event loop between two writes; `ended` tells what became of it in the
	 * end. Not for a timer: on a stalled machine one of some milliseconds is due before the turn ends.
	 */
	function stuckChange(
		bench: ReturnType<typeof openWorkbench>,
		write: 'insert' | 'insertPrepared',
	) {
		let tellEnd = (_: unknown) => {};
		const ended = new Promise<unknown>((resolve) => {
			tellEnd = resolve;
		});
		const answer = bench.writer.commit(ACME, async (tx) => {
			try {
				tx[write]('early');
				await new Promise((resolve) => setImmediate(resolve));
				tx[write]('late');
				tellEnd('it went on as if nothing had happened');
			} catch (error) {
				tellEnd(error);
			}
			return { value: null, events: [event('late')] };
		});
		return { answer: rejectionOf(answer), ended };
	}

	for (const write of ['insert', 'insertPrepared'] as const) {
		test(`is failed as a defect, and nothing it writes later lands (${write})`, async () => {
			const bench = openWorkbench();
			const stuck = stuckChange(bench, write);

			const answer = await within(stuck.answer, 'the answer');

			expect(answer).not.toBeInstanceOf(AppError);
			expect(bench.defects).toEqual([answer]);
			expect(await within(stuck.ended, 'the change to end')).toBeInstanceOf(Error);
			expect(bench.notes()).toEqual([]);
			expect([bench.cursors(ACME), bench.head(ACME)]).toEqual([[], 0]);
			expect(bench.told).toEqual([]);
		});
	}

	test('does not reach the connection that came after, whatever runs there when it goes on', async () => {
		const bench = openWorkbench();
		const stuck = stuckChange(bench, 'insert');
		await stuck.answer;

		let ended = false;
		void stuck.ended.then(() => {
			ended = true;
		});
		for (let count = 0; !ended; count++) await bench.note(`n${count}`, { events: 1 });
		await bench.note('last', { events: 1 });

		const stored = bench.notes();
		expect(stored.at(-1)).toBe('last');
		expect(stored).not.toContain('late');
		expect(bench.cursors(ACME)).toEqual(stored.map((_, index) => index + 1));
		expect(bench.head(ACME)).toBe(stored.length);
		expect(bench.connections).toHaveLength(2);
	});

	test('takes nobody with it: the others of its batch run again, once and in their order', async () => {
		const bench = openWorkbench();
		const before = [bench.note('a', { events: 1 }), bench.note('g', { scope: GLOBEX })];
		const stuck = stuckChange(bench, 'insert');
		const after = [bench.note('b', { events: 2 }), bench.note('h', { scope: GLOBEX })];

		expect(await Promise.all([...before, ...after])).toEqual(['a', 'g', 'b', 'h']);

		await stuck.answer;
		await stuck.ended;
		expect(bench.notes().toSorted()).toEqual(['a', 'b', 'g', 'h']);
		expect(bench.notes().indexOf('a')).toBeLessThan(bench.notes().indexOf('b'));
		expect(bench.cursors(ACME)).toEqual([1, 2, 3]);
		expect(bench.told).toHaveLength(3);
	});

	test('does not hold up a drain', async () => {
		const bench = openWorkbench();
		const stuck = stuckChange(bench, 'insert');

		await within(bench.writer.drain(), 'the drain');

		await stuck.answer;
		await stuck.ended;
		expect(bench.writer.counters.queued).toBe(0);
	});

	test('leaves a writer that works', async () => {
		const bench = openWorkbench();
		for (let round = 0; round < 3; round++) {
			const stuck = stuckChange(bench, 'insert');
			await stuck.answer;
			await stuck.ended;
			await bench.note(`n${round}`);
		}

		expect(bench.notes()).toEqual(['n0', 'n1', 'n2']);
		expect(bench.defects).toHaveLength(3);
		expect(bench.fatal).toEqual([]);
		expect(bench.writer.isWritable).toBe(true);
	});
});

describe('a full disk', () => {
	test('fails the whole batch with INSUFFICIENT_STORAGE, stores nothing, and works again with room', async () => {
		const bench = openWorkbench();
		await bench.note('kept', { events: 1 });
		const makeRoom = limitPages(bench.connection());

		const settled = await Promise.allSettled([
			bench.note('small', { events: 1 }),
			bench.note(LARGE, { events: 1 }),
			bench.note('other', { scope: GLOBEX }),
		]);

		expect(settled.slice(0, 2)).toMatchObject([
			{ status: 'rejected', reason: { errorCode: 'INSUFFICIENT_STORAGE' } },
			{ status: 'rejected', reason: { errorCode: 'INSUFFICIENT_STORAGE' } },
		]);
		expect(bench.told).toHaveLength(1);
		expect(bench.cursors(ACME)).toEqual([1]);
		expect(bench.fatal).toEqual([]);
		makeRoom();
		expect(await bench.note(LARGE, { events: 1 })).toBe(LARGE);
		expect(bench.cursors(ACME)).toEqual([1, 2]);
		expect(bench.head(ACME)).toBe(2);
	});

	test('leaves reads to go on', async () => {
		const bench = openWorkbench();
		await bench.note('kept');
		limitPages(bench.connection());

		await rejectionOf(bench.note(LARGE));

		expect(bench.notes()).toEqual(['kept']);
		expect(await bench.writer.commit(ACME, (tx) => ({ value: tx.list() }))).toEqual(['kept']);
	});
});

describe('a COMMIT that fails', () => {
	/** A deferred foreign key is looked at by COMMIT: one that dangles makes it fail for real. */
	function breakCommit(bench: ReturnType<typeof openWorkbench>) {
		bench.outside.run(
			`CREATE TABLE strays (tenant INTEGER NOT NULL
				REFERENCES tenants (tenant) DEFERRABLE INITIALLY DEFERRED) STRICT`,
		);
		return bench.writer.commit(ACME, (tx) => {
			tx.insert('stray');
			bench.connection().run('INSERT INTO strays VALUES (4711)');
			return { value: null, events: [event('x')] };
		});
	}

	test('is answered as unknown to everybody of the batch, and ends the writer', async () => {
		const bench = openWorkbench();
		const batch = [bench.note('a'), breakCommit(bench), bench.note('b')];

		const settled = await Promise.allSettled(batch);

		expect(settled).toMatchObject(
			Array(3).fill({ status: 'rejected', reason: { errorCode: 'UNAVAILABLE' } }),
		);
		expect(bench.fatal).toHaveLength(1);
		expect(bench.told).toEqual([]);
		expect(bench.writer.isWritable).toBe(false);
		expect(await rejectionOf(bench.note('c'))).toMatchObject({ errorCode: 'UNAVAILABLE' });
	});

	test('is not tried again, and lets nothing that waits run', async () => {
		const bench = openWorkbench({ queueMax: 5000 });
		const first = breakCommit(bench);
		const waiting = Array.from({ length: 1100 }, (_, index) => bench.note(`n${index}`));

		const settled = await Promise.allSettled([first, ...waiting]);
		await within(bench.writer.drain(), 'the drain');

		expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
		expect(bench.notes()).toEqual([]);
		expect(bench.fatal).toHaveLength(1);
	});
});

describe('a transaction that cannot begin', () => {
	test('fails what waits, retryable, and works again once the lock is gone', async () => {
		const bench = openWorkbench();
		bench.connection().run('PRAGMA busy_timeout = 1');
		bench.outside.run('BEGIN IMMEDIATE');

		const refusal = await rejectionOf(bench.note('a'));
		bench.outside.run('ROLLBACK');

		expect(refusal).toMatchObject({ errorCode: 'UNAVAILABLE' });
		expect(bench.defects).toMatchObject([{ code: expect.stringMatching(/^SQLITE_BUSY/) }]);
		expect(bench.fatal).toEqual([]);
		expect(await bench.note('b')).toBe('b');
		expect(bench.notes()).toEqual(['b']);
	});
});
