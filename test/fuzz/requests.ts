/** Requests that are valid but for one thing. */
import { CANARY } from '../contract/bad-input/judge.ts';
import {
	pathOf,
	type Scene,
	type ValidRequest,
	validRequest,
} from '../contract/bad-input/valid-requests.ts';
import type { Declared } from '../helpers/openapi.ts';
import { anyJson, anyText, mutateBytes, mutateObject } from './mutations.ts';
import type { Random } from './random.ts';
import type { RequestInput } from './shrink.ts';

interface Parts {
	method: string;
	path: string;
	headers: Record<string, string>;
	body: Buffer | undefined;
}

const partsOf = (request: ValidRequest): Parts => ({
	method: request.method,
	path: pathOf(request),
	headers: {
		...request.headers,
		...(request.body === undefined ? {} : { 'Content-Type': 'application/json' }),
	},
	body: request.body === undefined ? undefined : Buffer.from(JSON.stringify(request.body)),
});

/** Characters that a path or a header may have in the HTTP grammar, and that mean something to us. */
const FRAGMENTS = [
	'%00',
	'%ZZ',
	'%2F',
	'%',
	'..',
	'.',
	'/',
	'//',
	'?',
	'&',
	'=',
	';',
	':',
	'+',
	'*',
];
const HEADER_VALUES = [
	'',
	' ',
	'a,b',
	'null',
	CANARY,
	`${CANARY}/`,
	'x'.repeat(129),
	'"',
	'\u00ff',
];

/** One change; the rest of the request stays valid. */
function mutate(random: Random, request: ValidRequest): Parts {
	const parts = partsOf(request);
	const { path, headers, body } = parts;
	const names = Object.keys(request.params);
	const setHeader = (name: string, value: string) => ({
		...parts,
		headers: { ...headers, [name]: value },
	});
	const withParam = (value: string) => {
		const name = random.pick(names);
		return { ...parts, path: pathOf({ ...request, params: { ...request.params, [name]: value } }) };
	};
	// Not before the first slash: what begins otherwise is no path to the parser.
	const at = 1 + random.below(path.length);
	const field = random.pick([...Object.keys(request.fields), 'surprise', '__proto__', 'limit']);
	return random.weighted<() => Parts>([
		[2, () => parts],
		[body === undefined ? 0 : 20, () => ({ ...parts, body: jsonOf(random, request) })],
		[body === undefined ? 0 : 3, () => ({ ...parts, body: mutateBytes(random, String(body)) })],
		[
			names.length === 0 ? 0 : 4,
			() => withParam(encodeURIComponent(anyJson(random)).slice(0, 9_000)),
		],
		[
			names.length === 0 ? 0 : 2,
			() => withParam(encodeURIComponent(anyText(random).toWellFormed()) || '-'),
		],
		[3, () => ({ ...parts, path: path.slice(0, at) + random.pick(FRAGMENTS) + path.slice(at) })],
		[1, () => ({ ...parts, path: `${random.pick(['/v1', '/v1/v1', '/admin', '/'])}${path}` })],
		[
			body === undefined ? 8 : 2,
			() => ({
				...parts,
				path: `${path}?${field}=${encodeURIComponent(anyJson(random)).slice(0, 4_000)}`,
			}),
		],
		[2, () => setHeader('X-User-Id', random.pick(HEADER_VALUES))],
		[1, () => setHeader('X-API-Key', random.pick(HEADER_VALUES))],
		[1, () => setHeader('Authorization', `Bearer ${random.pick(HEADER_VALUES)}`)],
		[1, () => setHeader('X-Request-Id', random.pick([`${CANARY}/`, '', 'a b', 'x'.repeat(65)]))],
		[
			1,
			() => setHeader('Content-Type', random.pick(['', 'text/plain', CANARY, 'application/xml'])),
		],
		[1, () => setHeader('Accept', random.pick([...HEADER_VALUES, 'application/json']))],
		[1, () => setHeader('Content-Encoding', random.pick(['gzip', 'br', CANARY]))],
		[
			2,
			() => ({
				...parts,
				method: random.pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']),
			}),
		],
	])();
}

function jsonOf(random: Random, { body }: ValidRequest): Buffer {
	const text = random.chance(0.92) ? mutateObject(random, body ?? {}) : anyJson(random);
	return Buffer.from(text);
}

/** The request; once in a while with something wrong in it that is not ours to answer. */
function write(random: Random, { method, path, headers, body }: Parts): RequestInput {
	const all = {
		Host: random.chance(0.05) ? random.pick(['x', 'api', 'a.b:1', '[::1]']) : 'localhost',
		...headers,
		...(body === undefined ? {} : { 'Content-Length': String(body.length) }),
	};
	const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
	const head = `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
	if (random.chance(0.02)) {
		const broken = mutateBytes(random, head);
		// What the parser waits for comes: an end of headers and of a body.
		return { text: `${broken.toString('latin1')}\r\n\r\n`, mayEnd: true };
	}
	return { text: head + (body?.toString('latin1') ?? ''), mayEnd: false };
}

/** A request for this operation that is valid but for one thing, about this scene. */
export const anyRequest = (random: Random, declared: Declared, scene: Scene): RequestInput =>
	write(random, mutate(random, validRequest(declared, scene)));
