/**
 * A queue in which owners take turns: each `shift` takes the oldest item of the next owner, so that
 * one owner's flood delays another's item by at most one item an owner.
 */
export interface FairQueue<Owner, Item> {
	push(owner: Owner, item: Item): void;
	/** Puts an item in front of its owner's others. */
	unshift(owner: Owner, item: Item): void;
	shift(): Item | undefined;
	readonly size: number;
}

/** How many taken items a lane may hold on to before it lets go of them. */
const TAKEN_MAX = 1024;

export function createFairQueue<Owner, Item>(): FairQueue<Owner, Item> {
	// A Map iterates in insertion order: its first entry is whose turn it is.
	const lanes = new Map<Owner, { items: Item[]; next: number }>();
	let size = 0;

	function laneOf(owner: Owner) {
		let lane = lanes.get(owner);
		if (lane === undefined) {
			lane = { items: [], next: 0 };
			lanes.set(owner, lane);
		}
		return lane;
	}

	return {
		push(owner, item) {
			laneOf(owner).items.push(item);
			size++;
		},
		unshift(owner, item) {
			const lane = laneOf(owner);
			lane.items.splice(lane.next, 0, item);
			size++;
		},
		shift() {
			for (const [owner, lane] of lanes) {
				const item = lane.items[lane.next] as Item;
				lane.next++;
				size--;
				// Under steady overload a lane is never empty: without this it would only grow.
				if (lane.next >= TAKEN_MAX && lane.next * 2 >= lane.items.length) {
					lane.items.splice(0, lane.next);
					lane.next = 0;
				}
				const isEmpty = lane.next === lane.items.length;
				// The owner goes to the end of the line. Alone, it keeps its place: no Map churn.
				if (isEmpty) lanes.delete(owner);
				else if (lanes.size > 1) {
					lanes.delete(owner);
					lanes.set(owner, lane);
				}
				return item;
			}
			return undefined;
		},
		get size() {
			return size;
		},
	};
}
