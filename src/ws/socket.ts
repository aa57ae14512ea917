import type { ServerWebSocket } from 'bun';
import type { TenantCaller } from '../core/caller.ts';
import type { ConnectionId, KeyId, TenantId, TenantNo, UserId } from '../core/ids.ts';
import type { BucketRate } from '../core/token-bucket.ts';
import { TokenBucket } from '../core/token-bucket.ts';
import { CLOSE, type CloseReason } from '../realtime/close-codes.ts';
import type { Connection } from '../realtime/connections.ts';

/** Limits that a socket keeps for itself. */
export interface SocketLimits {
	/** Null when frames are not limited. */
	frameRate: BucketRate | null;
}

/** What makes no sense, per minute, before the socket is closed. */
const BAD_FRAMES_PER_MINUTE: BucketRate = { per_second: 10 / 60, burst: 10 };
/** Over the frame limit without a second's pause for this long, and the socket is closed. */
const FLOOD_MS_MAX = 10_000;
const FLOOD_PAUSE_MS = 1000;

/** What a socket has only once it says something. */
class Activity {
	readonly topics = new Set<string>();
	waiting: string[] | undefined;
	frames: TokenBucket | undefined;
	badFrames: TokenBucket | undefined;
	floodedSince = 0;
	refusedAt = Number.NEGATIVE_INFINITY;
	/** Where its client wants to go on, as it was written. */
	resumeFrom: string | undefined;
	onDrained: (() => void) | undefined;
}

/** The credential that a socket was opened with. One for all sockets of a key, as a rule. */
export interface Grant {
	readonly caller: TenantCaller;
	/** Reads anew what it may do, once for all who hold it. */
	refresh(): Promise<void>;
}

/** What sockets ask of the gateway. One for all of them. */
export interface SocketHost {
	monotonic(): number;
	/** The socket's grant was read anew. */
	regranted(socket: Socket): void;
	/** Its grant could not be read anew. */
	failed(socket: Socket, error: unknown): void;
}

/**
 * One open WebSocket. Made before the upgrade, for the user that it was granted to, or the tenant itself.
 *
 * A server holds thousands, most of them idle: what not every socket needs is no field here.
 */
export class Socket implements Connection {
	readonly connection_id: ConnectionId;
	readonly user_id: UserId | null;
	readonly grant: Grant;
	expiry: Timer | undefined;
	/** The cursor from which on it is live. */
	liveSince = 0;
	#isLive = false;
	#ws: ServerWebSocket<Socket> | undefined;
	#activity: Activity | undefined;
	/** Of the user as the socket was opened: what was revoked since does not act through it. */
	readonly #generation: number;
	readonly #host: SocketHost;

	constructor(
		connection_id: ConnectionId,
		{ user_id, stamp }: TenantCaller,
		grant: Grant,
		host: SocketHost,
	) {
		this.connection_id = connection_id;
		this.user_id = user_id;
		this.#generation = stamp.user;
		this.grant = grant;
		this.#host = host;
	}

	get tenant(): TenantNo {
		return this.grant.caller.tenant;
	}

	get tenant_id(): TenantId {
		return this.grant.caller.tenant_id;
	}

	get key_id(): KeyId {
		return this.grant.caller.key_id;
	}

	/** Made when asked for: kept, it would weigh as much as the socket. */
	get caller(): TenantCaller {
		const { grant, user_id } = this;
		const stamp = { ...grant.caller.stamp, user_id, user: this.#generation };
		return { ...grant.caller, user_id, stamp };
	}

	get isLive(): boolean {
		return this.#isLive;
	}

	get #active(): Activity {
		this.#activity ??= new Activity();
		return this.#activity;
	}

	get topics(): Set<string> {
		return this.#active.topics;
	}

	/** The same, for who only looks: nothing is made for a socket that has none. */
	get namedTopics(): Iterable<string> {
		return this.#activity?.topics ?? [];
	}

	get resumeFrom(): string | undefined {
		return this.#activity?.resumeFrom;
	}

	set resumeFrom(cursor: string) {
		this.#active.resumeFrom = cursor;
	}

	regrant(): void {
		this.grant.refresh().then(
			() => this.isOpen && this.#host.regranted(this),
			(error) => this.#host.failed(this, error),
		);
	}

	attach(ws: ServerWebSocket<Socket>): void {
		this.#ws = ws;
	}

	/** Events above `cursor` are for it from here on. */
	goLive(cursor: number): void {
		this.liveSince = cursor;
		this.#isLive = this.#ws?.readyState === WebSocket.OPEN;
	}

	/** Events are for it no longer, until it is live again. */
	pause(): void {
		this.#isLive = false;
	}

	/** Resolves when the client has taken some of what waits for it, or is gone. One waits at a time. */
	drained(): Promise<void> {
		if (this.#ws === undefined) return Promise.resolve();
		return new Promise((resolve) => {
			this.#active.onDrained = resolve;
		});
	}

	onDrain(): void {
		this.#activity?.onDrained?.();
	}

	/** From here on it is closed: nothing is sent any more. */
	detach(): void {
		this.#isLive = false;
		this.#ws = undefined;
		clearTimeout(this.expiry);
		this.onDrain();
	}

	get isOpen(): boolean {
		return this.#ws !== undefined;
	}

	subscribe(topic: string): void {
		this.#ws?.subscribe(topic);
	}

	unsubscribe(topic: string): void {
		this.#ws?.unsubscribe(topic);
	}

	isSubscribed(topic: string): boolean {
		return this.#ws?.isSubscribed(topic) ?? false;
	}

	send(frame: string): number {
		return this.#ws?.send(frame) ?? 0;
	}

	/** A batch of the writer answers all its changes in one turn: a write each would cost more than they do. */
	sendSoon(frame: string): void {
		const activity = this.#active;
		if (activity.waiting === undefined) {
			activity.waiting = [];
			queueMicrotask(() => this.#flush());
		}
		activity.waiting.push(frame);
	}

	#flush(): void {
		const activity = this.#activity;
		const frames = activity?.waiting;
		if (activity === undefined || frames === undefined) return;
		activity.waiting = undefined;
		this.sendAll(frames);
	}

	/** Sends frames in one write, in their order. */
	sendAll(frames: readonly string[]): void {
		const ws = this.#ws;
		ws?.cork(() => {
			for (const frame of frames) ws.send(frame);
		});
	}

	close(code: number, reason: string): void {
		this.#flush();
		const ws = this.#ws;
		this.detach();
		ws?.close(code, reason);
	}

	bufferedBytes(): number {
		return this.#ws?.getBufferedAmount() ?? 0;
	}

	/**
	 * Takes a frame from the socket's bucket. Returns 0, or after how many milliseconds the next one
	 * is welcome; closes a socket that will not slow down.
	 */
	takeFrame({ frameRate }: SocketLimits): number {
		if (frameRate === null) return 0;
		const activity = this.#active;
		const now = this.#host.monotonic();
		activity.frames ??= new TokenBucket(frameRate, now);
		const waitMs = activity.frames.take(1, now);
		if (waitMs === 0) return 0;
		if (now - activity.refusedAt > FLOOD_PAUSE_MS) activity.floodedSince = now;
		activity.refusedAt = now;
		if (now - activity.floodedSince >= FLOOD_MS_MAX) this.end('rate_limited');
		return waitMs;
	}

	countBadFrame(): void {
		const activity = this.#active;
		const now = this.#host.monotonic();
		activity.badFrames ??= new TokenBucket(BAD_FRAMES_PER_MINUTE, now);
		activity.badFrames.take(1, now);
		if (activity.badFrames.state(now).remaining === 0) this.end('bad_request');
	}

	/** Closes for a reason of the protocol. */
	end(reason: CloseReason): void {
		this.close(CLOSE[reason], reason);
	}
}
