import { connectionFrames } from '../features/connections/frames.ts';
import { openConnection } from '../features/connections/schema.ts';
import { frameTypeOf } from '../features/events/schema.ts';
import { loggedBy } from '../features/events/service/logged.ts';
import { missedBy, wasTold } from '../features/events/service/missed.ts';
import { memberFrames } from '../features/members/frames.ts';
import { messageFrames } from '../features/messages/frames.ts';
import { messageCreated } from '../features/messages/schema.ts';
import { notificationFrames } from '../features/notifications/frames.ts';
import { presenceFrames } from '../features/presence/frames.ts';
import { receiptFrames } from '../features/receipts/frames.ts';
import { createPositionsReplay } from '../features/receipts/service/positions.ts';
import { roomFrames } from '../features/rooms/frames.ts';
import { subscriptionFrames } from '../features/subscriptions/frames.ts';
import { typingFrames } from '../features/typing/frames.ts';
import type { Answering } from '../http/answering.ts';
import { PACE_MS } from '../realtime/pacer.ts';
import { createDispatch } from '../ws/dispatch.ts';
import { createFollowing } from '../ws/following.ts';
import { createGateway, type Gateway, HEARTBEAT_MS } from '../ws/gateway.ts';
import type { Container } from './container.ts';

/**
 * Positions are told up to a second late, and events are not: of one that changed so long before the last
 * event that a client saw, it may not know. The rest is for a disk that takes its time.
 */
const LOOK_BACK_MS = PACE_MS + 4000;

/** How a message's frame begins. @see frameOfStored */
const MESSAGE_FRAME = `{"type":"${frameTypeOf(messageCreated)}",`;

/** Binds every feature's frames, and makes the gateway that they come in through. */
export function createSockets(
	{ settings, bounds, connections, features, generations, read, random, meter }: Container,
	answering: Answering,
): Gateway {
	const frameBytesMax = settings.MAX_BODY_BYTES;
	const perSecond = settings.WS_FRAMES_PER_SECOND;
	const following = createFollowing({
		roomsOf: features.members.roomsOf,
		endsOf: features.events.endsOf,
		subscriptionsOf: features.subscriptions.topicsOf,
		missedBy: (caller, cursors) =>
			missedBy(read, caller, cursors, {
				roomMax: settings.RESUME_ROOM_MAX,
				onNamed: (cursor) => features.attempts.note(caller.tenant_id, caller.user_id, cursor),
			}),
		wasTold: (caller, cursors, topics) => wasTold(read, caller, cursors, topics),
		positionsOf: async (caller, after) => ({
			from: await features.events.cursorBefore(caller.tenant, after, LOOK_BACK_MS),
			positions: createPositionsReplay(read, caller, settings.LIVE_RECEIPTS_MAX),
		}),
		loggedBy: (tenant, cursors) => loggedBy(read, tenant, cursors),
		countReplayed({ tenant }, frames) {
			let count = 0;
			for (const frame of frames) if (frame.startsWith(MESSAGE_FRAME)) count++;
			if (count > 0) meter.countDelivered(tenant, count);
		},
		greeting: {
			heartbeat_ms: HEARTBEAT_MS,
			limits: {
				frames_per_second: perSecond,
				subscriptions: settings.WS_MAX_SUBSCRIPTIONS,
				frame_bytes: frameBytesMax,
				content_bytes: bounds.contentBytesMax,
			},
		},
	});
	const dispatch = createDispatch({
		...answering,
		bounds,
		frameBytesMax,
		frames: [
			...connectionFrames({ ...features.connections, resume: following.resume }),
			...roomFrames(features.rooms),
			...memberFrames(features.members),
			...messageFrames(features.messages),
			...receiptFrames(features.receipts),
			...typingFrames(features.typing),
			...presenceFrames(features.presence),
			...notificationFrames(features.notifications),
			...subscriptionFrames(features.subscriptions),
		],
	});
	return createGateway({
		...answering,
		connections,
		dispatch,
		operation: openConnection,
		allowedOrigins: settings.ALLOWED_ORIGINS,
		following,
		generations,
		random: random.fraction,
		limits: {
			perUser: settings.WS_MAX_CONNECTIONS_PER_USER,
			perTenant: settings.WS_MAX_CONNECTIONS_PER_TENANT,
			perServer: settings.WS_MAX_CONNECTIONS,
			frameRate: perSecond === 0 ? null : { per_second: perSecond, burst: perSecond * 3 },
			frameBytesMax,
		},
	});
}
