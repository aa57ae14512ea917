import type { TenantCaller, UserCaller } from '../../core/caller.ts';
import { AppError } from '../../core/errors.ts';
import type { InputOf, OutputOf } from '../../core/operation.ts';
import type { Connection } from '../../realtime/connections.ts';
import { namedStream, topicOf } from '../../realtime/topics.ts';
import type { pingConnection, subscribeTopic, unsubscribeTopic } from './schema.ts';

type Done = OutputOf<typeof pingConnection>;
const DONE: Done = { success: true };

export interface ConnectionOperationsDeps {
	/** Topics that a socket may follow by name; 0: any number. */
	subscriptionsMax: number;
	/** Whether the user follows the topic on all its sockets. */
	isSubscribed(caller: UserCaller, topic: string): Promise<boolean>;
}

/** The use-cases of one socket: what they change ends with it. */
export function createConnectionOperations({
	subscriptionsMax,
	isSubscribed,
}: ConnectionOperationsDeps) {
	return {
		/** Sends `pong`. */
		ping: async (
			_caller: TenantCaller,
			_input: InputOf<typeof pingConnection>,
			connection: Connection,
		): Promise<Done> => {
			connection.sendSoon('{"type":"pong"}');
			return DONE;
		},

		/** Follows a topic, while it replays from the end of that on. Idempotent. @throws `CONFLICT` beyond the limit of topics. */
		subscribe: async (
			caller: UserCaller,
			{ topic }: InputOf<typeof subscribeTopic>,
			connection: Connection,
		): Promise<Done> => {
			const { topics } = connection;
			if (!topics.has(topic) && subscriptionsMax > 0 && topics.size >= subscriptionsMax) {
				throw new AppError(
					'CONFLICT',
					`A socket subscribes to at most ${subscriptionsMax} topics by name`,
				);
			}
			topics.add(topic);
			// Else what happens now would come before what happened then.
			if (connection.isLive) connection.subscribe(topicOf(caller.tenant_id, namedStream(topic)));
			return DONE;
		},

		/** Follows it no longer, unless the user is subscribed to it for good. Idempotent. */
		unsubscribe: async (
			caller: UserCaller,
			{ topic }: InputOf<typeof unsubscribeTopic>,
			connection: Connection,
		): Promise<Done> => {
			connection.topics.delete(topic);
			if (!(await isSubscribed(caller, topic))) {
				connection.unsubscribe(topicOf(caller.tenant_id, namedStream(topic)));
			}
			return DONE;
		},
	};
}

export type ConnectionOperations = ReturnType<typeof createConnectionOperations>;
