import { type Frames, onFrame } from '../../ws/frames.ts';
import { queryPresence, subscribePresence, unsubscribePresence } from './schema.ts';
import type { Presence } from './service.ts';

export const presenceFrames = (presence: Presence): Frames => [
	onFrame('presence.query', queryPresence, presence.query),
	onFrame('presence.subscribe', subscribePresence, presence.subscribe),
	onFrame('presence.unsubscribe', unsubscribePresence, presence.unsubscribe),
];
