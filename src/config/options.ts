import Type, { type TSchema } from 'typebox';

/** How the text of an environment variable is read before its schema checks it. */
export type OptionKind = 'text' | 'secret' | 'integer' | 'duration' | 'bytes' | 'list' | 'ranges';

export interface Option<Schema extends TSchema = TSchema> {
	kind: OptionKind;
	schema: Schema;
	/** As an operator would write it. */
	default: string;
	/** One sentence for the operator. */
	summary: string;
}

const option = <Schema extends TSchema>(
	kind: OptionKind,
	schema: Schema,
	fallback: string,
	summary: string,
): Option<Schema> => ({ kind, schema, default: fallback, summary });

/** A limit that 0 switches off. */
const Limit = Type.Integer({ minimum: 0, maximum: 1_000_000_000 });
// The number of a port is at most 65535.
const Address = Type.String({
	pattern:
		'^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]*):(\\d{1,4}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])$',
});

/** A size in bytes that nothing switches off. */
const size = (maximum: number) => Type.Integer({ minimum: 1, maximum });

/**
 * Every setting of the server, by the name of its environment variable. `docs/configuration.md` is
 * generated from this table; `--help` prints it.
 */
export const OPTIONS = {
	MASTER_API_KEY: option(
		'secret',
		Type.String(),
		'',
		'The key of the admin API, 32 characters or more; without one, the first start makes a random one and keeps it in the data directory.',
	),
	SECRETS_KEY: option(
		'secret',
		Type.String(),
		'',
		'The key that passwords of tenants for other servers are encrypted under, 32 characters or more; without one, a random one is kept in the data directory, and in no backup.',
	),
	LISTEN_ADDR: option(
		'text',
		Address,
		':8080',
		'Where to listen: host:port, or :port for all addresses; port 0 takes a free one.',
	),
	METRICS_ADDR: option(
		'text',
		Type.Union([Type.Literal(''), Address]),
		'',
		'Where to serve /metrics without a key besides, for a scraper in a private network; empty for nowhere.',
	),
	DATA_DIR: option(
		'text',
		Type.String({ minLength: 1 }),
		'./data',
		'The directory of the database; made when absent, and used by one process at a time.',
	),
	DURABILITY: option(
		'text',
		Type.Enum(['full', 'relaxed']),
		'full',
		'When a write is answered: full, once it is on disk; or relaxed, once the system has it, and a loss of power may undo it.',
	),
	DISK_LOW_WATER: option(
		'bytes',
		size(64 * 1024 ** 3),
		'64MiB',
		'Free space below which writes are refused, so that the disk never fills up; at most a twentieth of the file system.',
	),
	DISK_BALLAST: option(
		'bytes',
		size(256 * 1024 ** 2),
		'16MiB',
		'Size of a file kept to be given up when the disk is full after all; at most a twentieth of the file system.',
	),
	LOG_LEVEL: option(
		'text',
		Type.Enum(['debug', 'info', 'warn', 'error']),
		'info',
		'The least level that is logged.',
	),
	DEFAULT_RATE_LIMIT: option(
		'integer',
		Type.Integer({ minimum: 0, maximum: 1_000_000 }),
		'100',
		'Requests per second of a tenant that has no rate_limit of its own, with bursts of twice that; 0 for no limit.',
	),
	ALLOWED_ORIGINS: option(
		'list',
		Type.Array(
			Type.String({
				pattern: '^(\\*|https?://[a-z0-9.-]+(:\\d{1,5})?|https?://\\[[0-9a-f:]+\\](:\\d{1,5})?)$',
			}),
		),
		'',
		'Origins whose pages may act for users of tenants without allowed_origins, over REST and sockets, separated by commas; * for any.',
	),
	TRUSTED_PROXIES: option(
		'ranges',
		Type.Array(Type.String({ minLength: 1 })),
		'',
		'Addresses or CIDR ranges of the proxies whose X-Forwarded-For is believed, separated by commas.',
	),
	AUTH_FAILURES_PER_MINUTE: option(
		'integer',
		Limit,
		'10',
		'Failed authentications per minute and client address before further ones are answered 429; a good credential never is.',
	),
	WS_MAX_CONNECTIONS_PER_USER: option(
		'integer',
		Limit,
		'10',
		'Open sockets of one user, and of the backends of one tenant.',
	),
	WS_MAX_CONNECTIONS_PER_TENANT: option('integer', Limit, '5000', 'Open sockets of one tenant.'),
	WS_MAX_CONNECTIONS: option('integer', Limit, '15000', 'Open sockets of the server.'),
	WS_FRAMES_PER_SECOND: option(
		'integer',
		Limit,
		'20',
		'Frames per second that one socket may send, with bursts of three times that.',
	),
	WS_MAX_SUBSCRIPTIONS: option(
		'integer',
		Limit,
		'200',
		'Topics that one socket may subscribe to by name; its rooms do not count.',
	),
	LIVE_RECEIPTS_MAX: option(
		'integer',
		Limit,
		'100',
		'Members up to which a room is told live who received and read what.',
	),
	MAX_ROOM_MEMBERS: option('integer', Limit, '10000', 'Members of one room.'),
	MAX_ROOMS_PER_USER: option('integer', Limit, '2000', 'Rooms of one user.'),
	MAX_SUBSCRIPTIONS_PER_USER: option(
		'integer',
		Limit,
		'200',
		'Notification topics that one user may be subscribed to for good.',
	),
	MAX_BODY_BYTES: option(
		'bytes',
		size(16 * 1024 * 1024),
		'256KiB',
		'The largest HTTP body, and the largest WebSocket frame.',
	),
	MAX_CONTENT_BYTES: option(
		'bytes',
		size(1024 * 1024),
		'16KiB',
		'The largest content of a message, in bytes of UTF-8.',
	),
	MAX_METADATA_BYTES: option(
		'bytes',
		size(1024 * 1024),
		'8KiB',
		'The largest metadata of a message, room or tenant, in bytes of compact JSON.',
	),
	WRITER_QUEUE_MAX: option(
		'integer',
		Type.Integer({ minimum: 1, maximum: 10_000_000 }),
		'10000',
		'Writes that may wait for the disk before further ones are answered 503.',
	),
	EVENT_RETENTION: option(
		'duration',
		Type.Integer({ minimum: 1000, maximum: 315_360_000_000 }),
		'7d',
		'How long events are kept, to be resumed from and read by the backend, and with them ended memberships and deleted rooms.',
	),
	DELETED_TENANT_RETENTION: option(
		'duration',
		Type.Integer({ minimum: 1000, maximum: 315_360_000_000 }),
		'30d',
		'How long a deleted tenant can be restored before it is erased.',
	),
	RESUME_ROOM_MAX: option(
		'integer',
		Type.Integer({ minimum: 0, maximum: 1_000_000 }),
		'1000',
		'Missed messages of one room that a resuming socket is sent; with more it gets room.gap and reads them by pages. 0: any number.',
	),
	SHUTDOWN_DRAIN_TIMEOUT: option(
		'duration',
		Type.Integer({ minimum: 0, maximum: 3_600_000 }),
		'8s',
		'How long a stop waits for requests that are running and sockets that are closing.',
	),
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;
