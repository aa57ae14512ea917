/**
 * The HTTP face: binds an operation to a route. Every route goes through `answer`, and so through the
 * same checks in the same order: 401, 403, 429, 413 and 415, 400, then the use-case.
 *
 * Elysia matches the path and documents it; it parses and validates nothing, for its order is
 * another, its messages repeat input, and its answers are not the envelope.
 */
import type { AnyElysia, Elysia } from 'elysia';
import { requireActor } from '../core/authorize.ts';
import type { Actor, Caller, CallerOf, TenantCaller } from '../core/caller.ts';
import { AppError, assert } from '../core/errors.ts';
import type { TenantNo } from '../core/ids.ts';
import { AlreadyAnswered, type Once, type StoredAnswer } from '../core/once.ts';
import {
	heedsVersionAt,
	type InputOf,
	isRepeatableAt,
	type Operation,
	type OutputOf,
} from '../core/operation.ts';
import type { Random } from '../core/random.ts';
import { type Bounds, createInputParser, createOutputCheck } from '../core/validation.ts';
import type { Answered } from './answer-headers.ts';
import type { Answering } from './answering.ts';
import { userIdOf } from './authentication.ts';
import { readBody } from './body.ts';
import { admitPage, type Cors, pageOf } from './cors.ts';
import { repeatableOf } from './idempotency.ts';
import { ifMatchOf } from './if-match.ts';
import { describeRoute, type RouteDescription } from './openapi.ts';
import { aliasesOf } from './path-aliases.ts';
import { createQueryReader } from './query.ts';
import { requestIdOf } from './request-id.ts';

type Method = RouteDescription['method'];

/** What a route answers a success with: always the same status, or one that the output decides. */
export type Success<Output> =
	| number
	| { statuses: readonly number[]; of: (output: Output) => number };

/** 201 for what was made, 200 for what was there. */
export const createdUnlessDuplicate: Success<{ duplicate?: true }> = {
	statuses: [201, 200],
	of: ({ duplicate }) => (duplicate === true ? 200 : 201),
};

export type UseCase<Op extends Operation> = (
	caller: CallerOf[Op['actor']],
	input: InputOf<Op>,
	/** Whose signal tells that nobody waits for the answer any more. */
	client: Pick<Request, 'signal'>,
) => Promise<OutputOf<Op>>;

/** An answer in another form than the operation's JSON, for who asks for it. */
export interface Alternative<Input = unknown, Output = unknown> {
	/** Its media type, without parameters, for the docs. */
	type: string;
	/**
	 * Undefined when the request wants the JSON after all. `answer` asks the use-case, for what was
	 * asked for with these fields in the place of its own.
	 */
	instead(
		request: Request,
		answer: (fields?: Partial<Input>) => Promise<Output>,
	): Promise<{ body: string; type: string } | undefined> | undefined;
}

export interface FaceDeps extends Answering {
	app: AnyElysia;
	bounds: Bounds;
	bodyBytesMax: number;
	cors: Pick<Cors, 'open'>;
	/** Of the server, for tenants without their own. */
	allowedOrigins: readonly string[];
	/** What a request with the same `Idempotency-Key` was answered. */
	findAnswer(once: Once): StoredAnswer | undefined;
	random: Pick<Random, 'bytes'>;
	/** Whether a read of a tenant must wait for others', and until when. */
	enterRead(tenant: TenantNo): Promise<void> | undefined;
}

/** What is known of a request while it is answered. */
interface Exchange extends Answered {
	request: Request;
}

const JSON_ONLY = ['application/json'];
const MERGE_PATCH = ['application/json', 'application/merge-patch+json'];
const HAS_QUERY: readonly Method[] = ['GET', 'DELETE'];

export function createFace(deps: FaceDeps) {
	const { app, authentication, authorizer, clock, ids, log, errorResponse } = deps;

	async function callerOf(operation: Operation, exchange: Exchange): Promise<Caller> {
		const { request } = exchange;
		const address = () => deps.addressOf(request);
		switch (operation.actor) {
			case 'visitor':
				return { kind: 'visitor' };
			case 'operator': {
				const operator = await authentication.operator(request.headers, address);
				if (operation.isMasterOnly === true && operator.plan !== null) {
					throw new AppError('AUTHORIZATION_ERROR', 'This needs the master key');
				}
				return { ...operator, request_id: exchange.request_id };
			}
			default: {
				const page = pageOf(request.headers);
				if (page !== undefined) exchange.page = page;
				const { caller, profile } = await authentication.tenant(request.headers, address);
				exchange.tenant = caller;
				admitPage(exchange, profile.allowed_origins ?? deps.allowedOrigins);
				authorizer.authorize(caller, operation, operation.cost ?? 0);
				deps.quotas.requireRequest(caller, operation);
				const admitted = admitUser(caller, operation);
				if (admitted !== undefined) await admitted;
				deps.usage.countRequest(caller);
				return caller;
			}
		}
	}

	/** @throws `QUOTA_EXCEEDED`. */
	const admitUser = (caller: TenantCaller, operation: Operation) =>
		operation.isAboveQuota === true ? undefined : deps.quotas.requireUser(caller);

	/** The caller as the operation's use-case wants it. @throws as `actAs` and `requireActor`. */
	async function actorOf<Op extends Operation>(
		caller: Caller,
		operation: Op,
		request: Request,
	): Promise<CallerOf[Op['actor']]> {
		if (caller.kind !== 'tenant') return caller as CallerOf[Actor] as CallerOf[Op['actor']];
		const actor = await authentication.actAs(caller, userIdOf(request.headers));
		const admitted = admitUser(actor, operation);
		if (admitted !== undefined) await admitted;
		deps.usage.countUser(actor);
		return requireActor(actor, operation);
	}

	function bind<Op extends Operation>(
		method: Method,
		path: string,
		operation: Op,
		useCase: UseCase<Op>,
		success: Success<OutputOf<Op>> = 200,
		alternative?: Alternative<InputOf<Op>, OutputOf<Op>>,
	) {
		const parse = createInputParser(operation, deps.bounds);
		const check: (output: unknown) => asserts output is OutputOf<Op> = createOutputCheck(operation);
		const readInput = createInputReader(
			...([method, path, operation, operation.bodyBytesMax ?? deps.bodyBytesMax] as const),
		);
		const statuses = typeof success === 'number' ? [success] : success.statuses;
		const isRepeatable = isRepeatableAt(method, operation);
		const isRead = method === 'GET';
		const isVersioned = operation.isVersioned === true;
		const heedsVersion = heedsVersionAt(method, operation);
		const statusOf = typeof success === 'number' ? () => success : success.of;

		async function answer(exchange: Exchange, params: Record<string, string>): Promise<Response> {
			const caller = await callerOf(operation, exchange);
			const input = await readInput(exchange.request, params);
			const actor = await actorOf(caller, operation, exchange.request);
			const fields = parse(input);
			const turn = isRead && actor.kind === 'tenant' ? deps.enterRead(actor.tenant) : undefined;
			if (turn !== undefined) await turn;
			if (alternative !== undefined) {
				const other = await alternative.instead(exchange.request, (changed) =>
					useCase(actor, { ...fields, ...changed }, exchange.request),
				);
				if (other !== undefined) {
					return new Response(other.body, { headers: deps.answerHeaders(exchange, other.type) });
				}
			}
			const repeatable = isRepeatable
				? repeatableOf(
						exchange.request.headers,
						{ caller: actor, operation, input: fields },
						deps.random,
					)
				: undefined;
			const act = () => {
				const asked = repeatable === undefined ? actor : { ...actor, once: repeatable };
				const ifMatch = heedsVersion ? ifMatchOf(exchange.request.headers) : undefined;
				const caller = ifMatch === undefined ? asked : { ...asked, ifMatch };
				return useCase(caller, fields, exchange.request);
			};
			const { output, isReplayed } =
				repeatable === undefined
					? { output: await act(), isReplayed: false }
					: await once(repeatable, act);
			check(output);
			const headers = deps.answerHeaders(exchange, 'application/json');
			if (isReplayed) headers['Idempotency-Replayed'] = 'true';
			if (isVersioned) headers.ETag = `"${(output as { version: number }).version}"`;
			return new Response(JSON.stringify(output), { status: statusOf(output), headers });
		}

		/** Does it, unless it was done before: then it is what was answered. */
		async function once(
			repeatable: Once,
			act: () => Promise<OutputOf<Op>>,
		): Promise<{ output: unknown; isReplayed: boolean }> {
			const earlier = deps.findAnswer(repeatable);
			if (earlier !== undefined) return { output: repeatable.open(earlier), isReplayed: true };
			try {
				return { output: await act(), isReplayed: false };
			} catch (error) {
				// The same request was in the writer's queue before this one.
				if (!(error instanceof AlreadyAnswered)) throw error;
				return { output: repeatable.open(error.stored), isReplayed: true };
			}
		}

		async function handler({
			request,
			params,
		}: {
			request: Request;
			params: Record<string, string>;
		}): Promise<Response> {
			const startedAt = clock.monotonic();
			const exchange: Exchange = { request, request_id: requestIdOf(request.headers, ids) };
			let response: Response;
			try {
				response = await answer(exchange, params);
			} catch (thrown) {
				const who = () => exchange.tenant?.tenant_id ?? deps.addressOf(request);
				const paced = deps.pacedRefusal(thrown, who);
				const error = paced === undefined ? thrown : await paced;
				response = errorResponse(error, exchange.request_id, deps.answerHeaders(exchange));
			}
			const { status } = response;
			const ms = clock.monotonic() - startedAt;
			deps.observe(operation.name, status, ms);
			const { request_id, tenant } = exchange;
			const tenant_id = tenant?.tenant_id;
			log.debug({ request_id, operation: operation.name, tenant_id, status, ms }, 'Request');
			return response;
		}

		const detail = describeRoute(operation, {
			method,
			path,
			status: statuses,
			...(alternative === undefined ? {} : { otherType: alternative.type }),
		});
		(app as Elysia).route(method, path, handler, { parse: 'none', detail });
		for (const alias of aliasesOf(path)) {
			(app as Elysia).route(method, alias, handler, { parse: 'none', detail: { hide: true } });
		}
		if (operation.permission !== undefined) {
			for (const each of [path, ...aliasesOf(path)]) deps.cors.open(method, each);
		}
	}

	type Bind = <Op extends Operation>(
		path: string,
		operation: Op,
		useCase: UseCase<Op>,
		success?: Success<OutputOf<Op>>,
		alternative?: Alternative<InputOf<Op>, OutputOf<Op>>,
	) => void;
	const get: Bind = (...route) => bind('GET', ...route);
	const post: Bind = (...route) => bind('POST', ...route);
	const put: Bind = (...route) => bind('PUT', ...route);
	const patch: Bind = (...route) => bind('PATCH', ...route);
	const remove: Bind = (...route) => bind('DELETE', ...route);
	return { get, post, put, patch, delete: remove };
}

/** Binds operations to routes; given to every feature's routes.ts. */
export type Face = ReturnType<typeof createFace>;

/**
 * Makes what gathers an operation's input from a request: the path's parameters, and the query of
 * GET and DELETE or the body of all else, with the few that an operation wants in its query.
 */
function createInputReader(method: Method, path: string, operation: Operation, bytesMax: number) {
	const hasQuery = HAS_QUERY.includes(method);
	const inQuery = hasQuery ? Object.keys(operation.input.properties) : (operation.inQuery ?? []);
	const readQuery = createQueryReader(operation.input.properties);
	const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name as string);
	const mediaTypes = method === 'PATCH' || method === 'PUT' ? MERGE_PATCH : JSON_ONLY;

	return async function readInput(
		request: Request,
		params: Record<string, string>,
	): Promise<Record<string, unknown>> {
		const body = hasQuery ? undefined : await readBody(request, bytesMax, mediaTypes);
		const query = readQuery(request.url);
		const misplaced =
			body === undefined ? undefined : Object.keys(query).find((name) => !inQuery.includes(name));
		if (misplaced !== undefined) {
			throw new AppError('VALIDATION_ERROR', 'Unknown parameter', {
				field: misplaced.slice(0, 128),
			});
		}
		const input = body ?? query;
		if (body !== undefined) {
			requireAbsent(body, operation.inQuery ?? []);
			Object.assign(input, query);
		}
		for (const name of inPath) {
			// Else a body could name another room than the path.
			requireAbsent(input, [name]);
			assert(params[name] !== undefined, `the path of ${operation.name} has ${name}`);
			input[name] = params[name];
		}
		return input;
	};
}

function requireAbsent(body: Record<string, unknown>, names: readonly string[]): void {
	const name = names.find((each) => Object.hasOwn(body, each));
	if (name === undefined) return;
	throw new AppError('VALIDATION_ERROR', 'Unknown field', { field: name });
}
