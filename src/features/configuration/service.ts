/**
 * Configuration as code: makes plans, tenants and keys what a document says.
 *
 * A document is compared first, on what is there, and what differs is made: in one change where it is
 * small, else in slices through the writer, where sends take turns with it. Within a change everything is
 * looked at again, so that what an operator did meanwhile is neither lost nor done twice. Each thing
 * is changed by its own use-case, over the stores of the change: with its checks, its audit entry, its effects.
 *
 * Concurrency: one document at a time. A stop of the server ends it between two slices.
 *
 * Must never: hold the event loop, or the writer, for as long as a document may be large.
 *
 * @see docs/adr/0020-configuration-as-code.md
 */
import type { OperatorCaller } from '../../core/caller.ts';
import type { Clock } from '../../core/clock.ts';
import type { Effect } from '../../core/effect.ts';
import { AppError, assert } from '../../core/errors.ts';
import type { Once, StoredAnswer } from '../../core/once.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import { answered } from '../../db/answered.ts';
import { controlPlane } from '../../db/change.ts';
import type { Writer } from '../../db/writer.ts';
import type { applyConfiguration, getProgress } from './schema.ts';
import { createExporting } from './service/exporting.ts';
import { type Item, itemsOf, listPrunable } from './service/items.ts';
import {
	type ConfigurationTx,
	type Findings,
	noFindings,
	type Operations,
	type Pass,
} from './service/pass.ts';

export interface ConfigurationDeps<Tx extends ConfigurationTx> {
	writer: Writer<Tx>;
	read: Tx;
	clock: Clock;
	/** The use-cases over these stores, which write by `commit`. */
	operationsOver(stores: Tx, commit: Writer<Tx>['commit']): Operations;
	/** What a request with the same `Idempotency-Key` was answered. */
	findAnswer(once: Once): StoredAnswer | undefined;
	/** Lets others have the writer, and the event loop. */
	pause(ms: number): Promise<void>;
	isDraining(): boolean;
}

type Input = InputOf<typeof applyConfiguration>;
type Applied = OutputOf<typeof applyConfiguration>;

/** Changes that are made all at once: about as many as the writer takes into one turn. */
const ATOMIC_MAX = 100;
/** Changes of a slice, where there are more. */
const SLICE_MAX = 25;
/** How long a comparison goes on before others have a turn, as long as it took: a send takes several. */
const TURN_MS = 2;

/** The use-cases of configuration as code. */
export function createConfiguration<Tx extends ConfigurationTx>(deps: ConfigurationDeps<Tx>) {
	const { writer, read, clock, pause } = deps;
	const reading = deps.operationsOver(read, () =>
		Promise.reject(new Error('Broken invariant: a comparison writes nothing')),
	);
	let progress: OutputOf<typeof getProgress> = IDLE;

	function passOf(caller: OperatorCaller, input: Input): Pass {
		const { once: _once, ifMatch: _ifMatch, ...plain } = caller;
		const ids = input.prune_ids === undefined ? undefined : new Set(input.prune_ids);
		return {
			...noFindings(),
			...{ caller: plain, operations: reading, names: read.configuration, isDry: true },
			prune: input.prune === true ? { ids } : undefined,
			kept: new Set(),
			newPlans: new Set(),
			leaving: new Map(),
		};
	}

	/** What differs from the document, item by item; the pass has all of it together. */
	async function compare(
		pass: Pass,
		input: Input,
		onProgress: (done: number, total: number) => void = () => {},
	): Promise<Item[]> {
		const differing: Item[] = [];
		const items = itemsOf(input, clock.now());
		let turnAt = clock.monotonic();
		async function look(item: Item): Promise<void> {
			const before = pass.changes.length;
			await item.reconcile(pass);
			const weight = pass.changes.slice(before).filter(({ action }) => action !== 'kept').length;
			if (weight > 0) differing.push({ ...item, weight });
			const ms = clock.monotonic() - turnAt;
			if (ms < TURN_MS) return;
			await pause(ms);
			turnAt = clock.monotonic();
		}
		for (const [index, item] of items.entries()) {
			onProgress(index, items.length);
			await look(item);
		}
		for await (const item of listPrunable(pass, input)) await look(item);
		return differing;
	}

	/** Makes some items in one change. What it was worth is its value. */
	function make(pass: Pass, items: readonly Item[], once: Once | undefined): Promise<Findings> {
		const scope = controlPlane(once === undefined ? {} : { once });
		return writer.commit(scope, async (tx, place) => {
			const effects: Effect[] = [];
			// Each within the one change: what any of them throws undoes all of it.
			const commit: Writer<Tx>['commit'] = async (_scope, change) => {
				const outcome = await change(tx, place);
				assert(outcome.events === undefined, 'the control plane has no events');
				effects.push(...(outcome.effects ?? []));
				return outcome.value;
			};
			const operations = deps.operationsOver(tx, commit);
			const inner: Pass = {
				...{ ...pass, ...noFindings() },
				...{ operations, names: tx.configuration, isDry: false },
				...{ kept: new Set<string>(), newPlans: new Set<string>(), leaving: new Map() },
			};
			for (const item of items) await item.reconcile(inner);
			const { changes, api_keys, unchanged } = inner;
			return { value: { changes, api_keys, unchanged }, effects };
		});
	}

	/** Slice after slice, with a rest as long as each took. What an interrupted one made is told again. */
	async function makeAll(pass: Pass, items: readonly Item[], once: Once | undefined) {
		const total = items.reduce((sum, { weight }) => sum + weight, 0);
		const isSmall = total <= ATOMIC_MAX;
		const made = noFindings();
		let part = 0;
		for (let earlier = earlierPart(once, 0); earlier !== undefined; ) {
			add(made, earlier);
			earlier = earlierPart(once, ++part);
		}
		// The comparison found these as they are to be.
		for (const { action, kind } of made.changes) {
			if (action !== 'pruned' && pass.unchanged[LISTS[kind]] > 0) pass.unchanged[LISTS[kind]]--;
		}
		const toMake = made.changes.length + total;
		for (const slice of isSmall && items.length > 0 ? [items] : slicesOf(items)) {
			if (deps.isDraining()) throw new AppError('UNAVAILABLE', 'The server is shutting down');
			const startedAt = clock.monotonic();
			add(made, await make(pass, slice, once?.part(part++)));
			progress = { state: 'changing', done: made.changes.length, total: toMake };
			await pause(clock.monotonic() - startedAt);
		}
		return made;
	}

	function earlierPart(once: Once | undefined, index: number): Findings | undefined {
		const part = once?.part(index);
		const stored = part && deps.findAnswer(part);
		return part && stored && (part.open(stored) as Findings);
	}

	return {
		/**
		 * Makes the server what a document says, or tells what that would change.
		 *
		 * @throws `VALIDATION_ERROR`, `NOT_FOUND` and `CONFLICT` naming the place in the document; `CONFLICT`
		 * while another is being applied; whatever a write may throw, after which what was made stays.
		 */
		apply: async (caller: OperatorCaller, input: Input): Promise<Applied> => {
			if (input.dry_run === true) return tellDry(caller, input);
			if (progress !== IDLE) {
				throw new AppError('CONFLICT', 'Another document is being applied: try again later');
			}
			progress = { state: 'comparing', done: 0, total: 0 };
			try {
				const pass = passOf(caller, input);
				const items = await compare(pass, input, (done, total) => {
					progress = { state: 'comparing', done, total };
				});
				const made = await makeAll(pass, items, caller.once);
				const { unchanged } = pass;
				const kept = pass.changes.filter(({ action }) => action === 'kept');
				add(made, { changes: kept, api_keys: [], unchanged: NONE });
				return await answered(writer, caller.once, { dry_run: false, ...made, unchanged });
			} finally {
				progress = IDLE;
			}
		},

		/** How far the document is that is being applied. */
		progress: async (): Promise<OutputOf<typeof getProgress>> => progress,

		exportPage: createExporting({ operations: reading, names: read.configuration }),
	};

	async function tellDry(caller: OperatorCaller, input: Input): Promise<Applied> {
		const pass = passOf(caller, input);
		await compare(pass, input);
		return { dry_run: true, changes: pass.changes, unchanged: pass.unchanged, api_keys: [] };
	}
}

export type Configuration = ReturnType<typeof createConfiguration>;

const IDLE: OutputOf<typeof getProgress> = { state: 'idle', done: 0, total: 0 };
const LISTS = { plan: 'plans', tenant: 'tenants', api_key: 'api_keys' } as const;
const NONE: Findings['unchanged'] = { plans: 0, tenants: 0, api_keys: 0 };

function add(sum: Findings, { changes, api_keys }: Findings): void {
	// Not by spreading: the arguments of a call are bounded.
	for (const change of changes) sum.changes.push(change);
	for (const key of api_keys) sum.api_keys.push(key);
}

/** Items together, up to so many changes; one that is larger comes alone. */
function* slicesOf(items: readonly Item[]): Generator<Item[], void, void> {
	let slice: Item[] = [];
	let weight = 0;
	for (const item of items) {
		if (weight + item.weight > SLICE_MAX && slice.length > 0) {
			yield slice;
			[slice, weight] = [[], 0];
		}
		slice.push(item);
		weight += item.weight;
	}
	if (slice.length > 0) yield slice;
}
