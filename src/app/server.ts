import type { Server } from 'bun';
import { Elysia } from 'elysia';
import { localUrl, parseListenAddress } from '../core/address.ts';
import { connectionFrames } from '../features/connections/frames.ts';
import { openConnection } from '../features/connections/schema.ts';
import { routeKeys } from '../features/keys/routes.ts';
import { routeMembers } from '../features/members/routes.ts';
import { messageFrames } from '../features/messages/frames.ts';
import { routeMessages } from '../features/messages/routes.ts';
import { receiptFrames } from '../features/receipts/frames.ts';
import { routeReceipts } from '../features/receipts/routes.ts';
import { routeRooms } from '../features/rooms/routes.ts';
import { routeStatus } from '../features/status/routes.ts';
import { routeTenants } from '../features/tenants/routes.ts';
import { createClientAddress } from '../http/client-address.ts';
import { createErrorMapper } from '../http/errors.ts';
import { createFace } from '../http/face.ts';
import { requestIdOf } from '../http/request-id.ts';
import { createUnknownRoute } from '../http/unknown-route.ts';
import { createDispatch } from '../ws/dispatch.ts';
import { createGateway, type Gateway } from '../ws/gateway.ts';
import type { Socket } from '../ws/socket.ts';
import type { Container } from './container.ts';
import { createDocs } from './docs.ts';

/** The listening server. */
export interface RunningServer {
	url: string;
	gateway: Gateway;
	server: Server<Socket>;
	/** Serves /metrics without a key on METRICS_ADDR, where one is set. */
	metricsServer: Server<undefined> | undefined;
}

/** Far above our own limit: what is larger is Bun's to refuse, with a bare 413. */
const BODY_BYTES_HARD_MAX = 128 * 1024 * 1024;
const HTTP_IDLE_TIMEOUT_S = 60;

/**
 * Assembles every route, frame and page over the container and listens.
 *
 * @throws an error with the code `EADDRINUSE` when the address is taken.
 */
export function startServer(container: Container): RunningServer {
	const { settings, clock, ids, log, authentication, authorizer, bounds, metrics } = container;
	const { features } = container;
	const errorResponse = createErrorMapper(log);
	const clientAddress = createClientAddress(settings.TRUSTED_PROXIES);
	let server: Server<Socket> | undefined;
	const addressOf = (request: Request) =>
		clientAddress(
			server?.requestIP(request)?.address ?? 'unknown',
			request.headers.get('X-Forwarded-For'),
		);
	const { observe } = metrics;

	const app = new Elysia({
		// Else the router looks for the path in the middle of a short host name.
		handler: { standardHostname: false },
	});
	const unknownRoute = createUnknownRoute(() => app.routes);
	app.onError(({ request, error, code }) => {
		const request_id = requestIdOf(request.headers, ids);
		const cause = code === 'NOT_FOUND' ? unknownRoute(request) : error;
		return errorResponse(cause, request_id, { 'X-Request-Id': request_id });
	});

	const dispatch = createDispatch({
		frames: [
			...connectionFrames(features.operations),
			...messageFrames(features.messages),
			...receiptFrames(features.receipts),
		],
		authorizer,
		bounds,
		frameBytesMax: settings.MAX_BODY_BYTES,
		clock,
		log,
		observe,
	});
	const perSecond = settings.WS_FRAMES_PER_SECOND;
	const gateway = createGateway({
		authentication,
		authorizer,
		connections: container.connections,
		dispatch,
		clock,
		ids,
		log,
		limits: {
			perUser: settings.WS_MAX_CONNECTIONS_PER_USER,
			perTenant: settings.WS_MAX_CONNECTIONS_PER_TENANT,
			perServer: settings.WS_MAX_CONNECTIONS,
			frameRate: perSecond === 0 ? null : { per_second: perSecond, burst: perSecond * 3 },
			subscriptionsMax: settings.WS_MAX_SUBSCRIPTIONS,
			frameBytesMax: settings.MAX_BODY_BYTES,
			contentBytesMax: settings.MAX_CONTENT_BYTES,
		},
		operation: openConnection,
		allowedOrigins: settings.ALLOWED_ORIGINS,
		errorResponse,
		addressOf,
		roomsOf: features.members.roomsOf,
		headOf: container.headOf,
		observe,
		random: container.random,
	});

	const face = createFace({
		app,
		authentication,
		authorizer,
		clock,
		ids,
		log,
		bounds,
		bodyBytesMax: settings.MAX_BODY_BYTES,
		errorResponse,
		addressOf,
		observe,
	});
	routeTenants(face, features.tenants);
	routeKeys(face, features.keys);
	routeRooms(face, features.rooms);
	routeMembers(face, features.members);
	routeMessages(face, features.messages);
	routeReceipts(face, features.receipts);
	routeStatus(face, features.status, metrics);
	gateway.route(app);
	app.use(createDocs({ version: container.version, ids, routes: () => app.routes }));

	const listenAddress = parseListenAddress(settings.LISTEN_ADDR);
	app.listen({
		...listenAddress,
		// Two processes on one port would split the sockets of a room between them.
		reusePort: false,
		development: false,
		idleTimeout: HTTP_IDLE_TIMEOUT_S,
		maxRequestBodySize: BODY_BYTES_HARD_MAX,
		websocket: gateway.handlers as never,
	});
	server = app.server as Server<Socket>;
	container.hub.attach(server);
	return {
		url: localUrl({ hostname: listenAddress.hostname, port: server.port ?? 0 }),
		gateway,
		server,
		metricsServer: settings.METRICS_ADDR === '' ? undefined : serveMetrics(container),
	};
}

function serveMetrics({ settings, metrics }: Container): Server<undefined> {
	return Bun.serve({
		...parseListenAddress(settings.METRICS_ADDR),
		reusePort: false,
		development: false,
		async fetch(request) {
			if (new URL(request.url).pathname !== '/metrics') return new Response(null, { status: 404 });
			const { body, type } = await metrics.text();
			return new Response(body, { headers: { 'Content-Type': type } });
		},
	});
}
