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
	/** `read/delivered` by room and user, as far as it was told. */
	readonly positions: Map<string, [read: number, delivered: number]>;
	/** Rooms that it came to itself, and would have to load anew. */
	readonly cameTo: Set<string>;
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
	let seen = '';
	const heads = new Map<string, number>();
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
	function rise(room_id: unknown, user_id: unknown, read: number, delivered: number): void {
		const key = `${room_id} ${user_id}`;
		const [oldRead, oldDelivered] = follower.positions.get(key) ?? [0, 0];
		follower.positions.set(key, [Math.max(read, oldRead), Math.max(delivered, oldDelivered)]);
	}

	/** Positions as docs/protocol.md says that a client knows them; now and then it acks or reads. */
	function place(frame: Frame): void {
		const { type, cursor = '', room_id, user_id } = frame;
		const seq = Number(frame.seq);
		if (type === 'ack.received') rise(room_id, user_id, 0, seq);
		if (type === 'read.updated') rise(room_id, user_id, seq, seq);
		const members = (frame.positions ?? []) as Record<string, unknown>[];
		for (const at of members) {
			rise(room_id, at.user_id, Number(at.last_read_seq), Number(at.last_delivered_seq));
		}
		if (frame.request_id !== undefined || cursor <= seen) return;
		if (type === 'message') {
			seen = cursor;
			heads.set(String(room_id), seq);
			rise(room_id, frame.sender_id, seq, seq);
			if (seq % 3 === user.length % 3) client.tell({ type: 'ack', room_id, seq });
			if (seq % 7 === 0) client.tell({ type: 'read', room_id, seq });
		} else if (type === 'member.added') {
			seen = cursor;
			const head = heads.get(String(room_id)) ?? 0;
			for (const added of frame.members as { user_id: string }[]) {
				rise(room_id, added.user_id, head, head);
				if (added.user_id === user) follower.cameTo.add(String(room_id));
			}
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
		onFrame(frame) {
			check(frame);
			place(frame);
		},
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
		positions: new Map(),
		cameTo: new Set(),
		settle: () =>
			new Promise((resolve) => {
				onPong = resolve;
				client.tell({ type: 'ping' });
			}),
	};
	return follower;
}
