/** What comes after the crashes of a run: every send that is unknown is repeated until it is answered. */
import type { History, Send } from './history.ts';
import { type Ground, startLoad } from './load.ts';
import { createRandomness } from './randomness.ts';

const isUnknown = ({ ack, client_msg_id }: Send): boolean =>
	ack === undefined && client_msg_id !== null;

/** Repeats what is unknown over a server at `url`. @throws when a round leaves all of it unknown. */
export async function settle(
	url: string,
	grounds: readonly Ground[],
	history: History,
): Promise<void> {
	const random = createRandomness(1);
	for (;;) {
		const left = history.sends.filter(isUnknown).length;
		if (left === 0) return;
		const load = startLoad({ url, grounds, history, random });
		await load.finish();
		if (history.sends.filter(isUnknown).length >= left) throw new Error(`${left} stay unknown`);
	}
}
