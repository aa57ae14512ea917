import { describe, expect, test } from 'bun:test';
import { encodeCursor } from '../../../src/core/cursor.ts';
import { AppError } from '../../../src/core/errors.ts';
import { controlPlane } from '../../../src/db/change.ts';
import { ACME, effect, event, GLOBEX, rejectionOf, useWorkbench } from './workbench.ts';

const openWorkbench = useWorkbench();

describe('group commit', () => {
	test('puts what waits together into one transaction', async () => {
		const { writer, note, notes } = openWorkbench();

		await Promise.all(Array.from({ length: 500 }, (_, index) => note(`n${index}`)));

		expect(notes()).toEqual(Array.from({ length: 500 }, (_, index) => `n${index}`));
		expect(writer.counters).toEqual({ commits: 1, changes: 500, queued: 0 });
	});

	test('bounds a batch in changes: 2,500 of them are three commits', async () => {
		const { writer, note } = openWorkbench({ queueMax: 5000 });

		await Promise.all(Array.from({ length: 2500 }, (_, index) => note(`n${index}`)));

		expect(writer.counters).toMatchObject({ commits: 3, changes: 2500 });
	});

	test('bounds a batch in time: slow changes do not wait for each other', async () => {
		const { writer, clock } = openWorkbench();
		const slow = () =>
			writer.commit(ACME, () => {
				clock.advance(10);
				return { value: null };
			});

		await Promise.all(Array.from({ length: 9 }, slow));

		// 10, 20, 30 ms: the third one is over the limit of 25.
		expect(writer.counters).toMatchObject({ commits: 3, changes: 9 });
	});

	test('answers nobody before all of the batch is on disk', async () => {
		const { note, notes } = openWorkbench();
		const seen: string[][] = [];

		await Promise.all(
			['a', 'b', 'c'].map(async (text) => {
				await note(text);
				seen.push(notes());
			}),
		);

		expect(seen).toEqual(Array(3).fill(['a', 'b', 'c']));
	});

	test('shows a change what the changes before it in the batch wrote', async () => {
		const { writer, note } = openWorkbench();

		const [, seen] = await Promise.all([
			note('first'),
			writer.commit(ACME, (tx) => ({ value: tx.list() })),
		]);

		expect(seen).toEqual(['first']);
		expect(writer.counters.commits).toBe(1);
	});

	test('takes changes that await their stores, in the order in which they came', async () => {
		const { writer, notes } = openWorkbench();
		const twice = (text: string) =>
			writer.commit(ACME, async (tx) => {
				await tx.insert(`${text}1`);
				await tx.insert(`${text}2`);
				return { value: null };
			});

		await Promise.all([twice('a'), twice('b'), twice('c')]);

		expect(notes()).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2']);
		expect(writer.counters.commits).toBe(1);
	});
});

describe('a change that throws', () => {
	const failing = (what: unknown) => (tx: { insert(text: string): void }) => {
		tx.insert('undone');
		throw what;
	};

	test('undoes only itself', async () => {
		const { writer, note, notes } = openWorkbench();
		const refusal = new AppError('CONFLICT', 'no');

		const settled = await Promise.allSettled([
			note('before'),
			writer.commit(ACME, failing(refusal)),
			note('after'),
		]);

		expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
		expect(settled[1]).toMatchObject({ reason: refusal });
		expect(notes()).toEqual(['before', 'after']);
		expect(writer.counters.commits).toBe(1);
	});

	test('is no defect when it is a refusal, and one when it is anything else', async () => {
		const { writer, defects, notes } = openWorkbench();
		const bug = new TypeError('x is not a function');

		expect(
			await rejectionOf(writer.commit(ACME, failing(new AppError('CONFLICT', 'no')))),
		).toBeInstanceOf(AppError);
		expect(defects).toEqual([]);
		expect(await rejectionOf(writer.commit(ACME, failing(bug)))).toBe(bug);
		expect(defects).toEqual([bug]);
		expect(notes()).toEqual([]);
	});

	test('on a constraint undoes only itself: SQLite ends the statement, not the transaction', async () => {
		const { writer, note, notes, defects } = openWorkbench();
		const twice = () =>
			writer.commit(ACME, (tx) => {
				tx.insert('undone');
				tx.insert('taken');
				return { value: null };
			});

		const settled = await Promise.allSettled([note('taken'), twice(), note('after')]);

		expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
		expect(notes()).toEqual(['taken', 'after']);
		expect(defects).toMatchObject([{ code: 'SQLITE_CONSTRAINT_UNIQUE' }]);
	});

	test('after an await undoes what it wrote before and after it', async () => {
		const { writer, note, notes } = openWorkbench();
		const late = writer.commit(ACME, async (tx) => {
			tx.insert('one');
			await null;
			tx.insert('two');
			throw new AppError('CONFLICT', 'no');
		});

		await Promise.allSettled([late, note('other')]);

		expect(notes()).toEqual(['other']);
	});

	test('is answered after the commit: what it saw may be a change of the same batch', async () => {
		const { writer, note, notes } = openWorkbench();
		const refused = writer
			.commit(ACME, (tx) => {
				throw new AppError('CONFLICT', tx.list().join());
			})
			.catch(() => notes());

		const [, seenOutside] = await Promise.all([note('first'), refused]);

		expect(seenOutside).toEqual(['first']);
	});

	test('while its events are logged publishes nothing, applies nothing, and takes no cursor', async () => {
		const { writer, told, note, head, cursors } = openWorkbench();
		const circular: Record<string, unknown> = {};
		circular.self = circular;
		const broken = writer.commit(ACME, () => ({
			value: null,
			effects: [effect('member.joined')],
			events: [event('logged first'), event('', { data: circular })],
		}));

		const settled = await Promise.allSettled([broken, note('kept', { events: 1 })]);

		expect(settled.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
		expect(told.filter((line) => line.startsWith('publish'))).toEqual(told);
		expect(told).toHaveLength(1);
		expect(told[0]).toStartWith('publish note.added 1 ');
		expect([cursors(ACME), head(ACME)]).toEqual([[1], 1]);
	});
});

describe('after the commit', () => {
	test('come a change’s effects, its publications, what closes, its answer; then the next one’s', async () => {
		const { writer, told } = openWorkbench();
		const change = (text: string) =>
			writer
				.commit(ACME, () => ({
					value: text,
					events: [event(text), event(`${text}!`)],
					live: [{ streams: [{ key: 'u/x', topic: 'u/x' }], frame: `live ${text}` }],
					effects: [effect('member.joined')],
				}))
				.then((value) => told.push(`answer ${value}`));

		await Promise.all([change('a'), change('b')]);

		const frame = (text: string, cursor: number) =>
			JSON.stringify({ type: 'note.added', cursor: encodeCursor('aaaaa', cursor), text });
		expect(told.slice(0, 10)).toEqual([
			'before member.joined',
			`publish note.added 1 to r/room_1: ${frame('a', 1)}`,
			`publish note.added 2 to r/room_1: ${frame('a!', 2)}`,
			'publish null null to u/x: live a',
			'after member.joined',
			'before member.joined',
			`publish note.added 3 to r/room_1: ${frame('b', 3)}`,
			`publish note.added 4 to r/room_1: ${frame('b!', 4)}`,
			'publish null null to u/x: live b',
			'after member.joined',
		]);
		expect(told.slice(10)).toEqual(['answer a', 'answer b']);
	});

	test('an event goes to its further streams too, and into the log once', async () => {
		const { writer, told, outside } = openWorkbench();
		const also = [{ key: 'u/bob', topic: 'u/bob' }];

		await writer.commit(ACME, () => ({ value: null, events: [event('x', { also })] }));

		expect(told).toHaveLength(1);
		expect(told[0]).toStartWith('publish note.added 1 to r/room_1 u/bob: ');
		expect(outside.query('SELECT stream FROM events').values()).toEqual([['r/1']]);
	});

	test('an event that refers to its data is logged without it', async () => {
		const { writer, outside, clock, told } = openWorkbench();
		clock.advance(5);

		await writer.commit(ACME, () => ({
			value: null,
			events: [event('copied'), event('referred', { ref: 7, frame: 'note' })],
		}));

		expect(
			outside.query('SELECT cursor, type, ref, payload, created_at FROM events').all(),
		).toEqual([
			{
				cursor: 1,
				type: 'note.added',
				ref: null,
				payload: '{"text":"copied"}',
				created_at: clock.now(),
			},
			{ cursor: 2, type: 'note.added', ref: 7, payload: null, created_at: clock.now() },
		]);
		expect(told[1]).toContain('{"type":"note","cursor":');
	});
});

describe('cursors', () => {
	test('are contiguous per tenant, over batches, refusals and other tenants', async () => {
		const { writer, note, cursors, head } = openWorkbench();
		const refuse = () => {
			throw new AppError('CONFLICT', 'no');
		};

		for (let batch = 0; batch < 5; batch++) {
			await Promise.allSettled([
				note(`a${batch}`, { events: 2 }),
				note(`b${batch}`, { scope: GLOBEX, events: 1 }),
				writer.commit(ACME, refuse),
				note(`c${batch}`),
				note(`d${batch}`, { events: 3 }),
			]);
		}

		expect(cursors(ACME)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
		expect(cursors(GLOBEX)).toEqual([1, 2, 3, 4, 5]);
		expect([head(ACME), head(GLOBEX)]).toEqual([25, 5]);
	});

	test('are told to a change as its place, with the epoch of its tenant’s log', async () => {
		const { writer, note } = openWorkbench();
		const place = (scope: typeof ACME) =>
			writer.commit(scope, (_tx, { epoch, cursor }) => ({ value: [epoch, cursor] }));
		await note('x', { events: 4 });

		const places = await Promise.all([
			place(ACME),
			note('y', { events: 2 }),
			place(ACME),
			place(GLOBEX),
		]);

		expect(places).toEqual([['aaaaa', 5], 'y', ['aaaaa', 7], ['bbbbb', 1]]);
	});

	test('are not for the operator: an event without a tenant fails alone, and is a defect', async () => {
		const { writer, note, notes, defects, told } = openWorkbench();
		const wrong = () =>
			writer.commit(controlPlane({}), (tx) => {
				tx.insert('undone');
				return { value: null, events: [event('x')] };
			});

		const settled = await Promise.allSettled([note('a'), wrong(), note('b')]);

		expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
		expect(notes()).toEqual(['a', 'b']);
		expect(defects).toHaveLength(1);
		expect(told).toEqual([]);
	});
});

describe('a credential revoked while its change waits', () => {
	const stamped = (bench: ReturnType<typeof openWorkbench>) => ({
		...ACME,
		stamp: bench.generations.stamp(ACME.tenant_id, 'key_1'),
	});

	test('has it refused, without running it', async () => {
		const bench = openWorkbench();
		const waiting = bench.note('late', { scope: stamped(bench) });
		const other = bench.note('other');

		bench.generations.bumpKey(ACME.tenant_id, 'key_1');

		expect(await rejectionOf(waiting)).toMatchObject({ errorCode: 'AUTHENTICATION_ERROR' });
		expect(await other).toBe('other');
		expect(bench.notes()).toEqual(['other']);
		expect(bench.defects).toEqual([]);
	});

	test('does not undo what was stored before', async () => {
		const bench = openWorkbench();
		const scope = stamped(bench);
		await bench.note('early', { scope });

		bench.generations.bumpTenant(ACME.tenant_id);

		await rejectionOf(bench.note('late', { scope }));
		expect(bench.notes()).toEqual(['early']);
	});
});
