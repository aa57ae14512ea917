/** Bodies that are wrong as a whole, for every operation that takes one. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { gzipSync } from 'node:zlib';
import { residentBytes } from '../../fuzz/memory.ts';
import { httpClient } from '../../helpers/http.ts';
import { type Declared, openApiOf } from '../../helpers/openapi.ts';
import { openConnection } from '../../helpers/raw-http.ts';
import { useServer } from '../../helpers/use-server.ts';
import {
	type Bystander,
	CANARY,
	CANARY_NUMBER,
	createBystander,
	problemsInLog,
	problemsOf,
} from './judge.ts';
import {
	createScene,
	pathOf,
	type Scene,
	type ValidRequest,
	validRequest,
} from './valid-requests.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', LOG_LEVEL: 'debug', MAX_BODY_BYTES: '64KiB' });
const BODY_BYTES_MAX = 65_536;
/** Of operations that take more than others. */
const LARGER: Record<string, number> = { 'configuration.apply': 16 * 1024 * 1024 };

let operations: readonly Declared[];
let scene: Scene;
let bystander: Bystander;

beforeAll(async () => {
	operations = (await openApiOf(used.server.url)).operations;
	scene = await createScene(used.server);
	bystander = await createBystander(used.server);
});

interface Attempt {
	what: string;
	raw: string | Uint8Array;
	headers?: Record<string, string>;
	statuses?: readonly number[];
}

/** What an empty body is answered with that lacks no field, where that is not 200. An ack has two forms. */
const EMPTY: Readonly<Record<string, number>> = { 'tokens.create': 201, 'acks.send': 400 };

const JSON_TYPE = { 'Content-Type': 'application/json' };

async function attempt(request: ValidRequest, { what, raw, headers, statuses }: Attempt) {
	const answer = await httpClient(used.server).call(request.method, pathOf(request), {
		headers: { ...request.headers, ...(headers ?? JSON_TYPE) },
		raw,
		isChecked: false,
	});
	const problems = problemsOf(answer, { statuses: statuses ?? [400] });
	return problems.map((problem) => `${request.operation}, ${what}: ${problem}`);
}

/** Tries all of them on every operation with a body. */
async function attemptAll(of: (request: ValidRequest) => readonly Attempt[]): Promise<void> {
	const found: string[] = [];
	let count = 0;
	for (const declared of operations) {
		const request = validRequest(declared, scene);
		if (request.body === undefined) continue;
		for (const each of of(request)) {
			count++;
			found.push(...(await attempt(request, each)));
		}
	}
	expect(found).toEqual([]);
	expect(count).toBeGreaterThan(8);
}

const bytes = (...parts: (string | readonly number[])[]): Uint8Array =>
	Buffer.concat(parts.map((part) => Buffer.from(part as string)));

describe('a body', () => {
	test('that is no JSON is refused', async () => {
		const texts = [
			'{',
			'}',
			`{"${CANARY}`,
			`{'a':'${CANARY}'}`,
			`{a:"${CANARY}"}`,
			`{"a":"${CANARY}",}`,
			'{"a":NaN}',
			'{"a":Infinity}',
			'{"a":undefined}',
			'{"a":01}',
			'{"a":+1}',
			'{"a":.5}',
			'{"a":0x10}',
			`// ${CANARY}\n{}`,
			'{}{}',
			`{} ${CANARY}`,
			'{"a":"\\x41"}',
			'{"a":"\\ud83d',
			`{"a":"${CANARY}\n"}`,
			`{"a":"${CANARY}\t"}`,
			'a=1&b=2',
			'<a/>',
			' ',
			'\u00a0{}',
		];
		await attemptAll(() => texts.map((raw) => ({ what: JSON.stringify(raw), raw })));
	});

	test('that is JSON and no object is refused', async () => {
		const texts = ['null', 'true', '[]', '[{}]', `"${CANARY}"`, String(CANARY_NUMBER), '1e999'];
		await attemptAll(() => texts.map((raw) => ({ what: raw, raw })));
	});

	test('that is not UTF-8 is refused', async () => {
		const broken = [
			bytes('{"a":"', [0xff], '"}'),
			bytes('{"a":"', [0xc0, 0x80], '"}'),
			bytes('{"a":"', [0xe2, 0x82], '"}'),
			bytes('{"a":"', [0xed, 0xa0, 0x80], '"}'),
			bytes('{"a":"', [0xf4, 0x90, 0x80, 0x80], '"}'),
			bytes('{"a":"', [0xf8, 0x88, 0x80, 0x80, 0x80], '"}'),
			Buffer.from(`{"a":"${CANARY}"}`, 'utf16le'),
			bytes([0xff, 0xfe], Buffer.from('{}', 'utf16le') as unknown as number[]),
			bytes([0, 0, 0], '{}'),
			gzipSync('{}'),
		];
		await attemptAll(() => broken.map((raw) => ({ what: Buffer.from(raw).toString('hex'), raw })));
	});

	test('that is nested too deep is refused before it costs anything', async () => {
		const levels = [33, 5_000, 30_000];
		await attemptAll(() =>
			levels.flatMap((level) => [
				{ what: `${level} lists`, raw: '['.repeat(level) + ']'.repeat(level) },
				{ what: `${level} open lists`, raw: '['.repeat(level) },
				{
					what: `${level} lists in a field`,
					raw: `{"a":${'['.repeat(level)}${']'.repeat(level)}}`,
				},
				{
					what: `${level} objects`,
					raw: `${'{"a":'.repeat(Math.min(level, 10_000))}1${'}'.repeat(Math.min(level, 10_000))}`,
				},
			]),
		);
	});

	test('that is empty misses its fields, and changes nothing where none is needed', async () => {
		await attemptAll(({ required, operation }) =>
			['', '{}'].map((raw) => ({
				what: raw === '' ? 'nothing' : 'an empty object',
				raw,
				statuses: required.length > 0 ? [400] : [EMPTY[operation] ?? 200],
			})),
		);
	});

	test('that is not declared as JSON is refused', async () => {
		const types = [
			undefined,
			'',
			'text/plain',
			'text/plain; charset=utf-8',
			'text/json',
			'application/jsonp',
			'application/x-www-form-urlencoded',
			'multipart/form-data; boundary=x',
			`application/${CANARY}`,
			'application/json, text/plain',
			'json',
			'*/*',
		];
		await attemptAll(({ body }) =>
			types.map((type) => ({
				what: `Content-Type: ${type}`,
				// Bytes, for a text would be declared as text by the client.
				raw: Buffer.from(JSON.stringify(body)),
				headers: type === undefined ? {} : { 'Content-Type': type },
				statuses: [415],
			})),
		);
	});

	test('over the limit is refused with 413, however it is declared', async () => {
		await attemptAll(({ body, operation }) => {
			const bytesMax = LARGER[operation] ?? BODY_BYTES_MAX;
			const raw = JSON.stringify(body).padEnd(bytesMax + 1, ' ');
			return [
				{ what: 'one byte too many', raw, statuses: [413] },
				{
					what: 'many times too large',
					raw: raw.repeat(operation in LARGER ? 2 : 20),
					statuses: [413],
				},
				{ what: 'too large and no JSON', raw: CANARY.repeat(bytesMax / 6), statuses: [413] },
			];
		});
	});

	test('of an operation that takes none does no harm', async () => {
		const found: string[] = [];
		for (const declared of operations) {
			const request = validRequest(declared, scene);
			if (request.body !== undefined || declared.method !== 'DELETE') continue;
			const others = {
				room_id: 'room_x',
				key_id: 'key_x',
				plan_id: 'plan_x',
				tenant_id: 'tenant_x',
			};
			const missing = { ...request.params, ...others };
			for (const raw of [CANARY, '{', `{"surprise":"${CANARY}"}`, CANARY.repeat(10_000)]) {
				const statuses = [400, 404, 413, 415];
				found.push(
					...(await attempt({ ...request, params: missing }, { what: 'a body', raw, statuses })),
				);
			}
		}
		expect(found).toEqual([]);
	});
});

test('bodies that are far too large are refused without being kept', async () => {
	const { api_key } = scene.tenant;
	const before = residentBytes(used.server.pid);
	const megabyte = 'x'.repeat(1024 * 1024);
	const sendOne = async (headers: string, part: string) => {
		const connection = await openConnection(used.server);
		connection.write(`POST /rooms HTTP/1.1\r\nHost: h\r\n${headers}\r\n`);
		for (let sent = 0; sent < 24; sent++) connection.write(part);
		const { status } = await connection.answer();
		connection.close();
		return status;
	};
	const key = `X-API-Key: ${api_key}\r\nX-User-Id: alice\r\n`;
	const declared = `Content-Length: ${24 * 1024 * 1024}\r\nContent-Type: application/json\r\n`;
	const chunked = 'Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n';

	const statuses = await Promise.all(
		Array.from({ length: 4 }, () => [
			sendOne(key + declared, megabyte),
			sendOne(declared, megabyte),
			sendOne(key + chunked, `100000\r\n${megabyte}\r\n`),
		]).flat(),
	);
	const after = residentBytes(used.server.pid);

	expect(statuses.sort()).toEqual([401, 401, 401, 401, ...Array.from({ length: 8 }, () => 413)]);
	if (before !== undefined && after !== undefined) {
		expect(after - before).toBeLessThan(96 * 1024 * 1024);
	}
});

test('a body with a byte order mark, or with a charset, or packed in patches, is no other body', async () => {
	const { tenant, room_id } = scene;
	const ask = async (method: string, path: string, raw: string | Uint8Array, type: string) =>
		(
			await tenant.as('alice').call(method, path, {
				raw,
				headers: { 'Content-Type': type },
				isChecked: false,
			})
		).status;
	const send = `/rooms/${room_id}/messages`;

	expect(await ask('POST', send, '{"content":"x"}', 'application/json; charset=utf-8')).toBe(201);
	expect(await ask('POST', send, '{"content":"x"}', 'Application/JSON')).toBe(201);
	expect(await ask('PATCH', `/rooms/${room_id}`, '{}', 'application/merge-patch+json')).toBe(200);
	expect(await ask('POST', send, '{"content":"x"}', 'application/merge-patch+json')).toBe(415);
	// RFC 8259 lets a reader take a mark or refuse it: no more is asked than one of the two.
	const marked = bytes([0xef, 0xbb, 0xbf], '{"content":"x"}');
	expect([201, 400]).toContain(await ask('POST', send, marked, 'application/json'));
});

test('nobody else noticed, and nothing of it is in the log', async () => {
	expect(await bystander.problems()).toEqual([]);
	expect(problemsInLog(used.server)).toEqual([]);
	await bystander.close();
});
