import type { TenantCaller } from '../../core/caller.ts';
import type { OutputOf } from '../../core/operation.ts';
import { type Frames, onFrame } from '../../ws/frames.ts';
import type { Socket } from '../../ws/socket.ts';
import { pingConnection, resumeConnection, subscribeTopic, unsubscribeTopic } from './schema.ts';
import type { ConnectionOperations } from './service.ts';

export interface FramedOperations extends ConnectionOperations {
	/** Resolves when everything missed was sent. */
	resume(socket: Socket, caller: TenantCaller, cursor: string): Promise<void>;
}

export const connectionFrames = (connections: FramedOperations): Frames => [
	onFrame('ping', pingConnection, connections.ping),
	onFrame('subscribe', subscribeTopic, connections.subscribe),
	onFrame('unsubscribe', unsubscribeTopic, connections.unsubscribe),
	onFrame(
		'resume',
		resumeConnection,
		async (caller, { cursor }, connection): Promise<OutputOf<typeof resumeConnection>> => {
			await connections.resume(connection as Socket, caller, cursor);
			return { success: true };
		},
	),
];
