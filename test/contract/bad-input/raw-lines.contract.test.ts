/**
 * Paths, targets and methods that no client library would send. What reaches our code is answered
 * with the envelope; what the runtime's parser refuses ends that connection and nothing else
 * (ruling 14).
 */
import { beforeAll, describe, expect, test } from 'bun:test';
import { errorOf } from '../../helpers/http.ts';
import { openApiOf } from '../../helpers/openapi.ts';
import { useServer } from '../../helpers/use-server.ts';
import {
	type Bystander,
	CANARY,
	createBystander,
	leaksIn,
	problemsInLog,
	problemsOf,
} from './judge.ts';
import { answerOrEnd, ask, linesOf, parserProblems } from './raw-requests.ts';
import { createScene, pathOf, type Scene, validRequest } from './valid-requests.ts';

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

describe('a path', () => {
	/** Each with the statuses that are right for alice. */
	const PATHS: readonly [path: string, ...statuses: number[]][] = [
		['//rooms', 404],
		['///', 404],
		['/rooms//members', 404],
		['/v1//rooms', 404],
		['/rooms/%00', 400],
		['/rooms/%', 400],
		['/rooms/%Z', 400],
		['/rooms/%ZZ', 400],
		['/rooms/%ff', 400],
		['/rooms/%2F', 400],
		['/rooms/%2e%2e', 400, 404],
		['/rooms/%2e%2e/admin', 404],
		['/%72ooms', 404, 200],
		['/rooms%2F', 404],
		['/rooms%00', 404],
		['/rooms;a=b', 404],
		// A backslash is a slash to who parses URLs as browsers do.
		['/rooms\\', 200, 404],
		['/\\rooms', 404],
		['/rooms/*', 400],
		['/.', 404],
		['/..', 404],
		[`/${CANARY}`, 404],
		[`/${'a'.repeat(8_000)}`, 404],
		[`/rooms/${'a'.repeat(8_000)}`, 400],
		[`/rooms/${'a/'.repeat(2_000)}`, 404],
		['/rooms?%', 400],
		['/rooms?%ZZ=1', 400],
		['/rooms?&&&', 200],
		['/rooms?=', 400],
		['/rooms?limit', 400],
		['/rooms?limit=1?limit=2', 400],
		[`/rooms?${CANARY}=${'x'.repeat(6_000)}`, 400],
		[`/rooms?limit=${CANARY}`, 400],
		['/\u00e9', 404],
		['/__proto__', 404],
		['/constructor', 404],
		['/rooms/__proto__', 400],
	];

	test('that is odd is unknown or refused, and never a way around', async () => {
		const found: string[] = [];
		for (const [path, ...statuses] of PATHS) {
			const answer = await ask(used.server, `GET ${path}`, alice);
			const named = path.includes(`?${CANARY}`) ? { field: CANARY } : {};
			const problems = problemsOf(answer, { statuses, ...named });
			// An unknown field is told by its name, which is all of the query's that may come back.
			const own = named.field === undefined ? problems : problems.filter((text) => !isName(text));
			found.push(...own.map((problem) => `${path.slice(0, 60)}: ${problem}`));
		}
		expect(found).toEqual([]);
	});

	const isName = (problem: string) => problem.startsWith(`repeats ${CANARY}`);

	test('that leads up and down again is guarded as what it leads to', async () => {
		for (const path of [
			'/rooms/../admin/tenants',
			'/health/../admin/tenants',
			'/rooms/./../admin/tenants',
			'/swagger/../admin/tenants',
			'/rooms/%2e%2e/admin/tenants',
			'/v1/../admin/tenants',
		]) {
			const answer = await ask(used.server, `GET ${path}`, alice);
			expect({ path, isRefused: [401, 404].includes(answer.status) }).toEqual({
				path,
				isRefused: true,
			});
			errorOf(answer);
		}
	});

	test('with a fragment is no other path', async () => {
		for (const path of ['/rooms#x', '/rooms/#/members', '/health#']) {
			const answer = await ask(used.server, `GET ${path}`, alice);
			// Not 405: GET is a method of what is before the fragment.
			expect({ path, status: answer.status }).not.toEqual({ path, status: 405 });
			expect(answer.status).toBeLessThan(500);
		}
	});
});

describe('a request target', () => {
	test('in absolute form is the path in it, whatever the host', async () => {
		expect((await ask(used.server, 'GET http://h/rooms', alice)).status).toBe(200);
		expect((await ask(used.server, 'GET http://elsewhere.example/rooms', alice)).status).toBe(200);
		expect((await ask(used.server, 'GET http://h/rooms')).status).toBe(401);
		expect((await ask(used.server, 'GET http://h/admin/tenants', alice)).status).toBe(401);
		for (const target of [
			'http://h',
			'http://h/nowhere',
			'http:///rooms',
			'ftp://h/rooms',
			'h:1',
		]) {
			const answer = await answerOrEnd(
				used.server,
				`GET ${target} HTTP/1.1\r\nHost: h\r\n${alice}\r\n`,
			);
			if (answer?.text) expect(problemsOf(answer, { statuses: [200, 400, 404] })).toEqual([]);
		}
	});

	test('that is no path ends the connection or is refused', async () => {
		const found: string[] = [];
		for (const target of ['*', '', 'rooms', '?x', '#', '\u0001', '/a b', '/a\u0000b']) {
			const answer = await answerOrEnd(
				used.server,
				`GET ${target} HTTP/1.1\r\nHost: h\r\n${alice}\r\n`,
			);
			const isOurs = answer !== undefined && answer.text !== '';
			found.push(
				...(isOurs
					? problemsOf(answer, { statuses: [400, 404] })
					: parserProblems(JSON.stringify(target), answer)),
			);
		}
		expect(found).toEqual([]);
	});
});

describe('a method', () => {
	test('that a path does not have is 405 with the others in Allow', async () => {
		const { operations } = await openApiOf(used.server.url);
		const found: string[] = [];
		for (const method of ['OPTIONS', 'TRACE', 'PROPFIND', 'CONNECT']) {
			for (const declared of operations) {
				const path = pathOf(validRequest(declared, scene));
				const answer = await ask(used.server, `${method} ${path}`, alice);
				const problems = problemsOf(answer, { statuses: [405] });
				if (answer.headers.get('Allow') === null) problems.push('has no Allow');
				found.push(...problems.map((problem) => `${method} ${path}: ${problem}`));
			}
			expect((await ask(used.server, `${method} /nowhere`, alice)).status).toBe(404);
		}
		expect(found).toEqual([]);
	});

	test('that nobody knows ends the connection or is refused', async () => {
		for (const method of ['FOO', 'get', 'GETT', CANARY, 'G\u0000T', 'G,T', '"GET"']) {
			const answer = await answerOrEnd(
				used.server,
				`${method} /rooms HTTP/1.1\r\nHost: h\r\n${alice}\r\n`,
			);
			const isOurs = answer !== undefined && answer.text !== '';
			const problems = isOurs
				? problemsOf(answer, { statuses: [400, 404, 405] })
				: parserProblems(method, answer);
			expect(problems).toEqual([]);
		}
	});

	test('HEAD is GET without a body', async () => {
		const headers = { 'X-API-Key': scene.tenant.api_key, 'X-User-Id': 'alice' };
		for (const [path, status] of [
			['/health', 200],
			['/rooms', 200],
			[`/rooms/${scene.room_id}`, 200],
			['/rooms?limit=0', 400],
			['/nowhere', 404],
			['/admin/tenants', 401],
		] as const) {
			const answer = await fetch(used.server.url + path, { method: 'HEAD', headers });
			expect({ path, status: answer.status, text: await answer.text() }).toEqual({
				path,
				status,
				text: '',
			});
			expect(answer.headers.get('X-Request-Id')).not.toBeNull();
		}
	});
});

test('nobody else noticed, and nothing of it is in the log', async () => {
	expect(await bystander.problems()).toEqual([]);
	expect(problemsInLog(used.server)).toEqual([]);
	expect(leaksIn(used.server.stderr())).toEqual([]);
	await bystander.close();
});
