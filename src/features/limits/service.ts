import type { Authorizer } from '../../core/authorize.ts';
import type { TenantCaller } from '../../core/caller.ts';
import { type Clock, toTimestamp } from '../../core/clock.ts';
import { dayBucketOf, type MessagesOnDay } from '../../core/day-bucket.ts';
import type { TenantNo } from '../../core/ids.ts';
import type { OutputOf } from '../../core/operation.ts';
import type { BucketState } from '../../core/token-bucket.ts';
import type { getLimits } from './schema.ts';

type Shown = OutputOf<typeof getLimits>;

export interface LimitsDeps {
	clock: Clock;
	bucketOf: Authorizer['bucketOf'];
	messagesOn: MessagesOnDay;
	/** The quotas of a tenant and of its plan, and what is used of them now. */
	quotasOf(tenant: TenantNo): Promise<Shown['quotas']>;
}

/** The use-case that shows a tenant what is left. */
export function createLimits({ clock, bucketOf, messagesOn, quotasOf }: LimitsDeps) {
	return {
		/** Every bucket that is limited, and every quota. */
		get: async (caller: TenantCaller): Promise<Shown> => {
			const now = clock.now();
			const shown = (name: 'requests' | 'messages_per_day', state: BucketState | undefined) =>
				state === undefined
					? []
					: [
							{
								name,
								limit: Math.floor(state.limit),
								remaining: state.remaining,
								reset_at: toTimestamp(Math.ceil(now + state.full_after_ms)),
							},
						];
			return {
				buckets: [
					...shown('requests', bucketOf(caller)),
					...shown('messages_per_day', dayBucketOf(caller, messagesOn, now)),
				],
				quotas: await quotasOf(caller.tenant),
			};
		},
	};
}

export type Limits = ReturnType<typeof createLimits>;
