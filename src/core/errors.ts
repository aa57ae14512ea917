/**
 * The one table of errors a client can meet. HTTP statuses, OpenAPI responses, `error` frames and
 * `docs/errors.md` derive from it.
 */
export const ERRORS = {
	VALIDATION_ERROR: {
		status: 400,
		retryable: false,
		summary: 'The body, query, path or a header does not fit; `field` names what.',
	},
	AUTHENTICATION_ERROR: {
		status: 401,
		retryable: false,
		summary: 'The credential is missing, malformed, unknown, expired or revoked.',
	},
	AUTHORIZATION_ERROR: {
		status: 403,
		retryable: false,
		summary: 'The key lacks a permission, the member lacks a role, or the origin is not allowed.',
	},
	QUOTA_EXCEEDED: {
		status: 403,
		retryable: false,
		summary:
			'A quota of the tenant or of its plan is used up; the message names it. `retry_after_ms` says when its next period begins, where it has periods.',
	},
	NOT_FOUND: {
		status: 404,
		retryable: false,
		summary: 'No such thing in this tenant, or none that this caller may see: the same answer.',
	},
	METHOD_NOT_ALLOWED: {
		status: 405,
		retryable: false,
		summary: 'The path exists, the method does not; the `Allow` header lists those that do.',
	},
	CONFLICT: {
		status: 409,
		retryable: false,
		summary:
			'It exists in another state, or the same `client_msg_id` or `Idempotency-Key` came with another body.',
	},
	PRECONDITION_FAILED: {
		status: 412,
		retryable: false,
		summary:
			'`If-Match` names another version than the present one: read it again, and decide anew.',
	},
	PAYLOAD_TOO_LARGE: {
		status: 413,
		retryable: false,
		summary: 'Over a size limit, which the message states.',
	},
	UNSUPPORTED_MEDIA_TYPE: {
		status: 415,
		retryable: false,
		summary: 'A body that is not declared as `application/json`.',
	},
	RATE_LIMIT_EXCEEDED: {
		status: 429,
		retryable: true,
		summary: 'A token bucket is empty; the message names it, `retry_after_ms` says for how long.',
	},
	INTERNAL_ERROR: {
		status: 500,
		retryable: true,
		summary: 'A defect of the server; its log holds the cause under `request_id`.',
	},
	UNAVAILABLE: {
		status: 503,
		retryable: true,
		summary: 'The server is shutting down, overloaded, or cannot reach its database.',
	},
	INSUFFICIENT_STORAGE: {
		status: 507,
		retryable: true,
		summary: 'The disk is full, or nearly: writes are refused, reads go on.',
	},
} as const satisfies Record<string, { status: number; retryable: boolean; summary: string }>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetails {
	/** What is wrong: a top-level name, or a JSON pointer (RFC 6901) to something nested. */
	field?: string;
	/** After how many milliseconds a retry can succeed. Computed, never a constant. */
	retry_after_ms?: number;
	/** The methods a path knows, for `METHOD_NOT_ALLOWED`. */
	allow?: string;
}

/**
 * An expected failure. Services and `authorize` throw it; stores never do. `message` is for the
 * client and never repeats a value the client sent.
 */
export class AppError extends Error {
	override readonly name = 'AppError';

	constructor(
		/** Not called `code`: Elysia treats an own `code` on an error as its own error code. */
		readonly errorCode: ErrorCode,
		message: string,
		readonly details: ErrorDetails = {},
	) {
		super(message);
	}
}

/** The fields every error shows a client: the HTTP envelope's `error`, and the `error` frame's. */
export interface ErrorBody {
	code: ErrorCode;
	message: string;
	field?: string;
	request_id?: string;
	retryable: boolean;
	retry_after_ms?: number;
}

/**
 * Turns anything thrown into what a client may know of it. A defect (whatever is no `AppError`)
 * becomes a bare `INTERNAL_ERROR`: its cause belongs into the log.
 */
export function errorBodyOf(error: unknown, request_id: string | undefined): ErrorBody {
	const known =
		error instanceof AppError ? error : new AppError('INTERNAL_ERROR', 'Internal server error');
	const { field, retry_after_ms } = known.details;
	return {
		code: known.errorCode,
		message: known.message,
		...(field === undefined ? {} : { field }),
		...(request_id === undefined ? {} : { request_id }),
		retryable: ERRORS[known.errorCode].retryable,
		...(retry_after_ms === undefined ? {} : { retry_after_ms: Math.ceil(retry_after_ms) }),
	};
}

/** States one of our own promises. A failure is a defect, never a client's mistake. */
export function assert(condition: unknown, invariant: string): asserts condition {
	if (!condition) throw new Error(`Broken invariant: ${invariant}`);
}
