import type { ServerWebSocket } from 'bun';
import type { UserCaller } from '../core/caller.ts';
import type { ConnectionId, KeyId, TenantId, UserId } from '../core/ids.ts';
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

/** One open WebSocket. Made before the upgrade, with the caller it was granted to. */
export class Socket implements Connection {
	readonly connection_id: ConnectionId;
	readonly caller: UserCaller;
	/** When the credential ends, for the gateway to close the socket by. */
	readonly expires_at: number | null;
	expiry: Timer | undefined;
	#ws: ServerWebSocket<Socket> | undefined;
	#waiting: string[] | undefined;
	#topics: Set<string> | undefined;
	#frames: TokenBucket | undefined;
	#badFrames: TokenBucket | undefined;
	#floodedSince = 0;
	#refusedAt = Number.NEGATIVE_INFINITY;
	readonly #monotonic: () => number;

	constructor(
		connection_id: ConnectionId,
		caller: UserCaller,
		expires_at: number | null,
		monotonic: () => number,
	) {
		this.connection_id = connection_id;
		this.caller = caller;
		this.expires_at = expires_at;
		this.#monotonic = monotonic;
	}

	get tenant_id(): TenantId {
		return this.caller.tenant_id;
	}

	get user_id(): UserId {
		return this.caller.user_id;
	}

	get key_id(): KeyId {
		return this.caller.key_id;
	}

	/** Made when first asked for: most sockets follow none, and there are many sockets. */
	get topics(): Set<string> {
		this.#topics ??= new Set();
		return this.#topics;
	}

	attach(ws: ServerWebSocket<Socket>): void {
		this.#ws = ws;
	}

	/** From here on it is closed: nothing is sent any more. */
	detach(): void {
		this.#ws = undefined;
		clearTimeout(this.expiry);
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

	send(frame: string): void {
		this.#ws?.send(frame);
	}

	/** A batch of the writer answers all its changes in one turn: a write each would cost more than they do. */
	sendSoon(frame: string): void {
		if (this.#waiting === undefined) {
			this.#waiting = [];
			queueMicrotask(() => this.#flush());
		}
		this.#waiting.push(frame);
	}

	#flush(): void {
		const frames = this.#waiting ?? [];
		const ws = this.#ws;
		this.#waiting = undefined;
		ws?.cork(() => {
			for (const frame of frames) ws.send(frame);
		});
	}

	close(code: number, reason: string): void {
		this.#flush();
		this.#ws?.close(code, reason);
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
		const now = this.#monotonic();
		this.#frames ??= new TokenBucket(frameRate, now);
		const waitMs = this.#frames.take(1, now);
		if (waitMs === 0) return 0;
		if (now - this.#refusedAt > FLOOD_PAUSE_MS) this.#floodedSince = now;
		this.#refusedAt = now;
		if (now - this.#floodedSince >= FLOOD_MS_MAX) this.end('rate_limited');
		return waitMs;
	}

	countBadFrame(): void {
		const now = this.#monotonic();
		this.#badFrames ??= new TokenBucket(BAD_FRAMES_PER_MINUTE, now);
		this.#badFrames.take(1, now);
		if (this.#badFrames.state(now).remaining === 0) this.end('bad_request');
	}

	/** Closes for a reason of the protocol. */
	end(reason: CloseReason): void {
		this.close(CLOSE[reason], reason);
	}
}
