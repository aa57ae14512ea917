/** Every field of every operation, in body, query and path, with every value it must refuse. */
import { beforeAll, describe, expect, test } from 'bun:test';
import { httpClient } from '../../helpers/http.ts';
import { type Declared, openApiOf } from '../../helpers/openapi.ts';
import { useServer } from '../../helpers/use-server.ts';
import { badValuesFor } from './bad-values.ts';
import {
	type Bystander,
	CANARY,
	createBystander,
	problemsInLog,
	problemsOf,
	type Refusal,
} from './judge.ts';
import {
	createScene,
	pathOf,
	pathWithQuery,
	type Scene,
	type ValidRequest,
	validRequest,
} from './valid-requests.ts';

const used = useServer({ DEFAULT_RATE_LIMIT: '0', LOG_LEVEL: 'debug' });

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
	path?: string;
	raw?: string;
	type?: string;
	expected: Refusal;
}

/** The problems of all attempts at the operation, each with what was attempted. */
async function problemsAt(request: ValidRequest, attempts: readonly Attempt[]): Promise<string[]> {
	const client = httpClient(used.server);
	const found: string[] = [];
	for (const { what, path, raw, type = 'application/json', expected } of attempts) {
		const answer = await client.call(request.method, path ?? pathOf(request), {
			headers: { ...request.headers, ...(raw === undefined ? {} : { 'Content-Type': type }) },
			...(raw === undefined ? {} : { raw }),
			isChecked: false,
		});
		const problems = problemsOf(answer, expected);
		found.push(...problems.map((problem) => `${request.operation}, ${what}: ${problem}`));
	}
	return found;
}

const INVALID = [400];

/** The JSON of a valid body in which this field has another value, or with `undefined` none. */
function bodyWith(body: Record<string, unknown>, field: string, json: string | undefined): string {
	const others = Object.entries(body).filter(([name]) => name !== field);
	const parts = others.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
	if (json !== undefined) parts.push(`${JSON.stringify(field)}:${json}`);
	return `{${parts.join()}}`;
}

const withBody = () =>
	operations
		.map((declared) => validRequest(declared, scene))
		.filter((request) => request.body !== undefined);

describe('a field of a body', () => {
	test('is refused by name for every value that does not fit', async () => {
		const found: string[] = [];
		let count = 0;
		for (const request of withBody()) {
			for (const [field, schema] of Object.entries(request.fields)) {
				const attempts = badValuesFor(schema).map(({ what, json, statuses, isUnnamed }) => ({
					what: `${field} = ${what}`,
					raw: bodyWith(request.body ?? {}, field, json),
					expected: { statuses, ...(isUnnamed === true ? {} : { field }) },
				}));
				count += attempts.length;
				found.push(...(await problemsAt(request, attempts)));
			}
		}
		expect(found).toEqual([]);
		expect(count).toBeGreaterThan(500);
	});

	test('is missed by name', async () => {
		const found: string[] = [];
		for (const request of withBody()) {
			const attempts = request.required.map((field) => ({
				what: `without ${field}`,
				raw: bodyWith(request.body ?? {}, field, undefined),
				expected: { statuses: INVALID, field },
			}));
			found.push(...(await problemsAt(request, attempts)));
		}
		expect(found).toEqual([]);
	});

	test('is refused by name when nobody knows it', async () => {
		const found: string[] = [];
		for (const request of withBody()) {
			const names = [
				'surprise',
				'__proto__',
				'constructor',
				'prototype',
				'toString',
				'hasOwnProperty',
				'length',
				'',
				'tenant_id',
				'tenant',
				'sender_id',
				'limit',
				...Object.keys(request.params),
			].filter((name) => !(name in request.fields) || !Object.hasOwn(request.fields, name));
			const attempts = names.map((field) => ({
				what: `with "${field}"`,
				raw: bodyWith(request.body ?? {}, field, JSON.stringify(CANARY)),
				expected: { statuses: INVALID, field },
			}));
			found.push(...(await problemsAt(request, attempts)));
		}
		expect(found).toEqual([]);
	});

	test('is not taken from the query', async () => {
		const found: string[] = [];
		for (const request of withBody()) {
			const path = pathOf(request);
			for (const [field, value] of Object.entries(request.body ?? {})) {
				const given = typeof value === 'string' ? value : JSON.stringify(value);
				const query = `?${field}=${encodeURIComponent(given)}`;
				const expected = { statuses: INVALID };
				const attempts = [
					{
						what: `${field} only in the query`,
						raw: bodyWith(request.body ?? {}, field, undefined),
					},
					{ what: `${field} in the query too`, raw: JSON.stringify(request.body) },
				].map((attempt) => ({ ...attempt, path: path + query, expected }));
				found.push(...(await problemsAt(request, attempts)));
			}
		}
		expect(found).toEqual([]);
	});

	test('that is given twice counts once, and as the last one says', async () => {
		const found: string[] = [];
		for (const request of withBody()) {
			const [field = ''] = request.required;
			if (field === '') continue;
			const good = JSON.stringify(request.body);
			const attempt = {
				what: `${field} twice`,
				raw: `${good.slice(0, -1)},${JSON.stringify(field)}:{"a":"${CANARY}"}}`,
				expected: { statuses: INVALID, field },
			};
			found.push(...(await problemsAt(request, [attempt])));
		}
		expect(found).toEqual([]);
	});
});

describe('a parameter of a query', () => {
	const VALUES: Readonly<Record<string, readonly string[]>> = {
		integer: [
			CANARY,
			'',
			'1.5',
			'1e1',
			'0x10',
			'NaN',
			'Infinity',
			'-1',
			' 1',
			'1 ',
			'+1',
			'9'.repeat(30),
			'%00',
			'1%00',
			'%F0%9F%98%80',
			'%ff',
			'null',
			'true',
			'[1]',
		],
		string: ['', '%00', `${CANARY}%00`, `${CANARY}%20`, '%ff', '%ED%A0%80', 'x'.repeat(257), '/'],
	};

	/** Looked for in names, which may hold these. */
	const FREE_TEXT = ['q'];
	const FREE = [`${CANARY}%20`, '/'];

	test('is refused by name for every value that does not fit', async () => {
		const found: string[] = [];
		let count = 0;
		for (const declared of operations) {
			const request = validRequest(declared, scene);
			if (request.body !== undefined || declared.path === '/ws') continue;
			for (const [field, schema] of Object.entries(request.fields)) {
				const values = VALUES[String(schema.type)] ?? [];
				expect(values.length).toBeGreaterThan(0);
				const limits = [schema.minimum, schema.maximum].map(Number);
				const beyond = [`${(limits[0] ?? 0) - 1}`, `${(limits[1] ?? 0) + 1}`];
				const all = schema.type === 'integer' ? [...values, ...beyond] : values;
				const bad = FREE_TEXT.includes(field) ? all.filter((value) => !FREE.includes(value)) : all;
				const attempts = bad.map((value) => ({
					what: `?${field}=${value}`,
					path: `${pathWithQuery(request, field)}${field}=${value.replaceAll(' ', '%20')}`,
					expected: { statuses: INVALID, field },
				}));
				attempts.push({
					what: `${field} twice`,
					path: `${pathWithQuery(request, field)}${field}=1&${field}=1`,
					expected: { statuses: INVALID, field },
				});
				count += attempts.length;
				found.push(...(await problemsAt(request, attempts)));
			}
		}
		expect(found).toEqual([]);
		expect(count).toBeGreaterThan(100);
	});

	test('is refused by name when nobody knows it', async () => {
		const found: string[] = [];
		for (const declared of operations) {
			const request = validRequest(declared, scene);
			if (declared.path === '/ws') continue;
			const names = ['surprise', '__proto__', 'constructor', 'toString', 'tenant_id', '$where'];
			const attempts = names
				.filter((name) => !Object.hasOwn(request.params, name))
				.map((field) => ({
					what: `?${field}`,
					path: `${pathWithQuery(request, field)}${encodeURIComponent(field)}=${CANARY}`,
					...(request.body === undefined ? {} : { raw: JSON.stringify(request.body) }),
					expected: { statuses: INVALID, field },
				}));
			found.push(...(await problemsAt(request, attempts)));
		}
		expect(found).toEqual([]);
	});
});

describe('a parameter of a path', () => {
	const VALUES = [
		CANARY,
		`${CANARY}%00`,
		'%00',
		'room_',
		'room_%00',
		`room_${CANARY}%20`,
		`tenant_${'x'.repeat(41)}`,
		'%C3%28',
		'%ED%A0%80',
		'%F0%9F%98%80',
		'%2F',
		'..%2F..%2Fetc%2Fpasswd',
		'%252F',
		'x'.repeat(5_000),
		'~',
		'*',
		`'%20OR%201=1--`,
		'%3Cscript%3E',
	];
	/** A user id may be what an id may not. */
	const IS_USER_ID = /^[A-Za-z0-9._:@|-]{1,128}$/;

	test('is refused for every value that does not fit', async () => {
		const found: string[] = [];
		let count = 0;
		for (const declared of operations) {
			const request = validRequest(declared, scene);
			for (const field of Object.keys(request.params)) {
				const values = VALUES.filter((value) => field !== 'user_id' || !IS_USER_ID.test(value));
				const attempts = values.map((value) => ({
					what: `${field} = ${value.slice(0, 40)}`,
					path: pathOf({ ...request, params: { ...request.params, [field]: value } }),
					...(request.body === undefined ? {} : { raw: JSON.stringify(request.body) }),
					expected: { statuses: INVALID, field },
				}));
				count += attempts.length;
				found.push(...(await problemsAt(request, attempts)));
			}
		}
		expect(found).toEqual([]);
		expect(count).toBeGreaterThan(100);
	});
});

describe('a time', () => {
	test('that does not exist, or that we could not write down again, is refused', async () => {
		const declared = operations.find(({ operation }) => operation.operationId === 'keys.create');
		if (declared === undefined) throw new Error('No such operation');
		const request = validRequest(declared, scene);
		const times = [
			'2099-13-01T00:00:00Z',
			'2099-02-30T00:00:00Z',
			'2099-01-01T24:00:01Z',
			'2099-01-01T00:60:00Z',
			'2099-01-01T00:00:00+24:00',
			'9999-12-31T23:59:59-00:01',
			'9999-12-31T23:59:59-23:59',
			'2099-01-01 00:00:00Z',
			'2099-01-01T00:00:00',
			'0000-01-01T00:00:00Z',
			'2020-01-01T00:00:00Z',
		];
		const attempts = times.map((time) => ({
			what: time,
			raw: bodyWith(request.body ?? {}, 'expires_at', JSON.stringify(time)),
			expected: { statuses: INVALID, field: 'expires_at' },
		}));

		expect(await problemsAt(request, attempts)).toEqual([]);
	});
});

test('nobody else noticed, and nothing of it is in the log', async () => {
	expect(await bystander.problems()).toEqual([]);
	expect(problemsInLog(used.server)).toEqual([]);
	expect(used.server.log().length).toBeGreaterThan(1_000);
	await bystander.close();
});
