/**
 * What lets a page of another origin use the tenant API, with a user's token and nothing else: API
 * keys are for backends, and no page may send one.
 *
 * A preflight comes without a credential, so it is answered alike for every origin: to tell them apart
 * would tell whose customers there are. The request itself is held against the origins of its
 * tenant.
 *
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
import { requireOrigin } from './origins.ts';
import { requestTarget } from './request-target.ts';

/** What a page may send, and what of an answer it may read, beside what every page may. */
const REQUEST_HEADERS = 'Authorization, Content-Type, X-Request-Id, X-User-Id';
const ANSWER_HEADERS =
	'X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset';
/** For how long a browser need not ask again: two hours are the most that Chromium takes. */
const PREFLIGHT_AGE_S = 7200;

/** What the headers of an answer say to the page that asked. `null`: nothing, but that others may get more. */
export const readableBy = (page: string | null): Record<string, string> => ({
	Vary: 'Origin',
	...(page === null
		? {}
		: {
				'Access-Control-Allow-Origin': page,
				'Access-Control-Expose-Headers': ANSWER_HEADERS,
			}),
});

/** The origin of the page that shows a user's token; null where no page does; undefined for no token. */
export function pageOf(headers: Headers): string | null | undefined {
	const isToken =
		/^Bearer ut_/i.test(headers.get('Authorization') ?? '') && !headers.has('X-API-Key');
	return isToken ? headers.get('Origin') : undefined;
}

/**
 * Lets the page go on whose user has been recognised, if the tenant allows it. Until then it may read
 * that its token is no longer good.
 *
 * @throws `AUTHORIZATION_ERROR` for a page of another origin, which it cannot read.
 */
export function admitPage(answered: { page?: string | null }, allowed: readonly string[]): void {
	const { page } = answered;
	if (page === undefined || page === null) return;
	answered.page = null;
	requireOrigin(page, allowed);
	answered.page = page;
}

export interface Cors {
	/** Makes a route one that pages may use. */
	open(method: string, path: string): void;
	/** The headers of the answer to a preflight; undefined for what is none, or of no such route. */
	preflight(request: Request): Record<string, string> | undefined;
}

export function createCors(): Cors {
	const methodsOf = new Map<string, { pattern: RegExp; methods: string[] }>();
	return {
		open(method, path) {
			const pattern = new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}/?$`);
			const route = methodsOf.get(path) ?? { pattern, methods: [] };
			route.methods.push(method);
			methodsOf.set(path, route);
		},
		preflight({ method, headers, url }) {
			const origin = headers.get('Origin');
			const isPreflight = headers.has('Access-Control-Request-Method');
			if (method !== 'OPTIONS' || origin === null || !isPreflight) return undefined;
			const { path } = requestTarget(url);
			const methods = [...methodsOf.values()]
				.filter(({ pattern }) => pattern.test(path))
				.flatMap((route) => route.methods);
			if (methods.length === 0) return undefined;
			return {
				Vary: 'Origin',
				'Access-Control-Allow-Origin': origin,
				'Access-Control-Allow-Methods': methods.join(', '),
				'Access-Control-Allow-Headers': REQUEST_HEADERS,
				'Access-Control-Max-Age': String(PREFLIGHT_AGE_S),
			};
		},
	};
}
