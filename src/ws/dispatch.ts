/**
 * A frame in, at most one reply out: the WebSocket's counterpart of the HTTP face, with the same
 * checks in the same order, before the same use-cases.
 *
 * Called by: the gateway, for each frame. Order: everything up to the use-case's first wait runs
 * before this returns, so the writes of one socket queue in the order of its frames.
 *
 * Must never: throw or reject. An exception in a Bun handler would end the process.
 */
import { looksLikeSecret } from '../core/api-key.ts';
import { type Authorizer, requireActor } from '../core/authorize.ts';
import type { TenantCaller } from '../core/caller.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, ERRORS, errorBodyOf } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import type { Log } from '../core/log.ts';
import { type Bounds, createInputParser, createOutputCheck } from '../core/validation.ts';
import type { QuotaGate } from '../features/quotas/service.ts';
import type { UsageCounter } from '../features/usage/service/meter.ts';
import type { Connection } from '../realtime/connections.ts';
import type { FrameBinding, Frames } from './frames.ts';

export interface DispatchDeps {
	frames: Frames;
	authorizer: Authorizer;
	bounds: Bounds;
	frameBytesMax: number;
	clock: Clock;
	log: Log;
	observe(operation: string, status: number, ms: number): void;
	usage: Pick<UsageCounter, 'countRequest'>;
	quotas: Pick<QuotaGate, 'requireRequest'>;
}

/** A binding with its schemas compiled. */
interface Handler {
	binding: FrameBinding;
	parse(input: Record<string, unknown>): unknown;
	check(output: unknown): void;
}

const REQUEST_ID_LENGTH_MAX = 64;

export function createDispatch(deps: DispatchDeps) {
	const { authorizer, clock, log } = deps;
	const handlers = new Map<string, Handler>();
	for (const binding of deps.frames) {
		const check: (output: unknown) => void = createOutputCheck(binding.operation);
		handlers.set(binding.type, {
			binding,
			parse: createInputParser(binding.operation, deps.bounds),
			check,
		});
	}
	const known = [...handlers.keys()].join(', ');

	function sendError(
		connection: Connection,
		error: unknown,
		request_id: string | undefined,
		operation: string | undefined,
	): ReturnType<typeof errorBodyOf> {
		const body = errorBodyOf(error, request_id);
		if (body.code === 'INTERNAL_ERROR') {
			const isLogged = request_id !== undefined && !looksLikeSecret(request_id);
			const named = isLogged ? { request_id } : {};
			log.error({ err: error, ...named, operation }, 'Frame failed');
		}
		connection.sendSoon(JSON.stringify({ type: 'error', ...body }));
		return body;
	}

	/** Answers a frame that never became an operation, and counts it. */
	function refuse(connection: Connection, error: unknown, request_id: string | undefined): void {
		sendError(connection, error, request_id, undefined);
		connection.countBadFrame();
	}

	function handlerOf(type: unknown): Handler {
		const handler = typeof type === 'string' ? handlers.get(type) : undefined;
		if (handler !== undefined) return handler;
		throw new AppError('VALIDATION_ERROR', `Unknown frame type. Must be one of: ${known}`, {
			field: 'type',
		});
	}

	async function run(
		connection: Connection,
		caller: TenantCaller,
		{ binding, parse, check }: Handler,
		fields: Record<string, unknown>,
		request_id: string | undefined,
	): Promise<void> {
		const { operation } = binding;
		const startedAt = clock.monotonic();
		let status = 200;
		// A frame that is for users makes sense, though not from a backend socket.
		let isForCaller = false;
		try {
			authorizer.authorize(caller, operation, operation.frame_cost ?? operation.cost ?? 0);
			deps.quotas.requireRequest(caller, operation);
			deps.usage.countRequest(caller);
			requireActor(caller, operation);
			isForCaller = true;
			const output = await binding.run(caller, parse(fields), connection);
			check(output);
			if (request_id !== undefined) {
				connection.sendSoon(JSON.stringify({ type: 'reply', request_id, ok: true, data: output }));
			}
		} catch (error) {
			const { code } = sendError(connection, error, request_id, operation.name);
			status = ERRORS[code].status;
			const isMalformed = code === 'VALIDATION_ERROR' || code === 'PAYLOAD_TOO_LARGE';
			if (isMalformed && isForCaller) connection.countBadFrame();
		}
		deps.observe(operation.name, status, clock.monotonic() - startedAt);
	}

	/** Reads one frame and acts on it. */
	return function dispatch(
		connection: Connection,
		caller: TenantCaller,
		frame: string | Buffer,
	): void {
		let fields: Record<string, unknown>;
		try {
			fields = objectOf(frame, deps.frameBytesMax);
		} catch (error) {
			refuse(connection, error, requestIdIn(frame));
			return;
		}
		let request_id: string | undefined;
		try {
			const { type, request_id: given, ...rest } = fields;
			request_id = requestIdOf(given);
			const handler = handlerOf(type);
			void run(connection, caller, handler, fieldsOf(rest), request_id);
		} catch (error) {
			refuse(connection, error, request_id);
		}
	};
}

export type Dispatch = ReturnType<typeof createDispatch>;

function objectOf(frame: string | Buffer, bytesMax: number): Record<string, unknown> {
	if (typeof frame !== 'string') {
		throw new AppError('VALIDATION_ERROR', 'A frame must be text, not binary');
	}
	if (frame.length > bytesMax || Buffer.byteLength(frame) > bytesMax) {
		throw new AppError('PAYLOAD_TOO_LARGE', `A frame must be at most ${bytesMax} bytes`);
	}
	const value = parseJson(frame);
	if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
		return value as Record<string, unknown>;
	}
	throw new AppError('VALIDATION_ERROR', 'A frame must be a JSON object');
}

function requestIdOf(given: unknown): string | undefined {
	if (given === undefined) return undefined;
	if (typeof given === 'string' && given.length >= 1 && given.length <= REQUEST_ID_LENGTH_MAX) {
		return given;
	}
	throw new AppError(
		'VALIDATION_ERROR',
		`Must be a string of 1 to ${REQUEST_ID_LENGTH_MAX} characters`,
		{ field: 'request_id' },
	);
}

/** The fields beside the type, or those under `data`: the same frame written either way. */
function fieldsOf(rest: Record<string, unknown>): Record<string, unknown> {
	const { data, ...others } = rest;
	if (data === undefined) return rest;
	if (typeof data !== 'object' || data === null || Array.isArray(data)) {
		throw new AppError('VALIDATION_ERROR', 'Must be an object', { field: 'data' });
	}
	const [beside] = Object.keys(others);
	if (beside !== undefined) {
		throw new AppError('VALIDATION_ERROR', 'Unknown field beside data', {
			field: beside.slice(0, 128),
		});
	}
	return { ...data };
}

/** The request id of a frame that cannot or will not be read, so that its sender knows which it was. */
export function requestIdIn(frame: string | Buffer): string | undefined {
	if (typeof frame !== 'string') return undefined;
	return /"request_id"\s*:\s*"([A-Za-z0-9._:-]{1,64})"/.exec(frame)?.[1];
}
