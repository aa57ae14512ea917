/** How much a tenant may do in a time, as it is written down. */
import { type Static, Type } from '@sinclair/typebox';
import { nullable } from './fields.ts';

/** How many requests a tenant may make. Requests and frames draw on the same bucket. */
export const RateLimitField = Type.Object(
	{
		requests_per_second: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
		requests_per_minute: Type.Optional(Type.Integer({ minimum: 1, maximum: 60_000_000 })),
		burst: Type.Optional(
			Type.Integer({
				minimum: 1,
				maximum: 60_000_000,
				description:
					'How many at once. Default: twice requests_per_second, or requests_per_minute itself',
			}),
		),
		messages_per_day: Type.Optional(
			Type.Integer({
				minimum: 0,
				maximum: Number.MAX_SAFE_INTEGER,
				description:
					'Of a UTC day, exactly; a repeat of a stored client_msg_id is answered all the same',
			}),
		),
		emails_per_day: Type.Optional(
			Type.Integer({
				minimum: 0,
				maximum: Number.MAX_SAFE_INTEGER,
				description: 'Kept for a later version, which sends e-mails',
			}),
		),
	},
	{
		additionalProperties: false,
		description:
			'At most one of requests_per_second and requests_per_minute; without one, DEFAULT_RATE_LIMIT a second',
	},
);

export type RateLimit = Static<typeof RateLimitField>;

/** The same in a merge patch, where null takes a member away. */
export const RateLimitPatchField = Type.Object(
	{
		requests_per_second: Type.Optional(nullable(RateLimitField.properties.requests_per_second)),
		requests_per_minute: Type.Optional(nullable(RateLimitField.properties.requests_per_minute)),
		burst: Type.Optional(nullable(RateLimitField.properties.burst)),
		messages_per_day: Type.Optional(nullable(RateLimitField.properties.messages_per_day)),
		emails_per_day: Type.Optional(nullable(RateLimitField.properties.emails_per_day)),
	},
	{ additionalProperties: false },
);
