import { ERRORS, type ErrorBody, type ErrorCode } from '../core/errors.ts';
import type { Operation } from '../core/operation.ts';

/** How each error looks when it comes: for the page's examples only. */
const ERROR_EXAMPLES: Readonly<Record<ErrorCode, Pick<ErrorBody, 'message' | 'field'>>> = {
	VALIDATION_ERROR: { message: 'Unknown field', field: 'title' },
	AUTHENTICATION_ERROR: { message: 'Invalid API key' },
	AUTHORIZATION_ERROR: { message: 'Needs the role moderator in this room' },
	QUOTA_EXCEEDED: {
		message:
			"Quota exceeded: messages_per_month of this tenant's plan is used up (1000000), until 2026-12-01T00:00:00.000Z",
	},
	NOT_FOUND: { message: 'Not found' },
	METHOD_NOT_ALLOWED: { message: 'Method not allowed' },
	CONFLICT: { message: 'It exists in another state' },
	PRECONDITION_FAILED: {
		message: 'It has changed since: read it again, and send its present ETag',
		field: 'If-Match',
	},
	PAYLOAD_TOO_LARGE: { message: 'Must be at most 16384 bytes of UTF-8', field: 'content' },
	UNSUPPORTED_MEDIA_TYPE: {
		message: 'The body must be declared as Content-Type: application/json',
	},
	RATE_LIMIT_EXCEEDED: {
		message: 'Rate limit exceeded: the bucket "requests" of this tenant is empty',
	},
	INTERNAL_ERROR: { message: 'Internal server error' },
	UNAVAILABLE: { message: 'The server is shutting down' },
	INSUFFICIENT_STORAGE: { message: 'The disk is full' },
};

/** Whether answers of this status say when to come back. */
export const hasRetryAfter = (status: number) => status === 429 || status === 503;

/** The envelope as this operation could answer it. */
export function errorExampleOf(operation: Operation, code: ErrorCode) {
	const { status, retryable } = ERRORS[code];
	const error: ErrorBody = {
		code,
		...ERROR_EXAMPLES[code],
		...ownExampleOf(operation, code),
		request_id: 'req_01jd6yh2n8f9tr3c5x7z0w4k6m',
		retryable,
		...(hasRetryAfter(status) ? { retry_after_ms: 250 } : {}),
	};
	return { success: false, error };
}

function ownExampleOf({ actor, permission }: Operation, code: ErrorCode) {
	if (code === 'AUTHENTICATION_ERROR' && actor === 'operator') return { message: 'Unauthorized' };
	if (code !== 'AUTHORIZATION_ERROR') return {};
	if (permission === undefined) return { message: 'This needs the master key' };
	return { message: `The API key lacks the permission ${permission}` };
}
