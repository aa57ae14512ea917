/**
 * Sockets: who may open one, what it follows, what it may send, and how it ends.
 *
 * The upgrade is an ordinary route, so that a refusal is an ordinary answer; the frames go to raw
 * Bun handlers, because Elysia's own coerce text, run asynchronously and swallow exceptions.
 *
 * Concurrency: handlers are synchronous. Whatever waits is started by one and caught.
 * Must never: let an exception or a rejection out of a handler, for Bun would end the process.
 */
import type { Server, ServerWebSocket, WebSocketHandler } from 'bun';
import type { AnyElysia, Elysia } from 'elysia';
import { requireActor } from '../core/authorize.ts';
import type { TenantCaller } from '../core/caller.ts';
import { isCursor } from '../core/cursor.ts';
import { AppError, errorBodyOf } from '../core/errors.ts';
import type { Generations } from '../core/generations.ts';
import { USER_ID, type UserId } from '../core/ids.ts';
import type { Operation } from '../core/operation.ts';
import type { Answered } from '../http/answer-headers.ts';
import type { Answering } from '../http/answering.ts';
import { type Credential, userIdOf } from '../http/authentication.ts';
import { describeUpgrade } from '../http/openapi.ts';
import { requireOrigin } from '../http/origins.ts';
import { aliasesOf } from '../http/path-aliases.ts';
import { requestIdOf } from '../http/request-id.ts';
import { requestTarget } from '../http/request-target.ts';
import type { Connections } from '../realtime/connections.ts';
import { type Dispatch, requestIdIn } from './dispatch.ts';
import type { Following } from './following.ts';
import { Socket, type SocketHost, type SocketLimits } from './socket.ts';

export interface GatewayLimits extends SocketLimits {
	/** 0 switches each of these off. */
	/** A tenant's backend sockets count as those of one user. */
	perUser: number;
	perTenant: number;
	perServer: number;
	frameBytesMax: number;
}

export interface GatewayDeps extends Answering {
	connections: Connections;
	dispatch: Dispatch;
	limits: GatewayLimits;
	/** `GET /ws` as the docs show it. */
	operation: Operation;
	/** Of the server, for tenants without their own. */
	allowedOrigins: readonly string[];
	following: Following;
	/** Whether the credential was revoked, its user, or all of its tenant. */
	generations: Pick<Generations, 'isCurrent' | 'haltOf'>;
	/** A number in [0, 1). */
	random(): number;
}

/** Seconds without a sign of life from the client before Bun drops it; Bun pings in time. */
const IDLE_TIMEOUT_S = 60;
/** How often a client may expect to hear something. */
export const HEARTBEAT_MS = (IDLE_TIMEOUT_S / 2) * 1000;
/** Above our own limit, so that the refusal is ours; beyond, Bun ends the connection with 1009. */
const FRAME_HEADROOM_BYTES = 64 * 1024;
/** Unsent beyond this, Bun drops the connection. The hub closes with a code well before. */
const BACKPRESSURE_BYTES_MAX = 1024 * 1024;
/** Over which a drain spreads its clients' return. */
const RECONNECT_SPREAD_MS = 5000;
const DRAIN_SLICE = 500;
/** What a socket is closed with that was opened while its credential ended, by what happened to its tenant. */
const HALTS = {
	none: 'credential_revoked',
	suspended: 'tenant_suspended',
	deleting: 'tenant_deleted',
} as const;
/** The longest that a timer can be set for. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export function createGateway(deps: GatewayDeps) {
	const { authentication, authorizer, connections, clock, following, ids, log, limits } = deps;
	const { operation } = deps;
	const asUser = { ...operation, actor: 'user' } as Operation;
	const asBackend = { ...operation, permission: 'events:read' } as Operation;
	let isDraining = false;
	const host: SocketHost = {
		monotonic: clock.monotonic,
		regranted,
		failed(socket, error) {
			log.error({ err: error, connection_id: socket.connection_id }, 'Socket failed');
			socket.end('credential_revoked');
		},
	};

	/** @throws what the HTTP face throws, in the same order; `AUTHORIZATION_ERROR` for a foreign origin. */
	async function admit(
		credential: Credential,
		request: Request,
		query: URLSearchParams,
	): Promise<Socket> {
		const { caller, profile } = credential;
		const wanted = isBackend(caller, request, query) ? asBackend : asUser;
		authorizer.authorize(caller, wanted, operation.cost ?? 0);
		deps.quotas.requireRequest(caller, operation);
		await deps.quotas.requireUser(caller);
		deps.usage.countRequest(caller);
		const origin = request.headers.get('Origin');
		requireOrigin(origin, profile.allowed_origins ?? deps.allowedOrigins);
		const actor = await authentication.actAs(caller, requestedUser(request, query));
		requireActor(actor, wanted);
		await deps.quotas.requireUser(actor);
		deps.quotas.requireConnection(actor);
		if (isDraining) throw new AppError('UNAVAILABLE', 'The server is shutting down');
		const socket = new Socket(ids('conn'), actor, credential, host);
		const cursor = requestedCursor(query);
		if (cursor !== undefined) socket.resumeFrom = cursor;
		return socket;
	}

	async function upgrade(request: Request, server: Server<Socket>): Promise<Response | undefined> {
		const startedAt = clock.monotonic();
		const answered: Answered = { request_id: requestIdOf(request.headers, ids) };
		let response: Response | undefined;
		try {
			const address = () => deps.addressOf(request);
			const query = new URLSearchParams(requestTarget(request.url).query);
			const ticket = ticketOf(request, query);
			const credential =
				ticket === undefined
					? await authentication.tenant(request.headers, address)
					: await authentication.ticket(ticket, address);
			answered.tenant = credential.caller;
			const socket = await admit(credential, request, query);
			const headers = deps.answerHeaders(answered);
			if (!server.upgrade(request, { data: socket, headers })) {
				throw new AppError('VALIDATION_ERROR', 'Expected a WebSocket upgrade', {
					field: 'Upgrade',
				});
			}
		} catch (thrown) {
			const who = () => answered.tenant?.tenant_id ?? deps.addressOf(request);
			const paced = deps.pacedRefusal(thrown, who);
			const error = paced === undefined ? thrown : await paced;
			response = deps.errorResponse(error, answered.request_id, deps.answerHeaders(answered));
		}
		deps.observe(operation.name, response?.status ?? 101, clock.monotonic() - startedAt);
		return response;
	}

	/** The limit that one socket more would break. */
	function isFull({ tenant_id, user_id }: Socket): boolean {
		const { perUser, perTenant, perServer } = limits;
		return (
			(perServer > 0 && connections.size >= perServer) ||
			(perTenant > 0 && connections.countOfTenant(tenant_id) >= perTenant) ||
			(perUser > 0 && connections.countOfUser(tenant_id, user_id) >= perUser)
		);
	}

	function open(ws: ServerWebSocket<Socket>): void {
		const socket = ws.data;
		socket.attach(ws);
		if (isDraining || isFull(socket)) {
			socket.end(isDraining ? 'server_shutdown' : 'connection_limit');
			return;
		}
		connections.add(socket);
		deps.usage.countOpened(socket.caller);
		// What was revoked during the upgrade found no socket to close.
		const { stamp } = socket.caller;
		if (!deps.generations.isCurrent(stamp)) {
			socket.end(HALTS[deps.generations.haltOf(stamp) ?? 'none']);
			return;
		}
		expire(socket);
		void following.greet(socket).catch((error) => {
			log.error({ err: error, connection_id: socket.connection_id }, 'Socket not greeted');
			socket.close(1011, 'internal_error');
		});
	}

	/** Its credential may do other things by now, or for another time: to have a socket, too. */
	function regranted(socket: Socket): void {
		const wanted = socket.user_id === null ? asBackend : asUser;
		try {
			authorizer.authorize(socket.caller, wanted, 0);
		} catch {
			// It lacks the permission now: there is nobody to be told but the socket.
			socket.end('credential_revoked');
			return;
		}
		expire(socket);
	}

	/** Closes the socket when its key or token ends. */
	function expire(socket: Socket): void {
		clearTimeout(socket.expiry);
		const { expires_at } = socket.grant.caller;
		if (expires_at === null) return;
		const leftMs = expires_at - clock.now();
		if (leftMs <= 0) socket.end('credential_revoked');
		else socket.expiry = setTimeout(() => expire(socket), Math.min(leftMs, TIMER_MS_MAX));
	}

	function message(ws: ServerWebSocket<Socket>, frame: string | Buffer): void {
		const socket = ws.data;
		if (!socket.isOpen) return;
		if (isDraining) {
			const error = new AppError('UNAVAILABLE', 'The server is shutting down');
			socket.send(JSON.stringify({ type: 'error', ...errorBodyOf(error, requestIdIn(frame)) }));
			return;
		}
		const waitMs = socket.takeFrame(limits);
		if (waitMs > 0) {
			const error = new AppError(
				'RATE_LIMIT_EXCEEDED',
				'Rate limit exceeded: the bucket "frames" of this socket is empty',
				{ retry_after_ms: waitMs },
			);
			socket.send(JSON.stringify({ type: 'error', ...errorBodyOf(error, requestIdIn(frame)) }));
			return;
		}
		deps.dispatch(socket, socket.caller, frame);
	}

	/** Keeps a handler's exception in: Bun would end the process. */
	const guarded =
		<Input extends [ServerWebSocket<Socket>, ...unknown[]]>(handle: (...input: Input) => void) =>
		(...input: Input): void => {
			try {
				handle(...input);
			} catch (error) {
				log.error({ err: error, connection_id: input[0].data.connection_id }, 'Socket failed');
			}
		};

	const handlers: WebSocketHandler<Socket> = {
		open: guarded(open),
		message: guarded(message),
		close: guarded((ws: ServerWebSocket<Socket>) => {
			ws.data.detach();
			if (connections.remove(ws.data)) deps.usage.countClosed(ws.data.grant.caller);
		}),
		// Bun calls what is missing on `data` instead, so each of them is there.
		drain: guarded((ws: ServerWebSocket<Socket>) => ws.data.onDrain()),
		ping: () => {},
		pong: () => {},
		error: (error, ws) =>
			log.error({ err: error, connection_id: ws.data?.connection_id }, 'Socket failed'),
		idleTimeout: IDLE_TIMEOUT_S,
		sendPings: true,
		perMessageDeflate: false,
		maxPayloadLength: limits.frameBytesMax + FRAME_HEADROOM_BYTES,
		backpressureLimit: BACKPRESSURE_BYTES_MAX,
		closeOnBackpressureLimit: true,
	};

	return {
		/** For the server to listen with. */
		handlers,

		/** Adds `GET /ws`. */
		route(app: AnyElysia): void {
			const handler = ({ request, server }: { request: Request; server: unknown }) =>
				upgrade(request, server as Server<Socket>);
			const detail = describeUpgrade(operation);
			(app as Elysia).get('/ws', handler, { detail });
			for (const alias of aliasesOf('/ws')) {
				(app as Elysia).get(alias, handler, { detail: { hide: true } });
			}
		},

		/**
		 * Tells every client to come back later, each at another moment, lets what they asked for be
		 * answered, and closes them; in slices. From the first moment on, no frame begins anything.
		 *
		 * @param answered - resolves when nothing that a frame began is waiting, or must wait no longer.
		 */
		async drain(answered: () => Promise<unknown>): Promise<void> {
			isDraining = true;
			await inSlices(connections.all(), (connection) => {
				const reconnect_after_ms = Math.floor(deps.random() * RECONNECT_SPREAD_MS);
				connection.send(JSON.stringify({ type: 'server.shutdown', reconnect_after_ms }));
			});
			await answered();
			// The last answers go out with the turn in which they were given.
			await nextTurn();
			await inSlices(connections.all(), (connection) => {
				(connection as Socket).end('server_shutdown');
			});
		},
	};
}

export type Gateway = ReturnType<typeof createGateway>;

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A few at a time, so that others get their turns. */
async function inSlices<Item>(items: Iterable<Item>, act: (item: Item) => void): Promise<void> {
	let count = 0;
	for (const item of items) {
		act(item);
		if (++count % DRAIN_SLICE === 0) await nextTurn();
	}
}

const hasCredential = ({ headers }: Request): boolean =>
	headers.has('X-API-Key') || headers.has('Authorization');

/** The ticket in `?token=`, where no header brings a credential. */
const ticketOf = (request: Request, query: URLSearchParams): string | undefined =>
	hasCredential(request) ? undefined : (query.get('token') ?? undefined);

/** Whether it asks as the tenant itself, with a key that may read all that happens there. */
const isBackend = (
	{ user_id, permissions }: TenantCaller,
	{ headers }: Request,
	query: URLSearchParams,
): boolean =>
	user_id === null &&
	permissions.has('events:read') &&
	!headers.has('X-User-Id') &&
	!query.has('user_id');

/** The user of a socket: `X-User-Id`, or `?user_id=` where headers cannot be set. */
function requestedUser(request: Request, query: URLSearchParams): UserId | null {
	const inHeader = userIdOf(request.headers);
	if (query.has('token') && (hasCredential(request) || query.getAll('token').length > 1)) {
		throw new AppError('VALIDATION_ERROR', 'Send one token, and no other credential beside it', {
			field: 'token',
		});
	}
	for (const name of query.keys()) {
		if (name === 'user_id' || name === 'token' || name === 'cursor') continue;
		throw new AppError('VALIDATION_ERROR', 'Unknown parameter', { field: name.slice(0, 128) });
	}
	const [inQuery, ...more] = query.getAll('user_id');
	if (inQuery === undefined) return inHeader;
	if (more.length > 0 || !USER_ID.test(inQuery)) {
		throw new AppError('VALIDATION_ERROR', 'Must be one user id', { field: 'user_id' });
	}
	if (inHeader !== null && inHeader !== inQuery) {
		throw new AppError('VALIDATION_ERROR', 'X-User-Id and user_id name two users', {
			field: 'user_id',
		});
	}
	return inQuery as UserId;
}

/** Where the client wants to go on, in `?cursor=`. */
function requestedCursor(query: URLSearchParams): string | undefined {
	const [cursor, ...more] = query.getAll('cursor');
	if (cursor === undefined) return undefined;
	if (more.length === 0 && isCursor(cursor)) return cursor;
	throw new AppError('VALIDATION_ERROR', 'Must be one cursor', { field: 'cursor' });
}
