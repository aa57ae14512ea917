/**
 * Every limit of the contract (section 6) that exists, one below it, at it, and one above it; over
 * both faces where there are two.
 */
import { describe, expect, test } from 'bun:test';
import { FACES } from '../../helpers/faces.ts';
import { type Answer, bodyOf, errorOf } from '../../helpers/http.ts';
import { exchange, requestText } from '../../helpers/raw-http.ts';
import { createGroup, createTenant, operator, type TestTenant } from '../../helpers/tenants.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { Message, Room, RoomsPage } from '../../helpers/wire.ts';

const NO_RATES = { DEFAULT_RATE_LIMIT: '0', WS_FRAMES_PER_SECOND: '0' };

/** So many bytes of UTF-8 in characters of one to four bytes. */
function textOfBytes(bytes: number): string {
	const repeated = '😀€éx'.repeat(Math.floor(bytes / 10));
	return repeated + 'x'.repeat(bytes % 10);
}

const codeOf = (answer: Answer) => (answer.status < 300 ? 'ok' : errorOf(answer).code);

describe('by default', () => {
	const used = useServer(NO_RATES);

	for (const face of FACES) {
		describe(`over ${face.name}`, () => {
			const sendAll = async (inputs: readonly object[]) => {
				const tenant = await createTenant(used.server);
				const { room_id } = await createGroup(tenant, 'alice');
				const alice = await face.as(tenant, 'alice');
				const codes: string[] = [];
				const stored: (Message | undefined)[] = [];
				for (const input of inputs) {
					const { value, error } = await alice.send(room_id, { content: 'x', ...input });
					codes.push(error?.code ?? 'ok');
					stored.push(value);
				}
				await alice.close();
				return { codes, stored };
			};

			test('content is at most 16 KiB of UTF-8, and comes back as it was', async () => {
				const contents = [16_383, 16_384, 16_385].map(textOfBytes);
				contents.push('€'.repeat(5_461), '€'.repeat(5_462), '😀'.repeat(4_096), 'x');
				const { codes, stored } = await sendAll(contents.map((content) => ({ content })));

				expect(contents.map((content) => Buffer.byteLength(content))).toEqual([
					16_383, 16_384, 16_385, 16_383, 16_386, 16_384, 1,
				]);
				const large = 'PAYLOAD_TOO_LARGE';
				expect(codes).toEqual(['ok', 'ok', large, 'ok', large, 'ok', 'ok']);
				const contentsBack = stored.map((message) => message?.content);
				expect(contentsBack).toEqual(
					contents.map((each, at) => (codes[at] === 'ok' ? each : undefined)),
				);
			});

			test('meta is at most 8 KiB of compact JSON, 16 levels and 256 keys', async () => {
				const nested = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
				const objects = (levels: number) =>
					JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);
				const keys = (count: number) =>
					Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));
				const metas: [meta: unknown, isTaken: boolean][] = [
					[textOfBytes(8_189), true],
					[textOfBytes(8_190), true],
					[textOfBytes(8_191), false],
					[{ a: 'é'.repeat(4_092) }, true],
					[{ a: 'é'.repeat(4_093) }, false],
					[nested(15), true],
					[nested(16), true],
					[nested(17), false],
					[objects(16), true],
					[objects(17), false],
					[keys(255), true],
					[keys(256), true],
					[keys(257), false],
					[{ a: keys(127), b: keys(127) }, true],
					[{ a: keys(127), b: keys(128) }, false],
					['', true],
					[0, true],
					[false, true],
				];
				const { codes, stored } = await sendAll(metas.map(([meta]) => ({ meta })));

				expect(codes).toEqual(metas.map(([, isTaken]) => (isTaken ? 'ok' : 'PAYLOAD_TOO_LARGE')));
				for (const [at, [meta, isTaken]] of metas.entries()) {
					if (isTaken) expect(stored[at]?.meta).toEqual(meta);
				}
			});

			test('a client_msg_id has 1 to 64 characters', async () => {
				const inputs = [0, 1, 63, 64, 65].map((length) => ({ client_msg_id: '.'.repeat(length) }));
				const { codes } = await sendAll(inputs);

				expect(codes).toEqual(['VALIDATION_ERROR', 'ok', 'ok', 'ok', 'VALIDATION_ERROR']);
			});

			test('a seq is a whole number from 1 to 2^53 - 1', async () => {
				const tenant = await createTenant(used.server);
				const { room_id } = await createGroup(tenant, 'alice');
				const alice = await face.as(tenant, 'alice');
				for (const position of ['ack', 'read'] as const) {
					const codes: string[] = [];
					for (const seq of [0, 1, 2 ** 53 - 1, 2 ** 53, 1.5, -1]) {
						codes.push((await alice[position](room_id, seq)).error?.code ?? 'ok');
					}
					const invalid = 'VALIDATION_ERROR';
					expect(codes).toEqual([invalid, 'ok', 'ok', invalid, invalid, invalid]);
				}
				await alice.close();
			});
		});
	}

	test('what counts is compact JSON, not how it was written', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const send = async (raw: string) => {
			const headers = { 'Content-Type': 'application/json' };
			return codeOf(
				await tenant.as('alice').call('POST', `/rooms/${room_id}/messages`, { raw, headers }),
			);
		};

		expect(await send(`{"content":"x","meta":${' '.repeat(20_000)}[1]}`)).toBe('ok');
		expect(await send(`{"content":"x","meta":"${'\\u00e9'.repeat(4_095)}"}`)).toBe('ok');
		expect(await send(`{"content":"x","meta":"${'\\u00e9'.repeat(4_096)}"}`)).toBe(
			'PAYLOAD_TOO_LARGE',
		);
		expect(await send(`{"content":"${'\\u00e9'.repeat(8_192)}"}`)).toBe('ok');
		expect(await send(`{"content":"${'\\u00e9'.repeat(8_193)}"}`)).toBe('PAYLOAD_TOO_LARGE');
	});

	test('a name has 1 to 128 characters, whatever their size', async () => {
		const tenant = await createTenant(used.server);
		const admin = operator(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const keys = `/admin/tenants/${tenant.tenant_id}/api-keys`;
		const makers: Record<string, (name: string) => Promise<Answer>> = {
			'a tenant': (name) => admin.post('/admin/tenants', { name }),
			'a key': (name) => admin.post(keys, { name, permissions: ['send'] }),
			'a room': (name) => tenant.as('alice').post('/rooms', { type: 'group', name }),
			'a renamed room': (name) => tenant.as('alice').patch(`/rooms/${room_id}`, { name }),
		};
		for (const [what, make] of Object.entries(makers)) {
			for (const character of ['x', 'é', '漢', '😀']) {
				const codes: string[] = [];
				for (const length of [0, 1, 127, 128, 129]) {
					codes.push(codeOf(await make(character.repeat(length))));
				}
				const invalid = 'VALIDATION_ERROR';
				const expected = [invalid, 'ok', 'ok', 'ok', invalid];
				expect({ what, character, codes }).toEqual({ what, character, codes: expected });
			}
		}
	});

	test('a user id has 1 to 128 characters', async () => {
		const tenant = await createTenant(used.server);
		for (const [length, status] of [
			[1, 201],
			[127, 201],
			[128, 201],
			[129, 400],
		] as const) {
			const user = 'u'.repeat(length);
			const asCaller = await tenant.as(user).post('/rooms', { type: 'group' });
			const asMember = await tenant.as('alice').post('/rooms', { type: 'group', members: [user] });
			expect({ length, statuses: [asCaller.status, asMember.status] }).toEqual({
				length,
				statuses: [status, status],
			});
		}
	});

	test('a request names at most 1,000 members', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const users = (count: number) => Array.from({ length: count }, (_, index) => `u${index}`);
		const add = async (count: number) =>
			codeOf(await tenant.as('alice').post(`/rooms/${room_id}/members`, { members: users(count) }));
		const create = async (count: number) =>
			codeOf(await tenant.as('alice').post('/rooms', { type: 'group', members: users(count) }));

		const expected = ['VALIDATION_ERROR', 'ok', 'ok', 'ok', 'VALIDATION_ERROR'];
		const added: string[] = [];
		for (const count of [0, 1, 999, 1_000, 1_001]) added.push(await add(count));
		const created: string[] = [];
		for (const count of [1_001, 999, 1_000]) created.push(await create(count));

		expect(added).toEqual(expected);
		expect(created).toEqual(['VALIDATION_ERROR', 'ok', 'ok']);
		const room = await tenant.as('alice').get<Room>(`/rooms/${room_id}`);
		expect(bodyOf(room, 200).member_count).toBe(1_001);
	});

	test('a page has 1 to 100 things', async () => {
		const tenant = await createTenant(used.server);
		const { room_id } = await createGroup(tenant, 'alice');
		const tenants = operator(used.server);
		const pages = [
			(limit: number) => tenant.as('alice').get(`/rooms?limit=${limit}`),
			(limit: number) => tenant.as('alice').get(`/rooms/${room_id}/members?limit=${limit}`),
			(limit: number) => tenant.as('alice').get(`/rooms/${room_id}/messages?limit=${limit}`),
			(limit: number) => tenants.get(`/admin/tenants?limit=${limit}`),
			(limit: number) => tenants.get(`/admin/tenants/${tenant.tenant_id}/api-keys?limit=${limit}`),
		];
		for (const page of pages) {
			const codes: string[] = [];
			for (const limit of [0, 1, 99, 100, 101]) codes.push(codeOf(await page(limit)));
			expect(codes).toEqual(['VALIDATION_ERROR', 'ok', 'ok', 'ok', 'VALIDATION_ERROR']);
		}
	});

	test('a request_id of a frame, and of a request, has 1 to 64 characters', async () => {
		const tenant = await createTenant(used.server);
		const socket = await tenant.socket('alice');
		for (const length of [1, 63, 64]) {
			const request_id = 'r.'.repeat(32).slice(0, length);
			socket.send({ type: 'ping', request_id });
			expect(await socket.next('reply')).toMatchObject({ request_id });
			const kept = await tenant.as('alice').get('/rooms', { 'X-Request-Id': request_id });
			expect(kept.headers.get('X-Request-Id')).toBe(request_id);
		}
		for (const length of [0, 65]) {
			const request_id = 'r'.repeat(length);
			socket.send({ type: 'ping', request_id });
			expect(await socket.next('error')).toMatchObject({ field: 'request_id' });
			const other = await tenant.as('alice').get('/rooms', { 'X-Request-Id': request_id });
			expect(other.headers.get('X-Request-Id')).toMatch(/^req_/);
		}
		await socket.close();
	});

	test('a socket follows 200 topics by name, and one of them twice is one', async () => {
		const tenant = await createTenant(used.server);
		const socket = await tenant.socket('alice');
		const subscribe = async (topic: string) =>
			(await socket.request<{ code?: string }>({ type: 'subscribe', topic })).code ?? 'ok';

		for (let count = 1; count <= 200; count++) expect(await subscribe(`t${count}`)).toBe('ok');
		expect(await subscribe('t201')).toBe('CONFLICT');
		expect(await subscribe('t200')).toBe('ok');
		await socket.request({ type: 'unsubscribe', topic: 't1' });
		expect(await subscribe('t201')).toBe('ok');
		await socket.close();
	});
});

describe('by setting', () => {
	const used = useServer({
		...NO_RATES,
		MAX_ROOM_MEMBERS: '3',
		MAX_ROOMS_PER_USER: '2',
		MAX_BODY_BYTES: '1000',
	});

	const makeGroup = async (tenant: TestTenant, user: string | undefined, members: string[]) =>
		codeOf(await tenant.as(user).post('/rooms', { type: 'group', members }));

	test('a room has at most MAX_ROOM_MEMBERS members, from the start and later', async () => {
		const tenant = await createTenant(used.server);

		expect(await makeGroup(tenant, 'alice', ['bob'])).toBe('ok');
		expect(await makeGroup(tenant, 'carol', ['dave', 'erin'])).toBe('ok');
		expect(await makeGroup(tenant, 'frank', ['g1', 'g2', 'g3'])).toBe('CONFLICT');
		// Named twice, or named beside being the caller, is one member.
		expect(await makeGroup(tenant, 'frank', ['frank', 'g1', 'g1', 'g2'])).toBe('ok');
		expect(await makeGroup(tenant, undefined, ['h1', 'h2', 'h3'])).toBe('ok');
		expect(await makeGroup(tenant, undefined, ['h1', 'h2', 'h3', 'h4'])).toBe('CONFLICT');

		const { room_id } = await createGroup(tenant, 'ivan');
		const add = async (members: string[]) =>
			codeOf(await tenant.as('ivan').post(`/rooms/${room_id}/members`, { members }));
		expect(await add(['j1', 'j2', 'j3'])).toBe('CONFLICT');
		expect(await add(['j1'])).toBe('ok');
		expect(await add(['j2'])).toBe('ok');
		expect(await add(['j3'])).toBe('CONFLICT');
		expect(await add(['j1', 'j2', 'ivan'])).toBe('ok');
		bodyOf(await tenant.as('ivan').delete(`/rooms/${room_id}/members/j1`), 200);
		expect(await add(['j3'])).toBe('ok');
		// What was refused as a whole left nobody behind.
		expect(bodyOf(await tenant.as('g3').get<RoomsPage>('/rooms'), 200).rooms).toEqual([]);
	});

	test('a user is in at most MAX_ROOMS_PER_USER rooms, of whatever type', async () => {
		const tenant = await createTenant(used.server);
		const dm = async (other: string) =>
			codeOf(await tenant.as('alice').post('/rooms', { type: 'dm', members: ['alice', other] }));

		expect(await makeGroup(tenant, 'alice', [])).toBe('ok');
		expect(await dm('bob')).toBe('ok');
		expect(await dm('carol')).toBe('CONFLICT');
		expect(await dm('bob')).toBe('ok');
		expect(await makeGroup(tenant, 'alice', [])).toBe('CONFLICT');
		expect(await makeGroup(tenant, 'dave', ['alice'])).toBe('CONFLICT');
		const rooms = bodyOf(await tenant.as('alice').get<RoomsPage>('/rooms'), 200).rooms;
		expect(rooms).toHaveLength(2);
		expect(bodyOf(await tenant.as('dave').get<RoomsPage>('/rooms'), 200).rooms).toEqual([]);
		const group = rooms.find(({ type }) => type === 'group')?.room_id;
		bodyOf(await tenant.as('alice').delete(`/rooms/${group}`), 200);
		expect(await dm('carol')).toBe('ok');
	});

	test('a body has at most MAX_BODY_BYTES, declared or in chunks, and so has a frame', async () => {
		const tenant = await createTenant(used.server);
		const headers = {
			'X-API-Key': tenant.api_key,
			'X-User-Id': 'alice',
			'Content-Type': 'application/json',
		};
		const socket = await tenant.socket('alice');
		for (const [length, isTaken] of [
			[999, true],
			[1_000, true],
			[1_001, false],
		] as const) {
			// A body that is read is found out to miss its type.
			const body = '{}'.padStart(length, ' ');
			const chunks = `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
			const chunked = { ...headers, 'Transfer-Encoding': 'chunked' };
			const declared = requestText(used.server, 'POST /rooms', headers, body);
			const inChunks = requestText(used.server, 'POST /rooms', chunked) + chunks;
			for (const request of [declared, inChunks]) {
				expect((await exchange(used.server, request)).status).toBe(isTaken ? 400 : 413);
			}
			socket.send('{"type":"ping"}'.padStart(length, ' '));
			if (isTaken) await socket.next('pong');
			else expect(await socket.next('error')).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
		}
		await socket.close();
	});
});
