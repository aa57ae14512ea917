import { AppError, ERRORS, errorBodyOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

/**
 * The only mapper from what was thrown to what a client is answered over HTTP. A defect is logged
 * with its cause; the client learns its request id.
 */
export function createErrorMapper(log: Log) {
	return function errorResponse(
		error: unknown,
		request_id: string,
		headers: Record<string, string>,
	): Response {
		const body = errorBodyOf(error, request_id);
		if (body.code === 'INTERNAL_ERROR') log.error({ err: error, request_id }, 'Request failed');
		const { retry_after_ms } = body;
		const allow = error instanceof AppError ? error.details.allow : undefined;
		return new Response(JSON.stringify({ success: false, error: body }), {
			status: ERRORS[body.code].status,
			headers: {
				'Content-Type': 'application/json',
				...headers,
				...(allow === undefined ? {} : { Allow: allow }),
				...(retry_after_ms === undefined
					? {}
					: { 'Retry-After': String(Math.max(1, Math.ceil(retry_after_ms / 1000))) }),
			},
		});
	};
}

export type ErrorMapper = ReturnType<typeof createErrorMapper>;
