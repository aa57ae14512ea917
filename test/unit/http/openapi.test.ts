import { describe, expect, test } from 'bun:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Type } from '@sinclair/typebox';
import { Elysia } from 'elysia';
import { createDocument } from '../../../src/app/docs/document.ts';
import { ERRORS } from '../../../src/core/errors.ts';
import {
	ClientMsgIdField,
	ContentField,
	LimitField,
	MetadataField,
	NextCursorField,
	nullable,
	oneOf,
	PageCursorField,
	RoomIdField,
	SuccessField,
	UserIdField,
} from '../../../src/core/fields.ts';
import type { RoomId, UserId } from '../../../src/core/ids.ts';
import { defineOperation, errorsOf, type Operation } from '../../../src/core/operation.ts';
import {
	describeRoute,
	describeUpgrade,
	type RouteDescription,
} from '../../../src/http/openapi.ts';
import { toOpenApiSchema } from '../../../src/http/openapi-schema.ts';
import { mismatchOf } from '../../helpers/json-schema.ts';

const ROOM_ID = 'room_01jd6yh2n8f9tr3c5x7z0w4k6m' as RoomId;

const Said = Type.Object({
	room_id: RoomIdField,
	kind: oneOf('kind', ['user', 'system']),
	sender_id: nullable(UserIdField),
	meta: Type.Optional(nullable(MetadataField)),
	counts: Type.Record(Type.String(), Type.Integer({ exclusiveMinimum: 0 })),
	duplicate: Type.Optional(Type.Literal(true)),
});

const say = defineOperation({
	name: 'messages.say',
	summary: 'Say something in a room',
	description: 'Stored once per `client_msg_id`.',
	actor: 'any',
	permission: 'messages:write',
	cost: 2,
	input: Type.Object(
		{
			room_id: RoomIdField,
			content: ContentField,
			client_msg_id: Type.Optional(ClientMsgIdField),
		},
		{ additionalProperties: false },
	),
	output: Said,
	errors: ['NOT_FOUND', 'CONFLICT'],
	example: {
		input: { room_id: ROOM_ID, content: 'Hello' },
		output: { room_id: ROOM_ID, kind: 'user', sender_id: null, counts: { sent: 1 } },
	},
});

const search = defineOperation({
	name: 'messages.search',
	summary: 'Search a room',
	actor: 'user',
	permission: 'messages:read',
	cost: 1,
	input: Type.Object(
		{
			room_id: RoomIdField,
			q: ContentField,
			limit: LimitField,
			cursor: Type.Optional(PageCursorField),
		},
		{ additionalProperties: false },
	),
	output: Type.Object({ messages: Type.Array(Said), next_cursor: NextCursorField }),
	errors: ['NOT_FOUND'],
	example: {
		input: { room_id: ROOM_ID, q: 'hello', limit: 10 },
		output: { messages: [], next_cursor: null },
	},
});

const leave = defineOperation({
	name: 'members.leave',
	summary: 'Leave a room',
	actor: 'user',
	permission: 'members:write',
	cost: 1,
	input: Type.Object(
		{ room_id: RoomIdField, heir: Type.Optional(UserIdField) },
		{ additionalProperties: false },
	),
	output: SuccessField,
	errors: [],
	example: {
		input: { room_id: ROOM_ID, heir: 'bob' as UserId },
		output: { success: true },
	},
});

const sweep = defineOperation({
	name: 'tenants.sweep',
	summary: 'Sweep up',
	actor: 'operator',
	input: Type.Object(
		{ is_dry: Type.Optional(Type.Boolean({ default: false })) },
		{ additionalProperties: false },
	),
	output: SuccessField,
	errors: ['CONFLICT'],
	example: { input: {}, output: { success: true } },
});

const live = defineOperation({
	name: 'status.live',
	summary: 'Alive',
	actor: 'visitor',
	input: Type.Object({}, { additionalProperties: false }),
	output: Type.Object({ status: Type.Literal('ok') }),
	errors: [],
	example: { input: {}, output: { status: 'ok' } },
});

const ROUTES: readonly [Operation, RouteDescription][] = [
	[say, { method: 'POST', path: '/rooms/:room_id/messages', status: [201, 200] }],
	[search, { method: 'GET', path: '/rooms/:room_id/messages', status: [200] }],
	[leave, { method: 'DELETE', path: '/rooms/:room_id/members', status: [204] }],
	[sweep, { method: 'PUT', path: '/admin/sweep', status: [202] }],
	[live, { method: 'GET', path: '/livez', status: [200] }],
];
const [SAY, SEARCH, LEAVE, SWEEP, LIVE] = ROUTES.map(([operation, route]) =>
	describeRoute(operation, route),
);

interface Document {
	openapi: string;
	info: { version: string };
	tags: { name: string }[];
	components: Record<string, Record<string, unknown>>;
	paths: Record<string, Record<string, { operationId: string; responses: object }>>;
}

/** The document as the docs page gets it, of all routes above and some that it must not tell of. */
async function documentOf(): Promise<Document> {
	const app = new Elysia();
	for (const [operation, route] of ROUTES) {
		const detail = describeRoute(operation, route);
		app.route(route.method, route.path, () => '', { detail });
		app.route(route.method, `/v1${route.path}`, () => '', { detail: { ...detail, hide: true } });
	}
	app.all('/*', () => '').route('HEAD', '/livez', () => '');
	return JSON.parse(await createDocument(app.routes, '9.8.7'));
}

/** Every object inside, with its place. */
function* objectsIn(value: unknown, path = ''): Generator<[string, Record<string, unknown>]> {
	if (typeof value !== 'object' || value === null) return;
	if (!Array.isArray(value)) yield [path, value as Record<string, unknown>];
	for (const [key, item] of Object.entries(value)) yield* objectsIn(item, `${path}/${key}`);
}

describe('the document', () => {
	test('is valid OpenAPI 3.0.3', async () => {
		const document = await documentOf();

		const validator = new Validator();
		const result = await validator.validate(document as unknown as Record<string, unknown>);

		expect(result).toEqual({ valid: true });
		expect(validator.version).toBe('3.0');
		expect(document.openapi).toBe('3.0.3');
	});

	test('tells of every operation once, and of no alias, HEAD or catch-all', async () => {
		const { paths, info, tags } = await documentOf();

		const told = Object.entries(paths).flatMap(([path, item]) =>
			Object.entries(item).map(([method, { operationId }]) => `${method} ${path} ${operationId}`),
		);
		expect(told.sort()).toEqual([
			'delete /rooms/{room_id}/members members.leave',
			'get /livez status.live',
			'get /rooms/{room_id}/messages messages.search',
			'post /rooms/{room_id}/messages messages.say',
			'put /admin/sweep tenants.sweep',
		]);
		expect(info.version).toBe('9.8.7');
		expect(tags.map(({ name }) => name)).toEqual([
			'Members',
			'Messages',
			'Operator: tenants',
			'Status',
		]);
	});

	test('defines all that it refers to', async () => {
		const document = await documentOf();

		const references = [...objectsIn(document)].flatMap(([, { $ref }]) => ($ref ? [$ref] : []));
		const missing = references.filter((pointer) => {
			const [, group = '', name = ''] = /^#\/components\/(\w+)\/([\w-]+)$/.exec(`${pointer}`) ?? [];
			return document.components[group]?.[name] === undefined;
		});

		expect(references.length).toBeGreaterThan(0);
		expect(missing).toEqual([]);
	});

	test('holds no keyword that OpenAPI 3.0.3 does not know, and none of our own', async () => {
		const document = await documentOf();

		const forbidden = ['const', 'patternProperties', '$id', '$schema', 'bound', 'examples'];
		const found = [...objectsIn(document)]
			// Of media types, `examples` is the name that OpenAPI gives.
			.filter(([path]) => !path.endsWith('/application/json') && !path.includes('example'))
			.flatMap(([path, object]) =>
				Object.keys(object)
					.filter((key) => forbidden.includes(key) || (key === 'error' && 'type' in object))
					.map((key) => `${path}/${key}`),
			);

		expect(found).toEqual([]);
		expect(JSON.stringify(document)).not.toMatch(/"type":("null"|\[)/);
	});

	test("has examples of errors that fit the errors' one schema", async () => {
		const document = await documentOf();

		const examples = [...objectsIn(document.paths)].filter(([, { success }]) => success === false);
		const misfits = examples.flatMap(([path, example]) => {
			const problem = mismatchOf(example, document.components.schemas?.Error, document);
			return problem === undefined ? [] : [`${path}: ${problem}`];
		});

		expect(examples.length).toBeGreaterThan(ROUTES.length);
		expect(misfits).toEqual([]);
	});
});

describe('describeRoute', () => {
	test('divides the input: named in the path, in the query of GET and DELETE, else in the body', () => {
		const placesOf = (detail: typeof SAY) =>
			detail?.parameters?.map((of) => ('in' in of ? `${of.in} ${of.name} ${of.required}` : ''));

		expect(placesOf(SAY)).toEqual(['path room_id true']);
		expect(placesOf(SEARCH)).toEqual([
			'path room_id true',
			'query q true',
			'query limit true',
			'query cursor false',
		]);
		expect(placesOf(LEAVE)).toEqual(['path room_id true', 'query heir false']);
		expect([SEARCH, LEAVE, LIVE].filter((detail) => detail?.requestBody)).toEqual([]);
	});

	test('describes the body without the fields of the path, in its example too', () => {
		expect(SAY?.requestBody).toEqual({
			required: true,
			content: {
				'application/json': {
					schema: {
						type: 'object',
						properties: {
							content: toOpenApiSchema(ContentField),
							client_msg_id: toOpenApiSchema(ClientMsgIdField),
						},
						required: ['content'],
						additionalProperties: false,
					},
					example: { content: 'Hello' },
				},
			},
		});
		expect(SWEEP?.requestBody).toMatchObject({ required: false });
	});

	test('declares each success and each error that the operation can answer, and no other', () => {
		for (const [operation, route] of ROUTES) {
			const hasBody = operation === say || operation === sweep;
			const binding = { hasBody, isWrite: route.method !== 'GET' };
			const errors = errorsOf(operation, binding).map((code) => ERRORS[code].status);
			const expected = [...new Set([...route.status, ...errors])].map(String);

			const { responses } = describeRoute(operation, route);

			expect(Object.keys(responses ?? {}).sort()).toEqual(expected.sort());
		}
	});

	test('marks the example of a repeated request, but not of the first', () => {
		const exampleOf = (status: number) => {
			const response = SAY?.responses?.[status];
			return response && 'content' in response && response.content?.['application/json']?.example;
		};

		expect(exampleOf(201)).toEqual(say.example.output);
		expect(exampleOf(200)).toEqual({ ...say.example.output, duplicate: true });
	});

	test('shows both forms of a status that a success and an error share', () => {
		const probe = {
			...live,
			output: Type.Object({ status: oneOf('status', ['ok', 'unavailable']) }),
		};
		const { responses } = describeRoute(probe, { method: 'GET', path: '/', status: [200, 503] });

		expect(responses?.[200]).toMatchObject({
			content: { 'application/json': { example: { status: 'ok' } } },
		});
		expect(responses?.[503]).toMatchObject({
			description: expect.stringContaining('UNAVAILABLE'),
			content: {
				'application/json': {
					schema: {
						anyOf: [toOpenApiSchema(probe.output), { $ref: '#/components/schemas/Error' }],
					},
					example: { status: 'unavailable' },
				},
			},
		});
	});

	test('names the other form that a success can have', () => {
		const route = { method: 'GET', path: '/', status: [200], otherType: 'text/plain' } as const;
		const { responses } = describeRoute(live, route);

		const typesOf = (response: object = {}) => Object.keys(Reflect.get(response, 'content'));
		expect(typesOf(responses?.[200])).toEqual(['application/json', 'text/plain']);
		expect(typesOf(responses?.[500])).toEqual(['application/json']);
	});

	test('has no body to show where there is none', () => {
		const upgrade = describeUpgrade(live);

		expect(upgrade.responses?.[101]).not.toHaveProperty('content');
		expect(LEAVE?.responses?.[204]).not.toHaveProperty('content');
	});

	test('says who may call: in the text, as x-permission and as security', () => {
		expect(SAY).toMatchObject({ 'x-permission': 'messages:write', tags: ['Messages'] });
		expect(SAY?.description).toStartWith('Stored once per `client_msg_id`.\n\n');
		expect(SAY?.description).toContain('`messages:write`');
		expect(SAY?.security).toContainEqual({ ApiKey: [] });
		expect(SEARCH?.security).toEqual([
			{ ApiKey: [], UserId: [] },
			{ Bearer: [], UserId: [] },
			{ UserToken: [] },
		]);
		expect(SWEEP?.security).toEqual([
			{ MasterKey: [] },
			{ Bearer: [] },
			{ ManagementKey: [], ManagementSecret: [] },
		]);
		expect(SWEEP).not.toHaveProperty('x-permission');
		expect(LIVE?.security).toEqual([]);
	});

	test('tells the headers: a request id always, the bucket to tenants, the wait where there is one', () => {
		const headersOf = (detail: typeof SAY, status: number) => {
			const response = detail?.responses?.[status];
			return Object.keys((response && 'headers' in response && response.headers) || {});
		};
		const bucket = ['RateLimit', 'RateLimit-Policy'].concat(
			['Limit', 'Remaining', 'Reset'].map((name) => `X-RateLimit-${name}`),
		);

		expect(headersOf(SAY, 201).sort()).toEqual([...bucket, 'X-Request-Id'].sort());
		expect(headersOf(SAY, 404)).toEqual(['X-Request-Id']);
		expect(headersOf(SAY, 429).sort()).toEqual([...bucket, 'X-Request-Id', 'Retry-After'].sort());
		const versioned = describeRoute(
			{ ...sweep, isVersioned: true },
			{ method: 'POST', path: '/admin/sweep', status: [201] },
		);
		expect(headersOf(versioned, 201)).toEqual(['X-Request-Id', 'ETag', 'Idempotency-Replayed']);
		expect(headersOf(versioned, 404)).toEqual([]);
		expect(headersOf(versioned, 409)).toEqual(['X-Request-Id']);
		expect(headersOf(LIVE, 200)).toEqual(['X-Request-Id']);
		expect(headersOf(LIVE, 503)).toEqual(['X-Request-Id', 'Retry-After']);
	});

	test('refuses a path that names a field the operation does not know', () => {
		const route = { method: 'GET', path: '/rooms/:id', status: [200] } as const;

		expect(() => describeRoute(search, route)).toThrow('messages.search has id');
	});
});
