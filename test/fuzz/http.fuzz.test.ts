/**
 * Thousands of requests that are valid but for one thing, over every operation: no 5xx, always the
 * envelope, nothing repeated, the process lives and does not grow. See settings.ts for longer runs.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Bystander, CANARY, createBystander } from '../contract/bad-input/judge.ts';
import {
	createScene,
	pathOf,
	type Scene,
	type ValidRequest,
	validRequest,
} from '../contract/bad-input/valid-requests.ts';
import type { Answer } from '../helpers/http.ts';
import { type Declared, openApiOf } from '../helpers/openapi.ts';
import { openConnection, type RawConnection } from '../helpers/raw-http.ts';
import { useServer } from '../helpers/use-server.ts';
import { createHttpChecker } from './checker.ts';
import { residentBytes } from './memory.ts';
import { anyJson, anyText, mutateBytes, mutateObject } from './mutations.ts';
import { createRandom, type Random } from './random.ts';
import { FUZZ_COUNT, FUZZ_SEED, FUZZ_TIMEOUT_MS, GROWTH_BYTES_MAX } from './settings.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', MAX_BODY_BYTES: '64KiB' });

const WORKERS = 8;
/** Some requests succeed, and delete what the others are about. */
const REQUESTS_PER_SCENE = 150;

let operations: readonly Declared[];
let bystander: Bystander;

beforeAll(async () => {
	// A socket is opened by a library or not at all; its frames have a fuzz test of their own.
	const all = (await openApiOf(used.server.url)).operations;
	operations = all.filter(({ path }) => path !== '/ws');
	bystander = await createBystander(used.server);
});

afterAll(() => {
	console.log(`HTTP: ${[...checker.statuses].sort().map(([status, n]) => `${n} × ${status}`)}`);
});

interface Written {
	bytes: Buffer;
	/** Whether the runtime's parser may refuse it, or end the connection. */
	mayEnd: boolean;
}

const checker = createHttpChecker();

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

/** The bytes; once in a while with something wrong in them that is not ours to answer. */
function write(random: Random, { method, path, headers, body }: Parts): Written {
	const all = {
		Host: random.chance(0.05) ? random.pick(['x', 'api', 'a.b:1', '[::1]']) : 'localhost',
		...headers,
		...(body === undefined ? {} : { 'Content-Length': String(body.length) }),
	};
	const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
	const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1');
	if (random.chance(0.02)) {
		const broken = mutateBytes(random, head.toString('latin1'));
		// What the parser waits for comes: an end of headers and of a body.
		return { bytes: Buffer.concat([broken, Buffer.from('\r\n\r\n')]), mayEnd: true };
	}
	return { bytes: Buffer.concat([head, body ?? Buffer.alloc(0)]), mayEnd: false };
}

/** Sends requests one after the other on a connection that is opened again whenever it ends. */
async function work(seed: number, count: number): Promise<void> {
	const random = createRandom(seed);
	let scene: Scene | undefined;
	let connection: RawConnection | undefined;
	for (let sent = 0; sent < count; sent++) {
		if (scene === undefined || sent % REQUESTS_PER_SCENE === 0) {
			scene = await createScene(used.server, scene?.tenant);
		}
		const declared = random.pick(operations);
		const request = validRequest(declared, scene);
		const { bytes, mayEnd } = write(random, mutate(random, request));
		connection ??= await openConnection(used.server);
		const what = `${declared.operation.operationId} ${bytes.toString('latin1')}`;
		connection.write(bytes);
		const answer = await answerOf(connection, mayEnd);
		checker.answer(what, answer, { mayEnd });
		if (answer === undefined || mayEnd) {
			connection.close();
			connection = undefined;
		}
	}
	connection?.close();
}

/** Undefined when the connection ended, or, for what may be no whole request, when nothing comes. */
async function answerOf(connection: RawConnection, mayEnd: boolean): Promise<Answer | undefined> {
	try {
		return await connection.answer(mayEnd ? 300 : 5_000);
	} catch {
		return undefined;
	}
}

test(
	'no request that is valid but for one thing brings a 5xx, or anything but the envelope',
	async () => {
		await Promise.all(
			Array.from({ length: WORKERS }, (_, worker) => work(FUZZ_SEED * 100 + worker, 25)),
		);
		const before = residentBytes(used.server.pid);
		const count = Math.ceil(FUZZ_COUNT / WORKERS);
		await Promise.all(
			Array.from({ length: WORKERS }, (_, worker) => work(FUZZ_SEED + worker * 1_000_003, count)),
		);
		const after = residentBytes(used.server.pid);

		expect({ seed: FUZZ_SEED, violations: checker.violations }).toEqual({
			seed: FUZZ_SEED,
			violations: [],
		});
		expect(checker.statuses.get(400)).toBeGreaterThan(FUZZ_COUNT / 10);
		expect(checker.statuses.get(200)).toBeGreaterThan(0);
		expect(await bystander.problems()).toEqual([]);
		if (before !== undefined && after !== undefined) {
			expect(after - before).toBeLessThan(GROWTH_BYTES_MAX);
		}
		await bystander.close();
	},
	FUZZ_TIMEOUT_MS,
);
