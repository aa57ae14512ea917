/**
 * Operations as the OpenAPI 3.0.3 document shows them. Everything is derived from the operation and
 * from the table of errors, so that the docs page cannot drift from what the server does.
 *
 * @see https://spec.openapis.org/oas/v3.0.3
 */
import { type TObject, type TSchema, Type } from '@sinclair/typebox';
import type { DocumentDecoration } from 'elysia';
import { assert, ERRORS } from '../core/errors.ts';
import {
	type Binding,
	errorsOf,
	heedsVersionAt,
	isRepeatableAt,
	type Operation,
} from '../core/operation.ts';
import { USER_PERMISSIONS } from '../core/permissions.ts';
import { tagOf } from './openapi-document.ts';
import { errorExampleOf, hasRetryAfter } from './openapi-errors.ts';
import { type SchemaObject, toOpenApiSchema } from './openapi-schema.ts';

/** Where an operation is bound to. */
export interface RouteDescription {
	method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	/** In the router's form: `/rooms/:room_id/messages`. */
	path: string;
	/** Every status it answers a success with, the usual one first. */
	status: readonly number[];
	/** The media type of its success as text, beside JSON. */
	otherType?: string;
}

type Parameters = NonNullable<DocumentDecoration['parameters']>;
type RequestBody = NonNullable<DocumentDecoration['requestBody']>;
type Responses = NonNullable<DocumentDecoration['responses']>;
type Response = Exclude<Responses[string], { $ref: string }>;
type Security = NonNullable<DocumentDecoration['security']>;

const SUCCESSES: Readonly<Record<number, string>> = {
	101: 'Switched to the WebSocket protocol',
	200: 'Done',
	201: 'Created',
	202: 'Accepted',
	204: 'Done; there is nothing to tell',
	503: 'Not now',
};
const ERROR_SCHEMA = { $ref: '#/components/schemas/Error' };
const REPEATED = 'It was there already: the same thing again, and nothing changed';

const SECURITY: Readonly<Record<Operation['actor'], Security>> = {
	user: [
		{ ApiKey: [], UserId: [] },
		{ Bearer: [], UserId: [] },
	],
	tenant: [{ ApiKey: [] }, { Bearer: [] }],
	any: [{ ApiKey: [], UserId: [] }, { ApiKey: [] }, { Bearer: [], UserId: [] }, { Bearer: [] }],
	operator: [{ MasterKey: [] }, { Bearer: [] }, { ManagementKey: [], ManagementSecret: [] }],
	visitor: [],
};

function securityOf(operation: Operation): Security {
	const isFor = (scheme: Security[number]) =>
		operation.isMasterOnly !== true || !('ManagementKey' in scheme);
	const own = isUsers(operation) ? [{ UserToken: [] }] : [];
	return [...SECURITY[operation.actor].filter(isFor), ...own];
}

/** A user may do it with a token of their own. */
const isUsers = ({ actor, permission, isOpenToUser }: Operation): boolean =>
	isOpenToUser === true ||
	(actor !== 'tenant' && permission !== undefined && USER_PERMISSIONS.has(permission));

const RATE_LIMIT_HEADERS = [
	'X-RateLimit-Limit',
	'X-RateLimit-Remaining',
	'X-RateLimit-Reset',
	'RateLimit',
	'RateLimit-Policy',
] as const;
const IDEMPOTENCY_KEY: Parameters[number] = {
	name: 'Idempotency-Key',
	in: 'header',
	required: false,
	description:
		'Of your choosing. For a day the same key and request are answered the same, with `Idempotency-Replayed: true`, and take effect once; another request with the key is 409.',
	schema: { type: 'string', minLength: 1, maxLength: 255 },
};
const IF_MATCH: Parameters[number] = {
	name: 'If-Match',
	in: 'header',
	required: false,
	description:
		'The `ETag` that you have seen, such as `"3"`: when it is another by now, nothing changes (412).',
	schema: { type: 'string', maxLength: 1000 },
};
type HeaderName =
	| (typeof RATE_LIMIT_HEADERS)[number]
	| 'X-Request-Id'
	| 'ETag'
	| 'Idempotency-Replayed'
	| 'Retry-After';

/**
 * The Operation Object of an operation at this route, for the route's `detail`.
 *
 * Fields of the input that the path names are path parameters. The others are query parameters of
 * GET and DELETE, and the JSON body of everything else, but for `inQuery`.
 */
export function describeRoute(operation: Operation, route: RouteDescription): DocumentDecoration {
	const { properties } = operation.input;
	const pathFields = [...route.path.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
	for (const name of pathFields) {
		assert(name in properties, `the input of ${operation.name} has ${name}, as its path does`);
	}
	const otherFields = Object.keys(properties).filter((name) => !pathFields.includes(name));
	const hasBody = !['GET', 'DELETE'].includes(route.method) && otherFields.length > 0;
	const inQuery = hasBody ? (operation.inQuery ?? []) : otherFields;
	const inBody = otherFields.filter((name) => !inQuery.includes(name));
	const { permission } = operation;
	return {
		operationId: operation.name,
		summary: operation.summary,
		description: descriptionOf(operation),
		tags: [tagOf(operation.name)],
		security: securityOf(operation),
		...(permission === undefined ? {} : { 'x-permission': permission }),
		parameters: [
			...parametersOf(operation, 'path', pathFields),
			...parametersOf(operation, 'query', inQuery),
			...headersIn(operation, route),
		],
		...(hasBody ? { requestBody: requestBodyOf(operation, inBody) } : {}),
		responses: responsesOf(operation, route, {
			hasBody,
			isRepeatable: isRepeatableAt(route.method, operation),
			heedsVersion: heedsVersionAt(route.method, operation),
			isWrite: route.method !== 'GET',
		}),
	};
}

/** The same of the operation that opens a WebSocket: a GET whose success is no HTTP answer. */
export const describeUpgrade = (operation: Operation): DocumentDecoration =>
	describeRoute(operation, { method: 'GET', path: '/ws', status: [101] });

function descriptionOf(operation: Operation): string {
	return [operation.description, `**Who:** ${whoOf(operation)}`]
		.filter((paragraph) => paragraph !== undefined)
		.join('\n\n');
}

const AS_WHOM = {
	user: 'acting as the user in `X-User-Id`',
	tenant: 'as the tenant itself: without `X-User-Id`',
	any: 'acting as the user in `X-User-Id`, or without one as the tenant itself',
} as const;

function whoOf(operation: Operation): string {
	if (operation.actor === 'visitor') return 'anybody, without a credential.';
	if (operation.actor === 'operator') {
		const orManagement = ', or with management credentials for the tenants of their plan';
		return `the operator, with the master key${operation.isMasterOnly === true ? '' : orManagement}.`;
	}
	const orUser = isUsers(operation) ? ', or a user by a token of their own' : '';
	const who = `a key with the permission \`${operation.permission}\`, ${AS_WHOM[operation.actor]}`;
	return `${who}${orUser}. **Cost:** ${operation.cost} of the tenant's request bucket.`;
}

const isRequired = (input: TObject, name: string) => input.required?.includes(name) ?? false;

const exampleOf = (operation: Operation, name: string): unknown =>
	(operation.example.input as Record<string, unknown>)[name];

function parametersOf(
	operation: Operation,
	place: 'path' | 'query',
	names: readonly string[],
): Parameters {
	return names.map((name) => {
		const { description, ...schema } = toOpenApiSchema(fieldOf(operation.input, name));
		const example = exampleOf(operation, name);
		const required = place === 'path' || isRequired(operation.input, name);
		// The page fills an example in. What may be left out is left out, and told of in words.
		const words = required || example === undefined ? [] : [`Such as \`${example}\``];
		const told = [...(description === undefined ? [] : [description]), ...words].join('. ');
		return {
			name,
			in: place,
			required,
			...(told === '' ? {} : { description: told }),
			schema: schema as SchemaObject,
			...(required && example !== undefined ? { example } : {}),
		};
	});
}

/** The headers that say how an operation is to be done. */
function headersIn(operation: Operation, { method }: RouteDescription): Parameters {
	return [
		...(isRepeatableAt(method, operation) ? [IDEMPOTENCY_KEY] : []),
		...(heedsVersionAt(method, operation) ? [IF_MATCH] : []),
	];
}

function requestBodyOf(operation: Operation, names: readonly string[]): RequestBody {
	const { input } = operation;
	const fields = Object.fromEntries(names.map((name) => [name, fieldOf(input, name)]));
	const required = names.filter((name) => isRequired(input, name));
	const example = names
		.map((name) => [name, exampleOf(operation, name)] as const)
		.filter(([, value]) => value !== undefined);
	const schema = {
		type: 'object',
		properties: fields,
		...(required.length === 0 ? {} : { required }),
		additionalProperties: false,
	};
	return {
		required: required.length > 0,
		content: {
			'application/json': {
				schema: toOpenApiSchema(Type.Unsafe(schema)),
				example: Object.fromEntries(example),
			},
		},
	};
}

function fieldOf(input: TObject, name: string): TSchema {
	const field = input.properties[name];
	assert(field !== undefined, `an input has the field ${name}`);
	return field;
}

/** One thing that an answer of this status can be. */
interface Form {
	status: number;
	description: string;
	schema: SchemaObject | typeof ERROR_SCHEMA;
	example: unknown;
}

/** Forms that share a status are one response: told one after the other, with the first as example. */
function responsesOf(operation: Operation, route: RouteDescription, binding: Binding): Responses {
	const forms = [...successesOf(operation, route), ...failuresOf(operation, binding)];
	const byStatus = Map.groupBy(forms, ({ status }) => status);
	return Object.fromEntries(
		[...byStatus].map(([status, shared]) => {
			const [schema = ERROR_SCHEMA, ...rest] = new Set(shared.map((form) => form.schema));
			const isText = status < 300 && route.otherType !== undefined;
			const content = {
				'application/json': {
					schema: rest.length === 0 ? schema : { anyOf: [schema, ...rest] },
					example: shared[0]?.example,
				},
				...(isText ? { [`${route.otherType}`]: { schema: { type: 'string' as const } } } : {}),
			};
			const response: Response = {
				description: shared.map(({ description }) => description).join('\n\n'),
				headers: headersOf(operation, status, binding),
				...(status === 101 || status === 204 ? {} : { content }),
			};
			return [status, response];
		}),
	);
}

function successesOf(operation: Operation, route: RouteDescription): Form[] {
	const schema = toOpenApiSchema(operation.output);
	return route.status.map((status) => {
		const isRepeat = status === 200 && route.status.includes(201);
		const marks = isRepeat ? { duplicate: true } : status === 503 ? { status: 'unavailable' } : {};
		return {
			status,
			description: (isRepeat ? REPEATED : SUCCESSES[status]) ?? 'Done',
			schema,
			example: markedExampleOf(operation, marks),
		};
	});
}

/** The example with the fields that tell this status from the usual one, where it has such fields. */
function markedExampleOf({ output, example }: Operation, marks: Record<string, unknown>): unknown {
	const known = Object.entries(marks).filter(([name]) => name in (output.properties ?? {}));
	if (known.length === 0) return example.output;
	return { ...(example.output as object), ...Object.fromEntries(known) };
}

const failuresOf = (operation: Operation, binding: Binding): Form[] =>
	errorsOf(operation, binding).map((code) => ({
		status: ERRORS[code].status,
		description: `\`${code}\`: ${ERRORS[code].summary}`,
		schema: ERROR_SCHEMA,
		example: errorExampleOf(operation, code),
	}));

/**
 * A tenant's bucket stands on every answer after a 401; the page tells of it where it matters, for
 * five more headers on every error would bury all else.
 */
function headersOf(
	operation: Operation,
	status: number,
	{ isRepeatable }: Binding,
): NonNullable<Response['headers']> {
	const isSuccess = status < 300;
	const isBucketTold = operation.permission !== undefined && (isSuccess || status === 429);
	const names: HeaderName[] = [
		'X-Request-Id',
		...(isSuccess && operation.isVersioned === true ? (['ETag'] as const) : []),
		...(isSuccess && isRepeatable === true ? (['Idempotency-Replayed'] as const) : []),
		...(isBucketTold ? RATE_LIMIT_HEADERS : []),
		...(hasRetryAfter(status) ? (['Retry-After'] as const) : []),
	];
	return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}
