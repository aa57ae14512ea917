import type { Once } from '../core/once.ts';
import { controlPlane } from './change.ts';
import type { Writer } from './writer.ts';

/**
 * Stores what an operator's request came to, for the same one again. For what takes several changes, or
 * goes on after its change: the answer has a change of its own, behind them. A crash in between stores
 * none, so what was done must bear to be done again.
 */
export const answered = <Tx, Value>(
	writer: Writer<Tx>,
	once: Once | undefined,
	value: Value,
): Promise<Value> =>
	once === undefined
		? Promise.resolve(value)
		: writer.commit(controlPlane({ once }), async () => ({ value }));
