import type { Server } from 'bun';
import { type AnyElysia, Elysia } from 'elysia';
import { localUrl, parseListenAddress } from '../core/address.ts';
import { createReadTurns } from '../db/read-turns.ts';
import { routeAudit } from '../features/audit/routes.ts';
import { routeConfiguration } from '../features/configuration/routes.ts';
import { routeEvents } from '../features/events/routes.ts';
import { routeKeys } from '../features/keys/routes.ts';
import { routeLimits } from '../features/limits/routes.ts';
import { routeMembers } from '../features/members/routes.ts';
import { routeMessages } from '../features/messages/routes.ts';
import { routeNotifications } from '../features/notifications/routes.ts';
import { routeOversight } from '../features/oversight/routes.ts';
import { routePlans } from '../features/plans/routes.ts';
import { routeReceipts } from '../features/receipts/routes.ts';
import { routeRooms } from '../features/rooms/routes.ts';
import { routeStatus } from '../features/status/routes.ts';
import { routeSubscriptions } from '../features/subscriptions/routes.ts';
import { routeTenants } from '../features/tenants/routes.ts';
import { routeUsage } from '../features/usage/routes.ts';
import { routeUsers } from '../features/users/routes.ts';
import { createAnswerHeaders } from '../http/answer-headers.ts';
import type { Answering } from '../http/answering.ts';
import { createClientAddress } from '../http/client-address.ts';
import { createCors } from '../http/cors.ts';
import { createErrorMapper } from '../http/errors.ts';
import { createFace } from '../http/face.ts';
import { createRefusalPace } from '../http/refusal-pace.ts';
import { requestIdOf } from '../http/request-id.ts';
import { requestTarget } from '../http/request-target.ts';
import { createUnknownRoute } from '../http/unknown-route.ts';
import type { Gateway } from '../ws/gateway.ts';
import type { Socket } from '../ws/socket.ts';
import type { Container } from './container.ts';
import { createDocs } from './docs.ts';
import { createSockets } from './sockets.ts';

/** Why the server cannot listen, in one sentence for the operator. */
export class AddressRefused extends Error {
	override readonly name = 'AddressRefused';
}

/** The listening server. */
export interface RunningServer {
	url: string;
	gateway: Gateway;
	server: Server<Socket>;
	/** Serves /metrics without a key on METRICS_ADDR, where one is set. */
	metricsServer: Server<undefined> | undefined;
	/** Answers a request that came some other way. */
	answerHttp(request: Request): Response | Promise<Response>;
}

/** Far above our own limit: what is larger is Bun's to refuse, with a bare 413. */
const BODY_BYTES_HARD_MAX = 128 * 1024 * 1024;
const HTTP_IDLE_TIMEOUT_S = 60;
/** Two processes on one port would split the sockets of a room; Bun's debug page would tell all. */
const LISTEN_OPTIONS = { reusePort: false, development: false } as const;

/**
 * Assembles every route, frame and page over the container and listens.
 *
 * @throws AddressRefused when it cannot listen where it should.
 */
export function startServer(container: Container): RunningServer {
	const { settings, ids, bounds, metrics, features, hub } = container;
	const app = new Elysia({
		// Else the router looks for the path in the middle of a short host name.
		handler: { standardHostname: false },
	});
	const answering = createAnswering(container, () => app.server);
	const unknownRoute = createUnknownRoute(() => app.routes);
	const cors = createCors();
	app.onError(({ request, error, code }) => {
		const request_id = requestIdOf(request.headers, ids);
		const preflight = cors.preflight(request);
		if (code === 'NOT_FOUND' && preflight !== undefined) {
			const headers = { ...answering.answerHeaders({ request_id }), ...preflight };
			return new Response(null, { status: 204, headers });
		}
		const cause = code === 'NOT_FOUND' ? unknownRoute(request) : error;
		return answering.errorResponse(cause, request_id, answering.answerHeaders({ request_id }));
	});

	const face = createFace({
		...answering,
		...{ app, bounds, cors },
		bodyBytesMax: settings.MAX_BODY_BYTES,
		allowedOrigins: settings.ALLOWED_ORIGINS,
		findAnswer: container.findAnswer,
		random: container.random,
		enterRead: createReadTurns(container.clock.monotonic).enter,
	});
	routeTenants(face, features.tenants, features.ownSettings);
	routeLimits(face, features.limits);
	routeKeys(face, features.keys, features.ownKeys);
	routePlans(face, features.plans, features.managementKeys);
	routeAudit(face, features.audit);
	routeConfiguration(face, features.configuration);
	routeOversight(face, features.oversight);
	routeRooms(face, features.rooms);
	routeMembers(face, features.members);
	routeMessages(face, features.messages);
	routeReceipts(face, features.receipts);
	routeEvents(face, features.events);
	routeUsers(face, features.users);
	routeUsage(face, features.usage);
	routeNotifications(face, features.notifications);
	routeSubscriptions(face, features.subscriptions);
	routeStatus(face, features.status, metrics);
	const gateway = withBackground(container, createSockets(container, answering));
	gateway.route(app);
	app.use(createDocs({ version: container.version, ids, routes: () => app.routes }));

	const address = parseListenAddress(settings.LISTEN_ADDR);
	listenOn(settings.LISTEN_ADDR, () =>
		app.listen({
			...address,
			...LISTEN_OPTIONS,
			idleTimeout: HTTP_IDLE_TIMEOUT_S,
			maxRequestBodySize: BODY_BYTES_HARD_MAX,
			websocket: gateway.handlers as never,
		}),
	);
	const server = app.server as Server<Socket>;
	hub.attach(server);
	container.pruner.start();
	container.features.purger.start();
	container.sweeper.start();
	container.presenceWorker.start();
	container.usageWriter.start();
	container.useRecorder.start();
	container.attemptsWriter.start();
	return {
		url: localUrl({ ...address, port: server.port ?? address.port }),
		gateway,
		server,
		answerHttp: (request) => app.handle(request),
		metricsServer: settings.METRICS_ADDR === '' ? undefined : serveMetrics(container),
	};
}

/** A drain answers whoever waits for events, for a stop waits for every request, and ends what runs by itself. */
function withBackground(
	{ features, pruner, sweeper, pacer, presenceWorker, useRecorder, attemptsWriter }: Container,
	gateway: Gateway,
): Gateway {
	return {
		...gateway,
		drain(answered) {
			pruner.stop();
			features.purger.stop();
			sweeper.stop();
			useRecorder.stop();
			pacer.close();
			presenceWorker.stop();
			attemptsWriter.stop();
			features.events.endWaiting();
			return gateway.drain(answered);
		},
	};
}

function createAnswering(
	{
		settings,
		clock,
		ids,
		log,
		authentication,
		authorizer,
		metrics,
		meter,
		messagesOn,
		quotas,
	}: Container,
	server: () => AnyElysia['server'],
): Answering {
	const clientAddress = createClientAddress(settings.TRUSTED_PROXIES);
	return {
		...{ authentication, authorizer, clock, ids, log },
		answerHeaders: createAnswerHeaders(authorizer, clock, messagesOn),
		errorResponse: createErrorMapper(log),
		pacedRefusal: createRefusalPace(clock),
		addressOf: (request) =>
			clientAddress(
				server()?.requestIP(request)?.address ?? 'unknown',
				request.headers.get('X-Forwarded-For'),
			),
		observe: metrics.observe,
		usage: meter,
		quotas,
	};
}

function serveMetrics({ settings, metrics }: Container): Server<undefined> {
	return listenOn(settings.METRICS_ADDR, () =>
		Bun.serve({
			...parseListenAddress(settings.METRICS_ADDR),
			...LISTEN_OPTIONS,
			async fetch(request) {
				const { path } = requestTarget(request.url);
				if (path !== '/metrics') return new Response(null, { status: 404 });
				const { body, type } = await metrics.text();
				return new Response(body, { headers: { 'Content-Type': type } });
			},
		}),
	);
}

function listenOn<Listening>(address: string, listen: () => Listening): Listening {
	try {
		return listen();
	} catch (error) {
		const code = String((error as { code?: unknown }).code);
		throw new AddressRefused(
			code === 'EADDRINUSE' ? `${address} is in use` : `Cannot listen on ${address} (${code})`,
		);
	}
}
