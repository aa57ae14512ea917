import { type Frames, onFrame } from '../../ws/frames.ts';
import { pingConnection, subscribeTopic, unsubscribeTopic } from './schema.ts';
import type { ConnectionOperations } from './service.ts';

export const connectionFrames = (connections: ConnectionOperations): Frames => [
	onFrame('ping', pingConnection, connections.ping),
	onFrame('subscribe', subscribeTopic, connections.subscribe),
	onFrame('unsubscribe', unsubscribeTopic, connections.unsubscribe),
];
