/** The clients of the chaos test: the reference client, and all that it and its sockets were told. */
import { createClient, type Frame } from '../../examples/client.ts';

/** What the log of a tenant holds. */
const STORED = /^(message|room\.(created|updated|deleted)|member\.(added|updated|removed))$/;

export interface Follower {
	readonly user: string;
	readonly client: ReturnType<typeof createClient>;
	/** What the client passed on that is stored, in its order. */
	readonly told: Frame[];
	/** Which of it came in a replay. */
	readonly replayed: Set<Frame>;
	/** The cursor of the first `connected`. */
	start: string;
	isLive: boolean;
	/** How many sockets it had, and how many of them were told that they go on. */
	sockets: number;
	resumed: number;
	/** What no socket and no callback may do. */
	readonly violations: string[];
	/** Resolves once all is here that was sent before. */
	settle(): Promise<void>;
}

export interface FollowerOptions {
	host: string;
	user: string;
	api_key: string;
	/** How long it stays away before each try. */
	beforeConnect(): Promise<void>;
}

/** Starts a client that reconnects at once and for ever. */
export function follow({ host, user, api_key, beforeConnect }: FollowerOptions): Follower {
	let onPong = () => {};
	let last = '';
	const complain = (what: string) => follower.violations.push(`${user}: ${what}`);

	/** Holds every frame of every socket against the promises, whatever the client makes of it. */
	function check(frame: Frame): void {
		const { type, cursor, request_id } = frame;
		if (type === 'pong') onPong();
		if (type === 'connected') {
			follower.sockets++;
			if (frame.resumed) follower.resumed++;
			else if (follower.start !== '') complain('a cursor was not gone on from');
			if (frame.resumed && cursor !== client.cursor()) complain(`went on from ${cursor}`);
			if (follower.start === '') follower.start = String(cursor);
			last = String(cursor);
		} else if (type === 'replay.done') {
			if (cursor === undefined || cursor < last) complain(`replay.done ${cursor} after ${last}`);
			last = cursor ?? last;
		} else if (cursor !== undefined && request_id === undefined) {
			if (cursor <= last) complain(`${type} ${cursor} after ${last}`);
			last = cursor;
		}
	}
	function note(frame: Frame): void {
		if (!STORED.test(frame.type)) return;
		follower.told.push(frame);
		if (!follower.isLive) follower.replayed.add(frame);
	}
	const client = createClient({
		url: `ws://${host}/ws`,
		async credentials() {
			await beforeConnect();
			return { headers: { 'X-API-Key': api_key, 'X-User-Id': user } };
		},
		onMessage: note,
		onEvent: note,
		// Never: the limit is off.
		onGap: (gap) => complain(`a gap ${JSON.stringify(gap)}`),
		onResync: (reason) => reason === 'start' || complain(`resync ${reason}`),
		onState: (state) => {
			follower.isLive = state === 'live';
		},
		onFrame: check,
		backoffMs: { first: 20, max: 300 },
	});
	const follower: Follower = {
		user,
		client,
		told: [],
		replayed: new Set(),
		start: '',
		isLive: false,
		sockets: 0,
		resumed: 0,
		violations: [],
		settle: () =>
			new Promise((resolve) => {
				onPong = resolve;
				client.tell({ type: 'ping' });
			}),
	};
	return follower;
}
