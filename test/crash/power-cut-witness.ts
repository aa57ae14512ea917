/** What clients had been told by any moment of a run, the moment being a length of the trace. */
import type { Fate, History, Send } from './history.ts';

export interface Witness {
	/** To be told of every answered send at once. */
	onAnswer(send: Send): void;
	/** The history of the whole run, in which all is unknown that was answered later. */
	historyAt(length: number): History;
}

interface Mark {
	length: number;
	/** How many of each there were: they only grow, at their ends. */
	seen: number;
	rooms: number;
	reads: Map<string, number>;
	memberships: History['memberships'];
}

const ANSWERS_PER_MARK = 10;

/** Watches a history from its start on. `lengthNow` is how long the trace is. */
export function createWitness(history: History, lengthNow: () => number): Witness {
	const answeredAt = new Map<Send, number>();
	const mark = (length: number): Mark => ({
		length,
		seen: history.seen.size,
		rooms: history.rooms.size,
		reads: new Map(history.reads),
		memberships: new Map(history.memberships),
	});
	const first = mark(lengthNow());
	const marks = [first];

	/** A membership that was changed again later may have been so already. */
	function membershipsAt({ memberships }: Mark): History['memberships'] {
		return new Map(
			[...history.memberships].map(([key, last]) => {
				const fate: Fate = memberships.get(key) === last ? last.fate : 'unknown';
				return [key, { ...last, fate }];
			}),
		);
	}

	return {
		onAnswer(send) {
			const length = lengthNow();
			if (!answeredAt.has(send)) answeredAt.set(send, length);
			if (answeredAt.size % ANSWERS_PER_MARK === 0) marks.push(mark(length));
		},
		historyAt(length) {
			const last = marks.findLast((each) => each.length <= length) ?? first;
			return {
				...history,
				sends: history.sends.map((send) => {
					const { ack, ...unknown } = send;
					return (answeredAt.get(send) ?? Number.POSITIVE_INFINITY) <= length ? send : unknown;
				}),
				seen: new Map([...history.seen].slice(0, last.seen)),
				rooms: new Map([...history.rooms].slice(0, last.rooms)),
				reads: last.reads,
				memberships: membershipsAt(last),
			};
		},
	};
}
