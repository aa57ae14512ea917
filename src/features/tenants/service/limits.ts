import type { Authorizer } from '../../../core/authorize.ts';
import type { TenantCaller } from '../../../core/caller.ts';
import { type Clock, toTimestamp } from '../../../core/clock.ts';
import { dayBucketOf, type MessagesOnDay } from '../../../core/day-bucket.ts';
import type { OutputOf } from '../../../core/operation.ts';
import type { BucketState } from '../../../core/token-bucket.ts';
import type { getLimits } from '../schema.ts';

export interface LimitsDeps {
	clock: Clock;
	bucketOf: Authorizer['bucketOf'];
	messagesOn: MessagesOnDay;
}

/** The use-case that shows a tenant what is left. */
export function createLimits({ clock, bucketOf, messagesOn }: LimitsDeps) {
	return {
		/** Every bucket that is limited. */
		get: async (caller: TenantCaller): Promise<OutputOf<typeof getLimits>> => {
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
			};
		},
	};
}

export type Limits = ReturnType<typeof createLimits>;
