import { Type } from '@sinclair/typebox';
import { assert, ERRORS, type ErrorCode } from '../core/errors.ts';
import { oneOf } from '../core/fields.ts';
import { toOpenApiSchema } from './openapi-schema.ts';

/** One line per paragraph: the page shows a line break wherever there is one. */
const INTRODUCTION = `
Rooms, members, messages and receipts for the users of many tenants, over REST and a WebSocket.

**Start.** Press **Authorize**, enter the operator's key as \`X-Master-Key\`, and make a tenant: \`POST
/admin/tenants\`. Enter the \`api_key\` of the answer as \`X-API-Key\`, and any id as \`X-User-Id\`; make a
room: \`POST /rooms\`. Put its \`room_id\` into \`POST /rooms/{room_id}/messages\`.

**Credentials.** The operator's key is for \`/admin\` and \`/metrics\`, a tenant's keys for all else. A
tenant's backend names the user it acts for in \`X-User-Id\`; without one it acts as the tenant itself.
Either key may come as \`Authorization: Bearer\` instead. A user's own page or app sends a token that the
backend made for that user (\`POST /users/{user_id}/tokens\`), as \`Authorization: Bearer\`; pages of the
tenant's \`allowed_origins\` may (CORS). Each operation says under **Who** which of them it takes.

**Answers.** JSON with \`snake_case\` names; times are RFC 3339 in UTC with milliseconds. Every answer has
an \`X-Request-Id\`, and every answer to a tenant's key the \`X-RateLimit-*\` headers.

**Errors.** Every error is the one envelope, \`Error\` below: act on \`code\`, show \`message\` to developers
only, and retry where \`retryable\` says so, after \`retry_after_ms\`.

**Lists.** \`limit\` says how many, \`cursor\` where to go on: it is the \`next_cursor\` of the page before.
Messages page by \`after_seq\` and \`before_seq\`.

**Retries.** A message with a \`client_msg_id\` is stored once: sending it again answers 200 with the first
one and \`"duplicate": true\`.

**Paths.** Every path also works below \`/v1\`. Events reach users over a WebSocket at \`/ws\`, opened with
the same headers, or with a ticket (\`POST /ws/token\`).
`
	.trim()
	.replace(/(?<!\n)\n(?!\n)/g, ' ');

interface Tag {
	name: string;
	description: string;
	/** Of which operations: nouns, and whole names where a noun is shared with another tag. */
	of: readonly string[];
}

/** What the operations are about, in the order of the page: what an app needs first, the operator's last. */
const TAGS: readonly Tag[] = [
	{
		name: 'Rooms',
		description: 'Where users talk: in twos (`dm`), groups and channels.',
		of: ['rooms'],
	},
	{
		name: 'Members',
		description: 'Who is in a room, and in which role.',
		of: ['members'],
	},
	{
		name: 'Messages',
		description: 'What was said in a room, in one order for everybody.',
		of: ['messages'],
	},
	{
		name: 'Receipts',
		description: 'Up to where a member has received and read a room.',
		of: ['acks', 'reads'],
	},
	{
		name: 'Live',
		description: 'The WebSocket that tells users, and the log of events that a backend follows.',
		of: ['connections', 'tickets', 'events'],
	},
	{
		name: 'Notifications',
		description: 'What is to be made known to users, rooms, topics or everybody.',
		of: ['notifications', 'subscriptions', 'dead_letters'],
	},
	{
		name: 'Users',
		description:
			'What the tenant has told of its users, who may act, and the tokens they act with.',
		of: ['users', 'tokens'],
	},
	{
		name: 'Own tenant',
		description: "What a tenant's own keys may do: further keys, settings, limits, usage.",
		of: ['api_keys', 'settings', 'limits', 'usage'],
	},
	{
		name: 'Operator: tenants',
		description: 'Customers of this server, each isolated from all others.',
		of: ['tenants'],
	},
	{
		name: 'Operator: API keys',
		description: 'The keys of a tenant, and what each of them may do.',
		of: ['keys'],
	},
	{
		name: 'Operator: plans',
		description:
			'What tenants share: pooled quotas, features, settings; and credentials for one plan.',
		of: ['plans', 'management_keys'],
	},
	{
		name: 'Operator: usage',
		description: 'What a tenant used, and what those of a plan used together.',
		of: ['usage.inspect', 'usage.inspect_plan'],
	},
	{
		name: 'Operator: data of a tenant',
		description: 'For the operator to read. Each read is in the audit log before it is answered.',
		of: [
			...['tenant_rooms', 'tenant_members', 'tenant_messages', 'tenant_users'],
			'dead_letters.review',
		],
	},
	{
		name: 'Operator: configuration',
		description: 'Plans, tenants and keys as one document: compared, applied, exported.',
		of: ['configuration'],
	},
	{
		name: 'Operator: audit',
		description: "What was done with the operator's credentials, and by which.",
		of: ['audit'],
	},
	{
		name: 'Status',
		description: 'Whether the server is well, for probes and monitoring.',
		of: ['status'],
	},
];

/** The tag that an operation of this name stands under. */
export function tagOf(name: string): string {
	const noun = name.slice(0, name.indexOf('.'));
	const tag = TAGS.find(({ of }) => of.includes(name)) ?? TAGS.find(({ of }) => of.includes(noun));
	assert(tag !== undefined, `${name} has a tag: it is to be written here`);
	return tag.name;
}

const SECURITY_SCHEMES = {
	ApiKey: {
		type: 'apiKey',
		in: 'header',
		name: 'X-API-Key',
		description: "A tenant's API key: `sk_` and 45 letters and digits.",
	},
	UserId: {
		type: 'apiKey',
		in: 'header',
		name: 'X-User-Id',
		description: "The user to act as: the tenant's own id, 1 to 128 of `A-Z a-z 0-9 . _ : @ | -`.",
	},
	MasterKey: {
		type: 'apiKey',
		in: 'header',
		name: 'X-Master-Key',
		description: "The operator's key, for everything under `/admin` and for `/metrics`.",
	},
	ManagementKey: {
		type: 'apiKey',
		in: 'header',
		name: 'key',
		description:
			'Of management credentials, which are confined to a plan: `mk_` and 10 characters.',
	},
	ManagementSecret: {
		type: 'apiKey',
		in: 'header',
		name: 'secret',
		description: 'Of the same credentials: 35 letters and digits.',
	},
	Bearer: {
		type: 'http',
		scheme: 'bearer',
		description: "A tenant's API key, or under `/admin` the master key, instead of its own header.",
	},
	UserToken: {
		type: 'http',
		scheme: 'bearer',
		description: "A user's token: `ut_` and 45 letters and digits. It names its user itself.",
	},
} as const;

const header = (description: string, type: 'string' | 'integer', example: string | number) => ({
	description,
	schema: { type },
	example,
});

const HEADERS = {
	'X-Request-Id': header(
		'Names this request in the log. A request may bring its own: 1 to 64 of `A-Z a-z 0-9 . _ -`.',
		'string',
		'req_01jd6yh2n8f9tr3c5x7z0w4k6m',
	),
	ETag: header(
		'The version of what is told, for `If-Match`: a change makes it another.',
		'string',
		'"3"',
	),
	'Idempotency-Replayed': header(
		'`true` where the `Idempotency-Key` was seen before: this is the first answer again.',
		'string',
		'true',
	),
	'X-RateLimit-Limit': header(
		"The size of the tenant's bucket. Rate-limit headers are absent where no limit is set.",
		'integer',
		200,
	),
	'X-RateLimit-Remaining': header('Requests left in the bucket now.', 'integer', 199),
	'X-RateLimit-Reset': header(
		'When the bucket is full again, in Unix seconds.',
		'integer',
		1795232700,
	),
	RateLimit: header(
		'What is left and when it is full again, as in draft-ietf-httpapi-ratelimit-headers.',
		'string',
		'"requests";r=199;t=1',
	),
	'RateLimit-Policy': header(
		'The size of the bucket and the seconds it takes to fill, as in the same draft.',
		'string',
		'"requests";q=200;w=2',
	),
	'Retry-After': header('Seconds after which a retry can succeed.', 'integer', 1),
};

/** The envelope of every error. */
const ErrorEnvelope = Type.Object(
	{
		success: Type.Literal(false),
		error: Type.Object(
			{
				code: oneOf('code', Object.keys(ERRORS) as ErrorCode[]),
				message: Type.String({ description: 'For developers; its wording may change' }),
				field: Type.Optional(
					Type.String({
						description: 'What is wrong: a name, or a JSON pointer to a nested value',
					}),
				),
				request_id: Type.String({ description: 'As in `X-Request-Id`' }),
				retryable: Type.Boolean({ description: 'Whether the same request can succeed later' }),
				retry_after_ms: Type.Optional(
					Type.Integer({ minimum: 0, description: 'After how many milliseconds' }),
				),
			},
			{ additionalProperties: false },
		),
	},
	{ additionalProperties: false },
);

/** All of the document but its paths: what routes refer to by name, and the tags that are in use. */
export const documentationOf = (version: string, tags: ReadonlySet<string>) => ({
	info: {
		title: 'ChatAPI',
		version,
		description: INTRODUCTION,
		license: { name: 'MIT' },
	},
	tags: TAGS.filter(({ name }) => tags.has(name)).map(({ name, description }) => ({
		name,
		description,
	})),
	components: {
		securitySchemes: SECURITY_SCHEMES,
		schemas: { Error: toOpenApiSchema(ErrorEnvelope) },
		headers: HEADERS,
	},
});
