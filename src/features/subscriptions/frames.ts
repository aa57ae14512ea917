import { type Frames, onFrame } from '../../ws/frames.ts';
import { listSubscriptions } from './schema.ts';
import type { Subscriptions } from './service.ts';

export const subscriptionFrames = (subscriptions: Subscriptions): Frames => [
	onFrame('subscriptions.list', listSubscriptions, subscriptions.list),
];
