/** A client of the API over HTTP. Every answer it gets is held against the server's own document. */
import { openApiOf } from './openapi.ts';
import type { Server } from './server.ts';
import type { WireError } from './wire.ts';

const REQUEST_DEADLINE_MS = 15_000;

/** Who asks. Each goes into the header that the contract names for it. */
export interface Credentials {
	/** `X-API-Key` */
	key?: string;
	/** `X-User-Id` */
	user?: string;
	/** `X-Master-Key` */
	master?: string;
	/** `key` and `secret` */
	management?: { key: string; secret: string };
	headers?: Record<string, string>;
}

export interface Answer<Body = unknown> {
	status: number;
	headers: Headers;
	/** The parsed JSON; undefined when it is none. A promise of the test's author, not checked here. */
	body: Body;
	text: string;
}

export interface CallOptions {
	/** Sent as JSON. */
	body?: unknown;
	/** Sent as it is, with no content type of its own. */
	raw?: string | Uint8Array;
	headers?: Record<string, string>;
	/** false for load: the answer is then not held against the document. */
	isChecked?: boolean;
}

type Call = <Body = unknown>(
	path: string,
	body?: unknown,
	headers?: Record<string, string>,
) => Promise<Answer<Body>>;

export interface HttpClient {
	call<Body = unknown>(method: string, path: string, options?: CallOptions): Promise<Answer<Body>>;
	get<Body = unknown>(path: string, headers?: Record<string, string>): Promise<Answer<Body>>;
	post: Call;
	put: Call;
	patch: Call;
	delete: Call;
}

/** A client with these credentials. */
export function httpClient(server: Pick<Server, 'url'>, credentials: Credentials = {}): HttpClient {
	const own = headersOf(credentials);

	async function call<Body>(method: string, path: string, options: CallOptions = {}) {
		const { body, raw, isChecked = true } = options;
		const hasJson = body !== undefined;
		const response = await fetch(server.url + path, {
			method,
			headers: {
				...(hasJson ? { 'Content-Type': 'application/json' } : {}),
				...own,
				...options.headers,
			},
			body: hasJson ? JSON.stringify(body) : (raw ?? null),
			redirect: 'manual',
			signal: AbortSignal.timeout(REQUEST_DEADLINE_MS),
		});
		const text = await response.text();
		const hasBody = method !== 'HEAD' && isJson(response.headers);
		const parsed = hasBody ? JSON.parse(text) : undefined;
		if (isChecked) {
			const openApi = await openApiOf(server.url);
			openApi.check({ method, path, status: response.status, body: parsed });
		}
		return { status: response.status, headers: response.headers, body: parsed as Body, text };
	}

	const withBody =
		(method: string): Call =>
		(path, body, headers = {}) =>
			call(method, path, body === undefined ? { headers } : { body, headers });
	return {
		call,
		get: (path, headers = {}) => call('GET', path, { headers }),
		post: withBody('POST'),
		put: withBody('PUT'),
		patch: withBody('PATCH'),
		delete: withBody('DELETE'),
	};
}

export const headersOf = ({
	key,
	user,
	master,
	management,
	headers,
}: Credentials): Record<string, string> => ({
	...(key === undefined ? {} : { 'X-API-Key': key }),
	...(user === undefined ? {} : { 'X-User-Id': user }),
	...(master === undefined ? {} : { 'X-Master-Key': master }),
	...management,
	...headers,
});

/**
 * The error in an answer, which must be the one envelope and nothing beside it.
 *
 * @throws when it is no such envelope.
 */
export function errorOf(answer: Answer): WireError {
	const { success, error, ...rest } = (answer.body ?? {}) as {
		success?: unknown;
		error?: WireError;
	};
	const isEnvelope =
		success === false &&
		typeof error?.code === 'string' &&
		typeof error.message === 'string' &&
		typeof error.retryable === 'boolean' &&
		error.request_id === answer.headers.get('X-Request-Id') &&
		Object.keys(rest).length === 0;
	if (!isEnvelope || error === undefined) {
		throw new Error(`No error envelope: ${answer.status} ${answer.text}`);
	}
	return error;
}

/**
 * The body of an answer that must have this status.
 *
 * @throws with the whole answer when it has another.
 */
export function bodyOf<Body>(answer: Answer<Body>, ...statuses: readonly number[]): Body {
	if (statuses.includes(answer.status)) return answer.body;
	throw new Error(`Expected ${statuses.join(' or ')}, got ${answer.status}: ${answer.text}`);
}

const isJson = (headers: Headers) => /^application\/json\b/.test(headers.get('Content-Type') ?? '');
