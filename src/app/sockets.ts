import { connectionFrames } from '../features/connections/frames.ts';
import { openConnection } from '../features/connections/schema.ts';
import { messageFrames } from '../features/messages/frames.ts';
import { receiptFrames } from '../features/receipts/frames.ts';
import type { Answering } from '../http/answering.ts';
import { createDispatch } from '../ws/dispatch.ts';
import { createGateway, type Gateway } from '../ws/gateway.ts';
import type { Container } from './container.ts';

/** Binds every feature's frames, and makes the gateway that they come in through. */
export function createSockets(
	{ settings, bounds, connections, features, headOf, random }: Container,
	answering: Answering,
): Gateway {
	const frameBytesMax = settings.MAX_BODY_BYTES;
	const dispatch = createDispatch({
		...answering,
		bounds,
		frameBytesMax,
		frames: [
			...connectionFrames(features.connections),
			...messageFrames(features.messages),
			...receiptFrames(features.receipts),
		],
	});
	const perSecond = settings.WS_FRAMES_PER_SECOND;
	return createGateway({
		...answering,
		connections,
		dispatch,
		operation: openConnection,
		allowedOrigins: settings.ALLOWED_ORIGINS,
		roomsOf: features.members.roomsOf,
		headOf,
		random: random.fraction,
		limits: {
			perUser: settings.WS_MAX_CONNECTIONS_PER_USER,
			perTenant: settings.WS_MAX_CONNECTIONS_PER_TENANT,
			perServer: settings.WS_MAX_CONNECTIONS,
			frameRate: perSecond === 0 ? null : { per_second: perSecond, burst: perSecond * 3 },
			subscriptionsMax: settings.WS_MAX_SUBSCRIPTIONS,
			frameBytesMax,
			contentBytesMax: bounds.contentBytesMax,
		},
	});
}
