/**
 * Headers and connections that no client library would make. What reaches our code is answered with
 * the envelope; what the runtime's parser refuses ends that connection and nothing else (ruling 14).
 */
import { beforeAll, describe, expect, test } from 'bun:test';
import { bodyOf, errorOf } from '../../helpers/http.ts';
import { exchange, openConnection, requestText } from '../../helpers/raw-http.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { MessagesPage } from '../../helpers/wire.ts';
import {
	type Bystander,
	CANARY,
	createBystander,
	leaksIn,
	problemsInLog,
	problemsOf,
} from './judge.ts';
import { answerOrEnd, ask, linesOf, parserProblems } from './raw-requests.ts';
import { createScene, type Scene } from './valid-requests.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', LOG_LEVEL: 'debug', MAX_BODY_BYTES: '64KiB' });

let scene: Scene;
let bystander: Bystander;
/** The header lines of alice. */
let alice: string;

beforeAll(async () => {
	scene = await createScene(used.server);
	bystander = await createBystander(used.server);
	alice = linesOf(scene);
});

describe('a header', () => {
	test('X-User-Id that is no user id, or two, is refused by name', async () => {
		const found: string[] = [];
		const key = `X-API-Key: ${scene.tenant.api_key}\r\n`;
		const values = [
			'',
			CANARY.repeat(12),
			`${CANARY} b`,
			`${CANARY}/`,
			'a\u00e9',
			'a,b',
			'%00',
			'\t',
		];
		const lines = values.map((value) => `X-User-Id: ${value}\r\n`);
		lines.push('X-User-Id: alice\r\nX-User-Id: alice\r\n', 'X-User-Id: a\r\nx-user-id: b\r\n');
		for (const line of lines) {
			const expected = { statuses: [400], field: 'X-User-Id' };
			const rooms = await ask(used.server, 'GET /rooms', key + line);
			const socket = await ask(
				used.server,
				'GET /ws',
				`${key}${line}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`,
			);
			for (const answer of [rooms, socket]) {
				const problems = problemsOf(answer, expected);
				found.push(...problems.map((problem) => `${JSON.stringify(line)}: ${problem}`));
			}
		}
		expect(found).toEqual([]);
	});

	test('with a credential that is none, or two of them, is 401', async () => {
		const { api_key } = scene.tenant;
		const found: string[] = [];
		const lines = [
			'X-API-Key: ',
			`X-API-Key: ${CANARY}`,
			`X-API-Key: ${CANARY.repeat(500)}`,
			`X-API-Key: ${api_key}\r\nX-API-Key: ${api_key}`,
			`X-API-Key: ${api_key} `.concat(CANARY),
			`X-API-Key: ${api_key}\u00e9`,
			`X-API-Key: Bearer ${api_key}`,
			'Authorization: ',
			'Authorization: Bearer',
			`Authorization: Bearer ${CANARY}`,
			`Authorization: Basic ${api_key}`,
			`Authorization: Bearer ${api_key} ${CANARY}`,
			`Authorization: Bearer ${api_key}\r\nAuthorization: Bearer ${api_key}`,
			`X-API-Key: ${CANARY}\r\nAuthorization: Bearer ${api_key}`,
		];
		for (const line of lines) {
			const answer = await ask(used.server, 'GET /rooms', `X-User-Id: alice\r\n${line}\r\n`);
			const problems = problemsOf(answer, { statuses: [401] });
			found.push(...problems.map((problem) => `${line.slice(0, 60)}: ${problem}`));
		}
		expect(found).toEqual([]);
	});

	test('X-Request-Id that is no id is replaced, and never repeated', async () => {
		for (const id of ['', 'a b', 'a'.repeat(65), `${CANARY}/`, 'a\u00e9', 'a,b', '<x>']) {
			const answer = await ask(used.server, 'GET /nowhere', `X-Request-Id: ${id}\r\n`);
			expect(answer.headers.get('X-Request-Id')).toMatch(/^req_[0-9a-z]{26}$/);
			expect(problemsOf(answer, { statuses: [404] })).toEqual([]);
		}
		const twice = await ask(used.server, 'GET /nowhere', 'X-Request-Id: a\r\nX-Request-Id: b\r\n');
		expect(twice.headers.get('X-Request-Id')).toMatch(/^req_/);
	});

	test('that HTTP does not allow ends the connection or is refused', async () => {
		const send = `POST /rooms/${scene.room_id}/messages HTTP/1.1\r\nHost: h\r\n${alice}Content-Type: application/json\r\n`;
		const body = `{"content":"${CANARY}"}`;
		const requests: Record<string, string> = {
			'100 KB in one header': `GET /rooms HTTP/1.1\r\nHost: h\r\nX: ${'z'.repeat(100_000)}\r\n\r\n`,
			'a thousand headers': `GET /rooms HTTP/1.1\r\nHost: h\r\n${'X: y\r\n'.repeat(1_000)}\r\n`,
			'a blank in a name': 'GET /rooms HTTP/1.1\r\nHost: h\r\nX Y: z\r\n\r\n',
			'a blank before the colon': 'GET /rooms HTTP/1.1\r\nHost: h\r\nX : z\r\n\r\n',
			'a folded line': 'GET /rooms HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n',
			'NUL in a value': 'GET /rooms HTTP/1.1\r\nHost: h\r\nX: a\u0000b\r\n\r\n',
			'no host': `GET /rooms HTTP/1.1\r\n${alice}\r\n`,
			'bare line feeds': `GET /rooms HTTP/1.1\nHost: h\n\n`,
			'HTTP/2': `GET /rooms HTTP/2.0\r\nHost: h\r\n${alice}\r\n`,
			'HTTP/0.9': 'GET /rooms\r\n\r\n',
			'no HTTP': '\u0000\u0001\u0002\r\n\r\n',
			'a TLS greeting': '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\r\n\r\n',
			'two lengths': `${send}Content-Length: 3\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
			'a length in words': `${send}Content-Length: many\r\n\r\n${body}`,
			'a negative length': `${send}Content-Length: -1\r\n\r\n${body}`,
			'a signed length': `${send}Content-Length: +${body.length}\r\n\r\n${body}`,
			'a length in hex': `${send}Content-Length: 0x10\r\n\r\n${body}`,
			'an endless length': `${send}Content-Length: ${'9'.repeat(40)}\r\n\r\n${body}`,
			'a length and chunks': `${send}Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
			'chunks of no size': `${send}Transfer-Encoding: chunked\r\n\r\nzz\r\n${body}\r\n0\r\n\r\n`,
			'a chunk of endless size': `${send}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(40)}\r\n${body}\r\n0\r\n\r\n`,
			'another encoding': `${send}Transfer-Encoding: gzip\r\n\r\n${body}`,
			'chunks twice': `${send}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
		};
		const found: string[] = [];
		for (const [what, request] of Object.entries(requests)) {
			const answer = await answerOrEnd(used.server, Buffer.from(request, 'latin1'));
			found.push(...parserProblems(what, answer));
		}
		expect(found).toEqual([]);
		const page = await scene.tenant
			.as('alice')
			.get<MessagesPage>(`/rooms/${scene.room_id}/messages`);
		expect(bodyOf(page, 200).messages).toEqual([]);
	});
});

describe('a connection', () => {
	test('of HTTP/1.0 is answered like any other', async () => {
		const answer = await exchange(used.server, `GET /rooms HTTP/1.0\r\n${alice}\r\n`);
		expect(answer.status).toBe(200);
		const refused = await exchange(used.server, 'GET /rooms HTTP/1.0\r\n\r\n');
		expect(problemsOf(refused, { statuses: [401] })).toEqual([]);
	});

	test('does not take the body of a refused request for the next request', async () => {
		const hidden = 'GET /smuggled HTTP/1.1\r\nHost: h\r\nX-Request-Id: smuggled\r\n\r\n'.repeat(
			2_000,
		);
		const headers = { 'Content-Type': 'application/json' };
		for (const [line, extra, status] of [
			['POST /rooms', {}, 401],
			['POST /rooms', { 'X-API-Key': scene.tenant.api_key, 'X-User-Id': 'alice' }, 413],
			['POST /nowhere', {}, 404],
			['PUT /rooms', {}, 405],
		] as const) {
			const connection = await openConnection(used.server);
			connection.write(requestText(used.server, line, { ...headers, ...extra }, hidden));
			connection.write(requestText(used.server, 'GET /livez', { 'X-Request-Id': 'the-next' }));
			const first = await connection.answer();
			expect({ line, status: first.status }).toEqual({ line, status });
			errorOf(first);
			// The connection may be closed instead, but what comes is the answer to the next request.
			const next = await connection.answer().catch(() => undefined);
			if (next !== undefined) {
				expect([next.status, next.headers.get('X-Request-Id')]).toEqual([200, 'the-next']);
			}
			connection.close();
		}
	});

	test('with several requests at once answers them in order, or ends', async () => {
		const connection = await openConnection(used.server);
		const ids = ['one', 'two', 'three'];
		for (const id of ids) {
			connection.write(requestText(used.server, 'GET /livez', { 'X-Request-Id': id }));
		}
		for (const id of ids) {
			const answer = await connection.answer().catch(() => undefined);
			if (answer === undefined) break;
			expect([answer.status, answer.headers.get('X-Request-Id')]).toEqual([200, id]);
		}
		connection.close();
	});

	test('that ends in the middle of a request leaves nothing behind', async () => {
		const send = requestText(
			used.server,
			`POST /rooms/${scene.room_id}/messages`,
			{
				'X-API-Key': scene.tenant.api_key,
				'X-User-Id': 'alice',
				'Content-Type': 'application/json',
			},
			'{"content":"never sent as a whole"}',
		);
		for (const length of [1, 20, 60, send.length - 20, send.length - 1]) {
			const connection = await openConnection(used.server);
			connection.write(send.slice(0, length));
			connection.close();
			await connection.closed;
		}
		const page = await scene.tenant
			.as('alice')
			.get<MessagesPage>(`/rooms/${scene.room_id}/messages`);
		expect(bodyOf(page, 200).messages).toEqual([]);
	});
});

test('nobody else noticed, and nothing of it is in the log', async () => {
	expect(await bystander.problems()).toEqual([]);
	expect(problemsInLog(used.server)).toEqual([]);
	expect(leaksIn(used.server.stderr())).toEqual([]);
	await bystander.close();
});
