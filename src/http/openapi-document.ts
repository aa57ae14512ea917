import { Type } from '@sinclair/typebox';
import { ERRORS, type ErrorCode } from '../core/errors.ts';
import { oneOf } from '../core/fields.ts';
import { toOpenApiSchema } from './openapi-schema.ts';

/** One line per paragraph: the page shows a line break wherever there is one. */
const INTRODUCTION = `
Rooms, members, messages and receipts for the users of many tenants.

**Credentials.** The operator holds the master key (\`X-Master-Key\`) and makes tenants and their API
keys. A tenant's backend sends its key as \`X-API-Key\` and names the user it acts for in \`X-User-Id\`.
Either key may come as \`Authorization: Bearer\` instead. A user's own page or app sends a token that the
backend made for that user (\`POST /users/{user_id}/tokens\`), as \`Authorization: Bearer\`; pages of the
tenant's \`allowed_origins\` may (CORS). Put them in with **Authorize**.

**Answers.** JSON with \`snake_case\` names; times are RFC 3339 in UTC with milliseconds. Every answer has
an \`X-Request-Id\`, and every answer to a tenant's key the \`X-RateLimit-*\` headers. Every error is
the one envelope, \`Error\` below: act on \`code\`, show \`message\` to developers only, and retry where
\`retryable\` says so, after \`retry_after_ms\`.

**Lists.** \`limit\` says how many, \`cursor\` where to go on: it is the \`next_cursor\` of the page before.
Messages page by \`after_seq\` and \`before_seq\`.

**Retries.** A message with a \`client_msg_id\` is stored once: sending it again answers 200 with the first
one and \`"duplicate": true\`.

**Paths.** Every path also works below \`/v1\`. Events reach users over a WebSocket at \`/ws\`, opened with
the same headers, or with a ticket (\`POST /ws/token\`).
`
	.trim()
	.replace(/(?<!\n)\n(?!\n)/g, ' ');

/** What each noun of the API is about, in the order of the page. */
const TAGS: readonly { name: string; description: string }[] = [
	{ name: 'tenants', description: 'Customers of this server, each isolated from all others.' },
	{ name: 'keys', description: "A tenant's API keys and what each of them may do." },
	{ name: 'api_keys', description: 'The same for the tenant itself, within what its own key may.' },
	{ name: 'limits', description: 'What is left of what a tenant may do now.' },
	{ name: 'settings', description: 'What a tenant sets for itself, or inherits from its plan.' },
	{ name: 'plans', description: 'What tenants share: pooled quotas, features and settings.' },
	{
		name: 'configuration',
		description: 'Plans, tenants and keys as one document: compared, applied, exported.',
	},
	{
		name: 'management_keys',
		description: 'Credentials for what concerns the tenants of one plan.',
	},
	{ name: 'tenant_rooms', description: 'The rooms of a tenant, for the operator to read.' },
	{ name: 'tenant_members', description: 'Who is in them, for the operator to read.' },
	{ name: 'tenant_messages', description: 'What was said in them, for the operator to read.' },
	{ name: 'tenant_users', description: 'The users of a tenant, for the operator to read.' },
	{ name: 'audit', description: "What was done with the operator's credentials, and by which." },
	{ name: 'rooms', description: 'Where users talk: in twos (`dm`), groups and channels.' },
	{ name: 'members', description: 'Who is in a room, and in which role.' },
	{ name: 'messages', description: 'What was said in a room, in one order for everybody.' },
	{ name: 'acks', description: 'Up to where a member has received a room.' },
	{ name: 'reads', description: 'Up to where a member has read a room.' },
	{
		name: 'notifications',
		description: 'What is to be made known to users, rooms, topics or everybody.',
	},
	{ name: 'subscriptions', description: 'The notification topics that a user follows for good.' },
	{ name: 'dead_letters', description: 'Deliveries that were given up.' },
	{ name: 'events', description: "The tenant's event log, for its backend to follow." },
	{ name: 'users', description: 'What the tenant has told of its users, and who of them may act.' },
	{ name: 'tokens', description: 'What a user acts with from a page or an app.' },
	{
		name: 'tickets',
		description: 'What a page opens a WebSocket with, for it can set no headers there.',
	},
	{
		name: 'usage',
		description: 'What a tenant used, by month and by day, and what stands behind it.',
	},
	{ name: 'connections', description: 'The WebSocket over which events reach a user.' },
	{ name: 'status', description: 'Whether the server is well, for probes and monitoring.' },
];

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
	tags: TAGS.filter(({ name }) => tags.has(name)),
	components: {
		securitySchemes: SECURITY_SCHEMES,
		schemas: { Error: toOpenApiSchema(ErrorEnvelope) },
		headers: HEADERS,
	},
});
