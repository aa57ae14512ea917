/**
 * Frames that make no sense, of every type: each is answered with one error that says what is wrong
 * and repeats nothing of it, under the request_id it came with.
 */
import { afterEach, beforeAll, describe, expect, test } from 'bun:test';
import type { Schema } from '../../helpers/json-schema.ts';
import type { Socket } from '../../helpers/socket.ts';
import { useServer } from '../../helpers/use-server.ts';
import type { Frame } from '../../helpers/wire.ts';
import { badValuesFor } from './bad-values.ts';
import {
	type Bystander,
	CANARY,
	CANARY_NUMBER,
	createBystander,
	leaksIn,
	problemsInLog,
} from './judge.ts';
import { createScene, type Scene } from './valid-requests.ts';

const used = useServer({
	DEFAULT_RATE_LIMIT: '0',
	WS_FRAMES_PER_SECOND: '0',
	WS_MAX_CONNECTIONS_PER_USER: '0',
	LOG_LEVEL: 'debug',
	MAX_BODY_BYTES: '64KiB',
});

/** A tenth one within a minute closes the socket. */
const BAD_FRAMES_PER_SOCKET = 8;

const ROOM_ID: Schema = { type: 'string', pattern: '^room_', minLength: 6, maxLength: 45 };
const SEQ: Schema = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };
const LIMIT: Schema = { type: 'integer', minimum: 1, maximum: 100 };
const PAGE_CURSOR: Schema = { type: 'string', pattern: '.', minLength: 1, maxLength: 256 };
const USER_IDS: Schema = {
	type: 'array',
	minItems: 1,
	maxItems: 200,
	items: { type: 'string', pattern: '^[A-Za-z0-9._:@|-]+$', minLength: 1, maxLength: 128 },
};
const TOPIC: Schema = { type: 'string', pattern: '.', minLength: 1, maxLength: 128 };

/** The fields of every frame, from the contract (section 5); a type without an entry fails. */
const FIELDS: Readonly<Record<string, Record<string, Schema>>> = {
	ping: {},
	subscribe: { topic: TOPIC },
	unsubscribe: { topic: TOPIC },
	send_message: {
		room_id: ROOM_ID,
		content: { type: 'string', minLength: 1, maxLength: 1_048_576 },
		meta: {},
		client_msg_id: { type: 'string', pattern: '.', minLength: 1, maxLength: 64 },
	},
	ack: { room_id: ROOM_ID, seq: SEQ },
	read: { room_id: ROOM_ID, seq: SEQ },
	'typing.start': { room_id: ROOM_ID },
	'typing.stop': { room_id: ROOM_ID },
	'presence.query': { user_ids: USER_IDS },
	'presence.subscribe': { user_ids: USER_IDS },
	'presence.unsubscribe': { user_ids: USER_IDS },
	resume: { cursor: { type: 'string', pattern: '^[0-9a-v]{16}$', minLength: 16, maxLength: 16 } },
	'notifications.list': { limit: LIMIT, cursor: PAGE_CURSOR },
	'subscriptions.list': { limit: LIMIT, cursor: PAGE_CURSOR },
	'rooms.list': { limit: LIMIT, cursor: PAGE_CURSOR },
	'rooms.get': { room_id: ROOM_ID },
	'members.list': { room_id: ROOM_ID, limit: LIMIT, cursor: PAGE_CURSOR },
	'messages.list': {
		room_id: ROOM_ID,
		after_seq: { ...SEQ, minimum: 0 },
		before_seq: SEQ,
		limit: LIMIT,
	},
};

const OPTIONAL = ['meta', 'client_msg_id', 'limit', 'cursor', 'after_seq', 'before_seq'];
const isRequired = (type: string) => (name: string) =>
	type === 'resume' || !OPTIONAL.includes(name);

let scene: Scene;
let bystander: Bystander;
let open: { socket: Socket; badFrames: number } | undefined;
let requests = 0;

beforeAll(async () => {
	scene = await createScene(used.server);
	bystander = await createBystander(used.server);
});

afterEach(async () => {
	await open?.socket.close();
	open = undefined;
});

/** A socket that may still be sent a bad frame. */
async function freshSocket(): Promise<Socket> {
	if (open === undefined || open.badFrames >= BAD_FRAMES_PER_SOCKET) {
		await open?.socket.close();
		open = { socket: await scene.tenant.socket('alice'), badFrames: 0 };
	}
	open.badFrames++;
	return open.socket;
}

const validFields = (type: string): Record<string, unknown> => {
	const values: Record<string, unknown> = {
		room_id: scene.room_id,
		content: 'hello',
		seq: 1,
		topic: 'orders',
		user_ids: ['bob'],
		cursor: '0000000000000000',
	};
	const names = Object.keys(FIELDS[type] ?? {}).filter(isRequired(type));
	return Object.fromEntries(names.map((name) => [name, values[name]]));
};

/** The JSON of a frame in which this field is this JSON text; undefined leaves it out. */
function frameWith(type: string, id: string, field: string, json: string | undefined): string {
	const fields = Object.entries({ type, request_id: id, ...validFields(type) });
	const others = fields.filter(([name]) => name !== field);
	const parts = others.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
	if (json !== undefined) parts.push(`${JSON.stringify(field)}:${json}`);
	return `{${parts.join()}}`;
}

interface Refusal {
	code?: readonly string[];
	field?: string;
	/** What the error must carry; undefined for none. */
	request_id: string | undefined;
}

/** Sends it and says what is wrong with what came back. */
async function problemsWith(frame: string | Uint8Array, expected: Refusal): Promise<string[]> {
	const socket = await freshSocket();
	const before = socket.frames.length;
	socket.send(frame);
	await socket.settle();
	const answers = socket.frames.slice(before).filter(({ type }) => type !== 'pong');
	const [error, ...more] = answers as (Frame & { code?: string; field?: string })[];
	const problems = leaksIn(JSON.stringify(answers));
	if (error?.type !== 'error' || more.length > 0) {
		return [...problems, `is answered with ${JSON.stringify(answers).slice(0, 300)}`];
	}
	const codes = expected.code ?? ['VALIDATION_ERROR'];
	if (!codes.includes(String(error.code))) problems.push(`is a ${error.code}`);
	if (error.request_id !== expected.request_id) {
		problems.push(`carries the request_id ${error.request_id}`);
	}
	const { field } = expected;
	const isAbout = field === error.field || error.field?.startsWith(`/${field}/`) === true;
	if (field !== undefined && !isAbout) problems.push(`names the field ${error.field}`);
	return problems;
}

const nextId = () => `bad-${++requests}`;

test('every frame type that the server knows is known here', async () => {
	const socket = await freshSocket();
	const error = await socket.request<{ message: string }>({ type: 'no.such.type' });
	const [, list = ''] = /Must be one of: (.*)$/.exec(error.message) ?? [];

	expect(Object.keys(FIELDS).sort()).toEqual(list.split(', ').sort());
});

describe('a field of a frame', () => {
	test('is refused by name for every value that does not fit', async () => {
		const found: string[] = [];
		let count = 0;
		for (const [type, fields] of Object.entries(FIELDS)) {
			for (const [field, schema] of Object.entries(fields)) {
				for (const { what, json, statuses, isUnnamed } of badValuesFor(schema)) {
					count++;
					const request_id = nextId();
					const code = statuses.includes(413) ? ['PAYLOAD_TOO_LARGE'] : ['VALIDATION_ERROR'];
					const expected = { code, request_id, ...(isUnnamed ? {} : { field }) };
					const frame = frameWith(type, request_id, field, json);
					const problems = await problemsWith(frame, expected);
					found.push(...problems.map((each) => `${type}, ${field} = ${what}: ${each}`));
				}
			}
		}
		expect(found).toEqual([]);
		expect(count).toBeGreaterThan(150);
	});

	test('is missed by name, and refused by name when nobody knows it', async () => {
		const found: string[] = [];
		for (const [type, fields] of Object.entries(FIELDS)) {
			const required = Object.keys(fields).filter(isRequired(type));
			const unknown = ['surprise', '__proto__', 'constructor', 'toString', '', 'user_id', 'tenant'];
			for (const field of [...required, ...unknown]) {
				const json = required.includes(field) ? undefined : JSON.stringify(CANARY);
				const request_id = nextId();
				const expected = { request_id, field };
				const problems = await problemsWith(frameWith(type, request_id, field, json), expected);
				found.push(...problems.map((each) => `${type}, ${field}: ${each}`));
			}
		}
		expect(found).toEqual([]);
	});

	test('may stand in data, and is checked there as well', async () => {
		const found: string[] = [];
		for (const type of Object.keys(FIELDS)) {
			for (const [what, data, field] of [
				['an unknown field', { ...validFields(type), surprise: CANARY }, 'surprise'],
				['a type in data', { ...validFields(type), type }, 'type'],
				['a request_id in data', { ...validFields(type), request_id: CANARY }, 'request_id'],
				['data in data', { ...validFields(type), data: {} }, 'data'],
				['a list', [CANARY], 'data'],
				['a text', CANARY, 'data'],
				['a number', CANARY_NUMBER, 'data'],
				['null', null, 'data'],
			] as const) {
				const request_id = nextId();
				const frame = JSON.stringify({ type, request_id, data });
				const problems = await problemsWith(frame, { request_id, field });
				found.push(...problems.map((each) => `${type}, ${what}: ${each}`));
			}
		}
		expect(found).toEqual([]);
	});
});

describe('a frame', () => {
	const NONSENSE = [
		'',
		' ',
		'{',
		'null',
		'true',
		'[]',
		'[{"type":"ping"}]',
		`"${CANARY}"`,
		String(CANARY_NUMBER),
		`{"type":"ping"} ${CANARY}`,
		'{"type":"ping",}',
		"{'type':'ping'}",
		'{"type":NaN}',
		`{"type":"ping","a":"${CANARY}\n"}`,
		'['.repeat(30_000),
		'{"a":'.repeat(10_000),
		'{}',
	];

	test('that is no object is answered with an error without a request_id', async () => {
		const found: string[] = [];
		for (const text of NONSENSE) {
			const problems = await problemsWith(text, { request_id: undefined });
			found.push(...problems.map((each) => `${text.slice(0, 40)}: ${each}`));
		}
		expect(found).toEqual([]);
	});

	test('of bytes is answered with an error, whatever is in it', async () => {
		const found: string[] = [];
		for (const bytes of [
			Buffer.from(''),
			Buffer.from([0]),
			Buffer.from([0xff, 0xfe]),
			Buffer.from('{"type":"ping"}'),
			Buffer.alloc(60_000),
		]) {
			found.push(...(await problemsWith(bytes, { request_id: undefined })));
		}
		expect(found).toEqual([]);
	});

	test('of an unknown type, or none, is refused by that name', async () => {
		const types = [
			undefined,
			'""',
			'"nothing"',
			'"PING"',
			'" ping"',
			'"__proto__"',
			'"constructor"',
			'"toString"',
			'"connected"',
			'"message"',
			'"typing.began"',
			'"presence.update"',
			`"${CANARY}"`,
			String(CANARY_NUMBER),
			'null',
			'true',
			'{}',
			'["ping"]',
		];
		const found: string[] = [];
		for (const json of types) {
			const request_id = nextId();
			const frame = frameWith('ping', request_id, 'type', json);
			const problems = await problemsWith(frame, { request_id, field: 'type' });
			found.push(...problems.map((each) => `${json}: ${each}`));
		}
		expect(found).toEqual([]);
	});

	test('with a request_id that is none is refused by that name, and not under it', async () => {
		const ids = ['""', String(CANARY_NUMBER), 'null', 'true', '{}', `["${CANARY}"]`];
		ids.push(JSON.stringify(`${CANARY}${'x'.repeat(64)}`), `"${CANARY}\\u0000"`, '"\\ud800"');
		const found: string[] = [];
		for (const type of Object.keys(FIELDS)) {
			for (const json of ids) {
				const frame = frameWith(type, '', 'request_id', json);
				const expected = { request_id: undefined, field: 'request_id' };
				const problems = await problemsWith(frame, expected);
				found.push(...problems.map((each) => `${type}, ${json}: ${each}`));
			}
		}
		expect(found).toEqual([]);
	});

	test('of the largest size is read; one byte more is an error, and the socket lives', async () => {
		const padded = (type: string, length: number) => {
			const text = frameWith(type, `large-${type}-${length}`, '', undefined);
			return `${text.slice(0, -1)}${' '.repeat(length - text.length)}}`;
		};
		for (const type of Object.keys(FIELDS)) {
			const socket = await scene.tenant.socket('alice');
			socket.send(padded(type, 65_536));
			expect(await socket.next('reply')).toMatchObject({ request_id: `large-${type}-65536` });
			socket.send(padded(type, 65_537));
			expect(await socket.next('error')).toMatchObject({
				code: 'PAYLOAD_TOO_LARGE',
				request_id: `large-${type}-65537`,
			});
			await socket.settle();
			await socket.close();
		}
	});
});

test('the tenth bad frame within a minute closes the socket, and only that one', async () => {
	const [socket, other] = [await scene.tenant.socket('alice'), await scene.tenant.socket('alice')];
	for (let count = 0; count < 10; count++) socket.send('{');

	expect(await socket.closed).toEqual({ code: 4502, reason: 'bad_request' });
	expect(socket.all('error')).toHaveLength(10);
	await other.settle();
	await other.close();
});

test('nobody else noticed, and nothing of it is in the log', async () => {
	expect(await bystander.problems()).toEqual([]);
	expect(problemsInLog(used.server)).toEqual([]);
	await bystander.close();
});
